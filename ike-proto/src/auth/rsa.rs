//! RSA Digital Signature, method 1 (RFC 7296 §3.8): PKCS#1 v1.5, the hash is named inside the signature. SHA-1 is the
//! RFC's default and taken only where policy says so; SHA-2 is what others may use.

use super::digital_signature::check;
use crate::registry::AuthMethod;
use alloc::string::{String, ToString};
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, Provider};

/// Hashes tried, in this order.
const HASHES: [AuthHashId; 4] = [AuthHashId::SHA2_256, AuthHashId::SHA2_384, AuthHashId::SHA2_512, AuthHashId::SHA1];

/// Checks the AUTH data of method 1.
///
/// # Errors
/// What is wrong, for the operator.
pub fn verify(
    crypto: &Provider,
    signature: &[u8],
    spki: &[u8],
    octets: &[u8],
    legacy: bool,
) -> Result<SignatureScheme, String> {
    let mut last = "method 1 needs an RSA key (RFC 7296 section 3.8)".to_string();
    for hash in HASHES {
        let scheme = SignatureScheme::RsaPkcs1(hash);
        match check(crypto, scheme, spki, octets, signature) {
            Ok(()) if scheme.is_legacy() && !legacy => {
                return Err("it is made with SHA-1, which policy does not allow (RFC 8247)".to_string());
            }
            Ok(()) => return Ok(scheme),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Method 1 for its schemes.
pub(super) fn method(scheme: SignatureScheme) -> Option<AuthMethod> {
    matches!(scheme, SignatureScheme::RsaPkcs1(_)).then_some(AuthMethod::RSA)
}
