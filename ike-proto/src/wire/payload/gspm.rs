//! Generic Secure Password Method payload (RFC 6467 §3): its content belongs to the method.
use alloc::vec::Vec;

/// One message of a password method, opaque.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gspm {
    /// The method's data.
    pub data: Vec<u8>,
}

impl Gspm {
    /// Takes a body; every one is legal here.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        Self { data: body.to_vec() }
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
    }
}
