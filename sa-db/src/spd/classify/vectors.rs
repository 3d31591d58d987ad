//! Bit vectors for rules that no cut separates: per field a row of bits for every elementary interval, one bit per
//! rule in order. A lookup finds its row in each field and intersects them; the first bit left is the answer.
//!
//! Bound for n <= 1024 rules: per field that counts one binary search over at most 2n + 1 borders (ports and protocol:
//! one count of bits where there are 32 borders), and n / 256 blocks of four words; memory at most (2n + 1) * n / 8
//! octets per field that counts, with the second n rounded up to a multiple of 256, and 16 kB for the bits of a field of
//! ports.

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

impl Block {
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

/// Where the intervals of a small field begin, one bit per value, with counts, so that no search is needed.
#[derive(Clone, Debug)]
struct Bits {
    /// Begins in this word's values, and begins before them.
    words: Vec<(u64, u32)>,
}

impl Bits {
    /// `starts` are in order and begin with 0.
    fn new(starts: &[u32], last: u32) -> Self {
        let mut words = alloc::vec![(0u64, 0u32); (last / 64).saturating_add(1) as usize];
        for at in starts {
            words.get_mut((at / 64) as usize).into_iter().for_each(|w| w.0 |= 1u64 << (at % 64));
        }
        let mut sum = 0u32;
        for (word, before) in &mut words {
            *before = sum;
            sum = sum.saturating_add(word.count_ones());
        }
        Self { words }
    }

    /// How many intervals begin at or before the value.
    #[inline(always)]
    fn count(&self, value: u32) -> usize {
        let (word, before) = self.words.get((value / 64) as usize).copied().unwrap_or_default();
        let up_to = u64::MAX >> (63 - value % 64);
        before.wrapping_add((word & up_to).count_ones()) as usize
    }
}

/// One field: where its intervals begin. Each has a row of bits.
#[derive(Clone, Debug)]
struct Axis<V> {
    starts: Vec<V>,
    /// Where the row of the first interval is.
    first: usize,
    /// Instead of a search over `starts`, for small fields of larger groups.
    bits: Option<Bits>,
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
        Some(Self { starts, first, bits: None })
    }

    /// Where the row of a value's interval is.
    #[inline(always)]
    fn row(&self, value: V, blocks: usize) -> usize {
        self.nth(self.starts.partition_point(|s| *s <= value), blocks)
    }

    #[inline(always)]
    fn nth(&self, count: usize, blocks: usize) -> usize {
        self.first.wrapping_add(count.wrapping_sub(1).wrapping_mul(blocks))
    }

    fn memory(&self) -> usize {
        let bits = self.bits.as_ref().map_or(0, |b| b.words.capacity().saturating_mul(16));
        let starts = self.starts.capacity().saturating_mul(size_of::<V>());
        starts.saturating_add(bits)
    }
}

impl Axis<u32> {
    /// A field whose last value is `last`: where there are enough intervals, they are counted instead of searched.
    fn small(ranges: &[[u32; 2]], last: u32, rows: &mut Rows) -> Option<Self> {
        let mut axis = Self::new(ranges, [0, last], |v: u32| v.checked_add(1), rows)?;
        if axis.starts.len() >= FEW_STARTS {
            axis.bits = Some(Bits::new(&axis.starts, last));
        }
        Some(axis)
    }

    #[inline(always)]
    fn small_row(&self, value: u32, blocks: usize) -> usize {
        match &self.bits {
            Some(bits) => self.nth(bits.count(value), blocks),
            None => self.row(value, blocks),
        }
    }
}

/// All rows of a group, one after the other. First those of the rules that were not removed, by direction, and one with
/// all bits set, which stands for fields that do not count.
#[derive(Clone, Debug)]
struct Rows {
    all: Vec<Block>,
    /// Of one row.
    blocks: usize,
}

