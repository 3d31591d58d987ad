//! From an SPI to the place of its SA: eight SPIs to a cache line, compared at once.
//!
//! A lookup reads one line in nearly all cases. Places are taken from the front of a line; a line whose last place was
//! ever taken sends searches on to the next one, until the table is laid out anew (when half full).

use alloc::vec::Vec;

const NOTHING: u32 = 0;
const REMOVED: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    spis: [u32; 8],
    /// Place plus one; [`NOTHING`]; [`REMOVED`].
    places: [u32; 8],
}

const EMPTY: Line = Line { spis: [0; 8], places: [NOTHING; 8] };

/// SPIs are not drawn by an enemy but may be set by hand: multiplication spreads runs of numbers.
#[inline(always)]
fn spread(spi: u32) -> u32 {
    spi.wrapping_mul(0x9E37_79B1)
}

#[derive(Clone)]
pub(super) struct SpiTable {
    lines: Vec<Line>,
    shift: u32,
    len: usize,
}

impl Default for SpiTable {
    fn default() -> Self {
        Self { lines: alloc::vec![EMPTY; 1], shift: 32, len: 0 }
    }
}

impl SpiTable {
    #[inline(always)]
    fn home(&self, spi: u32) -> usize {
        (u64::from(spread(spi)) >> (self.shift & 63)) as usize
    }

    /// The place that was put in for this SPI.
    #[inline(always)]
    pub(super) fn find(&self, spi: u32) -> Option<u32> {
        let mask = self.lines.len().wrapping_sub(1);
        let mut at = self.home(spi);
        loop {
            let line = self.lines.get(at & mask)?;
            let mut found = 0;
            for (s, place) in line.spis.iter().zip(&line.places) {
                // A mask, not a choice: the compiler makes branches of choices.
                found |= *place & u32::from(*s == spi).wrapping_neg();
            }
            if (found != NOTHING) | (line.places[7] == NOTHING) {
                return if found == REMOVED { None } else { found.checked_sub(1) };
            }
            at = at.wrapping_add(1);
        }
    }

    /// Puts in an SPI that is not there.
    pub(super) fn insert(&mut self, spi: u32, place: u32) {
        if self.len.saturating_mul(2) >= self.lines.len().saturating_mul(8) {
            self.grow();
        }
        let mask = self.lines.len().wrapping_sub(1);
        let mut at = self.home(spi);
        while let Some(line) = self.lines.get_mut(at & mask) {
            // A mark that this very SPI left here is taken first: a search must not meet both.
            let reused = line.spis.iter().zip(&line.places).position(|(s, p)| *s == spi && *p == REMOVED);
            let free = reused.or_else(|| line.places.iter().position(|p| matches!(*p, NOTHING | REMOVED)));
            if let Some(n) = free {
                line.spis.get_mut(n).into_iter().for_each(|s| *s = spi);
                line.places.get_mut(n).into_iter().for_each(|p| *p = place.saturating_add(1));
                self.len = self.len.saturating_add(1);
                return;
            }
            at = at.wrapping_add(1);
        }
    }

    /// Takes an SPI out; returns its place.
    pub(super) fn remove(&mut self, spi: u32) -> Option<u32> {
        let mask = self.lines.len().wrapping_sub(1);
        let mut at = self.home(spi);
        loop {
            let line = self.lines.get_mut(at & mask)?;
            let was_full = line.places[7] != NOTHING;
            let there =
                line.spis.iter().zip(&mut line.places).find(|(s, p)| **s == spi && !matches!(**p, NOTHING | REMOVED));
            if let Some((_, p)) = there {
                let place = *p;
                *p = if was_full { REMOVED } else { NOTHING };
                self.len = self.len.saturating_sub(1);
                return place.checked_sub(1);
            }
            if !was_full {
                return None;
            }
            at = at.wrapping_add(1);
        }
    }

    fn grow(&mut self) {
        let lines = self.len.div_ceil(2).next_power_of_two().max(1);
        let old = core::mem::replace(&mut self.lines, alloc::vec![EMPTY; lines]);
        self.shift = 32u32.saturating_sub(lines.ilog2());
        self.len = 0;
        for (spi, place) in old.iter().flat_map(|l| l.spis.iter().zip(&l.places)) {
            if !matches!(*place, NOTHING | REMOVED) {
                self.insert(*spi, place.saturating_sub(1));
            }
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.lines.capacity().saturating_mul(size_of::<Line>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec((0u32..60, any::<bool>()), 1..400), spread_out in any::<bool>()) {
            let (mut table, mut model) = (SpiTable::default(), HashMap::new());
            for (n, (spi, add)) in (0u32..).zip(ops) {
                // Close together, or all in one home.
                let spi = if spread_out { 256 + spi } else { (spi << 26) | 300 };
                if add && !model.contains_key(&spi) {
                    table.insert(spi, n);
                    model.insert(spi, n);
                } else if !add {
                    prop_assert_eq!(table.remove(spi), model.remove(&spi));
                }
                prop_assert_eq!(table.find(spi), model.get(&spi).copied());
            }
            for spi in (256..316).chain((0..60).map(|s| (s << 26) | 300)) {
                prop_assert_eq!(table.find(spi), model.get(&spi).copied());
            }
            prop_assert_eq!(table.len, model.len());
        }
    }
}
