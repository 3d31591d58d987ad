//! UNSUPPORTED_CRITICAL_PAYLOAD (RFC 7296 §2.5, §3.10.1).
use super::{NotifyData, exactly};
use crate::registry::{NotifyType, PayloadType};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The payload that was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnsupportedCriticalPayload {
    /// Its type.
    pub payload: PayloadType,
}

impl NotifyData for UnsupportedCriticalPayload {
    const KIND: NotifyType = NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<1>(data).map(|b| Self { payload: PayloadType(u8::from_be_bytes(b)) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.payload.0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<UnsupportedCriticalPayload>(&[&[200]], &[&[], &[0; 2]]);
    }
}
