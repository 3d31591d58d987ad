//! The NULL cipher (RFC 2410): no key, no IV, the data stays as it is. Only with an integrity algorithm, never in IKE.

use crate::cipher::{Cipher, CipherKey};
use crate::{CryptoError, EncrId};
use alloc::boxed::Box;

/// RFC 2410.
pub(crate) struct Null;

pub(crate) static NULL: Null = Null;

impl Cipher for Null {
    fn id(&self) -> EncrId {
        EncrId::NULL
    }
    fn key_len(&self) -> usize {
        0
    }
    fn salt_len(&self) -> usize {
        0
    }
    fn iv_len(&self) -> usize {
        0
    }
    fn block_len(&self) -> usize {
        1
    }
    fn random_iv(&self) -> bool {
        false
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        if key.is_empty() { Ok(Box::new(Null)) } else { Err(CryptoError::Length) }
    }
}

impl CipherKey for Null {
    fn encrypt(&self, iv: &[u8], _data: &mut [u8]) -> Result<(), CryptoError> {
        if iv.is_empty() { Ok(()) } else { Err(CryptoError::Length) }
    }
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        self.encrypt(iv, data)
    }
}
