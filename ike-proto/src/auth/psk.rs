//! Shared key authentication, method 2 (RFC 7296 §2.15): AUTH = prf(prf(secret, "Key Pad for IKEv2"), octets).
//! The same formula serves EAP's MSK (§2.16) and NULL authentication (RFC 7619).

use ravelin_crypto::Secret;
use ravelin_crypto::prf::Prf;
use subtle::ConstantTimeEq;

/// 17 ASCII octets without terminator.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// The AUTH data of the side that signs `octets` with `secret`.
#[must_use]
pub fn sign(prf: &dyn Prf, secret: &[u8], octets: &[u8]) -> Secret {
    let key = prf.prf(secret, &[KEY_PAD]);
    prf.prf(key.expose(), &[octets])
}

/// True when `auth` is right; constant time in its content.
#[must_use]
pub fn verify(prf: &dyn Prf, secret: &[u8], octets: &[u8], auth: &[u8]) -> bool {
    sign(prf, secret, octets).expose().ct_eq(auth).into()
}
