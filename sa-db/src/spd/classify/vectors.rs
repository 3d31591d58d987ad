//! Bit vectors for rules that no cut separates: per field a row of bits for every elementary interval, one bit per
//! rule in order. A lookup finds its row in each field and intersects them; the first bit left is the answer.
//!
//! Bound for n <= 1024 rules: per field that counts one binary search over at most 2n + 1 borders (protocols, and ports
//! where there are 32 borders: one read, `borders.rs`), and n / 256 blocks of four words; memory at most (2n + 1) * n / 8
//! octets per field that counts, with the second n rounded up to a multiple of 256, and 33 kB for the counts of a field
//! of ports.

use super::borders::{Counts, Starts};
use super::rule::{Addr, INBOUND, MARKED, OUTBOUND, Point, Rule, merit};
use alloc::vec::Vec;
use core::hint::select_unpredictable;

/// Rules of one group at most.
pub(super) const MAX_GROUP: usize = 1024;

/// Fewer borders are searched.
const FEW_STARTS: usize = 32;
/// Rules of the first group when several are built.
pub(super) const FIRST_GROUP: usize = 256;

/// Bits of 256 rules, in half a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Block([u64; 4]);

const EMPTY: Block = Block([0; 4]);
const ONES: Block = Block([u64::MAX; 4]);

impl Block {
    #[inline(always)]
    fn and(&self, other: &Self) -> Self {
        let mut all = self.0;
        all.iter_mut().zip(&other.0).for_each(|(all, one)| *all &= one);
        Self(all)
    }

    /// The first bit; `None` without one. Which word has it is anybody's guess: no branch on it.
    #[inline(always)]
    fn first(&self) -> Option<usize> {
        let [a, b, c, d] = self.0;
        if (a | b) | (c | d) == 0 {
            return None;
        }
        let (low, high) =
            (select_unpredictable(a != 0, (a, 0), (b, 64)), select_unpredictable(c != 0, (c, 128), (d, 192)));
        let (word, start) = select_unpredictable(a | b != 0, low, high);
        Some(usize::wrapping_add(start, word.trailing_zeros() as usize))
    }
}

/// One field: where its intervals begin. Each has a row of bits.
#[derive(Clone, Debug)]
struct Axis<V> {
    starts: Starts<V>,
    /// Where the row of the first interval is.
    first: usize,
    /// Instead of a search over `starts`, for small fields of larger groups.
    counts: Option<Counts>,
}

fn set(blocks: &mut [Block], bit: usize, on: bool) {
    if let Some(w) = blocks.get_mut(bit / 256).and_then(|b| b.0.get_mut(bit / 64 % 4)) {
        let mask = 1u64 << (bit % 64);
        *w = if on { *w | mask } else { *w & !mask };
    }
}

fn is_set(blocks: &[Block], bit: usize) -> bool {
    blocks.get(bit / 256).and_then(|b| b.0.get(bit / 64 % 4)).is_some_and(|w| w & (1u64 << (bit % 64)) != 0)
}

impl<V: Copy + Ord> Axis<V> {
    /// `None` when every rule has the whole field.
    fn new(ranges: &[[V; 2]], whole: [V; 2], next: impl Fn(V) -> Option<V>, rows: &mut Rows) -> Option<Self> {
        if ranges.iter().all(|r| *r == whole) {
            return None;
        }
        // Borders, with the bit that changes there and whether it goes up.
        let mut events: Vec<(V, bool, usize)> = Vec::new();
        for (bit, [first, last]) in ranges.iter().enumerate() {
            events.push((*first, true, bit));
            events.extend(next(*last).filter(|_| *last < whole[1]).map(|after| (after, false, bit)));
        }
        events.sort_unstable();
        let (mut starts, first) = (alloc::vec![whole[0]], rows.all.len());
        let mut row = alloc::vec![EMPTY; rows.blocks];
        for (at, up, bit) in events {
            if starts.last() != Some(&at) {
                starts.push(at);
                rows.all.extend_from_slice(&row);
            }
            set(&mut row, bit, up);
        }
        rows.all.extend_from_slice(&row);
        Some(Self { starts: Starts::new(&starts, whole[1]), first, counts: None })
    }

    /// Where the rows of some values' intervals are.
    #[inline(always)]
    fn rows<const K: usize>(&self, values: &[V; K], blocks: usize) -> [u32; K] {
        let mut rows = self.starts.count(values);
        rows.iter_mut().for_each(|row| *row = self.nth(*row, blocks));
        rows
    }

    #[inline(always)]
    fn nth(&self, count: u32, blocks: usize) -> u32 {
        self.first.wrapping_add((count as usize).wrapping_sub(1).wrapping_mul(blocks)) as u32
    }

    fn memory(&self) -> usize {
        self.starts.memory().saturating_add(self.counts.as_ref().map_or(0, Counts::memory))
    }
}

