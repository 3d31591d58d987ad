//! Combined-mode ciphers of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(super) mod aes_ccm;
pub(super) mod aes_gcm;
pub(super) mod aes_gmac;
pub(super) mod chacha20_poly1305;

use crate::CryptoError;
use ::aes_gcm::aead::array::{Array, ArraySize};
use ::aes_gcm::aead::inout::InOutBuf;
use ::aes_gcm::aead::{AeadInOut, consts::U12};

/// Seals with a keyed AEAD of the `aead` crate, detached and in place.
fn seal<A: AeadInOut>(key: &A, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
    let nonce = fixed(nonce)?;
    let out: &mut Array<u8, A::TagSize> = tag.try_into().map_err(|_| CryptoError::Length)?;
    *out = key.encrypt_inout_detached(nonce, aad, InOutBuf::from(data)).map_err(|_| CryptoError::Length)?;
    Ok(())
}

/// Opens with a keyed AEAD of the `aead` crate, detached and in place.
fn open<A: AeadInOut>(key: &A, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
    key.decrypt_inout_detached(fixed(nonce)?, aad, InOutBuf::from(data), fixed(tag)?)
        .map_err(|_| CryptoError::Integrity)
}

/// A slice as an array of the size that the algorithm takes.
fn fixed<N: ArraySize>(bytes: &[u8]) -> Result<&Array<u8, N>, CryptoError> {
    bytes.try_into().map_err(|_| CryptoError::Length)
}

/// Nonce of GCM and ChaCha20-Poly1305: 4 octets of salt, 8 of IV.
type NonceLen = U12;
