//! RSA signing and verification (RFC 8017) and ECDSA verification by aws-lc-rs. ECDSA and Ed25519 sign in the portable
//! provider, with the caller's generator. To add one: an arm in the family's table.

use crate::rustcrypto::sign::{ecdsa, rsa};
use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{AuthHashId, CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;
use aws_lc_rs::digest::{self, Context, Digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{self as lc, KeyPair as _, RsaEncoding, UnparsedPublicKey, VerificationAlgorithm};

/// RSA with SHA-2.
pub(super) struct LcRsa;

pub(super) static RSA: LcRsa = LcRsa;

/// ECDSA on all three curves; private keys are the portable provider's.
pub(super) struct LcEcdsa;

pub(super) static ECDSA: LcEcdsa = LcEcdsa;

fn prehash(hash: AuthHashId, message: &[&[u8]]) -> Result<Digest, CryptoError> {
    let algorithm = match hash {
        AuthHashId::SHA2_256 => &digest::SHA256,
        AuthHashId::SHA2_384 => &digest::SHA384,
        AuthHashId::SHA2_512 => &digest::SHA512,
        _ => return Err(CryptoError::Unsupported),
    };
    let mut context = Context::new(algorithm);
    message.iter().for_each(|part| context.update(part));
    Ok(context.finish())
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> Result<(), CryptoError> {
    UnparsedPublicKey::new(algorithm, key).verify_digest(digest, signature).map_err(|_| CryptoError::Integrity)
}

impl SignatureFamily for LcRsa {
    fn schemes(&self) -> &'static [SignatureScheme] {
        rsa::SHA2_SCHEMES
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        use AuthHashId as H;
        use SignatureScheme as S;
        let algorithm: &'static dyn VerificationAlgorithm = match scheme {
            S::RsaPkcs1(H::SHA2_256) => &lc::RSA_PKCS1_2048_8192_SHA256,
            S::RsaPkcs1(H::SHA2_384) => &lc::RSA_PKCS1_2048_8192_SHA384,
            S::RsaPkcs1(H::SHA2_512) => &lc::RSA_PKCS1_2048_8192_SHA512,
            S::RsaPss(H::SHA2_256) => &lc::RSA_PSS_2048_8192_SHA256,
            S::RsaPss(H::SHA2_384) => &lc::RSA_PSS_2048_8192_SHA384,
            S::RsaPss(H::SHA2_512) => &lc::RSA_PSS_2048_8192_SHA512,
            _ => return Err(CryptoError::Unsupported),
        };
        verify(algorithm, rsa::pkcs1_key(spki)?, &prehash(scheme.hash(), message)?, signature)
    }

    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        if !rsa::is_private_key(pkcs8)? {
            return Err(CryptoError::Unsupported);
        }
        let pair = KeyPair::from_pkcs8(pkcs8).map_err(|_| CryptoError::Key)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| CryptoError::Key)?;
        let public = public.as_ref().to_vec();
        rsa::pkcs1_key(&public)?;
        Ok(Box::new(RsaKey { pair, public }))
    }
}

struct RsaKey {
    pair: KeyPair,
    public: Vec<u8>,
}

impl SigningKey for RsaKey {
    fn public_key(&self) -> &[u8] {
        &self.public
    }
    fn schemes(&self) -> &[SignatureScheme] {
        rsa::SHA2_SCHEMES
    }
    /// PKCS#1 v1.5 is deterministic; the salt of PSS is drawn by aws-lc itself.
    fn sign(
        &self,
        scheme: SignatureScheme,
        _rng: &mut dyn CryptoRng,
        message: &[&[u8]],
    ) -> Result<Vec<u8>, CryptoError> {
        use AuthHashId as H;
        use SignatureScheme as S;
        let encoding: &'static dyn RsaEncoding = match scheme {
            S::RsaPkcs1(H::SHA2_256) => &lc::RSA_PKCS1_SHA256,
            S::RsaPkcs1(H::SHA2_384) => &lc::RSA_PKCS1_SHA384,
            S::RsaPkcs1(H::SHA2_512) => &lc::RSA_PKCS1_SHA512,
            S::RsaPss(H::SHA2_256) => &lc::RSA_PSS_SHA256,
            S::RsaPss(H::SHA2_384) => &lc::RSA_PSS_SHA384,
            S::RsaPss(H::SHA2_512) => &lc::RSA_PSS_SHA512,
            _ => return Err(CryptoError::Unsupported),
        };
        let mut signature = alloc::vec![0; self.pair.public_modulus_len()];
        let digest = prehash(scheme.hash(), message)?;
        self.pair.sign_digest(encoding, &digest, &mut signature).map_err(|_| CryptoError::Internal)?;
        Ok(signature)
    }
}

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
        use AuthHashId as H;
        use SignatureScheme as S;
        use ecdsa::Curve as C;
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
        ecdsa::ECDSA.signing_key(pkcs8)
    }
}
