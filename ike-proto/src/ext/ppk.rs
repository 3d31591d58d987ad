//! Post-quantum preshared keys: RFC 8784 (mixed in at IKE_AUTH) and RFC 9867 (mixed in by IKE_INTERMEDIATE, so that
//! the initial IKE SA is protected too). Key formulas and the choice between the two; the exchanges call it by name.

use crate::keys::prf_plus;
use crate::keys::sk_schedule::{Seeds, SkKeyLengths, SkKeys};
use alloc::vec::Vec;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{CryptoError, Secret};
use ravelin_sa_db::pad::{Peer, PpkMethod};
use subtle::ConstantTimeEq;

/// Octets of the PPK Confirmation (RFC 9867 §3.1).
pub const CONFIRMATION_LEN: usize = 8;

/// What was agreed on in IKE_SA_INIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PpkUse {
    /// No PPK.
    #[default]
    None,
    /// RFC 8784.
    Auth,
    /// RFC 9867.
    Intermediate,
}

/// What a side may use with this peer: (RFC 8784, RFC 9867).
#[must_use]
pub fn allowed(peer: &Peer) -> (bool, bool) {
    match peer.ppk_method {
        PpkMethod::Either => (true, true),
        PpkMethod::Auth => (true, false),
        PpkMethod::Intermediate => (false, true),
    }
}

/// SK_d' = prf+(PPK, SK_d), and SK_pi', SK_pr' alike; the rest stays (RFC 8784 §3).
///
/// # Errors
/// Never for a registered PRF.
pub fn mix_auth(prf: &dyn Prf, ppk: &Secret, keys: &SkKeys) -> Result<SkKeys, CryptoError> {
    let mix = |k: &[u8]| prf_plus(prf, ppk.expose(), &[k], prf.key_len());
    Ok(keys.with_auth(&mix(keys.d())?, &mix(keys.pi())?, &mix(keys.pr())?))
}

/// SKEYSEED' = prf+(PPK, SK_d), then all SK_* anew (RFC 9867 §3.1.2).
///
/// # Errors
/// Never for a registered suite.
pub fn mix_intermediate(
    prf: &dyn Prf,
    ppk: &Secret,
    keys: &SkKeys,
    lengths: SkKeyLengths,
    seeds: Seeds<'_>,
) -> Result<SkKeys, CryptoError> {
    let seed = prf_plus(prf, ppk.expose(), &[keys.d()], prf.key_len())?;
    SkKeys::derive(prf, lengths, &seed, seeds)
}

/// SK_d' = prf+(PPK, SK_d), which stands where SK_d stood when CREATE_CHILD_SA makes keys with a fresh PPK (RFC 9867
/// §3.2).
///
/// # Errors
/// Never for a registered PRF.
pub fn mix_root(prf: &dyn Prf, ppk: &Secret, d: &[u8]) -> Result<Secret, CryptoError> {
    prf_plus(prf, ppk.expose(), &[d], prf.key_len())
}

/// The PPK Confirmation: the first octets of prf(PPK, Ni | Nr | SPIi | SPIr).
#[must_use]
pub fn confirmation(prf: &dyn Prf, ppk: &Secret, seeds: Seeds<'_>) -> Vec<u8> {
    let mac = prf.prf(ppk.expose(), &[seeds.ni, seeds.nr, &seeds.spi_i.to_be_bytes(), &seeds.spi_r.to_be_bytes()]);
    mac.expose().iter().copied().take(CONFIRMATION_LEN).collect()
}

/// The PPK Confirmation in CREATE_CHILD_SA, where the responder's nonce is not known yet: the first octets of
/// prf(PPK, Ni | SPIi | SPIr), with the nonce of the request and the SPIs of the IKE SA that carries it.
///
/// UNVERIFIED: RFC 9867 §3.2 says that the input differs from that of IKE_INTERMEDIATE; this reading of it has been
/// tested against no other implementation (`docs/post-quantum.md`).
#[must_use]
pub fn confirmation_of_rekey(prf: &dyn Prf, ppk: &Secret, ni: &[u8], spi_i: u64, spi_r: u64) -> Vec<u8> {
    let mac = prf.prf(ppk.expose(), &[ni, &spi_i.to_be_bytes(), &spi_r.to_be_bytes()]);
    mac.expose().iter().copied().take(CONFIRMATION_LEN).collect()
}

/// The data of a PPK_IDENTITY_KEY notify: PPK_ID | confirmation.
#[must_use]
pub fn identity_key(prf: &dyn Prf, id: &[u8], ppk: &Secret, seeds: Seeds<'_>) -> Vec<u8> {
    let mut data = id.to_vec();
    data.extend(confirmation(prf, ppk, seeds));
    data
}

/// Cuts the data of a PPK_IDENTITY_KEY notify into PPK_ID and confirmation.
#[must_use]
pub fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    data.split_at_checked(data.len().checked_sub(CONFIRMATION_LEN)?)
}

/// True when a confirmation of IKE_INTERMEDIATE is that of this PPK.
#[must_use]
pub fn confirms(prf: &dyn Prf, ppk: &Secret, given: &[u8], seeds: Seeds<'_>) -> bool {
    confirmation(prf, ppk, seeds).as_slice().ct_eq(given).into()
}
