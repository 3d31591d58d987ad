//! AES-GCM with ICVs of 16, 12 and 8 octets (RFC 4106 for ESP, RFC 5282 for IKE) and with implicit IV (RFC 8750: the
//! same algorithm under another id): salt of 4 octets, IV of 8, keys of 128, 192, 256 bits.
//! To add a tag length: three statics here and their lines in the provider's list.

use super::NonceLen;
use crate::aead::{Aead, AeadKey};
use crate::{CryptoError, EncrId};
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit};
// The half of the key schedule that decrypts blocks is of no use to a counter mode.
use aes_gcm::aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use aes_gcm::{AesGcm, TagSize};
use alloc::boxed::Box;
use core::marker::PhantomData;

/// AES-GCM over the block cipher `C` with tags of `T` octets.
pub(crate) struct Gcm<C, T> {
    id: EncrId,
    types: PhantomData<fn() -> (C, T)>,
}

const fn gcm<C, T>(id: EncrId) -> Gcm<C, T> {
    Gcm { id, types: PhantomData }
}

pub(crate) static AES_128_GCM_16: Gcm<Aes128Enc, U16> = gcm(EncrId::AES_GCM_16);
pub(crate) static AES_192_GCM_16: Gcm<Aes192Enc, U16> = gcm(EncrId::AES_GCM_16);
pub(crate) static AES_256_GCM_16: Gcm<Aes256Enc, U16> = gcm(EncrId::AES_GCM_16);
pub(crate) static AES_128_GCM_12: Gcm<Aes128Enc, U12> = gcm(EncrId::AES_GCM_12);
pub(crate) static AES_192_GCM_12: Gcm<Aes192Enc, U12> = gcm(EncrId::AES_GCM_12);
pub(crate) static AES_256_GCM_12: Gcm<Aes256Enc, U12> = gcm(EncrId::AES_GCM_12);
pub(crate) static AES_128_GCM_8: Gcm<Aes128Enc, U8> = gcm(EncrId::AES_GCM_8);
pub(crate) static AES_192_GCM_8: Gcm<Aes192Enc, U8> = gcm(EncrId::AES_GCM_8);
pub(crate) static AES_256_GCM_8: Gcm<Aes256Enc, U8> = gcm(EncrId::AES_GCM_8);
pub(crate) static AES_128_GCM_16_IIV: Gcm<Aes128Enc, U16> = gcm(EncrId::AES_GCM_16_IIV);
pub(crate) static AES_192_GCM_16_IIV: Gcm<Aes192Enc, U16> = gcm(EncrId::AES_GCM_16_IIV);
pub(crate) static AES_256_GCM_16_IIV: Gcm<Aes256Enc, U16> = gcm(EncrId::AES_GCM_16_IIV);

impl<C, T> Aead for Gcm<C, T>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit + Send + Sync + 'static,
    T: TagSize + Send + Sync + 'static,
{
    fn id(&self) -> EncrId {
        self.id
    }
    fn key_len(&self) -> usize {
        C::key_size()
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn tag_len(&self) -> usize {
        T::USIZE
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let key = AesGcm::<C, NonceLen, T>::new_from_slice(key).map_err(|_| CryptoError::Length)?;
        Ok(Box::new(GcmKey(key)))
    }
}

struct GcmKey<C, T: TagSize>(AesGcm<C, NonceLen, T>);

impl<C, T> AeadKey for GcmKey<C, T>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
    T: TagSize + Send + Sync,
{
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        super::seal(&self.0, nonce, aad, data, tag)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        super::open(&self.0, nonce, aad, data, tag)
    }
}
