//! Identification payloads IDi and IDr (RFC 7296 §3.5).
use crate::registry::IdType;
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Who a side says that it is. Its meaning and matching are the PAD's; here only lengths are checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identification {
    /// What `data` is.
    pub kind: IdType,
    /// The identity's octets.
    pub data: Vec<u8>,
    /// The RESERVED octets as they came; zero in own messages. AUTH covers them (RFC 7296 §2.15).
    pub reserved: [u8; 3],
}

impl Identification {
    /// A payload of our own.
    #[must_use]
    pub fn new(kind: IdType, data: Vec<u8>) -> Self {
        Self { kind, data, reserved: [0; 3] }
    }

    /// Reads a body; addresses must have the length of an address, ID_NULL no data (RFC 7619 §2.1).
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Id, body);
        let kind = IdType(r.u8()?);
        let reserved = r.array()?;
        let wanted = match kind {
            IdType::IPV4_ADDR => Some(4),
            IdType::IPV6_ADDR => Some(16),
            IdType::NULL => Some(0),
            _ => None,
        };
        if let Some(n) = wanted.filter(|n| *n != r.left()) {
            return Err(r.fail(Fault::Length { came: r.left(), min: n, max: n }));
        }
        Ok(Self { kind, reserved, data: r.rest().to_vec() })
    }

    /// Appends the body. This is also `RestOfInitIDPayload` of the signed octets (RFC 7296 §2.15).
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.kind.0);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(&self.data);
    }

    /// The address of an ID_IPV4_ADDR.
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.data.as_slice().try_into().ok()?;
        (self.kind == IdType::IPV4_ADDR).then(|| octets.into())
    }

    /// The address of an ID_IPV6_ADDR.
    #[must_use]
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        let octets: [u8; 16] = self.data.as_slice().try_into().ok()?;
        (self.kind == IdType::IPV6_ADDR).then(|| octets.into())
    }

    /// The text of an FQDN or RFC 822 identity, when it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        matches!(self.kind, IdType::FQDN | IdType::RFC822_ADDR).then(|| core::str::from_utf8(&self.data).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_views() {
        let raw = [1, 7, 8, 9, 192, 0, 2, 1];
        let id = Identification::parse(&raw).unwrap();
        assert_eq!((id.ipv4(), id.ipv6(), id.text()), (Some(Ipv4Addr::new(192, 0, 2, 1)), None, None));
        let mut out = Vec::new();
        id.emit(&mut out);
        assert_eq!(out, raw);
        assert_eq!(Identification::new(IdType::FQDN, b"gw.example".to_vec()).text(), Some("gw.example"));
    }

    #[test]
    fn addresses_of_a_wrong_size_and_named_null_are_refused() {
        let fault = Identification::parse(&[1, 0, 0, 0, 192, 0, 2]).unwrap_err().fault;
        assert_eq!(fault, Fault::Length { came: 3, min: 4, max: 4 });
        assert!(Identification::parse(&[5, 0, 0, 0, 1]).is_err());
        assert!(Identification::parse(&[13, 0, 0, 0, 1]).is_err());
        assert!(Identification::parse(&[13, 0, 0, 0]).is_ok());
        assert!(Identification::parse(&[2, 0, 0]).is_err());
    }
}
