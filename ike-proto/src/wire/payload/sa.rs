//! SA payload (RFC 7296 §3.3): a row of proposals, each in `proposal.rs`.
use super::proposal::Proposal;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// What a side offers, or the one proposal that the other side chose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecurityAssociation {
    /// At least one; in an offer numbered from 1 upwards, in an answer exactly one with the number of the offer.
    pub proposals: Vec<Proposal>,
}

impl SecurityAssociation {
    /// An offer or answer of these proposals.
    #[must_use]
    pub fn new(proposals: Vec<Proposal>) -> Self {
        Self { proposals }
    }

    /// Reads a body. Checked: every length, the last-substructure markers, the transform counts, and that a proposal
    /// has the number of the one before plus one. That an offer starts at 1 is [`Self::is_numbered_as_offer`], since
    /// an answer keeps the chosen number.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut proposals = Vec::with_capacity(1);
        let mut at = 0;
        loop {
            let rest = body.get(at..).unwrap_or_default();
            let before = proposals.last().map(|p: &Proposal| p.number);
            let (proposal, len, more) = Proposal::parse(rest, before).map_err(|e| e.shifted(at))?;
            proposals.push(proposal);
            at = at.saturating_add(len);
            if !more {
                break;
            }
        }
        Ok(Self { proposals })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let last = self.proposals.len().saturating_sub(1);
        self.proposals.iter().enumerate().try_for_each(|(i, p)| p.emit(i < last, out))
    }

    /// True when the first proposal has number 1, as an offer must (RFC 7296 §3.3.1).
    #[must_use]
    pub fn is_numbered_as_offer(&self) -> bool {
        self.proposals.first().is_some_and(|p| p.number == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{EncrId, PrfId, ProtocolId};
    use crate::wire::error::{Fault, Place};
    use crate::wire::payload::Transform;
    use alloc::vec;

    fn two() -> SecurityAssociation {
        let encr = Transform::encr(EncrId::AES_GCM_16, Some(256));
        let prf = Transform::prf(PrfId::HMAC_SHA2_256);
        SecurityAssociation::new(vec![
            Proposal::new(1, ProtocolId::ESP, vec![1, 2, 3, 4], vec![encr.clone()]),
            Proposal::new(2, ProtocolId::IKE, vec![], vec![encr, prf]),
        ])
    }

    fn bytes(sa: &SecurityAssociation) -> Vec<u8> {
        let mut out = Vec::new();
        sa.emit(&mut out).unwrap();
        out
    }

    #[test]
    fn two_proposals_make_the_round_trip() {
        let out = bytes(&two());
        assert_eq!(out[..12], [2, 0, 0, 24, 1, 3, 4, 1, 1, 2, 3, 4]);
        assert_eq!(out[12..24], [0, 0, 0, 12, 1, 0, 0, 20, 0x80, 0x0e, 1, 0]);
        assert_eq!(out[24..32], [0, 0, 0, 28, 2, 1, 0, 2]);
        assert_eq!(SecurityAssociation::parse(&out).unwrap(), two());
        assert!(two().is_numbered_as_offer());
    }

    #[test]
    fn wrong_markers_numbers_and_ends_are_refused() {
        let good = bytes(&two());
        let with = |at: usize, to: u8| {
            let mut b = good.clone();
            b[at] = to;
            SecurityAssociation::parse(&b).unwrap_err()
        };
        assert!(matches!(with(0, 1).fault, Fault::Value { came: 1, .. }));
        assert!(matches!(with(0, 0).fault, Fault::Trailing { extra: 28 }));
        let after_last = with(24, 2);
        assert_eq!((after_last.place, after_last.offset), (Place::Proposal, 52));
        assert!(matches!(with(28, 3).fault, Fault::Value { field: "Proposal Num", came: 3, .. }));
        assert!(matches!(with(32, 0).fault, Fault::Value { field: "Last Substruc", .. }));
        assert!(matches!(with(7, 2).fault, Fault::Value { .. }));
        assert!(matches!(with(6, 3).fault, Fault::Value { field: "SPI Size", came: 3, .. }));
        assert!(SecurityAssociation::parse(&[]).is_err());
    }

    #[test]
    fn reserved_octets_survive() {
        let mut raw = bytes(&two());
        raw[1] = 7; // of the proposal
        raw[13] = 8; // of the transform
        raw[17] = 9;
        assert_eq!(bytes(&SecurityAssociation::parse(&raw).unwrap()), raw);
    }
}