impl Rows {
    fn new(n: usize) -> Self {
        let blocks = n.div_ceil(256);
        let mut all = alloc::vec![EMPTY; blocks.saturating_mul(2)];
        all.resize(blocks.saturating_mul(3), Block([u64::MAX; 4]));
        Self { all, blocks }
    }

    /// Where the row of the live rules is that are for a direction.
    #[inline(always)]
    fn alive(&self, want: u8) -> usize {
        if want == INBOUND { 0 } else { self.blocks }
    }

    fn row(&mut self, start: usize) -> &mut [Block] {
        self.all.get_mut(start..).unwrap_or_default()
    }

    fn is_alive(&self, bit: usize) -> bool {
        [INBOUND, OUTBOUND].iter().any(|way| is_set(self.all.get(self.alive(*way)..).unwrap_or_default(), bit))
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
        let mut rows = Rows::new(rules.len());
        for (way, start) in [INBOUND, OUTBOUND].map(|way| (way, rows.alive(way))) {
            let row = rows.row(start);
            rules.iter().enumerate().for_each(|(n, r)| set(row, n, r.flags & way != 0));
        }
        let addrs = |f: fn(&Rule<A>) -> [A; 2], rows: &mut Rows| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::new(&ranges, [A::default(), A::MAX], A::next, rows)
        };
        let small = |f: fn(&Rule<A>) -> [u32; 2], last: u32, rows: &mut Rows| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::small(&ranges, last, rows)
        };
        let protocol = |r: &Rule<A>| match r.protocol {
            0 => [0, 255],
            p => [u32::from(p); 2],
        };
        Self {
            l: addrs(|r| r.l, &mut rows),
            r: addrs(|r| r.r, &mut rows),
            lp: small(|r| r.lp, super::rule::OPAQUE, &mut rows),
            rp: small(|r| r.rp, super::rule::OPAQUE, &mut rows),
            protocol: small(protocol, 255, &mut rows),
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
        fn each<A: Addr, const N: usize>(
            points: &[Point<A>; N],
            all: &mut [Places; N],
            field: usize,
            of: impl Fn(&Point<A>) -> usize,
        ) {
            for (p, place) in points.iter().zip(all.iter_mut().filter_map(|all| all.get_mut(field))) {
                *place = of(p) as u32;
            }
        }
        let n = self.rows.blocks;
        let mut all = [[n.wrapping_mul(2) as u32; 5]; N];
        self.l.iter().for_each(|axis| each(points, &mut all, 0, |p| axis.row(p.l, n)));
        self.r.iter().for_each(|axis| each(points, &mut all, 1, |p| axis.row(p.r, n)));
        self.lp.iter().for_each(|axis| each(points, &mut all, 2, |p| axis.small_row(p.lp, n)));
        self.rp.iter().for_each(|axis| each(points, &mut all, 3, |p| axis.small_row(p.rp, n)));
        self.protocol.iter().for_each(|axis| each(points, &mut all, 4, |p| axis.small_row(u32::from(p.protocol), n)));
        all
    }

    /// The first rule that holds a packet with these rows, has at least this merit and is agreed to: its merit, its
    /// policy's slot and its place here.
    #[inline(always)]
    pub(super) fn first(
        &self,
        at: &Places,
        want: u8,
        least: u16,
        agree: &impl Fn(u32) -> bool,
    ) -> Option<(u16, u32, u32)> {
        let (rows, alive) = (self.rows.all.as_slice(), self.rows.alive(want));
        for n in 0..self.rows.blocks {
            let row = |start: usize| rows.get(start.wrapping_add(n)).map(|b| &b.0);
            let mut block = Block(*row(alive)?);
            for start in at {
                block.0.iter_mut().zip(row(*start as usize)?).for_each(|(all, one)| *all &= one);
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
        for start in [INBOUND, OUTBOUND].map(|way| self.rows.alive(way)) {
            set(self.rows.row(start), at, false);
        }
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
