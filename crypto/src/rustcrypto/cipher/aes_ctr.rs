//! AES-CTR (RFC 3686; RFC 5930 for IKE): keys of 128, 192, 256 bits, then a nonce of 4 octets in KEYMAT, IV of 8 octets that
//! is unique for the key. Counter block: nonce, IV, and a counter that starts at 1 (§4).

use crate::cipher::{Cipher, CipherKey};
use crate::{CryptoError, EncrId};
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InOutBuf, InnerIvInit, KeyInit, StreamCipherCore, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use alloc::boxed::Box;
use core::marker::PhantomData;
use ctr::{CtrCore, flavors::Ctr32BE};
use zeroize::Zeroizing;

/// Counter mode of the block cipher `C`.
pub(crate) struct AesCtr<C>(PhantomData<fn() -> C>);

pub(crate) static AES_128_CTR: AesCtr<Aes128> = AesCtr(PhantomData);
pub(crate) static AES_192_CTR: AesCtr<Aes192> = AesCtr(PhantomData);
pub(crate) static AES_256_CTR: AesCtr<Aes256> = AesCtr(PhantomData);

const SALT_LEN: usize = 4;
const IV_LEN: usize = 8;

impl<C> Cipher for AesCtr<C>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit + Send + Sync + 'static,
{
    fn id(&self) -> EncrId {
        EncrId::AES_CTR
    }
    fn key_len(&self) -> usize {
        C::key_size()
    }
    fn salt_len(&self) -> usize {
        SALT_LEN
    }
    fn iv_len(&self) -> usize {
        IV_LEN
    }
    fn block_len(&self) -> usize {
        1
    }
    fn random_iv(&self) -> bool {
        false
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        let (key, salt) = key.split_at_checked(C::key_size()).ok_or(CryptoError::Length)?;
        let salt = Zeroizing::new(salt.try_into().map_err(|_| CryptoError::Length)?);
        Ok(Box::new(CtrKey { cipher: C::new_from_slice(key).map_err(|_| CryptoError::Length)?, salt }))
    }
}

struct CtrKey<C> {
    cipher: C,
    salt: Zeroizing<[u8; SALT_LEN]>,
}

impl<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync> CipherKey for CtrKey<C> {
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        if iv.len() != IV_LEN {
            return Err(CryptoError::Length);
        }
        let mut block = ctr::cipher::Block::<C>::default();
        for (to, from) in block.iter_mut().zip(self.salt.iter().chain(iv).chain(&[0, 0, 0, 1])) {
            *to = *from;
        }
        CtrCore::<&C, Ctr32BE>::inner_iv_init(&self.cipher, &block).apply_keystream_partial(InOutBuf::from(data));
        Ok(())
    }
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        self.encrypt(iv, data)
    }
}
