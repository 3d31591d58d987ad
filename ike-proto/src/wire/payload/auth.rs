//! Authentication payload (RFC 7296 §3.8, RFC 7427).
use crate::registry::AuthMethod;
use crate::wire::error::{Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::octet;
use alloc::vec::Vec;

/// The proof of a side's identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentication {
    /// How it was made.
    pub method: AuthMethod,
    /// MAC or signature.
    pub data: Vec<u8>,
    /// The RESERVED octets as they came; zero in own messages.
    pub reserved: [u8; 3],
}

impl Authentication {
    /// A payload of our own.
    #[must_use]
    pub fn new(method: AuthMethod, data: Vec<u8>) -> Self {
        Self { method, data, reserved: [0; 3] }
    }

    /// A payload of method 14: `algorithm` is the DER AlgorithmIdentifier, at most 255 octets (RFC 7427 §3).
    pub fn digital_signature(algorithm: &[u8], signature: &[u8]) -> Result<Self, WireError> {
        let mut data = Vec::with_capacity(algorithm.len().saturating_add(signature.len()).saturating_add(1));
        data.push(octet(Place::Auth, algorithm.len())?);
        data.extend_from_slice(algorithm);
        data.extend_from_slice(signature);
        Ok(Self::new(AuthMethod::DIGITAL_SIGNATURE, data))
    }

    /// AlgorithmIdentifier and signature of a method 14 payload; `None` when the lengths do not fit (RFC 7427 §3).
    #[must_use]
    pub fn algorithm_and_signature(&self) -> Option<(&[u8], &[u8])> {
        let (len, rest) = self.data.split_first()?;
        (self.method == AuthMethod::DIGITAL_SIGNATURE).then(|| rest.split_at_checked(usize::from(*len))).flatten()
    }

    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Auth, body);
        Ok(Self { method: AuthMethod(r.u8()?), reserved: r.array()?, data: r.rest().to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.method.0);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_signature_view() {
        let raw = [14, 1, 2, 3, 2, 0xa, 0xb, 7, 7];
        let auth = Authentication::parse(&raw).unwrap();
        assert_eq!(auth.algorithm_and_signature(), Some((&[0xa, 0xb][..], &[7, 7][..])));
        let mut out = Vec::new();
        auth.emit(&mut out);
        assert_eq!(out, raw);
        assert_eq!(Authentication::digital_signature(&[0xa, 0xb], &[7, 7]).unwrap().data, auth.data);
        assert!(Authentication::digital_signature(&[0; 256], &[]).is_err());
        assert!(Authentication::parse(&[14, 0, 0, 0, 9, 1]).unwrap().algorithm_and_signature().is_none());
    }
}
