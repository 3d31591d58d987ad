//! Where in a chain of tables one packet may find something better, in the order in which that is to be looked into: one
//! table asked after the other. `front.rs` has the same by AVX-512 or AVX2.

use super::arena::Ref;
use super::tree::{Best, PLACES};
use core::hint::select_unpredictable;

/// Where in a chain of tables something better may be, to be looked into by merit.
pub(super) struct Found {
    /// The merit, and under it the place's number turned over, so that of equal ones the first is the highest.
    keys: [i32; EIGHTS * 8],
    /// Tables, and what is behind the last one.
    places: [Ref; PLACES],
    n: usize,
    pub(super) top: i32,
}

const EIGHTS: usize = PLACES.div_ceil(8);

impl Found {
    pub(super) const NONE: Self = Self { keys: [0; EIGHTS * 8], places: [Ref::NONE; PLACES], n: 0, top: 0 };

    /// Keeps a place; returns the highest key.
    #[inline(always)]
    pub(super) fn push(&mut self, merit: u16, place: Ref, top: i32) -> i32 {
        let key = (i32::from(merit) << 8) | (self.n as i32 ^ 0xFF);
        if let (Some(k), Some(p)) = (self.keys.get_mut(self.n), self.places.get_mut(self.n)) {
            (*k, *p) = (key, place);
            self.n = self.n.wrapping_add(1);
        }
        select_unpredictable(key > top, key, top)
    }

    /// The place of highest merit, once; `None` when none may hold something better. No branches but this one, as nobody
    /// can foretell them.
    #[inline(always)]
    pub(super) fn take(&mut self, best: &Best) -> Option<Ref> {
        let top = self.top;
        if top >> 8 < i32::from(best.merit) {
            return None;
        }
        let mut next = [0i32; 8];
        for eight in self.keys.as_chunks::<8>().0.iter().take(self.n.div_ceil(8)) {
            for (key, next) in eight.iter().zip(&mut next) {
                // Masks, so that several go together.
                let below = *key & i32::from(*key < top).wrapping_neg();
                *next = below.max(*next);
            }
        }
        self.top = next.into_iter().fold(0, i32::max);
        self.places.get((top as usize & 0xFF) ^ 0xFF).copied()
    }
}
