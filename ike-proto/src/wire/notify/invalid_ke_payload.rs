//! INVALID_KE_PAYLOAD (RFC 7296 §1.2, §1.3, §3.10.1): the wrong group was guessed.
use super::{NotifyData, exactly};
use crate::registry::{KeId, NotifyType};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The key exchange method the responder wants instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidKePayload {
    /// One of the methods the initiator offered, or it is not to be believed.
    pub wanted: KeId,
}

impl NotifyData for InvalidKePayload {
    const KIND: NotifyType = NotifyType::INVALID_KE_PAYLOAD;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<2>(data).map(|b| Self { wanted: KeId(u16::from_be_bytes(b)) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.wanted.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<InvalidKePayload>(&[&[0, 19]], &[&[], &[19], &[0, 0, 19]]);
        assert_eq!(InvalidKePayload::parse(&[0, 19]).unwrap().wanted, KeId::ECP_256);
    }
}
