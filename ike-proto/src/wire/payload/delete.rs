//! Delete payload (RFC 7296 §3.11).
use crate::registry::ProtocolId;
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{put16, short};
use alloc::vec::Vec;

/// SAs that the sender has removed: this IKE SA (no SPIs), or its inbound AH or ESP SAs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delete {
    /// IKE, AH or ESP.
    pub protocol: ProtocolId,
    spi_size: u8,
    count: u16,
    spis: Vec<u8>,
}

impl Delete {
    /// Deletes the IKE SA that carries the message.
    #[must_use]
    pub fn ike() -> Self {
        Self { protocol: ProtocolId::IKE, spi_size: 0, count: 0, spis: Vec::new() }
    }

    /// Deletes AH or ESP SAs by the SPIs the sender receives with; at most 65535.
    pub fn child(protocol: ProtocolId, spis: &[u32]) -> Result<Self, WireError> {
        let count = short(Place::Delete, spis.len())?;
        Ok(Self { protocol, spi_size: 4, count, spis: spis.iter().flat_map(|s| s.to_be_bytes()).collect() })
    }

    /// Octets of one SPI.
    #[must_use]
    pub fn spi_size(&self) -> u8 {
        self.spi_size
    }

    /// The number of SPIs the payload claims; there are that many, unless their size is zero.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The SPIs as octets.
    pub fn spis(&self) -> impl Iterator<Item = &[u8]> {
        self.spis.chunks_exact(usize::from(self.spi_size).max(1))
    }

    /// The SPIs of AH and ESP SAs; none when their size is not four.
    pub fn child_spis(&self) -> impl Iterator<Item = u32> + '_ {
        let spis = if self.spi_size == 4 { self.spis.as_slice() } else { &[] };
        spis.as_chunks::<4>().0.iter().map(|s| u32::from_be_bytes(*s))
    }

    /// Reads a body. SPI size 0 for IKE and 4 for AH and ESP are checked, and that the SPIs fill the payload.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Delete, body);
        let protocol = ProtocolId(r.u8()?);
        let spi_size = r.u8()?;
        let expected = match protocol {
            ProtocolId::IKE if spi_size != 0 => Some("0 for IKE"),
            ProtocolId::AH | ProtocolId::ESP if spi_size != 4 => Some("4 for AH and ESP"),
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(r.fail_back(1, Fault::Value { field: "SPI Size", expected, came: spi_size.into() }));
        }
        let count = r.u16()?;
        let spis = r.take(usize::from(spi_size).saturating_mul(usize::from(count)))?.to_vec();
        r.finish()?;
        Ok(Self { protocol, spi_size, count, spis })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.protocol.0, self.spi_size]);
        put16(out, self.count);
        out.extend_from_slice(&self.spis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(d: &Delete) -> Vec<u8> {
        let mut out = Vec::new();
        d.emit(&mut out);
        out
    }

    #[test]
    fn round_trips() {
        let two = Delete::child(ProtocolId::ESP, &[1, 0x0203_0405]).unwrap();
        assert_eq!(bytes(&two), [3, 4, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5]);
        assert_eq!(Delete::parse(&bytes(&two)).unwrap(), two);
        assert_eq!(two.child_spis().collect::<Vec<_>>(), [1, 0x0203_0405]);
        assert_eq!(two.spis().nth(1), Some(&[2, 3, 4, 5][..]));
        assert_eq!(bytes(&Delete::ike()), [1, 0, 0, 0]);
        assert_eq!(Delete::parse(&[1, 0, 0, 0]).unwrap(), Delete::ike());
    }

    #[test]
    fn sizes_and_counts_must_fit() {
        assert!(Delete::parse(&[3, 4, 0, 2, 0, 0, 0, 1]).is_err());
        assert!(Delete::parse(&[3, 4, 0, 1, 0, 0, 0, 1, 0]).is_err());
        assert!(Delete::parse(&[3, 3, 0, 1, 0, 0, 1]).is_err());
        assert!(Delete::parse(&[1, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]).is_err());
    }
}
