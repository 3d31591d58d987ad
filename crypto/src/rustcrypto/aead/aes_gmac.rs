//! ENCR_NULL_AUTH_AES_GMAC (RFC 4543): integrity only, in the shape of AES-GCM-16 (salt of 4 octets, IV of 8).
//!
//! Nothing is encrypted: `data` stays as it is and is authenticated after the AAD and the IV (§3.3), which is taken
//! from the nonce. The caller uses it as any other AEAD. ESP only, never IKE.

use crate::aead::{Aead, AeadKey};
use crate::{CryptoError, EncrId};
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use alloc::boxed::Box;
use core::marker::PhantomData;
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// GMAC over the block cipher `C`.
pub(crate) struct Gmac<C>(PhantomData<fn() -> C>);

pub(crate) static AES_128_GMAC: Gmac<Aes128> = Gmac(PhantomData);
pub(crate) static AES_192_GMAC: Gmac<Aes192> = Gmac(PhantomData);
pub(crate) static AES_256_GMAC: Gmac<Aes256> = Gmac(PhantomData);

const TAG_LEN: usize = 16;
const SALT_LEN: usize = 4;

impl<C> Aead for Gmac<C>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit + Send + Sync + 'static,
{
    fn id(&self) -> EncrId {
        EncrId::NULL_AUTH_AES_GMAC
    }
    fn key_len(&self) -> usize {
        C::key_size()
    }
    fn salt_len(&self) -> usize {
        SALT_LEN
    }
    fn tag_len(&self) -> usize {
        TAG_LEN
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let cipher = C::new_from_slice(key).map_err(|_| CryptoError::Length)?;
        let mut h = Block::default();
        cipher.encrypt_block(&mut h);
        let ghash = GHash::new(&h);
        h.as_mut_slice().zeroize();
        Ok(Box::new(GmacKey { cipher, ghash }))
    }
}

struct GmacKey<C> {
    cipher: C,
    ghash: GHash,
}

impl<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt> GmacKey<C> {
    /// The tag of NIST SP 800-38D over `aad | iv | data` with an empty plaintext.
    fn tag(&self, nonce: &[u8], aad: &[u8], data: &[u8]) -> Result<Block, CryptoError> {
        let nonce: &[u8; 12] = nonce.try_into().map_err(|_| CryptoError::Length)?;
        let [.., i0, i1, i2, i3, i4, i5, i6, i7] = nonce;
        let iv = [*i0, *i1, *i2, *i3, *i4, *i5, *i6, *i7];

        let mut joined = Joined { ghash: self.ghash.clone(), block: Block::default(), filled: 0, total: 0 };
        joined.update(aad);
        joined.update(&iv);
        joined.update(data);
        let hash = joined.finish();

        let mut mask = Block::default();
        for (m, n) in mask.iter_mut().zip(nonce.iter().chain(&[0, 0, 0, 1])) {
            *m = *n;
        }
        self.cipher.encrypt_block(&mut mask);
        for (m, h) in mask.iter_mut().zip(&hash) {
            *m ^= h;
        }
        Ok(mask)
    }
}

impl<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync> AeadKey for GmacKey<C> {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        if tag.len() != TAG_LEN {
            return Err(CryptoError::Length);
        }
        tag.copy_from_slice(&self.tag(nonce, aad, data)?);
        Ok(())
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        if tag.len() != TAG_LEN {
            return Err(CryptoError::Length);
        }
        let own = self.tag(nonce, aad, data)?;
        if bool::from(own.as_slice().ct_eq(tag)) { Ok(()) } else { Err(CryptoError::Integrity) }
    }
}

/// GHASH over pieces of any length as if they were one string.
struct Joined {
    ghash: GHash,
    block: Block,
    filled: usize,
    total: u64,
}

impl Joined {
    fn update(&mut self, mut piece: &[u8]) {
        self.total += piece.len() as u64;
        if self.filled > 0 {
            let (head, rest) = piece.split_at(piece.len().min(16 - self.filled));
            for (to, from) in self.block.iter_mut().skip(self.filled).zip(head) {
                *to = *from;
            }
            self.filled += head.len();
            piece = rest;
            if self.filled < 16 {
                return;
            }
            self.ghash.update(core::slice::from_ref(&self.block));
        }
        let (blocks, tail) = Block::slice_as_chunks(piece);
        self.ghash.update(blocks);
        self.block = Block::default();
        for (to, from) in self.block.iter_mut().zip(tail) {
            *to = *from;
        }
        self.filled = tail.len();
    }

    fn finish(mut self) -> Block {
        if self.filled > 0 {
            self.ghash.update(core::slice::from_ref(&self.block)); // already padded with zeros
        }
        let mut lengths = Block::default();
        for (to, from) in lengths.iter_mut().zip((self.total * 8).to_be_bytes()) {
            *to = from;
        }
        self.ghash.update(core::slice::from_ref(&lengths));
        self.ghash.finalize()
    }
}
