//! Bit vectors for rules that no cut separates: per field a row of bits for every elementary interval, one bit per
//! rule in order. A lookup finds its row in each field and intersects them; the first bit left is the answer.
//!
//! Bound for n <= 1024 rules: per field that counts one binary search over at most 2n + 1 borders (ports and protocol:
//! one count of bits where there are 32 borders), and n / 64 words; memory at most (2n + 1) * n / 8 octets per field
//! that counts, and 16 kB for the bits of a field of ports.

use super::rule::{Addr, INBOUND, MARKED, OUTBOUND, Point, Rule, merit};
use alloc::vec::Vec;

/// Rules of one group at most.
pub(super) const MAX_GROUP: usize = 1024;

/// Fewer borders are searched.
const FEW_STARTS: usize = 32;
/// Rules of the first group when several are built.
pub(super) const FIRST_GROUP: usize = 256;

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

/// One field: where its intervals begin, and a row of bits for each.
#[derive(Clone, Debug)]
struct Axis<V> {
    starts: Vec<V>,
    rows: Vec<u64>,
    /// Instead of a search over `starts`, for small fields of larger groups.
    bits: Option<Bits>,
}

fn set(words: &mut [u64], bit: usize, on: bool) {
    if let Some(w) = words.get_mut(bit / 64) {
        let mask = 1u64 << (bit % 64);
        *w = if on { *w | mask } else { *w & !mask };
    }
}

impl<V: Copy + Ord> Axis<V> {
    /// `None` when every rule has the whole field.
    fn new(ranges: &[[V; 2]], whole: [V; 2], next: impl Fn(V) -> Option<V>, words: usize) -> Option<Self> {
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
        let (mut starts, mut rows) = (alloc::vec![whole[0]], Vec::new());
        let mut row = alloc::vec![0u64; words];
        for (at, up, bit) in events {
            if starts.last() != Some(&at) {
                starts.push(at);
                rows.extend_from_slice(&row);
            }
            set(&mut row, bit, up);
        }
        rows.extend_from_slice(&row);
        Some(Self { starts, rows, bits: None })
    }

    #[inline(always)]
    fn row(&self, value: V, words: usize) -> &[u64] {
        self.nth(self.starts.partition_point(|s| *s <= value), words)
    }

    #[inline(always)]
    fn nth(&self, count: usize, words: usize) -> &[u64] {
        let at = count.saturating_sub(1).wrapping_mul(words);
        self.rows.get(at..at.wrapping_add(words)).unwrap_or_default()
    }

    fn memory(&self) -> usize {
        let bits = self.bits.as_ref().map_or(0, |b| b.words.capacity().saturating_mul(16));
        let starts = self.starts.capacity().saturating_mul(size_of::<V>());
        starts.saturating_add(self.rows.capacity().saturating_mul(8)).saturating_add(bits)
    }
}

impl Axis<u32> {
    /// A field whose last value is `last`: where there are enough intervals, they are counted instead of searched.
    fn small(ranges: &[[u32; 2]], last: u32, words: usize) -> Option<Self> {
        let mut axis = Self::new(ranges, [0, last], |v: u32| v.checked_add(1), words)?;
        if axis.starts.len() >= FEW_STARTS {
            axis.bits = Some(Bits::new(&axis.starts, last));
        }
        Some(axis)
    }

    #[inline(always)]
    fn small_row(&self, value: u32, words: usize) -> &[u64] {
        match &self.bits {
            Some(bits) => self.nth(bits.count(value), words),
            None => self.row(value, words),
        }
    }
}

