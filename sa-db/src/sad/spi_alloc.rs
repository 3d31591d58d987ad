//! Our own SPIs (RFC 4301 §4.4.2.1): unique, never below 256, drawn at random so that nobody can guess one.

use crate::Spi;
use core::cell::RefCell;
use hashbrown::HashSet;
use ravelin_crypto::CryptoRng;

/// Draws per call before giving up; only a table with billions of SPIs can need so many.
const TRIES: u32 = 128;

/// SPIs that are taken: of live SAs and of negotiations under way.
///
/// Reservation works on `&self`, so that an engine with a shared view of the database can reserve. The cell makes the
/// allocator `Send` but not `Sync`: it belongs to the control thread, no lock is involved and no borrow outlives a
/// call.
#[derive(Clone, Default)]
pub struct SpiAllocator {
    taken: RefCell<HashSet<u32>>,
    shard: Option<Shard>,
}

/// The part of the SPI space that belongs to one engine of several: SPIs whose top `bits` bits are `value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    /// How many top bits choose the shard, 1 to 8.
    pub bits: u8,
    /// Their value.
    pub value: u8,
}

impl Shard {
    /// The shard of an SPI when `bits` top bits choose it.
    #[must_use]
    pub fn of(spi: Spi, bits: u8) -> u32 {
        spi.0.checked_shr(32u32.saturating_sub(u32::from(bits))).unwrap_or(0)
    }

    fn put_into(self, spi: u32) -> u32 {
        let low = 32u32.saturating_sub(u32::from(self.bits.min(8)));
        let mask = 1u32.checked_shl(low).map_or(u32::MAX, |b| b.wrapping_sub(1));
        (spi & mask) | u32::from(self.value).checked_shl(low).unwrap_or(0)
    }
}

impl SpiAllocator {
    /// An allocator over the whole space.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An allocator over one shard, for several engines side by side.
    #[must_use]
    pub fn with_shard(shard: Shard) -> Self {
        Self { taken: RefCell::default(), shard: Some(shard) }
    }

    /// A new SPI, taken until released. `None` only when the space is as good as full.
    pub fn reserve(&self, rng: &mut dyn CryptoRng) -> Option<Spi> {
        let mut taken = self.taken.borrow_mut();
        (0..TRIES).find_map(|_| {
            let drawn = rng.next_u32();
            let spi = Spi(self.shard.map_or(drawn, |s| s.put_into(drawn)));
            (!spi.is_reserved() && taken.insert(spi.0)).then_some(spi)
        })
    }

    /// Takes a chosen SPI (manual keys, restored snapshots); false when it is reserved or taken.
    pub fn take(&self, spi: Spi) -> bool {
        !spi.is_reserved() && self.taken.borrow_mut().insert(spi.0)
    }

    /// Gives an SPI back; false when it was not taken.
    pub fn release(&self, spi: Spi) -> bool {
        self.taken.borrow_mut().remove(&spi.0)
    }

    /// Number of SPIs taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.borrow().len()
    }

    /// True when none is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl core::fmt::Debug for SpiAllocator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SpiAllocator({} taken)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn unique_and_never_reserved() {
        let (alloc, mut rng) = (SpiAllocator::new(), ChaCha20Rng::seed_from_u64(1));
        let spis: BTreeSet<Spi> = (0..10_000).map(|_| alloc.reserve(&mut rng).unwrap()).collect();
        assert_eq!((spis.len(), alloc.len()), (10_000, 10_000));
        assert!(spis.iter().all(|s| !s.is_reserved()));
        let one = *spis.first().unwrap();
        assert!(!alloc.take(one) && alloc.release(one) && !alloc.release(one) && alloc.take(one));
        assert!(!alloc.take(Spi(255)));
    }

    #[test]
    fn shards_do_not_meet() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for value in 0..4 {
            let alloc = SpiAllocator::with_shard(Shard { bits: 2, value });
            for _ in 0..100 {
                let spi = alloc.reserve(&mut rng).unwrap();
                assert_eq!(Shard::of(spi, 2), u32::from(value));
                assert!(!spi.is_reserved());
            }
        }
    }

    #[test]
    fn a_stuck_generator_ends_the_search() {
        struct Stuck;
        impl rand_chacha::rand_core::TryRng for Stuck {
            type Error = core::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(7)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(7)
            }
            fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
                out.fill(0);
                Ok(())
            }
        }
        impl rand_chacha::rand_core::TryCryptoRng for Stuck {}
        assert_eq!(SpiAllocator::new().reserve(&mut Stuck), None);
    }
}
