//! IVs and nonces.
//!
//! *Counter modes* (AES-GCM, CCM, CTR, GMAC, ChaCha20-Poly1305: RFC 4106 §3.1, RFC 4309 §4, RFC 3686 §2.1, RFC 7634 §2):
//! the IV is the full 64-bit sequence number. It comes from one atomic counter inside the SA object that is never
//! copied, so it cannot repeat for a key. Implicit-IV transforms (RFC 8750 §4) use the same value and do not send it.
//!
//! *CBC* (RFC 3602 §3, NIST SP 800-38A appendix C): the IV must be unpredictable. Each outbound SA has a second,
//! independent key of its own cipher, derived with HMAC-SHA2-256 from the plane's seed and the SA's key material.
//! The IV is the sequence number encrypted under that key: a pseudorandom permutation of a counter that never
//! repeats, so no observer without the key can tell the next one. No random generator is shared between threads.
//!
//! To add a way of making IVs: one variant here and its arm in `transform.rs`.

use crate::PlaneError;
use alloc::boxed::Box;
use ravelin_crypto::cipher::{Cipher, CipherKey};
use ravelin_crypto::{CryptoError, PrfId, Provider, Secret};

/// Makes the nonce of a counter-mode AEAD: salt, then the IV.
#[inline]
pub(crate) fn nonce(salt: [u8; 4], salt_len: usize, iv: [u8; 8]) -> [u8; 12] {
    let [s0, s1, s2, s3] = salt;
    let [a, b, c, d, e, f, g, h] = iv;
    // CCM has three octets of salt, so that its nonce has 11 (RFC 4309 §4); the last octet here is then not used.
    if salt_len == 3 { [s0, s1, s2, a, b, c, d, e, f, g, h, 0] } else { [s0, s1, s2, s3, a, b, c, d, e, f, g, h] }
}

/// Unpredictable IVs of one outbound SA.
pub(crate) struct CbcIv {
    key: Box<dyn CipherKey>,
}

impl CbcIv {
    /// Derives the IV key. `seed` is the plane's, `keys` the SA's key material, `spi` makes it the SA's own.
    pub(crate) fn new(
        provider: &Provider,
        cipher: &dyn Cipher,
        seed: &Secret,
        keys: &[&[u8]],
        spi: u32,
    ) -> Result<Self, PlaneError> {
        let prf = provider.prf(PrfId::HMAC_SHA2_256).or_else(|| provider.prfs.first().copied());
        let prf = prf.ok_or(PlaneError::UnsupportedTransform)?;
        let mut key = Secret::zeroed(cipher.key_len().saturating_add(cipher.salt_len()));
        for (i, chunk) in key.expose_mut().chunks_mut(prf.output_len().max(1)).enumerate() {
            let n = u32::try_from(i).unwrap_or(u32::MAX).to_be_bytes();
            let spi = spi.to_be_bytes();
            let mut parts: alloc::vec::Vec<&[u8]> = alloc::vec![b"ravelin esp cbc iv", &spi, &n];
            parts.extend_from_slice(keys);
            let block = prf.prf(seed.expose(), &parts);
            for (to, from) in chunk.iter_mut().zip(block.expose()) {
                *to = *from;
            }
        }
        Ok(Self { key: cipher.key(key.expose()).map_err(|_| PlaneError::KeyLength)? })
    }

    /// Writes the IV of packet `number`; `iv` is one block of the cipher.
    #[inline]
    pub(crate) fn write(&self, number: u64, iv: &mut [u8]) -> Result<(), CryptoError> {
        iv.fill(0);
        let at = iv.len().checked_sub(8).ok_or(CryptoError::Length)?;
        iv.get_mut(at..).ok_or(CryptoError::Length)?.copy_from_slice(&number.to_be_bytes());
        const ZERO: [u8; 16] = [0; 16];
        self.key.encrypt(ZERO.get(..iv.len()).ok_or(CryptoError::Length)?, iv)
    }
}
