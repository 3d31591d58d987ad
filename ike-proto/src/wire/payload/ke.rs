//! Key Exchange payload (RFC 7296 §3.4, RFC 9370): a method and its public value, key or ciphertext.
use crate::registry::KeId;
use crate::wire::error::{Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::put16;
use alloc::vec::Vec;

/// One side's part of a key exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyExchange {
    /// The method; it must be that of the proposal.
    pub method: KeId,
    /// The public value as the method's RFC lays it out; its length is the key exchange's to check.
    pub data: Vec<u8>,
    /// The RESERVED octets as they came; zero in own messages.
    pub reserved: [u8; 2],
}

impl KeyExchange {
    /// A payload of our own.
    #[must_use]
    pub fn new(method: KeId, data: Vec<u8>) -> Self {
        Self { method, data, reserved: [0; 2] }
    }

    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Ke, body);
        Ok(Self { method: KeId(r.u16()?), reserved: r.array()?, data: r.rest().to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        put16(out, self.method.0);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_keeps_reserved_octets() {
        let raw = [0, 31, 1, 2, 9, 8, 7];
        let ke = KeyExchange::parse(&raw).unwrap();
        assert_eq!((ke.method, ke.data.as_slice(), ke.reserved), (KeId::CURVE25519, &[9, 8, 7][..], [1, 2]));
        let mut out = Vec::new();
        ke.emit(&mut out);
        assert_eq!(out, raw);
        assert!(KeyExchange::parse(&raw[..3]).is_err());
    }
}
