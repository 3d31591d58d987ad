//! Places of rules that belong to a table's buckets: [`LINES`] cache lines for each of its own. A leaf of one or two rules
//! lies there if there is room, so that where it is follows from the hash, and it is asked for together with the bucket that
//! says so. What has no room lies anywhere, as larger leaves do: then it comes after the bucket.
//!
//! A table takes a run of places in the vector of leaves ([`Leaves`]); runs that were given back are joined and taken again.

use super::addr::Addr;
use super::arena::{Kind, Leaves, Ref};
use alloc::vec::Vec;

/// Cache lines for each of a table's.
const LINES: u32 = 2;
/// Rules in a cache line (IPv4).
const PAIR: u32 = 2;
/// Of a table with fewer cache lines the next caches hold the rules as well. In tests few are many.
const FEW: usize = if cfg!(test) { 2 } else { 16 };

/// A table's run of places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    start: u32,
    len: u32,
}

impl Run {
    /// No places: what is asked for there is not there.
    pub(super) const NONE: Self = Self { start: u32::MAX, len: 0 };

    /// The first place of the line for a hash whose bucket has its home in this cache line of the table. Of the hash, bits
    /// that tell neither homes nor parts apart.
    #[inline(always)]
    pub(super) fn line(self, home: usize, hash: u32) -> u32 {
        let line = (home as u32).wrapping_mul(LINES).wrapping_add((hash >> 12) % LINES);
        self.start.saturating_add(line.wrapping_mul(PAIR))
    }
}

/// Runs that were given back, by their beginnings, no two of them side by side.
#[derive(Clone, Default)]
pub(super) struct Free(Vec<Run>);

impl Free {
    /// A part of the first that is long enough.
    fn take(&mut self, len: u32) -> Option<Run> {
        let at = self.0.iter().position(|run| run.len >= len)?;
        let run = self.0.get_mut(at)?;
        let taken = Run { start: run.start, len };
        (run.start, run.len) = (run.start.saturating_add(len), run.len.saturating_sub(len));
        if run.len == 0 {
            self.0.remove(at);
        }
        Some(taken)
    }

    fn give(&mut self, run: Run) {
        let at = self.0.partition_point(|other| other.start < run.start);
        self.0.insert(at, run);
        for second in [at.saturating_add(1), at] {
            let Some(first) = second.checked_sub(1) else { continue };
            let (Some(a), Some(b)) = (self.0.get(first).copied(), self.0.get(second).copied()) else { continue };
            if a.start.saturating_add(a.len) == b.start {
                self.0.remove(second);
                self.0.get_mut(first).into_iter().for_each(|run| run.len = a.len.saturating_add(b.len));
            }
        }
    }
}

impl<A: Addr> Leaves<A> {
    /// Places for a table of so many cache lines.
    pub(super) fn take_run(&mut self, lines: usize) -> Run {
        let places = u32::try_from(lines).ok().filter(|_| lines >= FEW).and_then(|n| n.checked_mul(LINES * PAIR));
        let Some(len) = places else { return Run::NONE };
        self.count_taken();
        self.free_runs.take(len).unwrap_or_else(|| Run { start: self.grow_near(len, PAIR), len })
    }

    /// Gives them back when no leaf is in them any more.
    pub(super) fn give_run(&mut self, run: Run) {
        if run.len != 0 {
            self.free_runs.give(run);
            self.count_given();
        }
    }

    /// Moves a leaf of one or two rules to this line if there is room; where it is then.
    pub(super) fn draw_near(&mut self, leaf: Ref, line: u32) -> Ref {
        let Kind::Leaf(class @ 0..=1, at) = leaf.kind() else { return leaf };
        let (first, second) = (self.is_free_near(line), self.is_free_near(line.wrapping_add(1)));
        let to = match (class, first, second) {
            _ if at.wrapping_sub(line) < PAIR => return leaf,
            (0, true, _) | (1, true, true) => line,
            (0, _, true) => line.wrapping_add(1),
            _ => return leaf,
        };
        self.count_taken();
        self.copy(class, at, to);
        self.release(class, at);
        Ref::leaf(class, to)
    }

