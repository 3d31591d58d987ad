//! Authentication of the peers (RFC 7296 §2.15, §2.16): what is signed, and by which method; one file per method.
//! To add a signature method: one file here, one line in `registry/auth.rs`, one arm in [`verify`] and in [`choose`].

pub mod digital_signature;
pub mod ecdsa;
pub mod null;
pub mod psk;
pub mod raw_key;
pub mod rsa;
pub mod signed_octets;
#[cfg(feature = "x509")]
pub mod x509;

use crate::registry::AuthMethod;
use crate::wire::notify::Announcement;
use crate::wire::payload::Authentication;
use alloc::string::String;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, Provider};

/// True for methods that are made with a private key.
#[must_use]
pub fn is_signature(method: AuthMethod) -> bool {
    matches!(
        method,
        AuthMethod::RSA
            | AuthMethod::ECDSA_256
            | AuthMethod::ECDSA_384
            | AuthMethod::ECDSA_521
            | AuthMethod::DIGITAL_SIGNATURE
    )
}

/// Checks a signature of any method over `octets` with the public key `spki` (DER). `legacy` allows SHA-1.
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
    match auth.method {
        AuthMethod::DIGITAL_SIGNATURE => digital_signature::verify(crypto, auth, spki, octets, legacy),
        AuthMethod::RSA => rsa::verify(crypto, &auth.data, spki, octets, legacy),
        AuthMethod::ECDSA_256 | AuthMethod::ECDSA_384 | AuthMethod::ECDSA_521 => {
            ecdsa::verify(crypto, auth.method, &auth.data, spki, octets)
        }
        other => Err(alloc::format!("{other} is no signature method")),
    }
}

/// The method and scheme to sign with: the first of `schemes` that the peer takes. `hashes` is its
/// SIGNATURE_HASH_ALGORITHMS (empty: it does not speak method 14), `announced` its SUPPORTED_AUTH_METHODS (empty: not
/// said).
#[must_use]
pub fn choose(
    schemes: &[SignatureScheme],
    hashes: &[AuthHashId],
    announced: &[Announcement],
) -> Option<(AuthMethod, SignatureScheme)> {
    let modern = schemes.iter().copied().find(|s| digital_signature::suits(*s, hashes, announced));
    modern.map(|s| (AuthMethod::DIGITAL_SIGNATURE, s)).or_else(|| {
        let old = |s: &SignatureScheme| Some((ecdsa::method(*s).or_else(|| rsa::method(*s))?, *s));
        schemes.iter().filter_map(old).find(|(m, _)| announced.is_empty() || announced.iter().any(|a| a.method() == *m))
    })
}

#[cfg(test)]
mod tests;
