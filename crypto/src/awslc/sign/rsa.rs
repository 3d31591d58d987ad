//! RSA (RFC 8017) by aws-lc-rs, the only RSA that signs here: see [`crate::sign`]. Keys of 2048 to 4096 bits.

use super::{prehash, verify};
use crate::rustcrypto::sign::rsa;
use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{self as lc, KeyPair as _, RsaEncoding, VerificationAlgorithm};

/// RSA with SHA-2.
pub(in crate::awslc) struct LcRsa;

pub(in crate::awslc) static RSA: LcRsa = LcRsa;

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
        use crate::AuthHashId as H;
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
        use crate::AuthHashId as H;
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
