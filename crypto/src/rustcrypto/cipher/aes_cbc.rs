//! AES-CBC (RFC 3602): keys of 128, 192, 256 bits, block and IV of 16 octets, the IV unpredictable.

use crate::cipher::{Cipher, CipherKey};
use crate::{CryptoError, EncrId};
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, Iv,
    IvSizeUser, KeyInit,
};
use aes::{Aes128, Aes192, Aes256};
use alloc::boxed::Box;
use core::marker::PhantomData;

/// CBC mode of the block cipher `C`.
pub(crate) struct Cbc<C> {
    id: EncrId,
    types: PhantomData<fn() -> C>,
}

pub(super) const fn cbc<C>(id: EncrId) -> Cbc<C> {
    Cbc { id, types: PhantomData }
}

pub(crate) static AES_128_CBC: Cbc<Aes128> = cbc(EncrId::AES_CBC);
pub(crate) static AES_192_CBC: Cbc<Aes192> = cbc(EncrId::AES_CBC);
pub(crate) static AES_256_CBC: Cbc<Aes256> = cbc(EncrId::AES_CBC);

impl<C> Cipher for Cbc<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser + KeyInit + Send + Sync + 'static,
{
    fn id(&self) -> EncrId {
        self.id
    }
    fn key_len(&self) -> usize {
        C::key_size()
    }
    fn salt_len(&self) -> usize {
        0
    }
    fn iv_len(&self) -> usize {
        C::block_size()
    }
    fn block_len(&self) -> usize {
        C::block_size()
    }
    fn random_iv(&self) -> bool {
        true
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        Ok(Box::new(CbcKey(C::new_from_slice(key).map_err(|_| CryptoError::Length)?)))
    }
}

struct CbcKey<C>(C);

/// The IV as an array and the data as whole blocks, or [`CryptoError::Length`].
#[allow(clippy::type_complexity, reason = "two slices of the caller, seen as what the mode takes")]
fn blocks<'a, M: IvSizeUser, B: BlockSizeUser>(
    iv: &'a [u8],
    data: &'a mut [u8],
) -> Result<(&'a Iv<M>, &'a mut [Array<u8, B::BlockSize>]), CryptoError> {
    let iv = iv.try_into().map_err(|_| CryptoError::Length)?;
    match Array::slice_as_chunks_mut(data) {
        (blocks, []) => Ok((iv, blocks)),
        _ => Err(CryptoError::Length),
    }
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync> CipherKey for CbcKey<C> {
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let (iv, data) = blocks::<cbc::Encryptor<&C>, C>(iv, data)?;
        cbc::Encryptor::inner_iv_init(&self.0, iv).encrypt_blocks(data);
        Ok(())
    }
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let (iv, data) = blocks::<cbc::Decryptor<&C>, C>(iv, data)?;
        cbc::Decryptor::inner_iv_init(&self.0, iv).decrypt_blocks(data);
        Ok(())
    }
}
