//! COOKIE2 (RFC 4555 §4.2.5): return routability check of a new address.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// Unpredictable octets that come back in the response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cookie2 {
    /// 8 to 64 octets.
    pub data: Vec<u8>,
}

impl NotifyData for Cookie2 {
    const KIND: NotifyType = NotifyType::COOKIE2;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 8, 64).map(|data| Self { data })
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
        super::super::check::<Cookie2>(&[&[1; 8], &[7; 64]], &[&[7; 7], &[7; 65]]);
    }
}
