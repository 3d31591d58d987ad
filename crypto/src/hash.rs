//! Plain hash functions: SHA-1 for NAT detection (RFC 7296 §2.23) and CERTREQ, SHA-2 for cookies and signatures.
//! To add one: a line in `rustcrypto/hash.rs` and in the provider's list.

use crate::AuthHashId;
use alloc::vec::Vec;

/// A hash function, known by its RFC 7427 id.
pub trait Hash: Send + Sync {
    /// RFC 7427 hash id.
    fn id(&self) -> AuthHashId;
    /// Output length in octets.
    fn output_len(&self) -> usize;
    /// Hash of the concatenation of `parts`.
    fn hash(&self, parts: &[&[u8]]) -> Vec<u8>;
    /// Hands the same to `then`, once: for a hash that is only compared.
    fn hash_with(&self, parts: &[&[u8]], then: &mut dyn FnMut(&[u8])) {
        then(&self.hash(parts));
    }
}
