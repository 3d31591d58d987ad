//! SKEYSEED and the seven SK_* keys (RFC 7296 §2.14, §2.18; RFC 9370 §2.2.2 for additional key exchanges).

use super::prf_plus;
use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{CryptoError, Secret};

/// Key lengths that the negotiated IKE suite asks for, in octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SkKeyLengths {
    /// SK_ei and SK_er: cipher key and salt.
    pub encr: usize,
    /// SK_ai and SK_ar; 0 with an AEAD.
    pub integ: usize,
}

/// The keys of one IKE SA. Wiped on drop.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SkKeys {
    /// Root of all Child SA keys and of the next IKE SA.
    pub d: Secret,
    /// Integrity, initiator to responder.
    pub ai: Secret,
    /// Integrity, responder to initiator.
    pub ar: Secret,
    /// Encryption (and salt), initiator to responder.
    pub ei: Secret,
    /// Encryption (and salt), responder to initiator.
    pub er: Secret,
    /// AUTH of the initiator.
    pub pi: Secret,
    /// AUTH of the responder.
    pub pr: Secret,
}

/// Nonces and SPIs that enter every derivation of one IKE SA.
#[derive(Clone, Copy, Debug)]
pub struct Seeds<'a> {
    /// Initiator's nonce.
    pub ni: &'a [u8],
    /// Responder's nonce.
    pub nr: &'a [u8],
    /// Initiator's IKE SPI.
    pub spi_i: u64,
    /// Responder's IKE SPI.
    pub spi_r: u64,
}

/// SKEYSEED = prf(Ni | Nr, g^ir). PRFs with a fixed key size take the first half of it from each nonce.
#[must_use]
pub fn skeyseed(prf: &dyn Prf, ni: &[u8], nr: &[u8], shared: &Secret) -> Secret {
    let half = if prf.fixed_key() { prf.key_len() / 2 } else { usize::MAX };
    let mut key = Vec::with_capacity(ni.len().saturating_add(nr.len()));
    key.extend(ni.iter().take(half));
    key.extend(nr.iter().take(half));
    let key = Secret::new(key);
    prf.prf(key.expose(), &[shared.expose()])
}

/// SKEYSEED of a rekeyed IKE SA: prf(SK_d (old), g^ir (new) | Ni | Nr | SK(1) | …), with the old SA's PRF.
#[must_use]
pub fn skeyseed_rekey(
    old_prf: &dyn Prf,
    old_d: &Secret,
    shared: &Secret,
    ni: &[u8],
    nr: &[u8],
    more: &[Secret],
) -> Secret {
    let mut parts: Vec<&[u8]> = Vec::with_capacity(more.len().saturating_add(3));
    parts.extend([shared.expose(), ni, nr]);
    parts.extend(more.iter().map(Secret::expose));
    old_prf.prf(old_d.expose(), &parts)
}

/// SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) after an additional key exchange (RFC 9370 §2.2.2).
#[must_use]
pub fn skeyseed_additional(prf: &dyn Prf, d: &Secret, shared: &Secret, ni: &[u8], nr: &[u8]) -> Secret {
    prf.prf(d.expose(), &[shared.expose(), ni, nr])
}

impl SkKeys {
    /// {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr).
    ///
    /// # Errors
    /// [`CryptoError::Length`] when the suite asks for more than prf+ can give; no registered suite does.
    pub fn derive(
        prf: &dyn Prf,
        lengths: SkKeyLengths,
        skeyseed: &Secret,
        seeds: Seeds<'_>,
    ) -> Result<Self, CryptoError> {
        let p = prf.key_len();
        let plan = [p, lengths.integ, lengths.integ, lengths.encr, lengths.encr, p, p];
        let total = plan.iter().sum();
        let (i, r) = (seeds.spi_i.to_be_bytes(), seeds.spi_r.to_be_bytes());
        let stream = prf_plus(prf, skeyseed.expose(), &[seeds.ni, seeds.nr, &i, &r], total)?;
        let mut cut = Cutter(stream.expose());
        let [d, ai, ar, ei, er, pi, pr] = plan.map(|n| cut.take(n));
        Ok(Self { d, ai, ar, ei, er, pi, pr })
    }
}

/// Hands out a key stream piece by piece.
pub(super) struct Cutter<'a>(pub(super) &'a [u8]);

impl Cutter<'_> {
    pub(super) fn take(&mut self, len: usize) -> Secret {
        let (head, tail) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = tail;
        Secret::from(head)
    }
}
