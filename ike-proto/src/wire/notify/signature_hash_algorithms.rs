//! SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4): hashes the sender can verify digital signatures with.
use super::{NotifyData, row16};
use crate::registry::{AuthHashId, NotifyType};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The hashes, in no order of preference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureHashAlgorithms {
    /// Hash ids; unknown ones are skipped by whoever chooses.
    pub hashes: Vec<AuthHashId>,
}

impl NotifyData for SignatureHashAlgorithms {
    const KIND: NotifyType = NotifyType::SIGNATURE_HASH_ALGORITHMS;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        row16(data).map(|row| Self { hashes: row.map(AuthHashId).collect() })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        for hash in &self.hashes {
            out.extend_from_slice(&hash.0.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<SignatureHashAlgorithms>(&[&[], &[0, 2], &[0, 2, 0, 5, 1, 1]], &[&[0], &[0, 2, 0]]);
        assert_eq!(SignatureHashAlgorithms::parse(&[0, 2, 0, 3]).unwrap().hashes.len(), 2);
    }
}
