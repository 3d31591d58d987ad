//! ECDSA of RFC 4754, methods 9, 10 and 11: one curve with one hash each, the signature is r | s.

use super::digital_signature::check;
use crate::registry::AuthMethod;
use alloc::format;
use alloc::string::String;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, Provider};

const METHODS: [(AuthMethod, AuthHashId); 3] = [
    (AuthMethod::ECDSA_256, AuthHashId::SHA2_256),
    (AuthMethod::ECDSA_384, AuthHashId::SHA2_384),
    (AuthMethod::ECDSA_521, AuthHashId::SHA2_512),
];

/// Checks the AUTH data of methods 9 to 11. The curve must be the method's: the scheme demands it.
///
/// # Errors
/// What is wrong, for the operator.
pub fn verify(
    crypto: &Provider,
    method: AuthMethod,
    signature: &[u8],
    spki: &[u8],
    octets: &[u8],
) -> Result<SignatureScheme, String> {
    let hash = METHODS.iter().find(|(m, _)| *m == method).map(|(_, hash)| *hash);
    let scheme = SignatureScheme::EcdsaRaw(hash.ok_or_else(|| format!("{method} is not of RFC 4754"))?);
    check(crypto, scheme, spki, octets, signature)?;
    Ok(scheme)
}

/// The method of a scheme with r | s.
pub(super) fn method(scheme: SignatureScheme) -> Option<AuthMethod> {
    let SignatureScheme::EcdsaRaw(hash) = scheme else { return None };
    METHODS.iter().find(|(_, h)| *h == hash).map(|(method, _)| *method)
}
