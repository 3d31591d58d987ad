//! Digital signature, method 14 (RFC 7427, RFC 8420): the AlgorithmIdentifier stands before the signature.

use crate::registry::AuthMethod;
use crate::wire::notify::Announcement;
use crate::wire::payload::Authentication;
use alloc::format;
use alloc::string::{String, ToString};
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, CryptoError, Provider};

/// Hash algorithms that we take (SIGNATURE_HASH_ALGORITHMS, RFC 7427 §4). SHA-1 is not among them.
pub const HASHES: [AuthHashId; 4] =
    [AuthHashId::SHA2_256, AuthHashId::SHA2_384, AuthHashId::SHA2_512, AuthHashId::IDENTITY];

/// Checks the AUTH data of method 14.
///
/// # Errors
/// What is wrong, for the operator.
pub fn verify(
    crypto: &Provider,
    auth: &Authentication,
    spki: &[u8],
    octets: &[u8],
    legacy: bool,
) -> Result<SignatureScheme, String> {
    let (algorithm, signature) = auth
        .algorithm_and_signature()
        .ok_or_else(|| "expected an AlgorithmIdentifier before the signature (RFC 7427 section 3)".to_string())?;
    let scheme = SignatureScheme::from_algorithm_identifier(algorithm)
        .ok_or_else(|| "the AlgorithmIdentifier names no known algorithm or is not DER (RFC 7427)".to_string())?;
    if scheme.is_legacy() && !legacy {
        return Err("it is made with SHA-1, which policy does not allow (RFC 8247)".to_string());
    }
    check(crypto, scheme, spki, octets, signature)?;
    Ok(scheme)
}

/// Checks a signature and says what is wrong.
pub(super) fn check(
    crypto: &Provider,
    scheme: SignatureScheme,
    spki: &[u8],
    octets: &[u8],
    signature: &[u8],
) -> Result<(), String> {
    crypto.verify(scheme, spki, &[octets], signature).map_err(|e| match e {
        CryptoError::Unsupported => format!("{scheme:?} is not implemented by the provider"),
        CryptoError::Key => format!("the public key is not one for {scheme:?}, or of a refused size"),
        _ => format!("the signature ({scheme:?}) does not match"),
    })
}

/// True when the peer takes signatures of this scheme by method 14.
pub(super) fn suits(scheme: SignatureScheme, hashes: &[AuthHashId], announced: &[Announcement]) -> bool {
    let Some(identifier) = scheme.algorithm_identifier() else { return false };
    let mine = |a: &Announcement| {
        a.method() == AuthMethod::DIGITAL_SIGNATURE && a.algorithm().is_none_or(|known| known == identifier.as_slice())
    };
    hashes.contains(&scheme.hash()) && (announced.is_empty() || announced.iter().any(mine))
}
