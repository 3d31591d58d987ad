//! ECDSA on P-256, P-384 and P-521 (FIPS 186-5): DER signatures for RFC 7427, r | s for RFC 4754. Nonces are those of
//! RFC 6979 with fresh randomness added (§3.6), so neither a bad generator nor a fault in hashing gives the key away.
//! To add a curve: one `curve!` line, one arm in [`Curve::of`].

use super::prehash;
use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{AuthHashId, CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;
use p256::ecdsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use pkcs8::spki::{EncodePublicKey, SubjectPublicKeyInfoRef};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};

/// All three curves.
pub(crate) struct Ecdsa;

pub(crate) static ECDSA: Ecdsa = Ecdsa;

pub(crate) const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::Ecdsa(AuthHashId::SHA2_256),
    SignatureScheme::Ecdsa(AuthHashId::SHA2_384),
    SignatureScheme::Ecdsa(AuthHashId::SHA2_512),
    SignatureScheme::EcdsaRaw(AuthHashId::SHA2_256),
    SignatureScheme::EcdsaRaw(AuthHashId::SHA2_384),
    SignatureScheme::EcdsaRaw(AuthHashId::SHA2_512),
];

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Which curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn of(oid: ObjectIdentifier) -> Option<Self> {
        match oid {
            SECP256R1 => Some(Self::P256),
            SECP384R1 => Some(Self::P384),
            SECP521R1 => Some(Self::P521),
            _ => None,
        }
    }

    /// RFC 4754 §3: each of methods 9 to 11 is one curve with one hash.
    pub(crate) fn raw_hash(self) -> AuthHashId {
        match self {
            Self::P256 => AuthHashId::SHA2_256,
            Self::P384 => AuthHashId::SHA2_384,
            Self::P521 => AuthHashId::SHA2_512,
        }
    }
}

/// Curve and SEC 1 point inside `spki`.
pub(crate) fn point(spki: &[u8]) -> Result<(Curve, &[u8]), CryptoError> {
    let spki = SubjectPublicKeyInfoRef::try_from(spki).map_err(|_| CryptoError::Key)?;
    spki.algorithm.assert_algorithm_oid(EC_PUBLIC_KEY).map_err(|_| CryptoError::Key)?;
    let curve = spki.algorithm.parameters_oid().ok().and_then(Curve::of).ok_or(CryptoError::Key)?;
    Ok((curve, spki.subject_public_key.as_bytes().ok_or(CryptoError::Key)?))
}

/// True when the scheme is this family's and, for r | s, when the curve is the scheme's.
pub(crate) fn fits(scheme: SignatureScheme, curve: Curve) -> Result<(), CryptoError> {
    match scheme {
        SignatureScheme::EcdsaRaw(hash) if hash != curve.raw_hash() => Err(CryptoError::Key),
        _ => Ok(()),
    }
}

impl SignatureFamily for Ecdsa {
    fn schemes(&self) -> &'static [SignatureScheme] {
        SCHEMES
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if !SCHEMES.contains(&scheme) {
            return Err(CryptoError::Unsupported);
        }
        let (curve, point) = point(spki)?;
        fits(scheme, curve)?;
        let hash = prehash(scheme.hash(), message)?;
        let raw = matches!(scheme, SignatureScheme::EcdsaRaw(_));
        match curve {
            Curve::P256 => p256_curve::verify(point, &hash, signature, raw),
            Curve::P384 => p384_curve::verify(point, &hash, signature, raw),
            Curve::P521 => p521_curve::verify(point, &hash, signature, raw),
        }
    }

    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let info = PrivateKeyInfoRef::try_from(pkcs8).map_err(|_| CryptoError::Key)?;
        info.algorithm.assert_algorithm_oid(EC_PUBLIC_KEY).map_err(|_| CryptoError::Unsupported)?;
        match info.algorithm.parameters_oid().ok().and_then(Curve::of) {
            Some(Curve::P256) => p256_curve::signing_key(info),
            Some(Curve::P384) => p384_curve::signing_key(info),
            Some(Curve::P521) => p521_curve::signing_key(info),
            None => Err(CryptoError::Key),
        }
    }
}

/// One curve: the same text over three crates, whose generic bounds would be longer than the code.
macro_rules! curve {
    ($module:ident, $krate:ident, $curve:ident: $first:ident, $second:ident, $third:ident) => {
        mod $module {
            use super::*;
            use $krate::SecretKey;
            use $krate::ecdsa::{Signature, SigningKey as Signer, VerifyingKey};

            pub(super) fn verify(point: &[u8], hash: &[u8], signature: &[u8], raw: bool) -> Result<(), CryptoError> {
                let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| CryptoError::Key)?;
                let signature = if raw { Signature::from_slice(signature) } else { Signature::from_der(signature) };
                let signature = signature.map_err(|_| CryptoError::Integrity)?;
                key.verify_prehash(hash, &signature).map_err(|_| CryptoError::Integrity)
            }

            struct Key {
                signer: Signer,
                public: Vec<u8>,
            }

            pub(super) fn signing_key(info: PrivateKeyInfoRef<'_>) -> Result<Box<dyn SigningKey>, CryptoError> {
                let secret = SecretKey::try_from(info).map_err(|_| CryptoError::Key)?;
                let public = secret.public_key().to_public_key_der().map_err(|_| CryptoError::Key)?.into_vec();
                Ok(Box::new(Key { signer: Signer::from(secret), public }))
            }

            impl SigningKey for Key {
                fn public_key(&self) -> &[u8] {
                    &self.public
                }
                fn schemes(&self) -> &[SignatureScheme] {
                    &[
                        SignatureScheme::Ecdsa(AuthHashId::$first),
                        SignatureScheme::EcdsaRaw(AuthHashId::$first),
                        SignatureScheme::Ecdsa(AuthHashId::$second),
                        SignatureScheme::Ecdsa(AuthHashId::$third),
                    ]
                }
                fn sign(
                    &self,
                    scheme: SignatureScheme,
                    rng: &mut dyn CryptoRng,
                    message: &[&[u8]],
                ) -> Result<Vec<u8>, CryptoError> {
                    if !self.schemes().contains(&scheme) {
                        return Err(CryptoError::Unsupported);
                    }
                    let hash = prehash(scheme.hash(), message)?;
                    let signature: Signature =
                        self.signer.sign_prehash_with_rng(rng, &hash).map_err(|_| CryptoError::Internal)?;
                    Ok(match scheme {
                        SignatureScheme::EcdsaRaw(_) => signature.to_bytes().to_vec(),
                        _ => signature.to_der().as_bytes().to_vec(),
                    })
                }
            }
        }
    };
}

curve!(p256_curve, p256, P256: SHA2_256, SHA2_384, SHA2_512);
curve!(p384_curve, p384, P384: SHA2_384, SHA2_512, SHA2_256);
curve!(p521_curve, p521, P521: SHA2_512, SHA2_384, SHA2_256);
