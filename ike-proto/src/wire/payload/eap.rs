//! EAP payload (RFC 7296 §3.16): one whole EAP packet (RFC 3748 §4).
use crate::registry::{EapCode, EapType};
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use alloc::vec::Vec;

/// An EAP packet, checked to be as long as it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Eap {
    packet: Vec<u8>,
}

impl Eap {
    /// Takes a packet: code, identifier, a Length that is the packet's, and for requests and responses a type.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Eap, body);
        let code = EapCode(r.u8()?);
        r.u8()?;
        let said = usize::from(r.u16()?);
        let (min, max) = match code {
            EapCode::REQUEST | EapCode::RESPONSE => (5, 65535),
            EapCode::SUCCESS | EapCode::FAILURE => (4, 4),
            _ => (4, 65535),
        };
        if !(min..=max).contains(&said) {
            return Err(r.fail_back(2, Fault::Length { came: said, min, max }));
        }
        if said != body.len() {
            return Err(r.fail_back(2, Fault::Length { came: said, min: body.len(), max: body.len() }));
        }
        Ok(Self { packet: body.to_vec() })
    }

    /// Success or Failure.
    #[must_use]
    pub fn outcome(code: EapCode, identifier: u8) -> Self {
        Self { packet: alloc::vec![code.0, identifier, 0, 4] }
    }

    /// A request or response of a method; fails when the data does not fit the packet's length.
    pub fn method(code: EapCode, identifier: u8, kind: EapType, data: &[u8]) -> Result<Self, WireError> {
        let len = crate::wire::write::short(Place::Eap, data.len().saturating_add(5))?;
        let [hi, lo] = len.to_be_bytes();
        let mut packet = Vec::with_capacity(usize::from(len));
        packet.extend_from_slice(&[code.0, identifier, hi, lo, kind.0]);
        packet.extend_from_slice(data);
        Ok(Self { packet })
    }

    /// The whole packet.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Request, response, success or failure.
    #[must_use]
    pub fn code(&self) -> EapCode {
        EapCode(self.packet.first().copied().unwrap_or(0))
    }

    /// Pairs a response with its request.
    #[must_use]
    pub fn identifier(&self) -> u8 {
        self.packet.get(1).copied().unwrap_or(0)
    }

    /// The method and its data, in requests and responses.
    #[must_use]
    pub fn kind_and_data(&self) -> Option<(EapType, &[u8])> {
        let (kind, data) = self.packet.get(4..)?.split_first()?;
        Some((EapType(*kind), data))
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_parts() {
        let raw = [2, 7, 0, 8, 1, b'b', b'o', b'b'];
        let eap = Eap::parse(&raw).unwrap();
        assert_eq!((eap.code(), eap.identifier()), (EapCode::RESPONSE, 7));
        assert_eq!(eap.kind_and_data(), Some((EapType::IDENTITY, &b"bob"[..])));
        assert_eq!(Eap::method(EapCode::RESPONSE, 7, EapType::IDENTITY, b"bob").unwrap(), eap);
        assert_eq!(Eap::parse(&[3, 9, 0, 4]).unwrap(), Eap::outcome(EapCode::SUCCESS, 9));
        let mut out = Vec::new();
        eap.emit(&mut out);
        assert_eq!(out, raw);
    }

    #[test]
    fn lengths_must_fit() {
        assert!(Eap::parse(&[2, 7, 0, 8, 1]).is_err());
        assert!(Eap::parse(&[2, 7, 0, 4]).is_err());
        assert!(Eap::parse(&[3, 7, 0, 5, 1]).is_err());
        assert!(Eap::parse(&[3, 7, 0]).is_err());
        assert!(Eap::method(EapCode::REQUEST, 0, EapType::TLS, &[0; 65531]).is_err());
    }
}
