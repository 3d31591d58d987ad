//! Key exchange methods: Diffie-Hellman in the shape of a KEM, so that ML-KEM (RFC 9370, draft mlkem) fits.
//!
//! The initiator makes a key pair and keeps [`KeSecret`]; the responder turns the initiator's public value into
//! its own public value and the shared secret at once; the initiator then finishes. All public values are checked
//! (RFC 6989; Curve25519: result not all zero). To add one: a file in `rustcrypto/ke/`, one line in the list.

use crate::{CryptoError, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// A key exchange method. Lengths are in octets.
pub trait KeyExchange: Send + Sync {
    /// IANA transform id (types 4 and 6 to 12).
    fn id(&self) -> KeId;
    /// Length of the initiator's KE data.
    fn initiator_len(&self) -> usize;
    /// Length of the responder's KE data.
    fn responder_len(&self) -> usize;
    /// Initiator: a fresh key pair; returns the private half and the KE data.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] only.
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError>;
    /// Responder: answers the initiator's KE data; returns own KE data and the shared secret.
    ///
    /// # Errors
    /// [`CryptoError::PublicValue`] or [`CryptoError::Length`] when the peer's value is refused.
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError>;
}

/// The initiator's private half, consumed by [`KeSecret::finish`] and wiped.
pub trait KeSecret: Send + Sync {
    /// The method it belongs to.
    fn id(&self) -> KeId;
    /// Takes the responder's KE data, gives the shared secret as it enters the PRF.
    ///
    /// # Errors
    /// [`CryptoError::PublicValue`] or [`CryptoError::Length`] when the peer's value is refused.
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError>;
}
