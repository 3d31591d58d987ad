//! Where the intervals of a field begin, and how many begin at or before a value: by a search without branches
//! ([`Starts`]), or by one read where the field is small ([`Counts`]). For `vectors.rs`; another way to find an interval
//! goes here, beside a walk that it has to agree with.

use super::lanes::{Instructions, Lanes, Processor};
use alloc::vec::Vec;
use core::hint::select_unpredictable;
use ravelin_wide::Wide;

/// Where the intervals of a small field begin, so that no search is needed: for every four values four bits, and above
/// them how many begin before. Four bits are counted by a shift; 64 at once take twelve steps on processors at large.
#[derive(Clone, Debug)]
pub(super) struct Counts(Vec<u16>);

/// How many bits are set in each number of four bits, in four bits each.
const ONE_TO_FOUR: u64 = 0x4332_3221_3221_2110;

impl Counts {
    /// `starts` are in order, begin with 0 and are 4,095 at most.
    pub(super) fn new(starts: &[u32], last: u32) -> Self {
        let mut fours = alloc::vec![0u16; (last / 4).saturating_add(1) as usize];
        let mut done = 0usize;
        for (before, at) in (0u16..).zip(starts) {
            let four = (at / 4) as usize;
            // All up to this one that nothing was said of have as many before them.
            let same = fours.get_mut(done..=four).unwrap_or_default();
            same.fill(before << 4);
            done = done.saturating_add(same.len());
            fours.get_mut(four).into_iter().for_each(|f| *f |= 1 << (at % 4));
        }
        let all = (starts.len() as u16) << 4;
        fours.get_mut(done..).unwrap_or_default().fill(all);
        Self(fours)
    }

    /// How many intervals begin at or before the value.
    #[inline(always)]
    pub(super) fn count(&self, value: u32) -> u32 {
        let four = self.0.get((value / 4) as usize).copied().unwrap_or(0);
        let up_to = four & (15 >> (3 - value % 4));
        u32::from(four >> 4).wrapping_add(((ONE_TO_FOUR >> (up_to * 4)) & 15) as u32)
    }

    pub(super) fn memory(&self) -> usize {
        self.0.capacity().saturating_mul(size_of::<u16>())
    }
}

/// Where the intervals of a field begin, for a search without branches whose steps are known when it is compiled: padded
/// to a power of two.
#[derive(Clone, Debug)]
pub(super) struct Starts<V> {
    padded: Vec<V>,
    /// Without the padding.
    len: usize,
    lines: Lines,
}

/// A value of a field.
pub(super) trait Value: Copy + Ord {
    /// A value at which the bit of a rule goes up or down, in the order of values.
    type Event: Copy + Ord;

    /// As 32 bits, if it has no more.
    fn narrow(self) -> Option<u32>;

    /// See [`Value::Event`].
    fn event(self, bit: u16, up: bool) -> Self::Event;

    /// The value, the bit, and whether it goes up.
    fn of_event(event: Self::Event) -> (Self, u16, bool);
}

impl Value for u32 {
    /// One integer, which sorts in half the time of three: the value, `up`, the bit.
    type Event = u64;

    #[inline(always)]
    fn narrow(self) -> Option<u32> {
        Some(self)
    }

    fn event(self, bit: u16, up: bool) -> u64 {
        u64::from(self) << 32 | u64::from(up) << 16 | u64::from(bit)
    }

    fn of_event(event: u64) -> (Self, u16, bool) {
        ((event >> 32) as u32, event as u16, event & 1 << 16 != 0)
    }
}

impl Value for u128 {
    type Event = (u128, bool, u16);

    #[inline(always)]
    fn narrow(self) -> Option<u32> {
        None
    }

    fn event(self, bit: u16, up: bool) -> Self::Event {
        (self, up, bit)
    }

    fn of_event((value, up, bit): Self::Event) -> (Self, u16, bool) {
        (value, bit, up)
    }
}

/// The same beginnings for a search in two steps of sixteen comparisons at once, up to four times and twice; empty where
/// the processor cannot, or the field is too wide.
#[derive(Clone, Debug, Default)]
struct Lines {
    /// The first of every thirty-two but the first, and then all; each part filled up with the greatest value.
    all: Vec<Line>,
    /// Lines of the first part.
    tops: usize,
    /// The last pair of lines.
    last: u32,
}

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u32; 16]);

impl Lines {
    fn new(starts: &[u32]) -> Self {
        fn push(all: &mut Vec<Line>, from: &[u32]) {
            let mut line = Line([u32::MAX; 16]);
            line.0.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            all.push(line);
        }
        let mut all = Vec::new();
        let tops: Vec<u32> = starts.iter().copied().step_by(32).skip(1).collect();
        tops.chunks(16).for_each(|tops| push(&mut all, tops));
        let before = all.len();
        for pair in starts.chunks(32) {
            let (one, other) = pair.split_at_checked(16).unwrap_or((pair, &[]));
            push(&mut all, one);
            push(&mut all, other);
        }
        Self { all, tops: before, last: tops.len() as u32 }
    }

