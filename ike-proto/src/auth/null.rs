//! NULL authentication, method 13 (RFC 7619): the formula of shared keys with SK_pi or SK_pr as the secret. It proves
//! that the messages were not altered, and nothing about who sent them.

use super::psk;
use ravelin_crypto::Secret;
use ravelin_crypto::prf::Prf;

/// The AUTH data of the side whose SK_p is given.
#[must_use]
pub fn sign(prf: &dyn Prf, sk_p: &[u8], octets: &[&[u8]]) -> Secret {
    psk::sign(prf, sk_p, octets)
}

/// True when `auth` is right.
#[must_use]
pub fn verify(prf: &dyn Prf, sk_p: &[u8], octets: &[&[u8]], auth: &[u8]) -> bool {
    psk::verify(prf, sk_p, octets, auth)
}
