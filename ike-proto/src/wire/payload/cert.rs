//! Certificate payload (RFC 7296 §3.6).
use crate::registry::CertEncoding;
use crate::wire::error::{Place, WireError};
use crate::wire::read::Reader;
use alloc::vec::Vec;

/// A certificate, a revocation list, or a hash and URL of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// What `data` is.
    pub encoding: CertEncoding,
    /// The encoded object.
    pub data: Vec<u8>,
}

impl Certificate {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Cert, body);
        Ok(Self { encoding: CertEncoding(r.u8()?), data: r.rest().to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.encoding.0);
        out.extend_from_slice(&self.data);
    }

    /// SHA-1 hash and URL of the encodings 12 and 13.
    #[must_use]
    pub fn hash_and_url(&self) -> Option<(&[u8; 20], &[u8])> {
        matches!(self.encoding, CertEncoding::HASH_URL_X509 | CertEncoding::HASH_URL_BUNDLE)
            .then(|| self.data.split_first_chunk())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let mut raw = [5u8; 24];
        raw[0] = 12;
        let cert = Certificate::parse(&raw).unwrap();
        assert_eq!(cert.hash_and_url(), Some((&[5; 20], &[5; 3][..])));
        let mut out = Vec::new();
        cert.emit(&mut out);
        assert_eq!(out, raw);
        assert!(Certificate::parse(&[]).is_err());
    }
}
