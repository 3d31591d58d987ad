//! The PAD's private keys as rustls wants them. A key that is elsewhere cannot be used: TLS does not wait for an answer.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::AuthHashId as H;
use ravelin_crypto::sign::{SignatureScheme as Ours, SigningKey as Key};
use ravelin_sa_db::pad::Credential;
use rustls::crypto::SecureRandom;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// A credential of ours.
pub(super) fn certified(credential: &Credential, random: &'static dyn SecureRandom) -> Result<CertifiedKey, String> {
    let key = credential.key.clone().ok_or("TLS needs the private key here, and it is elsewhere")?;
    if credential.chain.is_empty() {
        return Err("TLS needs a certificate of ours, and there is only a raw public key".to_string());
    }
    let chain = credential.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let schemes = credential.schemes.iter().filter_map(|s| Some((*s, name(*s, credential.public_key.len())?)));
    let adapter = Adapter { key, schemes: schemes.collect(), random };
    if adapter.schemes.is_empty() {
        return Err(format!("TLS knows none of the schemes {:?} of our key", credential.schemes));
    }
    // A client that asks for it gets the OCSP response in the handshake.
    Ok(CertifiedKey { ocsp: credential.ocsp_response.clone(), ..CertifiedKey::new(chain, Arc::new(adapter)) })
}

/// TLS's name of a scheme. Its ECDSA schemes name a curve, which the length of the public key (DER) tells.
fn name(scheme: Ours, public_key: usize) -> Option<SignatureScheme> {
    Some(match (scheme, public_key) {
        (Ours::RsaPss(H::SHA2_256), _) => SignatureScheme::RSA_PSS_SHA256,
        (Ours::RsaPss(H::SHA2_384), _) => SignatureScheme::RSA_PSS_SHA384,
        (Ours::RsaPss(H::SHA2_512), _) => SignatureScheme::RSA_PSS_SHA512,
        (Ours::RsaPkcs1(H::SHA2_256), _) => SignatureScheme::RSA_PKCS1_SHA256,
        (Ours::RsaPkcs1(H::SHA2_384), _) => SignatureScheme::RSA_PKCS1_SHA384,
        (Ours::RsaPkcs1(H::SHA2_512), _) => SignatureScheme::RSA_PKCS1_SHA512,
        (Ours::Ecdsa(H::SHA2_256), ..100) => SignatureScheme::ECDSA_NISTP256_SHA256,
        (Ours::Ecdsa(H::SHA2_384), 100..140) => SignatureScheme::ECDSA_NISTP384_SHA384,
        (Ours::Ecdsa(H::SHA2_512), 140..) => SignatureScheme::ECDSA_NISTP521_SHA512,
        (Ours::Ed25519, _) => SignatureScheme::ED25519,
        _ => return None,
    })
}

#[derive(Clone)]
struct Adapter {
    key: Arc<dyn Key>,
    schemes: Vec<(Ours, SignatureScheme)>,
    random: &'static dyn SecureRandom,
}

impl core::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Adapter({:?})", self.schemes)
    }
}

impl SigningKey for Adapter {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (ours, theirs) = self.schemes.iter().find(|(_, s)| offered.contains(s)).copied()?;
        Some(Box::new(One { key: Arc::clone(&self.key), ours, theirs, random: self.random }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.schemes.first() {
            Some((Ours::Ed25519, _)) => SignatureAlgorithm::ED25519,
            Some((Ours::Ecdsa(_), _)) => SignatureAlgorithm::ECDSA,
            _ => SignatureAlgorithm::RSA,
        }
    }
}

struct One {
    key: Arc<dyn Key>,
    ours: Ours,
    theirs: SignatureScheme,
    random: &'static dyn SecureRandom,
}

impl core::fmt::Debug for One {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "One({:?})", self.theirs)
    }
}

impl Signer for One {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut source = Source { random: self.random, failed: false };
        let signature = self.key.sign(self.ours, &mut source, &[message]).map_err(|e| Error::General(e.to_string()))?;
        if source.failed { Err(Error::FailedToGetRandomBytes) } else { Ok(signature) }
    }

    fn scheme(&self) -> SignatureScheme {
        self.theirs
    }
}

/// rustls's randomness for a signature; what is made without it is thrown away.
struct Source {
    random: &'static dyn SecureRandom,
    failed: bool,
}

impl rand_core::TryRng for Source {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut out = [0; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut out = [0; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.failed |= self.random.fill(dst).is_err();
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Source {}
