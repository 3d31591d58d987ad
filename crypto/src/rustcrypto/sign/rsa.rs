//! RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017), verification only: see [`crate::sign`] for why. The encoded message is
//! rebuilt and compared, so padding and DigestInfo are strict. Keys of 2048 to 4096 bits: below is weak, above lets
//! an unauthenticated peer spend our time.

use super::prehash;
use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{AuthHashId, CryptoError};
use alloc::boxed::Box;
use pkcs8::spki::SubjectPublicKeyInfoRef;
use rsa::signature::hazmat::PrehashVerifier;
use rsa::traits::PublicKeyParts;
use rsa::{RsaPublicKey, pkcs1, pkcs1v15, pss};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// RSA with the hashes of these schemes.
pub(crate) struct Rsa(&'static [SignatureScheme]);

pub(crate) const SHA2_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::RsaPss(AuthHashId::SHA2_256),
    SignatureScheme::RsaPss(AuthHashId::SHA2_384),
    SignatureScheme::RsaPss(AuthHashId::SHA2_512),
    SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256),
    SignatureScheme::RsaPkcs1(AuthHashId::SHA2_384),
    SignatureScheme::RsaPkcs1(AuthHashId::SHA2_512),
];

pub(crate) static RSA: Rsa = Rsa(SHA2_SCHEMES);
/// Legacy: method 1 as RFC 7296 §3.8 has it by default.
pub(crate) static RSA_SHA1: Rsa = Rsa(&[SignatureScheme::RsaPkcs1(AuthHashId::SHA1)]);

/// Bits of a modulus that are accepted.
const BITS: core::ops::RangeInclusive<u32> = 2048..=4096;

/// The RSAPublicKey (PKCS#1 DER) inside `spki`, after its type and size have been checked.
pub(crate) fn pkcs1_key(spki: &[u8]) -> Result<&[u8], CryptoError> {
    let spki = SubjectPublicKeyInfoRef::try_from(spki).map_err(|_| CryptoError::Key)?;
    spki.algorithm.assert_algorithm_oid(pkcs1::ALGORITHM_OID).map_err(|_| CryptoError::Key)?;
    let der = spki.subject_public_key.as_bytes().ok_or(CryptoError::Key)?;
    let key = pkcs1::RsaPublicKeyRef::try_from(der).map_err(|_| CryptoError::Key)?;
    let modulus = key.modulus.as_bytes();
    let top = modulus.first().map_or(8, |b| b.leading_zeros());
    let bits = (modulus.len() as u32).saturating_mul(8).saturating_sub(top);
    if BITS.contains(&bits) { Ok(der) } else { Err(CryptoError::Key) }
}

/// True when a PKCS#8 key is an RSA key.
#[cfg(feature = "fast")]
pub(crate) fn is_private_key(der: &[u8]) -> Result<bool, CryptoError> {
    let info = pkcs8::PrivateKeyInfoRef::try_from(der).map_err(|_| CryptoError::Key)?;
    Ok(info.algorithm.oid == pkcs1::ALGORITHM_OID)
}

impl SignatureFamily for Rsa {
    fn schemes(&self) -> &'static [SignatureScheme] {
        self.0
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if !self.0.contains(&scheme) {
            return Err(CryptoError::Unsupported);
        }
        pkcs1_key(spki)?;
        let spki = SubjectPublicKeyInfoRef::try_from(spki).map_err(|_| CryptoError::Key)?;
        let key = RsaPublicKey::try_from(spki).map_err(|_| CryptoError::Key)?;
        // RFC 8017 §8.1.2, §8.2.2 step 1: exactly as long as the modulus.
        if signature.len() != key.size() {
            return Err(CryptoError::Integrity);
        }
        let hash = prehash(scheme.hash(), message)?;
        let valid = match scheme {
            SignatureScheme::RsaPkcs1(h) => {
                let signature = pkcs1v15::Signature::try_from(signature).map_err(|_| CryptoError::Integrity)?;
                match h {
                    AuthHashId::SHA1 => pkcs1v15::VerifyingKey::<Sha1>::new(key).verify_prehash(&hash, &signature),
                    AuthHashId::SHA2_256 => {
                        pkcs1v15::VerifyingKey::<Sha256>::new(key).verify_prehash(&hash, &signature)
                    }
                    AuthHashId::SHA2_384 => {
                        pkcs1v15::VerifyingKey::<Sha384>::new(key).verify_prehash(&hash, &signature)
                    }
                    _ => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify_prehash(&hash, &signature),
                }
            }
            _ => {
                let signature = pss::Signature::try_from(signature).map_err(|_| CryptoError::Integrity)?;
                match scheme.hash() {
                    AuthHashId::SHA2_256 => pss::VerifyingKey::<Sha256>::new(key).verify_prehash(&hash, &signature),
                    AuthHashId::SHA2_384 => pss::VerifyingKey::<Sha384>::new(key).verify_prehash(&hash, &signature),
                    _ => pss::VerifyingKey::<Sha512>::new(key).verify_prehash(&hash, &signature),
                }
            }
        };
        valid.map_err(|_| CryptoError::Integrity)
    }

    fn signing_key(&self, _pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}
