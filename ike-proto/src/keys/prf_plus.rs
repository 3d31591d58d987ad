//! prf+ (RFC 7296 §2.13), as a key stream of a given length.

use ravelin_crypto::prf::Prf;
use ravelin_crypto::{CryptoError, Secret};

/// The first `len` octets of prf+(key, seed), where `seed` is the concatenation of its parts (at most 7 of them).
///
/// # Errors
/// [`CryptoError::Length`] when more than 255 blocks are asked for, or more than 7 parts are given.
pub fn prf_plus(prf: &dyn Prf, key: &[u8], seed: &[&[u8]], len: usize) -> Result<Secret, CryptoError> {
    let mut out = Secret::zeroed(len);
    prf.expand(key, seed, out.expose_mut())?;
    Ok(out)
}
