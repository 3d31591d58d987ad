//! Certificate Request payload (RFC 7296 §3.7).
use crate::registry::CertEncoding;
use crate::wire::error::{Place, WireError};
use crate::wire::read::Reader;
use alloc::vec::Vec;

/// Which certificates a side would like: an encoding and, for most encodings, a row of SHA-1 hashes of CA keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateRequest {
    /// The wanted encoding.
    pub encoding: CertEncoding,
    /// The certification authority field.
    pub data: Vec<u8>,
}

impl CertificateRequest {
    /// Reads a body. The hashes are not checked here: the field's shape depends on the encoding, and the payload is
    /// only a hint.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::CertReq, body);
        Ok(Self { encoding: CertEncoding(r.u8()?), data: r.rest().to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.encoding.0);
        out.extend_from_slice(&self.data);
    }

    /// The SHA-1 hashes of the trusted CAs' SubjectPublicKeyInfo; nothing when the field is no row of hashes.
    pub fn authorities(&self) -> impl Iterator<Item = &[u8; 20]> {
        let (hashes, rest) = self.data.as_chunks::<20>();
        if rest.is_empty() { hashes } else { &[] }.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_hashes() {
        let mut raw = [3u8; 41];
        raw[0] = 4;
        let req = CertificateRequest::parse(&raw).unwrap();
        assert_eq!(req.authorities().count(), 2);
        let mut out = Vec::new();
        req.emit(&mut out);
        assert_eq!(out, raw);
        assert_eq!(CertificateRequest::parse(&raw[..40]).unwrap().authorities().count(), 0);
        assert!(CertificateRequest::parse(&[]).is_err());
    }
}
