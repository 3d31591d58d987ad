//! AES-CCM with ICVs of 16, 12 and 8 octets (RFC 4309 for ESP, RFC 5282 for IKE) and with implicit IV (RFC 8750: the
//! same algorithm under another id): salt of 3 octets, IV of 8, keys of 128, 192, 256 bits.

use crate::aead::{Aead, AeadKey};
use crate::{CryptoError, EncrId};
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use alloc::boxed::Box;
use ccm::aead::array::ArraySize;
use ccm::aead::consts::{U8, U11, U12, U16};
use ccm::{Ccm, TagSize};
use core::marker::PhantomData;

/// AES-CCM over the block cipher `C` with tags of `T` octets.
pub(crate) struct AesCcm<C, T> {
    id: EncrId,
    types: PhantomData<fn() -> (C, T)>,
}

const fn aes_ccm<C, T>(id: EncrId) -> AesCcm<C, T> {
    AesCcm { id, types: PhantomData }
}

pub(crate) static AES_128_CCM_16: AesCcm<Aes128, U16> = aes_ccm(EncrId::AES_CCM_16);
pub(crate) static AES_192_CCM_16: AesCcm<Aes192, U16> = aes_ccm(EncrId::AES_CCM_16);
pub(crate) static AES_256_CCM_16: AesCcm<Aes256, U16> = aes_ccm(EncrId::AES_CCM_16);
pub(crate) static AES_128_CCM_12: AesCcm<Aes128, U12> = aes_ccm(EncrId::AES_CCM_12);
pub(crate) static AES_192_CCM_12: AesCcm<Aes192, U12> = aes_ccm(EncrId::AES_CCM_12);
pub(crate) static AES_256_CCM_12: AesCcm<Aes256, U12> = aes_ccm(EncrId::AES_CCM_12);
pub(crate) static AES_128_CCM_8: AesCcm<Aes128, U8> = aes_ccm(EncrId::AES_CCM_8);
pub(crate) static AES_192_CCM_8: AesCcm<Aes192, U8> = aes_ccm(EncrId::AES_CCM_8);
pub(crate) static AES_256_CCM_8: AesCcm<Aes256, U8> = aes_ccm(EncrId::AES_CCM_8);
pub(crate) static AES_128_CCM_8_IIV: AesCcm<Aes128, U8> = aes_ccm(EncrId::AES_CCM_8_IIV);
pub(crate) static AES_192_CCM_8_IIV: AesCcm<Aes192, U8> = aes_ccm(EncrId::AES_CCM_8_IIV);
pub(crate) static AES_256_CCM_8_IIV: AesCcm<Aes256, U8> = aes_ccm(EncrId::AES_CCM_8_IIV);

impl<C, T> Aead for AesCcm<C, T>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit + Send + Sync + 'static,
    T: ArraySize + TagSize + Send + Sync + 'static,
{
    fn id(&self) -> EncrId {
        self.id
    }
    fn key_len(&self) -> usize {
        C::key_size()
    }
    fn salt_len(&self) -> usize {
        3
    }
    fn tag_len(&self) -> usize {
        T::USIZE
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let key = Ccm::<C, T, U11>::new_from_slice(key).map_err(|_| CryptoError::Length)?;
        Ok(Box::new(CcmKey(key)))
    }
}

struct CcmKey<C, T>(Ccm<C, T, U11>)
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt,
    T: ArraySize + TagSize;

impl<C, T> AeadKey for CcmKey<C, T>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
    T: ArraySize + TagSize + Send + Sync,
{
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        super::seal(&self.0, nonce, aad, data, tag)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        super::open(&self.0, nonce, aad, data, tag)
    }
}
