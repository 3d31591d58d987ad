//! INVALID_SELECTORS (RFC 7296 §3.10.1): an ESP or AH packet whose inside does not match the selectors of its SA.
//! The Notify names the SA by its SPI.
use super::NotifyData;
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The start of the packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidSelectors {
    /// As much of the packet as the sender cared to return, like in ICMP.
    pub packet: Vec<u8>,
}

impl NotifyData for InvalidSelectors {
    const KIND: NotifyType = NotifyType::INVALID_SELECTORS;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        Ok(Self { packet: data.to_vec() })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<InvalidSelectors>(&[&[], &[0x45, 0, 0, 20]], &[]);
    }
}
