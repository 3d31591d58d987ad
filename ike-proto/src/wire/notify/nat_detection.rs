//! NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP (RFC 7296 §2.23, §3.10.1): hashes over SPIs, address and
//! port. Making and comparing them is `ext`'s; a source may stand several times, once per possible address.
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// SHA-1 over SPIi, SPIr, and the address and port the message was sent from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatDetectionSourceIp(pub [u8; 20]);

/// SHA-1 over SPIi, SPIr, and the address and port the message was sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatDetectionDestinationIp(pub [u8; 20]);

impl NotifyData for NatDetectionSourceIp {
    const KIND: NotifyType = NotifyType::NAT_DETECTION_SOURCE_IP;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly(data).map(Self)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl NotifyData for NatDetectionDestinationIp {
    const KIND: NotifyType = NotifyType::NAT_DETECTION_DESTINATION_IP;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly(data).map(Self)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        super::super::check::<NatDetectionSourceIp>(&[&[7; 20]], &[&[7; 19], &[7; 21], &[]]);
        super::super::check::<NatDetectionDestinationIp>(&[&[7; 20]], &[&[7; 19], &[7; 21], &[]]);
    }
}