    /// How many begin at or before a value, or more for the greatest.
    #[inline(always)]
    fn count(&self, wide: impl Wide, value: u32) -> u32 {
        let Some((tops, pairs)) = self.all.split_at_checked(self.tops) else { return 0 };
        let mut before = 0u32;
        for line in tops {
            before = before.wrapping_add(wide.at_most(&line.0, value));
        }
        let before = before.min(self.last);
        let Some(Some([one, other])) = pairs.get(before as usize * 2..).map(<[Line]>::first_chunk) else { return 0 };
        let here = wide.at_most(&one.0, value).wrapping_add(wide.at_most(&other.0, value));
        before.wrapping_mul(32).wrapping_add(here)
    }
}

impl<V: Value> Starts<V> {
    /// `starts` are in order and begin with the least value; `most` is the greatest.
    pub(super) fn new(starts: &[V], most: V) -> Self {
        let mut padded = starts.to_vec();
        padded.resize(starts.len().next_power_of_two(), most);
        let narrow: Option<Vec<u32>> = starts.iter().map(|s| s.narrow()).collect();
        let wide = Processor::detect().instructions() != Instructions::Any;
        let lines = narrow.filter(|_| wide).map(|starts| Lines::new(&starts)).unwrap_or_default();
        Self { padded, len: starts.len(), lines }
    }

    /// How many intervals begin at or before each of some values.
    #[inline(always)]
    pub(super) fn count<L: Lanes, const K: usize>(&self, lanes: L, values: &[V; K]) -> [u32; K] {
        if let (Some(wide), Some(_)) = (lanes.wide(), values.first().and_then(|v| v.narrow())) {
            let mut counts = [0; K];
            for (count, v) in counts.iter_mut().zip(values) {
                *count = self.lines.count(wide, v.narrow().unwrap_or(0)).min(self.len as u32);
            }
            return counts;
        }
        match self.padded.len() {
            ..=4 => self.steps::<4, K>(values),
            8 => self.steps::<8, K>(values),
            16 => self.steps::<16, K>(values),
            32 => self.steps::<32, K>(values),
            64 => self.steps::<64, K>(values),
            128 => self.steps::<128, K>(values),
            256 => self.steps::<256, K>(values),
            512 => self.steps::<512, K>(values),
            1024 => self.steps::<1024, K>(values),
            2048 => self.steps::<2048, K>(values),
            _ => self.steps::<4096, K>(values),
        }
    }

    /// The same, for this length.
    #[inline(always)]
    fn steps<const N: usize, const K: usize>(&self, values: &[V; K]) -> [u32; K] {
        let mut counts = [0; K];
        let Some(all) = self.padded.first_chunk::<N>() else {
            let walk = |v: &V| self.padded.partition_point(|s| s <= v) as u32;
            counts.iter_mut().zip(values).for_each(|(count, v)| *count = walk(v));
            return counts;
        };
        for (count, v) in counts.iter_mut().zip(values) {
            let (mut at, mut half) = (0usize, N / 2);
            while half > 0 {
                let next = at.wrapping_add(half);
                // What begins at 0 is at or before everything, so that no step looks there.
                let passed = all.get(next % N).is_some_and(|s| s <= v);
                at = select_unpredictable(passed, next, at);
                half /= 2;
            }
            *count = at.wrapping_add(1).min(self.len) as u32;
        }
        counts
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Those it was made of.
    pub(super) fn as_slice(&self) -> &[V] {
        self.padded.get(..self.len).unwrap_or_default()
    }

    pub(super) fn memory(&self) -> usize {
        let padded = self.padded.capacity().saturating_mul(size_of::<V>());
        padded.saturating_add(self.lines.all.capacity().saturating_mul(size_of::<Line>()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{By, Plain};
    use super::super::rule::OPAQUE;
    use super::super::tests::with_each;
    use super::*;
    use proptest::prelude::*;

    /// Beginnings of intervals in order, of which 0 is the first.
    fn begins(last: u32, most: usize) -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::btree_set(1..=last, 0..most).prop_map(|set| core::iter::once(0).chain(set).collect())
    }

    fn walk(starts: &[u32], value: u32) -> u32 {
        starts.iter().filter(|s| **s <= value).count() as u32
    }

    proptest! {
        #[test]
        fn counts_agree_with_a_walk(starts in begins(OPAQUE, 2048), far: u16) {
            let counts = Counts::new(&starts, OPAQUE);
            let near = starts.iter().flat_map(|s| [s.saturating_sub(1), *s, (s + 1).min(1 << 16)]);
            for value in near.chain([0, u32::from(far), 1 << 16]) {
                prop_assert_eq!(counts.count(value), walk(&starts, value), "{}", value);
            }
        }

        #[test]
        fn searches_agree_with_a_walk(starts in begins(u32::MAX, 2049), far: u32) {
            let search = Starts::new(&starts, u32::MAX);
            let near = starts.iter().flat_map(|s| [s.saturating_sub(1), *s, s.saturating_add(1)]);
            for value in near.chain([0, far, u32::MAX]) {
                let right = [walk(&starts, value), 1];
                prop_assert_eq!(search.count(Plain, &[value, 0]), right, "{}", value);
                with_each!(|wide| prop_assert_eq!(search.count(By(wide), &[value, 0]), right, "{}", value));
            }
        }
    }
}
