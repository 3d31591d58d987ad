//! What the tables of a chain may hold for each packet of a burst, and which of them has its turn: the one of most merit
//! first, as everywhere. For `burst.rs`; `ask.rs` fills it.

use super::addr::Addr;
use super::arena::Ref;
use super::burst::Each;
use super::lanes::Lanes;
use super::rule::Point;
use super::table::Table;
use super::tree::PLACES;
use arrayvec::ArrayVec;
use core::hint::select_unpredictable;

/// What a table may hold for each packet, or what is behind the last one, which has no table.
pub(super) struct Row<'a, const N: usize> {
    /// No bucket of this table has more for this packet; 0: nothing better.
    pub(super) merits: Each<u16, N>,
    pub(super) table: Option<&'a Table>,
}

/// What a chain of tables may hold for each packet.
pub(super) struct Chain<'a, const N: usize> {
    pub(super) rows: ArrayVec<Row<'a, N>, PLACES>,
    /// Every packet's hash for each table, with AVX-512 or AVX2 alone: without them another one is dearer to keep than to make.
    pub(super) hashes: ArrayVec<Each<u32, N>, PLACES>,
    pub(super) behind: Ref,
}

/// Packets that take a step together.
pub(super) const SIXTEEN: usize = 16;

/// Of each packet the row that has its turn, and what it may hold.
pub(super) struct Turn<const N: usize> {
    pub(super) merits: Each<u16, N>,
    rows: Each<u16, N>,
}

impl<'a, const N: usize> Chain<'a, N> {
    /// One more table; `None` when there are too many.
    #[inline(always)]
    pub(super) fn push(&mut self, merits: Each<u16, N>, table: Option<&'a Table>) -> Option<&mut Row<'a, N>> {
        self.rows.try_push(Row { merits, table }).ok()?;
        self.rows.last_mut()
    }

    /// A packet's hash for a row's table.
    #[inline(always)]
    pub(super) fn hash<L: Lanes, A: Addr>(&self, lanes: L, row: usize, k: usize, t: &Table, p: &Point<A>) -> u32 {
        let known = lanes.wide().and_then(|_| self.hashes.get(row)?.get(k).copied());
        known.unwrap_or_else(|| t.masks.bucket(p))
    }

    /// For every packet the best row, of equal ones the first; with `last`, of those that come after that in this order.
    /// So what had its turn need not be crossed out: what is written in pieces and read as one has to be waited for.
    #[inline(always)]
    pub(super) fn turn<const AGAIN: bool>(&self, last: &Turn<N>) -> Turn<N> {
        let mut turn = Turn::NONE;
        let to = turn.merits.as_chunks_mut().0.iter_mut().zip(turn.rows.as_chunks_mut().0);
        let from = last.merits.as_chunks::<SIXTEEN>().0.iter().zip(last.rows.as_chunks::<SIXTEEN>().0);
        for (part, ((merits, rows), (had, was))) in to.zip(from).enumerate() {
            let (mut top, mut at) = ([0; SIXTEEN], [0; SIXTEEN]);
            for (n, row) in (0u16..).zip(&self.rows) {
                let Some(row) = row.merits.as_chunks::<SIXTEEN>().0.get(part) else { continue };
                let places = row.iter().zip(&mut top).zip(&mut at);
                for (((m, top), at), (had, was)) in places.zip(had.iter().zip(was)) {
                    // Masks, so that sixteen packets go together.
                    let left = !AGAIN | (*m < *had) | ((*m == *had) & (n > *was));
                    let more = u16::from((*m > *top) & left).wrapping_neg();
                    *at = (*at & !more) | (n & more);
                    *top = (*top & !more) | (*m & more);
                }
            }
            (*merits, *rows) = (top, at);
        }
        turn
    }

    /// The same for one packet: `None` when that has less than `least`.
    pub(super) fn next(&self, last: &OneTurn, least: u16) -> Option<OneTurn> {
        let mut best = (0, 0);
        for (n, row) in self.rows.iter().enumerate() {
            let merit = row.merits.get(last.packet).copied().unwrap_or(0);
            let left = (merit < last.merit) | ((merit == last.merit) & (n > last.row));
            best = select_unpredictable((merit > best.0) & left, (merit, n), best);
        }
        (best.0 >= least).then_some(OneTurn { packet: last.packet, merit: best.0, row: best.1 })
    }
}

/// A packet, the row that has its turn, and what that may hold.
pub(super) struct OneTurn {
    pub(super) packet: usize,
    merit: u16,
    pub(super) row: usize,
}

impl<const N: usize> Turn<N> {
    /// The turn before the first.
    pub(super) const NONE: Self = Self { merits: [0; N], rows: [0; N] };

    /// A packet's row.
    #[inline(always)]
    pub(super) fn row(&self, packet: usize) -> usize {
        self.rows.get(packet).map_or(0, |row| usize::from(*row))
    }

    /// The turn of one packet.
    pub(super) fn of(&self, packet: usize) -> OneTurn {
        OneTurn { packet, merit: self.merits.get(packet).copied().unwrap_or(0), row: self.row(packet) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::burst::LONG;
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_has_its_turn_once_by_merit(drawn in proptest::collection::vec(proptest::collection::vec(0u16..6, LONG), 0..PLACES)) {
            let mut chain = Chain::<LONG> { rows: ArrayVec::new(), hashes: ArrayVec::new(), behind: Ref::NONE };
            for merits in &drawn {
                prop_assert!(chain.push(core::array::from_fn(|k| merits[k]), None).is_some());
            }
            let mut turn = chain.turn::<false>(&Turn::NONE);
            let first: Vec<_> = (0..LONG).map(|k| turn.of(k)).collect();
            let expected = |k: usize| {
                let mut rows: Vec<_> = drawn.iter().enumerate().map(|(n, m)| (m[k], n)).filter(|(m, _)| *m > 0).collect();
                rows.sort_by_key(|(m, n)| (core::cmp::Reverse(*m), *n));
                rows
            };
            for n in 0..=drawn.len() {
                for k in 0..LONG {
                    match expected(k).get(n) {
                        Some((merit, row)) => prop_assert_eq!((turn.merits[k], turn.row(k)), (*merit, *row)),
                        None => prop_assert_eq!(turn.merits[k], 0),
                    }
                }
                turn = chain.turn::<true>(&turn);
            }
            for (k, mut last) in first.into_iter().enumerate() {
                for (merit, row) in expected(k).into_iter().skip(1) {
                    prop_assert!(chain.next(&last, merit + 1).is_none());
                    let Some(next) = chain.next(&last, merit) else { return Err(TestCaseError::fail("none")) };
                    prop_assert_eq!((next.packet, next.merit, next.row), (k, merit, row));
                    last = next;
                }
                prop_assert!(chain.next(&last, 1).is_none());
            }
        }
    }
}
