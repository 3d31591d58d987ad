//! Encrypted payload SK (RFC 7296 §3.14): the framing only, the cryptography is `seal`'s.
use crate::registry::PayloadType;
use alloc::vec::Vec;

/// IV, ciphertext and integrity data, still closed. Always the last payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encrypted {
    /// Kind of the first payload inside; NONE when it is empty.
    pub first: PayloadType,
    /// IV, ciphertext and integrity data.
    pub body: Vec<u8>,
}

impl Encrypted {
    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.body);
    }
}
