//! Sealing and opening the body of SK and SKF payloads (RFC 7296 §3.14, RFC 5282 §3, RFC 7383 §2.5).
//!
//! Both work on a message that already holds everything up to the body: the IKE header, clear payloads, and the
//! generic header of SK (or SKF with its four octets), with final lengths. That prefix is the AAD of an AEAD, and the
//! beginning of what a separate MAC covers.

use super::SealAlg;
use alloc::vec::Vec;
use ravelin_crypto::CryptoError;

/// The keys of one direction, borrowed from the SA's schedule.
#[derive(Clone, Copy, Debug)]
pub struct DirectionKeys<'a> {
    /// SK_e: cipher key and salt.
    pub encr: &'a [u8],
    /// SK_a; empty with an AEAD.
    pub integ: &'a [u8],
}

/// Padding before the Pad Length octet for `inner` octets of payloads.
fn pad_len(alg: &SealAlg, inner: usize) -> usize {
    let block = alg.block_len();
    let tail = inner.saturating_add(1) % block;
    if tail == 0 { 0 } else { block.saturating_sub(tail) }
}

/// Octets of the whole body (IV, ciphertext, ICV) for `inner` octets of payloads.
#[must_use]
pub fn body_len(alg: &SealAlg, inner: usize) -> usize {
    [alg.iv_len(), inner, pad_len(alg, inner), 1, alg.icv_len()].iter().fold(0, |a: usize, b| a.saturating_add(*b))
}

/// Appends IV, ciphertext and ICV of `inner` to `message`. `iv` is `alg.iv_len()` octets: unique per key, and
/// unpredictable when `alg.random_iv()`.
///
/// # Errors
/// [`CryptoError::Length`] when IV or keys have a wrong length.
pub fn seal(
    alg: &SealAlg,
    keys: DirectionKeys<'_>,
    iv: &[u8],
    message: &mut Vec<u8>,
    inner: &[u8],
) -> Result<(), CryptoError> {
    if iv.len() != alg.iv_len() {
        return Err(CryptoError::Length);
    }
    let pad = pad_len(alg, inner.len());
    let prefix = message.len();
    message.extend_from_slice(iv);
    message.extend_from_slice(inner);
    message.resize(message.len().saturating_add(pad), 0);
    message.push(u8::try_from(pad).map_err(|_| CryptoError::Length)?);
    match alg {
        SealAlg::Aead(aead) => {
            let (key, nonce) = aead_nonce(*aead, keys.encr, iv)?;
            let key = aead.key(key)?;
            let (aad, body) = message.split_at_mut_checked(prefix).ok_or(CryptoError::Length)?;
            let data = body.get_mut(iv.len()..).ok_or(CryptoError::Length)?;
            let mut tag = [0u8; 16];
            let tag = tag.get_mut(..aead.tag_len()).ok_or(CryptoError::Length)?;
            key.seal(nonce.get(..aead.nonce_len()).ok_or(CryptoError::Length)?, aad, data, tag)?;
            message.extend_from_slice(tag);
        }
        SealAlg::Etm { cipher, integ } => {
            let start = prefix.saturating_add(iv.len());
            let data = message.get_mut(start..).ok_or(CryptoError::Length)?;
            cipher.key(keys.encr)?.encrypt(iv, data)?;
            let mut icv = [0u8; 64];
            let icv = icv.get_mut(..integ.icv_len()).ok_or(CryptoError::Length)?;
            integ.key(keys.integ)?.sign(&[message], icv)?;
            message.extend_from_slice(icv);
        }
    }
    Ok(())
}

/// Checks and decrypts the body that stands in `message` from octet `prefix` to the end; gives the payload octets
/// without padding. Nothing of the plaintext is looked at before the check value.
///
/// # Errors
/// [`CryptoError::Integrity`] for any message that was not sealed with these keys, [`CryptoError::Length`] when it is
/// too short or its padding is impossible.
pub fn open<'m>(
    alg: &SealAlg,
    keys: DirectionKeys<'_>,
    message: &'m mut [u8],
    prefix: usize,
) -> Result<&'m [u8], CryptoError> {
    let end = message.len().checked_sub(alg.icv_len()).ok_or(CryptoError::Length)?;
    let start = prefix.checked_add(alg.iv_len()).ok_or(CryptoError::Length)?;
    let cipher_len = end.checked_sub(start).ok_or(CryptoError::Length)?;
    if cipher_len == 0 || cipher_len % alg.block_len() != 0 {
        return Err(CryptoError::Length);
    }
    let (covered, icv) = message.split_at_mut_checked(end).ok_or(CryptoError::Length)?;
    if let SealAlg::Etm { integ, .. } = alg {
        integ.key(keys.integ)?.verify(&[covered], icv)?;
    }
    let (head, data) = covered.split_at_mut_checked(start).ok_or(CryptoError::Length)?;
    let (aad, iv) = head.split_at_checked(prefix).ok_or(CryptoError::Length)?;
    match alg {
        SealAlg::Aead(aead) => {
            let (key, nonce) = aead_nonce(*aead, keys.encr, iv)?;
            aead.key(key)?.open(nonce.get(..aead.nonce_len()).ok_or(CryptoError::Length)?, aad, data, icv)?;
        }
        SealAlg::Etm { cipher, .. } => cipher.key(keys.encr)?.decrypt(iv, data)?,
    }
    let (pad, rest) = data.split_last().ok_or(CryptoError::Length)?;
    let len = rest.len().checked_sub(usize::from(*pad)).ok_or(CryptoError::Length)?;
    rest.get(..len).ok_or(CryptoError::Length)
}

/// Splits SK_e into key and salt, and joins salt and IV to the nonce (RFC 5282 §4).
fn aead_nonce<'k>(
    aead: &dyn ravelin_crypto::aead::Aead,
    sk_e: &'k [u8],
    iv: &[u8],
) -> Result<(&'k [u8], [u8; 16]), CryptoError> {
    let (key, salt) = sk_e.split_at_checked(aead.key_len()).ok_or(CryptoError::Length)?;
    let mut nonce = [0u8; 16];
    for (to, from) in nonce.iter_mut().zip(salt.iter().chain(iv)) {
        *to = *from;
    }
    Ok((key, nonce))
}
