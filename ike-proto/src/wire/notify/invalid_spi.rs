//! INVALID_SPI (RFC 7296 §1.5, §3.10.1): an ESP or AH packet for an SA that does not exist. A hint only.
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The SPI of the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidSpi {
    /// AH or ESP SPI.
    pub spi: u32,
}

impl NotifyData for InvalidSpi {
    const KIND: NotifyType = NotifyType::INVALID_SPI;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<4>(data).map(|b| Self { spi: u32::from_be_bytes(b) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.spi.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<InvalidSpi>(&[&[0, 0, 1, 2]], &[&[], &[0; 3], &[0; 5]]);
    }
}
