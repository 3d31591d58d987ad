//! Shared key authentication, method 2 (RFC 7296 §2.15): AUTH = prf(prf(secret, "Key Pad for IKEv2"), octets).
//! The same formula serves EAP's MSK (§2.16) and NULL authentication (RFC 7619).

use ravelin_crypto::Secret;
use ravelin_crypto::prf::Prf;
use subtle::ConstantTimeEq;

/// 17 ASCII octets without terminator.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// The AUTH data of the side that signs `octets`, given in parts, with `secret`.
#[must_use]
pub fn sign(prf: &dyn Prf, secret: &[u8], octets: &[&[u8]]) -> Secret {
    let mut auth = Secret::default();
    with_auth(prf, secret, octets, &mut |value| auth = Secret::from(value));
    auth
}

/// True when `auth` is right; constant time in its content.
#[must_use]
pub fn verify(prf: &dyn Prf, secret: &[u8], octets: &[&[u8]], auth: &[u8]) -> bool {
    let mut right = false;
    with_auth(prf, secret, octets, &mut |value| right = value.ct_eq(auth).into());
    right
}

fn with_auth(prf: &dyn Prf, secret: &[u8], octets: &[&[u8]], then: &mut dyn FnMut(&[u8])) {
    prf.prf_with(secret, &[KEY_PAD], &mut |key| prf.prf_with(key, octets, then));
}