impl Axis<u32> {
    /// A field whose last value is `last`: where there are enough intervals, they are counted instead of searched.
    fn small(ranges: &[[u32; 2]], last: u32, rows: &mut Rows) -> Option<Self> {
        let mut axis = Self::new(ranges, [0, last], |v: u32| v.checked_add(1), rows)?;
        if axis.starts.len() >= FEW_STARTS || last < 256 {
            axis.counts = Some(Counts::new(axis.starts.as_slice(), last));
        }
        Some(axis)
    }

    #[inline(always)]
    fn small_rows<const K: usize>(&self, values: &[u32; K], blocks: usize) -> [u32; K] {
        match &self.counts {
            Some(counts) => {
                // Loops, not `map`, which is a call for each value.
                let mut rows = *values;
                rows.iter_mut().for_each(|row| *row = self.nth(counts.count(*row), blocks));
                rows
            }
            None => self.rows(values, blocks),
        }
    }
}

/// All rows of a group, one after the other. First those of the protocols, for both directions, without the rules that are
/// not for a direction or were removed; then one with all bits set, which stands for fields that do not count.
#[derive(Clone, Debug)]
struct Rows {
    all: Vec<Block>,
    /// Of one row.
    blocks: usize,
    /// Of all protocols in one direction.
    way: usize,
}

impl Rows {
    fn new<A>(rules: &[Rule<A>]) -> (Self, Option<Axis<u32>>) {
        let blocks = rules.len().div_ceil(256);
        let ranges: Vec<_> = rules
            .iter()
            .map(|r| match r.protocol {
                0 => [0, 255],
                p => [u32::from(p); 2],
            })
            .collect();
        let mut rows = Self { all: Vec::new(), blocks, way: 0 };
        let axis = Axis::small(&ranges, 255, &mut rows);
        if axis.is_none() {
            rows.all.resize(blocks, ONES);
        }
        rows.way = rows.all.len();
        let protocols = core::mem::take(&mut rows.all);
        for way in [INBOUND, OUTBOUND] {
            let mut alive = alloc::vec![EMPTY; blocks];
            rules.iter().enumerate().for_each(|(n, r)| set(&mut alive, n, r.flags & way != 0));
            rows.all.extend(protocols.iter().zip(alive.iter().cycle()).map(|(a, b)| a.and(b)));
        }
        rows.all.resize(rows.all.len().saturating_add(blocks), ONES);
        (rows, axis)
    }

    /// Where the rows of the protocols are for a direction.
    #[inline(always)]
    fn alive(&self, want: u8) -> usize {
        if want == INBOUND { 0 } else { self.way }
    }

    /// Where the row of all bits is.
    #[inline(always)]
    fn everything(&self) -> usize {
        self.way.wrapping_mul(2)
    }

    /// Which rules are there, row by row.
    fn there(&mut self) -> impl Iterator<Item = &mut [Block]> {
        let all = self.everything();
        self.all.get_mut(..all).unwrap_or_default().chunks_exact_mut(self.blocks.max(1))
    }

    fn is_alive(&self, bit: usize) -> bool {
        let all = self.all.get(..self.everything()).unwrap_or_default();
        all.chunks_exact(self.blocks.max(1)).any(|row| is_set(row, bit))
    }
}

/// Where the rows are of the intervals that a packet is in, field by field.
pub(super) type Places = [u32; 5];

/// A group of rules in order, with their vectors.
#[derive(Clone, Debug)]
pub(super) struct Vectors<A> {
    rules: Vec<Rule<A>>,
    /// What a lookup reads of each: its merit, its policy and whether that looks at the mark.
    answers: Vec<(u16, bool, u32)>,
    rows: Rows,
    l: Option<Axis<A>>,
    r: Option<Axis<A>>,
    lp: Option<Axis<u32>>,
    rp: Option<Axis<u32>>,
    protocol: Option<Axis<u32>>,
    live: usize,
}