/// A group of rules in order, with their vectors.
#[derive(Clone, Debug)]
pub(super) struct Vectors<A> {
    rules: Vec<Rule<A>>,
    /// What a lookup reads of each: its merit, its policy and whether that looks at the mark.
    answers: Vec<(u16, bool, u32)>,
    words: usize,
    /// Rules for a direction that were not removed: inbound, outbound.
    alive: [Vec<u64>; 2],
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
        let words = rules.len().div_ceil(64);
        let addrs = |f: fn(&Rule<A>) -> [A; 2]| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::new(&ranges, [A::default(), A::MAX], A::next, words)
        };
        let small = |f: fn(&Rule<A>) -> [u32; 2], last: u32| {
            let ranges: Vec<_> = rules.iter().map(f).collect();
            Axis::small(&ranges, last, words)
        };
        let protocol = |r: &Rule<A>| match r.protocol {
            0 => [0, 255],
            p => [u32::from(p); 2],
        };
        let alive = [INBOUND, OUTBOUND].map(|way| {
            let mut bits = alloc::vec![0u64; words];
            rules.iter().enumerate().for_each(|(n, r)| set(&mut bits, n, r.flags & way != 0));
            bits
        });
        Self {
            l: addrs(|r| r.l),
            r: addrs(|r| r.r),
            lp: small(|r| r.lp, super::rule::OPAQUE),
            rp: small(|r| r.rp, super::rule::OPAQUE),
            protocol: small(protocol, 255),
            answers: rules.iter().map(|r| (merit(r.key), r.flags & MARKED != 0, r.slot)).collect(),
            words,
            alive,
            live: rules.len(),
            rules,
        }
    }

    /// The first rule that holds `p`, has at least this merit and is agreed to: its merit, its policy's slot and its
    /// place here.
    #[inline(always)]
    pub(super) fn lookup(&self, p: &Point<A>, least: u16, agree: &impl Fn(u32) -> bool) -> Option<(u16, u32, usize)> {
        if self.answers.first().is_none_or(|a| a.0 < least) {
            return None;
        }
        let [inbound, outbound] = &self.alive;
        let alive = if p.want == INBOUND { inbound.as_slice() } else { outbound.as_slice() };
        // A field that does not count is stood for by the vector of live rules: no branch in the loop.
        let l = self.l.as_ref().map_or(alive, |a| a.row(p.l, self.words));
        let r = self.r.as_ref().map_or(alive, |a| a.row(p.r, self.words));
        let lp = self.lp.as_ref().map_or(alive, |a| a.small_row(p.lp, self.words));
        let rp = self.rp.as_ref().map_or(alive, |a| a.small_row(p.rp, self.words));
        let protocol = self.protocol.as_ref().map_or(alive, |a| a.small_row(u32::from(p.protocol), self.words));
        let rows = alive.iter().zip(l).zip(r).zip(lp).zip(rp).zip(protocol);
        for (at, (((((a, b), c), d), e), f)) in rows.enumerate() {
            let mut word = a & b & c & d & e & f;
            while word != 0 {
                let bit = at.wrapping_mul(64).wrapping_add(word.trailing_zeros() as usize);
                let (merit, marked, slot) = *self.answers.get(bit)?;
                if merit < least {
                    return None;
                }
                if !marked || agree(slot) {
                    return Some((merit, slot, bit));
                }
                word &= word.wrapping_sub(1);
            }
        }
        None
    }

    /// Takes a rule out of the answers; its place is freed when the group is built anew.
    pub(super) fn remove(&mut self, rule: &Rule<A>) -> bool {
        let Ok(at) = self.rules.binary_search(rule) else { return false };
        let mut was = false;
        for bits in &mut self.alive {
            was |= bits.get(at / 64).is_some_and(|w| w & (1u64 << (at % 64)) != 0);
            set(bits, at, false);
        }
        self.live = self.live.saturating_sub(usize::from(was));
        was
    }

    /// The rules that were not removed, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = &Rule<A>> {
        let [inbound, outbound] = &self.alive;
        self.rules.iter().enumerate().filter_map(move |(n, r)| {
            let words = (inbound.get(n / 64)?, outbound.get(n / 64)?);
            ((words.0 | words.1) & (1u64 << (n % 64)) != 0).then_some(r)
        })
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The order of the rule in a place.
    pub(super) fn key(&self, at: usize) -> u64 {
        self.rules.get(at).map_or(u64::MAX, |r| r.key)
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
        self.rules.capacity().saturating_mul(rule).saturating_add(addrs).saturating_add(small)
    }
}
