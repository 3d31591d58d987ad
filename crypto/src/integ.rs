//! Integrity algorithms (RFC 2404, RFC 4868, RFC 3566, RFC 4494): truncated MACs with constant-time verification.
//! To add one: a file in `rustcrypto/integ/`, one line in the provider's list.

use crate::{CryptoError, IntegId};
use alloc::boxed::Box;

/// An integrity transform. Lengths are in octets.
pub trait Integ: Send + Sync {
    /// IANA transform id.
    fn id(&self) -> IntegId;
    /// Key length.
    fn key_len(&self) -> usize;
    /// Length of the truncated check value on the wire.
    fn icv_len(&self) -> usize;
    /// Prepares the key, once per SA.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when the key is not `key_len` octets.
    fn key(&self, key: &[u8]) -> Result<Box<dyn IntegKey>, CryptoError>;
}

/// A keyed MAC. Safe to use from many threads at once.
pub trait IntegKey: Send + Sync {
    /// Writes the truncated MAC over the concatenation of `parts`.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when `icv` is not `icv_len` octets.
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError>;
    /// Compares in constant time.
    ///
    /// # Errors
    /// [`CryptoError::Integrity`] when the value is wrong or has a wrong length.
    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError>;
}
