//! Pseudorandom functions (RFC 7296 §2.13, RFC 4868) as one call over parts.
//! To add one: a file in `rustcrypto/prf/`, one line in the provider's list.

use crate::{CryptoError, PrfId, Secret};

/// A pseudorandom function. Lengths are in octets.
pub trait Prf: Send + Sync {
    /// IANA transform id.
    fn id(&self) -> PrfId;
    /// Preferred key length; the length of SK_d and SK_p.
    fn key_len(&self) -> usize;
    /// Output length.
    fn output_len(&self) -> usize;
    /// True when keys have a fixed size (AES128_XCBC, AES128_CMAC): SKEYSEED then takes the first half of each
    /// nonce (RFC 7296 §2.14).
    fn fixed_key(&self) -> bool {
        false
    }
    /// prf(key, all parts as one string). Any key length is accepted, as HMAC does.
    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Secret;
    /// Hands the same output to `then`, once, and keeps nothing of it: for values that are compared or used at once.
    fn prf_with(&self, key: &[u8], parts: &[&[u8]], then: &mut dyn FnMut(&[u8])) {
        then(self.prf(key, parts).expose());
    }
    /// Fills `out` with the front of prf+(key, seed) (RFC 7296 §2.13): T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n).
    /// `seed` is the concatenation of its parts, at most [`SEED_PARTS`] of them. A PRF with a costly key schedule
    /// overrides this, to make it once.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when more than 255 blocks are asked for, or more parts are given.
    fn expand(&self, key: &[u8], seed: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        let mut last = Secret::default();
        let mut counter: u8 = 0;
        for chunk in out.chunks_mut(self.output_len().max(1)) {
            counter = counter.checked_add(1).ok_or(CryptoError::Length)?;
            let number = [counter];
            let mut parts: [&[u8]; SEED_PARTS + 2] = [&[]; SEED_PARTS + 2];
            let mut slots = parts.iter_mut();
            let inputs =
                core::iter::once(last.expose()).chain(seed.iter().copied()).chain(core::iter::once(&number[..]));
            for input in inputs {
                *slots.next().ok_or(CryptoError::Length)? = input;
            }
            let block = self.prf(key, &parts);
            let part = block.expose().get(..chunk.len()).ok_or(CryptoError::Length)?;
            chunk.copy_from_slice(part);
            last = block;
        }
        Ok(())
    }
}

/// Parts that the seed of [`Prf::expand`] may have.
pub const SEED_PARTS: usize = 7;
