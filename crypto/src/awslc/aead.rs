//! AES-GCM-16 (RFC 4106, RFC 5282) and ChaCha20-Poly1305 (RFC 7634), also with implicit IV (RFC 8750), by AWS-LC: detached, in place, the tag written
//! straight into the packet. Not through aws-lc-rs, whose keys lie where nobody can ask for them (crate `ravelin-aws-lc-aead`). To add one: a static here, a line in [`super::provider`]'s list.

use crate::aead::{Aead, AeadKey};
use crate::{CryptoError, EncrId};
use alloc::boxed::Box;
use ravelin_aws_lc_aead::{Algorithm, Key, NONCE_LEN, TAG_LEN};

/// One algorithm at one key size.
pub(super) struct LcAead {
    id: EncrId,
    alg: Algorithm,
}

pub(super) static AES_128_GCM_16: LcAead = LcAead { id: EncrId::AES_GCM_16, alg: Algorithm::Aes128Gcm };
pub(super) static AES_192_GCM_16: LcAead = LcAead { id: EncrId::AES_GCM_16, alg: Algorithm::Aes192Gcm };
pub(super) static AES_256_GCM_16: LcAead = LcAead { id: EncrId::AES_GCM_16, alg: Algorithm::Aes256Gcm };
pub(super) static CHACHA20_POLY1305: LcAead =
    LcAead { id: EncrId::CHACHA20_POLY1305, alg: Algorithm::ChaCha20Poly1305 };
pub(super) static AES_128_GCM_16_IIV: LcAead = LcAead { id: EncrId::AES_GCM_16_IIV, alg: Algorithm::Aes128Gcm };
pub(super) static AES_192_GCM_16_IIV: LcAead = LcAead { id: EncrId::AES_GCM_16_IIV, alg: Algorithm::Aes192Gcm };
pub(super) static AES_256_GCM_16_IIV: LcAead = LcAead { id: EncrId::AES_GCM_16_IIV, alg: Algorithm::Aes256Gcm };
pub(super) static CHACHA20_POLY1305_IIV: LcAead =
    LcAead { id: EncrId::CHACHA20_POLY1305_IIV, alg: Algorithm::ChaCha20Poly1305 };

impl Aead for LcAead {
    fn id(&self) -> EncrId {
        self.id
    }
    fn key_len(&self) -> usize {
        self.alg.key_len()
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn tag_len(&self) -> usize {
        TAG_LEN
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        if key.len() != self.key_len() {
            return Err(CryptoError::Length);
        }
        Ok(Key::new(self.alg, key).ok_or(CryptoError::Internal)?)
    }
}

impl AeadKey for Key {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let (nonce, tag) = (fit::<NONCE_LEN>(nonce)?, tag.try_into().map_err(|_| CryptoError::Length)?);
        if Key::seal(self, nonce, aad, data, tag) { Ok(()) } else { Err(CryptoError::Length) }
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let (nonce, tag) = (fit::<NONCE_LEN>(nonce)?, fit::<TAG_LEN>(tag)?);
        if Key::open(self, nonce, aad, data, tag) { Ok(()) } else { Err(CryptoError::Integrity) }
    }

    fn warm(&self, _octets: usize) {
        Key::warm(self);
    }
}

/// Of the right length.
#[inline(always)]
fn fit<const N: usize>(octets: &[u8]) -> Result<&[u8; N], CryptoError> {
    octets.try_into().map_err(|_| CryptoError::Length)
}
