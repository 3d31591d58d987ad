//! PUZZLE (RFC 8019 §8.1): what the initiator has to solve before the responder works for it.
use super::{NotifyData, octets, reader};
use crate::registry::{NotifyType, PrfId};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// A puzzle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Puzzle {
    /// The function to find keys for.
    pub prf: PrfId,
    /// Zero bits wanted at the end of each of the four results; 0 means as many as the initiator can afford.
    pub difficulty: u8,
    /// The octets to be keyed over, 1 to 64: the cookie of IKE_SA_INIT. In IKE_AUTH there are none, the nonce serves.
    pub cookie: Vec<u8>,
}

impl NotifyData for Puzzle {
    const KIND: NotifyType = NotifyType::PUZZLE;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        Ok(Self { prf: PrfId(r.u16()?), difficulty: r.u8()?, cookie: octets(r.rest(), 0, 64)? })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prf.0.to_be_bytes());
        out.push(self.difficulty);
        out.extend_from_slice(&self.cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<Puzzle>(&[&[0, 5, 12], &[0, 5, 12, 1, 2, 3], &[7; 67]], &[&[], &[0, 5], &[7; 68]]);
    }
}
