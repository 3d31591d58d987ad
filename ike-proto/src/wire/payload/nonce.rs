//! Nonce payload (RFC 7296 §3.9).
use crate::wire::error::{Fault, Place, WireError};
use alloc::vec::Vec;

/// Ni or Nr: 16 to 256 octets. That it has half the PRF's key size is the negotiation's to check (§2.10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nonce {
    /// The random octets.
    pub data: Vec<u8>,
}

impl Nonce {
    /// Reads a body of 16 to 256 octets.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        if !(16..=256).contains(&body.len()) {
            let fault = Fault::Length { came: body.len(), min: 16, max: 256 };
            return Err(WireError { place: Place::Nonce, offset: 0, fault });
        }
        Ok(Self { data: body.to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let raw = [7u8; 257];
        for n in [16, 32, 256] {
            let mut out = Vec::new();
            Nonce::parse(&raw[..n]).unwrap().emit(&mut out);
            assert_eq!(out, raw[..n]);
        }
        assert!(Nonce::parse(&raw[..15]).is_err() && Nonce::parse(&raw).is_err());
    }
}
