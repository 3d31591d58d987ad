//! Several endpoints on one host, each with its part of the SPI space: which one a datagram is for. Every SPI of ours, of
//! IKE and of Child SAs, begins with the number of its endpoint, so nothing is looked up and nothing is shared.
//!
//! The driver asks [`Shards::of_ike`] or [`Shards::of_esp`] and hands the datagram to that endpoint. Strangers are spread
//! by their SPI, so that repeated requests meet the same endpoint. Cookies are each endpoint's own.

use crate::wire::Header;
use ravelin_sa_db::Spi;
use ravelin_sa_db::sad::Shard;

/// How the SPI space is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shards {
    bits: u8,
}

impl Shards {
    /// Two to the power of `bits` endpoints, at most 256.
    #[must_use]
    pub fn new(bits: u8) -> Self {
        Self { bits: bits.min(8) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        1usize.checked_shl(u32::from(self.bits)).unwrap_or(1)
    }

    /// The part of endpoint number `n`, for its `Config` and its `SpiAllocator`; `None` for the only one and beyond the
    /// last.
    #[must_use]
    pub fn shard(self, n: u8) -> Option<Shard> {
        (self.bits > 0 && usize::from(n) < self.count()).then_some(Shard { bits: self.bits, value: n })
    }

    /// The endpoint of one of our IKE SPIs.
    #[must_use]
    pub fn of_ike_spi(self, spi: u64) -> usize {
        let shift = 64u32.saturating_sub(u32::from(self.bits));
        usize::try_from(spi.checked_shr(shift).unwrap_or(0)).unwrap_or(0)
    }

    /// The endpoint for an IKE message, from the SPIs on. What is too short for a header goes to the first, to be
    /// counted.
    #[must_use]
    pub fn of_ike(self, message: &[u8]) -> usize {
        let Ok(header) = Header::parse(message) else { return 0 };
        let (i, r) = (header.initiator_spi.0, header.responder_spi.0);
        match (header.flags.initiator(), r) {
            // A stranger chose this SPI; mixing it keeps him from choosing the endpoint too easily.
            (true, 0) => self.of_ike_spi(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            (true, r) => self.of_ike_spi(r),
            (false, _) => self.of_ike_spi(i),
        }
    }

    /// The endpoint for an ESP packet, from the SPI on.
    #[must_use]
    pub fn of_esp(self, packet: &[u8]) -> usize {
        let Some(spi) = packet.first_chunk::<4>() else { return 0 };
        usize::try_from(Shard::of(Spi::from_be_bytes(*spi), self.bits)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ike_spi as own;

    #[test]
    fn own_spis_lead_back() {
        for bits in 0..=8 {
            let shards = Shards::new(bits);
            for n in 0..=255u8 {
                let Some(shard) = shards.shard(n) else {
                    assert!(bits == 0 || usize::from(n) >= shards.count());
                    continue;
                };
                for drawn in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
                    let spi = own(Some(shard), drawn);
                    assert_eq!(shards.of_ike_spi(spi), usize::from(n));
                    let high = u32::try_from(spi >> 32).unwrap();
                    assert_eq!(shards.of_esp(&high.to_be_bytes()), usize::from(n));
                }
            }
        }
        assert_eq!((Shards::new(0).of_ike_spi(u64::MAX), Shards::new(0).of_esp(&[255; 4])), (0, 0));
        assert_eq!(own(None, 7), 7);
    }
}