impl<A: Addr> Vectors<A> {
    /// `rules` are in order and at most [`MAX_GROUP`].
    pub(super) fn new(rules: Vec<Rule<A>>) -> Self {
        let (mut rows, protocol) = Rows::new(&rules);
        let addrs = |f: fn(&Rule<A>) -> [A; 2], rows: &mut Rows| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::new(&ranges, [A::default(), A::MAX], A::next, rows)
        };
        let ports = |f: fn(&Rule<A>) -> [u32; 2], rows: &mut Rows| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::small(&ranges, super::rule::OPAQUE, rows)
        };
        Self {
            l: addrs(|r| r.l, &mut rows),
            r: addrs(|r| r.r, &mut rows),
            lp: ports(|r| r.lp, &mut rows),
            rp: ports(|r| r.rp, &mut rows),
            protocol,
            answers: rules.iter().map(|r| (merit(r.key), r.flags & MARKED != 0, r.slot)).collect(),
            live: rules.len(),
            rows,
            rules,
        }
    }

    /// No rule has more.
    #[inline(always)]
    pub(super) fn merit(&self) -> u16 {
        self.answers.first().map_or(0, |a| a.0)
    }

    /// Where each of some packets is in every field. Field by field, so that the searches of several overlap.
    #[inline(always)]
    pub(super) fn locate<const N: usize>(&self, points: &[Point<A>; N]) -> [Places; N] {
        fn each<A: Addr, V: Copy, const N: usize>(
            points: &[Point<A>; N],
            none: V,
            of: impl Fn(&Point<A>) -> V,
        ) -> [V; N] {
            let mut values = [none; N];
            values.iter_mut().zip(points).for_each(|(v, p)| *v = of(p));
            values
        }
        let n = self.rows.blocks;
        let mut all = [[self.rows.everything() as u32; 5]; N];
        let mut put = |field: usize, rows: [u32; N]| {
            for (row, place) in rows.into_iter().zip(all.iter_mut().filter_map(|all| all.get_mut(field))) {
                *place = row;
            }
        };
        self.l.iter().for_each(|axis| put(0, axis.rows(&each(points, A::MAX, |p| A::local(p.pair)), n)));
        self.r.iter().for_each(|axis| put(1, axis.rows(&each(points, A::MAX, |p| A::remote(p.pair)), n)));
        self.lp.iter().for_each(|axis| put(2, axis.small_rows(&each(points, 0, |p| p.lp), n)));
        self.rp.iter().for_each(|axis| put(3, axis.small_rows(&each(points, 0, |p| p.rp), n)));
        put(4, each(points, 0, |p| self.rows.alive(p.want) as u32));
        if let Some(axis) = &self.protocol {
            let rows = axis.small_rows(&each(points, 0, |p| u32::from(p.protocol)), n);
            all.iter_mut().zip(rows).for_each(|(all, row)| all[4] = all[4].wrapping_add(row));
        }
        all
    }

    /// The first rule that holds a packet with these rows, has at least this merit and is agreed to: its merit, its
    /// policy's slot and its place here.
    #[inline(always)]
    pub(super) fn first(&self, at: &Places, least: u16, agree: &impl Fn(u32) -> bool) -> Option<(u16, u32, u32)> {
        let rows = self.rows.all.as_slice();
        for n in 0..self.rows.blocks {
            let row = |start: u32| rows.get((start as usize).wrapping_add(n));
            let [first, more @ ..] = at;
            let mut block = *row(*first)?;
            for start in more {
                block = block.and(row(*start)?);
            }
            while let Some(bit) = block.first() {
                let at = n.wrapping_mul(256).wrapping_add(bit);
                let (merit, marked, slot) = *self.answers.get(at)?;
                if merit < least {
                    return None;
                }
                if !marked || agree(slot) {
                    return Some((merit, slot, at as u32));
                }
                set(core::slice::from_mut(&mut block), bit, false);
            }
        }
        None
    }

    /// Takes a rule out of the answers; its place is freed when the group is built anew.
    pub(super) fn remove(&mut self, rule: &Rule<A>) -> bool {
        let Ok(at) = self.rules.binary_search(rule) else { return false };
        let was = self.rows.is_alive(at);
        self.rows.there().for_each(|row| set(row, at, false));
        self.live = self.live.saturating_sub(usize::from(was));
        was
    }

    /// The rules that were not removed, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = &Rule<A>> {
        self.rules.iter().enumerate().filter(|(n, _)| self.rows.is_alive(*n)).map(|(_, r)| r)
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The order of the rule in a place.
    pub(super) fn key(&self, at: u32) -> u64 {
        self.rules.get(at as usize).map_or(u64::MAX, |r| r.key)
    }

    /// The order of the last rule it was built with.
    pub(super) fn last_key(&self) -> u64 {
        self.rules.last().map_or(0, |r| r.key)
    }

    /// The order of the first rule it was built with.
    pub(super) fn first_key(&self) -> u64 {
        self.rules.first().map_or(0, |r| r.key)
    }

    pub(super) fn memory(&self) -> usize {
        let addrs = [&self.l, &self.r].into_iter().flatten().map(Axis::memory).sum::<usize>();
        let small = [&self.lp, &self.rp, &self.protocol].into_iter().flatten().map(Axis::memory).sum::<usize>();
        let rule = size_of::<Rule<A>>().saturating_add(size_of::<(u16, bool, u32)>());
        let rows = self.rows.all.capacity().saturating_mul(size_of::<Block>());
        self.rules.capacity().saturating_mul(rule).saturating_add(addrs).saturating_add(small).saturating_add(rows)
    }
}
