//! ChaCha20-Poly1305 (RFC 7634), also with implicit IV (RFC 8750): key of 32 octets, salt of 4, IV of 8, ICV of 16.

use crate::aead::{Aead, AeadKey};
use crate::{CryptoError, EncrId};
use alloc::boxed::Box;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

/// RFC 7634.
pub(crate) struct Chacha {
    id: EncrId,
}

pub(crate) static CHACHA20_POLY1305: Chacha = Chacha { id: EncrId::CHACHA20_POLY1305 };
pub(crate) static CHACHA20_POLY1305_IIV: Chacha = Chacha { id: EncrId::CHACHA20_POLY1305_IIV };

impl Aead for Chacha {
    fn id(&self) -> EncrId {
        self.id
    }
    fn key_len(&self) -> usize {
        32
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn tag_len(&self) -> usize {
        16
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Box::new(Key(ChaCha20Poly1305::new_from_slice(key).map_err(|_| CryptoError::Length)?)))
    }
}

struct Key(ChaCha20Poly1305);

impl AeadKey for Key {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        super::seal(&self.0, nonce, aad, data, tag)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        super::open(&self.0, nonce, aad, data, tag)
    }
}
