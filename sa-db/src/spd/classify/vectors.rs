//! Bit vectors for rules that no cut separates: per field a row of bits for every elementary interval, one bit per
//! rule in order. A lookup finds its row in each field and intersects them; the first bit left is the answer.
//!
//! Bound for n <= 1024 rules: per field that counts one binary search over at most 2n + 1 borders (protocols, and ports
//! where there are 32 borders: one read, `borders.rs`), and n / 256 blocks of four words; memory at most (2n + 1) * n / 8
//! octets per field that counts, with the second n rounded up to a multiple of 512 (to 256 below that, `rows.rs`), and 33 kB
//! for the counts of a field of ports.

use super::addr::Addr;
use super::borders::{Counts, Starts, Value};
use super::lanes::Lanes;
use super::rows::{Making, Places, Rows, set};
use super::rule::{INBOUND, MARKED, OUTBOUND, Point, Rule, merit};
use alloc::vec::Vec;
use ravelin_wide::Wide;

/// Rules of one group at most.
pub(super) const MAX_GROUP: usize = 1024;

/// Fewer borders are searched.
const FEW_STARTS: usize = 32;
/// Rules of the first group when several are built.
pub(super) const FIRST_GROUP: usize = 256;

/// One field: where its intervals begin. Each has a row of bits.
#[derive(Clone, Debug)]
struct Axis<V> {
    starts: Starts<V>,
    /// Where the row of the first interval is.
    first: usize,
    /// Instead of a search over `starts`, for small fields of larger groups.
    counts: Option<Counts>,
}

impl<V: Value> Axis<V> {
    /// `None` when every rule has the whole field.
    fn new(ranges: &[[V; 2]], whole: [V; 2], next: impl Fn(V) -> Option<V>, rows: &mut Making) -> Option<Self> {
        if ranges.iter().all(|r| *r == whole) {
            return None;
        }
        let (mut starts, first) = (alloc::vec![whole[0]], rows.next());
        let mut row = rows.empty();
        // Borders, with the bit that changes there and whether it goes up. What holds the least value is there from the start.
        let mut events: Vec<V::Event> = Vec::with_capacity(2 * ranges.len());
        for (bit, [first, last]) in (0u16..).zip(ranges) {
            if *first == whole[0] {
                set(&mut row, usize::from(bit), true);
            } else {
                events.push(first.event(bit, true));
            }
            events.extend(next(*last).filter(|_| *last < whole[1]).map(|after| after.event(bit, false)));
        }
        events.sort_unstable();
        for event in events {
            let (at, bit, up) = V::of_event(event);
            if starts.last() != Some(&at) {
                starts.push(at);
                rows.push(&row);
            }
            set(&mut row, usize::from(bit), up);
        }
        rows.push(&row);
        Some(Self { starts: Starts::new(&starts, whole[1]), first, counts: None })
    }

    /// Where the rows of some values' intervals are.
    #[inline(always)]
    fn rows<L: Lanes, const K: usize>(&self, lanes: L, values: &[V; K], step: usize) -> [u32; K] {
        let mut rows = self.starts.count(lanes, values);
        rows.iter_mut().for_each(|row| *row = self.nth(*row, step));
        rows
    }

    #[inline(always)]
    fn nth(&self, count: u32, step: usize) -> u32 {
        self.first.wrapping_add((count as usize).wrapping_sub(1).wrapping_mul(step)) as u32
    }

    fn memory(&self) -> usize {
        self.starts.memory().saturating_add(self.counts.as_ref().map_or(0, Counts::memory))
    }
}

impl Axis<u32> {
    /// A field whose last value is `last`: where there are enough intervals, they are counted instead of searched.
    fn small(ranges: &[[u32; 2]], last: u32, rows: &mut Making) -> Option<Self> {
        let mut axis = Self::new(ranges, [0, last], |v: u32| v.checked_add(1), rows)?;
        if axis.starts.len() >= FEW_STARTS || last < 256 {
            axis.counts = Some(Counts::new(axis.starts.as_slice(), last));
        }
        Some(axis)
    }

    #[inline(always)]
    fn small_rows<L: Lanes, const K: usize>(&self, lanes: L, values: &[u32; K], step: usize) -> [u32; K] {
        match &self.counts {
            Some(counts) => {
                // Loops, not `map`, which is a call for each value.
                let mut rows = *values;
                rows.iter_mut().for_each(|row| *row = self.nth(counts.count(*row), step));
                rows
            }
            None => self.rows(lanes, values, step),
        }
    }
}

/// The rows of the protocols, which say for each direction which rules are there as well, and the field of protocols.
fn protocols<A>(rules: &[Rule<A>]) -> (Making, Option<Axis<u32>>) {
    let ranges: Vec<_> = rules
        .iter()
        .map(|r| match r.protocol {
            0 => [0, 255],
            p => [u32::from(p); 2],
        })
        .collect();
    let mut rows = Making::new(rules.len());
    let axis = Axis::small(&ranges, 255, &mut rows);
    let flags = |way: u8| rules.iter().map(move |r| r.flags & way != 0);
    (rows.with_ways(flags(INBOUND), flags(OUTBOUND)), axis)
}

