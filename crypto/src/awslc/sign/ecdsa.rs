//! ECDSA (FIPS 186-5, RFC 7427, RFC 4754) by aws-lc-rs. Signatures with the curve's own hash are aws-lc's, with its own
//! nonces; other hashes are signed by the portable provider. A portable signature takes ten times longer.

use super::{prehash, verify};
use crate::rustcrypto::sign::ecdsa::{self, Curve};
use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, VerificationAlgorithm};

/// ECDSA on all three curves.
pub(in crate::awslc) struct LcEcdsa;

pub(in crate::awslc) static ECDSA: LcEcdsa = LcEcdsa;

impl SignatureFamily for LcEcdsa {
    fn schemes(&self) -> &'static [SignatureScheme] {
        ecdsa::SCHEMES
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        use crate::AuthHashId as H;
        use Curve as C;
        use SignatureScheme as S;
        if !ecdsa::SCHEMES.contains(&scheme) {
            return Err(CryptoError::Unsupported);
        }
        let (curve, point) = ecdsa::point(spki)?;
        ecdsa::fits(scheme, curve)?;
        let algorithm: &'static dyn VerificationAlgorithm = match (curve, scheme) {
            (C::P256, S::EcdsaRaw(_)) => &lc::ECDSA_P256_SHA256_FIXED,
            (C::P384, S::EcdsaRaw(_)) => &lc::ECDSA_P384_SHA384_FIXED,
            (C::P521, S::EcdsaRaw(_)) => &lc::ECDSA_P521_SHA512_FIXED,
            (C::P256, S::Ecdsa(H::SHA2_256)) => &lc::ECDSA_P256_SHA256_ASN1,
            (C::P256, S::Ecdsa(H::SHA2_384)) => &lc::ECDSA_P256_SHA384_ASN1,
            (C::P256, _) => &lc::ECDSA_P256_SHA512_ASN1,
            (C::P384, S::Ecdsa(H::SHA2_256)) => &lc::ECDSA_P384_SHA256_ASN1,
            (C::P384, S::Ecdsa(H::SHA2_384)) => &lc::ECDSA_P384_SHA384_ASN1,
            (C::P384, _) => &lc::ECDSA_P384_SHA512_ASN1,
            (C::P521, S::Ecdsa(H::SHA2_256)) => &lc::ECDSA_P521_SHA256_ASN1,
            (C::P521, S::Ecdsa(H::SHA2_384)) => &lc::ECDSA_P521_SHA384_ASN1,
            (C::P521, _) => &lc::ECDSA_P521_SHA512_ASN1,
        };
        verify(algorithm, point, &prehash(scheme.hash(), message)?, signature)
    }

    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let portable = ecdsa::ECDSA.signing_key(pkcs8)?;
        let (der, raw) = match ecdsa::point(portable.public_key())?.0 {
            Curve::P256 => (&lc::ECDSA_P256_SHA256_ASN1_SIGNING, &lc::ECDSA_P256_SHA256_FIXED_SIGNING),
            Curve::P384 => (&lc::ECDSA_P384_SHA384_ASN1_SIGNING, &lc::ECDSA_P384_SHA384_FIXED_SIGNING),
            Curve::P521 => (&lc::ECDSA_P521_SHA512_ASN1_SIGNING, &lc::ECDSA_P521_SHA512_FIXED_SIGNING),
        };
        let load = |alg| EcdsaKeyPair::from_pkcs8(alg, pkcs8).map_err(|_| CryptoError::Key);
        Ok(Box::new(EcdsaKey { der: load(der)?, raw: load(raw)?, portable }))
    }
}

struct EcdsaKey {
    /// The curve's own hash, DER.
    der: EcdsaKeyPair,
    /// The curve's own hash, r | s.
    raw: EcdsaKeyPair,
    portable: Box<dyn SigningKey>,
}

impl SigningKey for EcdsaKey {
    fn public_key(&self) -> &[u8] {
        self.portable.public_key()
    }
    fn schemes(&self) -> &[SignatureScheme] {
        self.portable.schemes()
    }
    fn sign(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
        message: &[&[u8]],
    ) -> Result<Vec<u8>, CryptoError> {
        let pair = match (self.schemes(), scheme) {
            ([der, ..], s) if *der == s => &self.der,
            ([_, raw, ..], s) if *raw == s => &self.raw,
            _ => return self.portable.sign(scheme, rng, message),
        };
        let digest = prehash(scheme.hash(), message)?;
        Ok(pair.sign_digest(&digest).map_err(|_| CryptoError::Internal)?.as_ref().to_vec())
    }
}
