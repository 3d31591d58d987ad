//! AUTH_LIFETIME (RFC 4478 §3): when the initiator must have authenticated anew.
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// Time left until the responder closes the IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthLifetime {
    /// Seconds from now.
    pub seconds: u32,
}

impl NotifyData for AuthLifetime {
    const KIND: NotifyType = NotifyType::AUTH_LIFETIME;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<4>(data).map(|b| Self { seconds: u32::from_be_bytes(b) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seconds.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<AuthLifetime>(&[&[0, 0, 14, 16]], &[&[], &[0; 3], &[0; 5]]);
    }
}