/// A group of rules in order, with their vectors.
#[derive(Clone, Debug)]
pub(super) struct Vectors<A> {
    rules: Vec<Rule<A>>,
    /// What a lookup reads of each: its merit, its policy and whether that looks at the mark; after all, no rule's.
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
        let (mut rows, protocol) = protocols(&rules);
        let answer = |r: &Rule<A>| (merit(r.key), r.flags & MARKED != 0, r.slot);
        let addrs = |f: fn(&Rule<A>) -> [A; 2], rows: &mut Making| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::new(&ranges, [A::default(), A::MAX], A::next, rows)
        };
        let ports = |f: fn(&Rule<A>) -> [u32; 2], rows: &mut Making| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::small(&ranges, super::rule::OPAQUE, rows)
        };
        Self {
            l: addrs(|r| r.l, &mut rows),
            r: addrs(|r| r.r, &mut rows),
            lp: ports(|r| r.lp, &mut rows),
            rp: ports(|r| r.rp, &mut rows),
            protocol,
            answers: rules.iter().map(answer).chain([(0, false, u32::MAX)]).collect(),
            live: rules.len(),
            rows: rows.done(),
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
    pub(super) fn locate<L: Lanes, const N: usize>(&self, lanes: L, points: &[Point<A>; N]) -> [Places; N] {
        fn each<A: Addr, V: Copy, const N: usize>(
            points: &[Point<A>; N],
            none: V,
            of: impl Fn(&Point<A>) -> V,
        ) -> [V; N] {
            let mut values = [none; N];
            values.iter_mut().zip(points).for_each(|(v, p)| *v = of(p));
            values
        }
        let n = self.rows.step();
        let mut all = [[self.rows.everything() as u32; 5]; N];
        let mut put = |field: usize, rows: [u32; N]| {
            for (row, place) in rows.into_iter().zip(all.iter_mut().filter_map(|all| all.get_mut(field))) {
                *place = row;
            }
        };
        if let Some(axis) = &self.l {
            put(0, axis.rows(lanes, &each(points, A::MAX, |p| A::local(p.pair)), n));
        }
        if let Some(axis) = &self.r {
            put(1, axis.rows(lanes, &each(points, A::MAX, |p| A::remote(p.pair)), n));
        }
        if let Some(axis) = &self.lp {
            put(2, axis.small_rows(lanes, &each(points, 0, |p| p.lp), n));
        }
        if let Some(axis) = &self.rp {
            put(3, axis.small_rows(lanes, &each(points, 0, |p| p.rp), n));
        }
        put(4, each(points, 0, |p| self.rows.way(p.want == INBOUND) as u32));
        if let Some(axis) = &self.protocol {
            let rows = axis.small_rows(lanes, &each(points, 0, |p| u32::from(p.protocol)), n);
            all.iter_mut().zip(rows).for_each(|(all, row)| all[4] = all[4].wrapping_add(row));
        }
        all
    }

    /// The first rule that holds a packet with these rows: its merit, 0 without one, its policy's slot and its place here. No
    /// branch on whether there is one. `None` where that cannot be told so: the group is not of the size, or the rule looks
    /// at the mark.
    #[inline(always)]
    pub(super) fn first_at_once(&self, wide: impl Wide, at: &Places) -> Option<(u16, u32, u32)> {
        let bit = self.rows.first_bit(wide, at)?;
        let (merit, marked, slot) = *self.answers.get((bit as usize).min(self.rules.len()))?;
        (!marked).then_some((merit, slot, bit))
    }

    /// The first rule that holds a packet with these rows, has at least this merit and is agreed to: its merit, its
    /// policy's slot and its place here.
    #[inline(always)]
    pub(super) fn first(&self, at: &Places, least: u16, agree: &impl Fn(u32) -> bool) -> Option<(u16, u32, u32)> {
        let fits = |bit: usize| match self.answers.get(bit) {
            Some((merit, ..)) if *merit < least => Some(None),
            Some((merit, marked, slot)) => (!marked || agree(*slot)).then_some(Some((*merit, *slot, bit as u32))),
            None => Some(None),
        };
        self.rows.first(at, fits)?
    }

    /// Takes a rule out of the answers; its place is freed when the group is built anew.
    pub(super) fn remove(&mut self, rule: &Rule<A>) -> bool {
        let Ok(at) = self.rules.binary_search(rule) else { return false };
        let was = self.rows.is_alive(at);
        self.rows.remove(at);
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
        self.rules
            .capacity()
            .saturating_mul(rule)
            .saturating_add(addrs)
            .saturating_add(small)
            .saturating_add(self.rows.memory())
    }
}
