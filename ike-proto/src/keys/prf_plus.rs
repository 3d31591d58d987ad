//! prf+ (RFC 7296 §2.13): T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n), at most 255 blocks.

use ravelin_crypto::prf::Prf;
use ravelin_crypto::{CryptoError, Secret};

/// The first `len` octets of prf+(key, seed), where `seed` is the concatenation of its parts (at most 7 of them).
///
/// # Errors
/// [`CryptoError::Length`] when more than 255 blocks are asked for, or more than 7 parts are given.
pub fn prf_plus(prf: &dyn Prf, key: &[u8], seed: &[&[u8]], len: usize) -> Result<Secret, CryptoError> {
    let mut out = Secret::zeroed(len);
    let mut last = Secret::default();
    let mut counter: u8 = 0;
    for chunk in out.expose_mut().chunks_mut(prf.output_len().max(1)) {
        counter = counter.checked_add(1).ok_or(CryptoError::Length)?;
        let number = [counter];
        let mut parts: [&[u8]; 9] = [&[]; 9];
        let mut slots = parts.iter_mut();
        let inputs = core::iter::once(last.expose()).chain(seed.iter().copied()).chain(core::iter::once(&number[..]));
        for input in inputs {
            *slots.next().ok_or(CryptoError::Length)? = input;
        }
        let block = prf.prf(key, &parts);
        let part = block.expose().get(..chunk.len()).ok_or(CryptoError::Length)?;
        chunk.copy_from_slice(part);
        last = block;
    }
    Ok(out)
}
