//! Keys of a Child SA (RFC 7296 §2.17): KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr [| SK(1) …]).

use super::prf_plus;
use super::sk_schedule::Cutter;
use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{CryptoError, Secret};

/// Key lengths of the negotiated ESP or AH suite, in octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildKeyLengths {
    /// Cipher key and salt.
    pub encr: usize,
    /// Integrity key; 0 with an AEAD.
    pub integ: usize,
}

/// The four keys of a Child SA pair. Initiator and responder are those of the exchange that makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildKeys {
    /// Initiator to responder: encryption (and salt).
    pub encr_i: Secret,
    /// Initiator to responder: integrity.
    pub integ_i: Secret,
    /// Responder to initiator: encryption (and salt).
    pub encr_r: Secret,
    /// Responder to initiator: integrity.
    pub integ_r: Secret,
}

/// Derives the keys. `shared` is empty without a key exchange of its own; with one it is g^ir, and with additional
/// key exchanges (RFC 9370 §2.2.4) their secrets follow in order.
///
/// # Errors
/// [`CryptoError::Length`] when the suite asks for more than prf+ can give; no registered suite does.
pub fn child_keys(
    prf: &dyn Prf,
    sk_d: &[u8],
    shared: &[Secret],
    ni: &[u8],
    nr: &[u8],
    lengths: ChildKeyLengths,
) -> Result<ChildKeys, CryptoError> {
    let (first, more) = match shared.split_first() {
        Some((f, m)) => (f.expose(), m),
        None => (&[][..], &[][..]),
    };
    let mut rest = Vec::new();
    for s in more {
        rest.extend_from_slice(s.expose());
    }
    let rest = Secret::new(rest);
    let plan = [lengths.encr, lengths.integ, lengths.encr, lengths.integ];
    let stream = prf_plus(prf, sk_d, &[first, ni, nr, rest.expose()], plan.iter().sum())?;
    let mut cut = Cutter(stream.expose());
    let [encr_i, integ_i, encr_r, integ_r] = plan.map(|n| cut.take(n));
    Ok(ChildKeys { encr_i, integ_i, encr_r, integ_r })
}
