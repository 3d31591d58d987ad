//! Notify payload (RFC 7296 §3.10). Typed data of single notifies is in `wire/notify`.
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::error::{Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{octet, put16};
use alloc::vec::Vec;

/// A status or an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// Protocol of `spi`; NONE when there is none.
    pub protocol: ProtocolId,
    /// SPI of the SA the notify speaks of; empty when it speaks of this IKE SA.
    pub spi: Vec<u8>,
    /// What it says.
    pub kind: NotifyType,
    /// Its data.
    pub data: Vec<u8>,
}

impl Notify {
    /// A notify about this IKE SA, without an SPI.
    #[must_use]
    pub fn new(kind: NotifyType, data: Vec<u8>) -> Self {
        Self { protocol: ProtocolId::NONE, spi: Vec::new(), kind, data }
    }

    /// A notify without SPI and data.
    #[must_use]
    pub fn empty(kind: NotifyType) -> Self {
        Self::new(kind, Vec::new())
    }

    /// A notify about a Child SA, named by its SPI (REKEY_SA, CHILD_SA_NOT_FOUND, INVALID_SELECTORS).
    #[must_use]
    pub fn for_child(kind: NotifyType, protocol: ProtocolId, spi: u32, data: Vec<u8>) -> Self {
        Self { protocol, spi: spi.to_be_bytes().to_vec(), kind, data }
    }

    /// The SPI as the four octets of AH and ESP.
    #[must_use]
    pub fn child_spi(&self) -> Option<u32> {
        self.spi.as_slice().try_into().ok().map(u32::from_be_bytes)
    }

    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Notify, body);
        let protocol = ProtocolId(r.u8()?);
        let spi_size = usize::from(r.u8()?);
        let kind = NotifyType(r.u16()?);
        let spi = r.take(spi_size)?.to_vec();
        Ok(Self { protocol, spi, kind, data: r.rest().to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.extend_from_slice(&[self.protocol.0, octet(Place::Notify, self.spi.len())?]);
        put16(out, self.kind.0);
        out.extend_from_slice(&self.spi);
        out.extend_from_slice(&self.data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error::Fault;

    #[test]
    fn round_trip() {
        let raw = [3, 4, 0x40, 9, 0x2a, 0xd4, 0xc0, 0xa2, 1];
        let n = Notify::parse(&raw).unwrap();
        assert_eq!((n.kind, n.child_spi(), n.data.as_slice()), (NotifyType::REKEY_SA, Some(0x2ad4_c0a2), &[1][..]));
        let mut out = Vec::new();
        n.emit(&mut out).unwrap();
        assert_eq!(out, raw);
        assert_eq!(Notify::for_child(NotifyType::REKEY_SA, ProtocolId::ESP, 0x2ad4_c0a2, alloc::vec![1]), n);
        assert_eq!(Notify::parse(&raw[..7]).unwrap_err().fault, Fault::Truncated { need: 4, have: 3 });
    }
}
