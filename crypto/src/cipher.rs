//! Ciphers without integrity of their own: AES-CBC, AES-CTR, 3DES, NULL. Always used encrypt-then-MAC with an
//! [`crate::integ::Integ`]. To add one: a file in `rustcrypto/cipher/`, one line in the provider's list.

use crate::{CryptoError, EncrId};
use alloc::boxed::Box;

/// A plain cipher at one key size. Lengths are in octets.
pub trait Cipher: Send + Sync {
    /// IANA transform id.
    fn id(&self) -> EncrId;
    /// Key length without salt; 0 for NULL.
    fn key_len(&self) -> usize;
    /// Nonce octets that follow the key in KEYMAT (4 for AES-CTR, RFC 3686 §5.1), else 0.
    fn salt_len(&self) -> usize;
    /// IV on the wire: 16 for AES-CBC, 8 for AES-CTR and 3DES, 0 for NULL.
    fn iv_len(&self) -> usize;
    /// The plaintext must be a multiple of this (16 for AES-CBC, 1 for stream ciphers and NULL).
    fn block_len(&self) -> usize;
    /// True when the IV must be unpredictable (CBC, RFC 3602 §3); false when it must be unique (CTR).
    fn random_iv(&self) -> bool;
    /// Builds the key schedule. `key` is key and salt, `key_len + salt_len` octets.
    ///
    /// # Errors
    /// [`CryptoError::Length`] for any other length.
    fn key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError>;
}

/// A keyed cipher. Safe to use from many threads at once.
pub trait CipherKey: Send + Sync {
    /// Encrypts in place; `data` is a multiple of the block length.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when IV or data have the wrong length.
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;
    /// Decrypts in place; call only after the integrity check.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when IV or data have the wrong length.
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;
}
