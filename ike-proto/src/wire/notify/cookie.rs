//! COOKIE (RFC 7296 §2.6, §3.10.1): proof that an initiator can be reached.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// A stateless cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cookie {
    /// 1 to 64 octets, returned unchanged by the initiator.
    pub data: Vec<u8>,
}

impl NotifyData for Cookie {
    const KIND: NotifyType = NotifyType::COOKIE;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 1, 64).map(|data| Self { data })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<Cookie>(&[&[1], &[7; 64]], &[&[], &[7; 65]]);
    }
}