    /// Asks for a line of a run.
    #[inline(always)]
    pub(super) fn prefetch_line(&self, line: u32) {
        self.rule_at(line as usize).into_iter().for_each(ravelin_prefetch::read);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Rule;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_never_meet_and_are_joined_again(steps in proptest::collection::vec((any::<bool>(), 2usize..9, any::<prop::sample::Index>()), 1..80)) {
            let mut leaves = Leaves::<u32>::default();
            // So that the vector does not begin anew.
            let one = Rule { slot: 1, ..Rule::dead() };
            let kept = leaves.put(&[one]);
            let mut taken: Vec<Run> = Vec::new();
            for (take, lines, which) in steps {
                if take || taken.is_empty() {
                    let run = leaves.take_run(lines);
                    prop_assert_eq!(run.len, lines as u32 * LINES * PAIR);
                    prop_assert_eq!(run.start % PAIR, 0);
                    let end = run.start + run.len;
                    prop_assert!(end as usize <= leaves.len());
                    prop_assert!(taken.iter().all(|r| r.start >= end || r.start + r.len <= run.start));
                    prop_assert!((run.start..end).all(|at| leaves.is_free_near(at)));
                    taken.push(run);
                } else {
                    leaves.give_run(taken.swap_remove(which.index(taken.len())));
                }
                let free = &leaves.free_runs.0;
                prop_assert!(free.windows(2).all(|two| two[0].start + two[0].len < two[1].start));
            }
            taken.drain(..).for_each(|run| leaves.give_run(run));
            prop_assert_eq!(leaves.free_runs.0.len(), usize::from(leaves.len() > 2));
            leaves.release(0, kept.0);
            prop_assert_eq!((leaves.len(), leaves.free_runs.0.len()), (1, 0));
        }
    }

    #[test]
    fn small_leaves_lie_in_their_line_while_there_is_room() {
        let mut leaves = Leaves::<u32>::default();
        let rules: Vec<Rule<u32>> = (1..6).map(|n| Rule { slot: n, key: u64::from(n), ..Rule::dead() }).collect();
        let run = leaves.take_run(4);
        let line = run.line(3, 0);
        assert_eq!(line, run.start + 3 * LINES * PAIR);
        assert_eq!(run.line(3, 1 << 12), line + PAIR);
        assert_eq!(Run::NONE.line(3, 1 << 12), u32::MAX);
        let mut near = |rules: &[Rule<u32>]| {
            let leaf = leaves.put(rules);
            leaves.draw_near(leaf, line)
        };
        // Two of one rule, for a third there is no room.
        let (one, two, three) = (near(&rules[..1]), near(&rules[1..2]), near(&rules[2..3]));
        assert_eq!((one, two), (Ref::leaf(0, line), Ref::leaf(0, line + 1)));
        assert!(three.0 >= run.start + run.len);
        assert_eq!(leaves.draw_near(two, line), two);
        // Nor for two rules, until both are gone.
        let pair = leaves.put(&rules[3..]);
        leaves.release(0, line);
        assert_eq!(leaves.draw_near(pair, line), pair);
        leaves.release(0, line + 1);
        let pair = leaves.draw_near(pair, line);
        assert_eq!(pair, Ref::leaf(1, line));
        assert_eq!(leaves.live(1, line).map(|r| r.slot).collect::<Vec<_>>(), [4, 5]);
        assert_eq!([line, line + 1].map(|at| leaves.key(at)), [4, 5]);
        // What lay elsewhere is free for others, what lies here is the table's.
        let again = leaves.put(&rules[..2]);
        assert!(again.0 & 0xffff >= run.start + run.len);
        leaves.release(1, line);
        assert!(leaves.is_free_near(line) && leaves.is_free_near(line + 1));
        assert!(leaves.put(&rules[..1]).0 >= run.start + run.len);
    }
}
