//! AES-GCM-16 (RFC 4106, RFC 5282) and ChaCha20-Poly1305 (RFC 7634), also with implicit IV (RFC 8750), by aws-lc-rs: detached, in place, the tag written
//! straight into the packet. To add one: a static here, a line in [`super::provider`]'s list.

use crate::aead::{Aead, AeadKey};
use crate::{CryptoError, EncrId};
use alloc::boxed::Box;
use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305 as CHACHA, LessSafeKey, NONCE_LEN,
    UnboundKey,
};

/// One algorithm at one key size.
pub(super) struct LcAead {
    id: EncrId,
    alg: &'static Algorithm,
}

pub(super) static AES_128_GCM_16: LcAead = LcAead { id: EncrId::AES_GCM_16, alg: &AES_128_GCM };
pub(super) static AES_192_GCM_16: LcAead = LcAead { id: EncrId::AES_GCM_16, alg: &AES_192_GCM };
pub(super) static AES_256_GCM_16: LcAead = LcAead { id: EncrId::AES_GCM_16, alg: &AES_256_GCM };
pub(super) static CHACHA20_POLY1305: LcAead = LcAead { id: EncrId::CHACHA20_POLY1305, alg: &CHACHA };
pub(super) static AES_128_GCM_16_IIV: LcAead = LcAead { id: EncrId::AES_GCM_16_IIV, alg: &AES_128_GCM };
pub(super) static AES_192_GCM_16_IIV: LcAead = LcAead { id: EncrId::AES_GCM_16_IIV, alg: &AES_192_GCM };
pub(super) static AES_256_GCM_16_IIV: LcAead = LcAead { id: EncrId::AES_GCM_16_IIV, alg: &AES_256_GCM };
pub(super) static CHACHA20_POLY1305_IIV: LcAead = LcAead { id: EncrId::CHACHA20_POLY1305_IIV, alg: &CHACHA };

/// All have an ICV of 16 octets.
const TAG_LEN: usize = 16;

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
        let key = UnboundKey::new(self.alg, key).map_err(|_| CryptoError::Internal)?;
        Ok(Box::new(Key(LessSafeKey::new(key))))
    }
}

struct Key(LessSafeKey);

impl AeadKey for Key {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let nonce = fit(nonce, tag)?;
        self.0.seal_in_place_scatter(nonce.into(), Aad::from(aad), data, &[], tag).map_err(|_| CryptoError::Length)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let nonce = fit(nonce, tag)?;
        let opened = self.0.open_in_place_separate_tag(nonce.into(), Aad::from(aad), tag, data);
        opened.map(|_| ()).map_err(|_| CryptoError::Integrity)
    }
}

/// The nonce, when the lengths are right. The library's type for it wipes itself: made where something else may still fail, it
/// is copied octet by octet, and the library, which reads it in words, waits until the octets are in the cache.
#[inline(always)]
fn fit<'a>(nonce: &'a [u8], tag: &[u8]) -> Result<&'a [u8; NONCE_LEN], CryptoError> {
    if tag.len() != TAG_LEN {
        return Err(CryptoError::Length);
    }
    nonce.try_into().map_err(|_| CryptoError::Length)
}
