//! Vendor ID payload (RFC 7296 §3.12).
use alloc::vec::Vec;

/// Octets that name an implementation or a private extension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VendorId {
    /// The identification, of any length.
    pub data: Vec<u8>,
}

impl VendorId {
    /// Takes a body; every one is legal.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        Self { data: body.to_vec() }
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
    }
}
