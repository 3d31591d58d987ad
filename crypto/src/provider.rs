//! A provider: lists of algorithms, looked up by IANA id. There is no global default and no feature that changes
//! which algorithm runs: the provider is an argument.

use crate::aead::Aead;
use crate::cipher::Cipher;
use crate::hash::Hash;
use crate::integ::Integ;
use crate::ke::KeyExchange;
use crate::prf::Prf;
use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{AuthHashId, CryptoError, EncrId, IntegId, KeId, PrfId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Everything a node may negotiate. Order does not matter for lookups; preference is configuration.
#[derive(Clone, Default)]
pub struct Provider {
    /// For people: "portable", "aws-lc-rs over portable".
    pub name: &'static str,
    /// Combined-mode ciphers, one entry per key size.
    pub aeads: Vec<&'static dyn Aead>,
    /// Plain ciphers, one entry per key size.
    pub ciphers: Vec<&'static dyn Cipher>,
    /// Integrity algorithms.
    pub integs: Vec<&'static dyn Integ>,
    /// Pseudorandom functions.
    pub prfs: Vec<&'static dyn Prf>,
    /// Key exchange methods.
    pub kes: Vec<&'static dyn KeyExchange>,
    /// Hash functions.
    pub hashes: Vec<&'static dyn Hash>,
    /// Signature families.
    pub signatures: Vec<&'static dyn SignatureFamily>,
}

impl Provider {
    /// The AEAD with this id; `key_bits` as in the Key Length attribute, `None` where the size is fixed.
    #[must_use]
    pub fn aead(&self, id: EncrId, key_bits: Option<u16>) -> Option<&'static dyn Aead> {
        self.aeads.iter().copied().find(|a| a.id() == id && size_fits(id, a.key_len(), key_bits))
    }

    /// The plain cipher with this id; `key_bits` as for [`Provider::aead`].
    #[must_use]
    pub fn cipher(&self, id: EncrId, key_bits: Option<u16>) -> Option<&'static dyn Cipher> {
        self.ciphers.iter().copied().find(|c| c.id() == id && size_fits(id, c.key_len(), key_bits))
    }

    /// The integrity algorithm with this id.
    #[must_use]
    pub fn integ(&self, id: IntegId) -> Option<&'static dyn Integ> {
        self.integs.iter().copied().find(|i| i.id() == id)
    }

    /// The PRF with this id.
    #[must_use]
    pub fn prf(&self, id: PrfId) -> Option<&'static dyn Prf> {
        self.prfs.iter().copied().find(|p| p.id() == id)
    }

    /// The key exchange method with this id.
    #[must_use]
    pub fn ke(&self, id: KeId) -> Option<&'static dyn KeyExchange> {
        self.kes.iter().copied().find(|k| k.id() == id)
    }

    /// The hash with this id.
    #[must_use]
    pub fn hash(&self, id: AuthHashId) -> Option<&'static dyn Hash> {
        self.hashes.iter().copied().find(|h| h.id() == id)
    }

    /// True when [`Provider::verify`] knows the scheme.
    #[must_use]
    pub fn verifies(&self, scheme: SignatureScheme) -> bool {
        self.signatures.iter().any(|f| f.schemes().contains(&scheme))
    }

    /// Checks a signature over the concatenation of `message` with the public key in `spki` (DER).
    ///
    /// # Errors
    /// As [`SignatureFamily::verify`]; [`CryptoError::Unsupported`] when no family has the scheme.
    pub fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let family = self.signatures.iter().find(|f| f.schemes().contains(&scheme));
        family.ok_or(CryptoError::Unsupported)?.verify(scheme, spki, message, signature)
    }

    /// A signing key from a PKCS#8 PrivateKeyInfo (DER, not encrypted).
    ///
    /// # Errors
    /// [`CryptoError::Key`] when the key is refused, [`CryptoError::Unsupported`] when no family signs with its type.
    pub fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let mut keys = self.signatures.iter().map(|f| f.signing_key(pkcs8));
        keys.find(|k| !matches!(k, Err(CryptoError::Unsupported))).unwrap_or(Err(CryptoError::Unsupported))
    }

    /// This provider first, `fallback` for every algorithm that it lacks.
    #[must_use]
    pub fn or(mut self, name: &'static str, fallback: &Provider) -> Provider {
        self.name = name;
        self.aeads.extend(&fallback.aeads);
        self.ciphers.extend(&fallback.ciphers);
        self.integs.extend(&fallback.integs);
        self.prfs.extend(&fallback.prfs);
        self.kes.extend(&fallback.kes);
        self.hashes.extend(&fallback.hashes);
        self.signatures.extend(&fallback.signatures);
        self
    }
}

fn size_fits(id: EncrId, key_len: usize, key_bits: Option<u16>) -> bool {
    match key_bits {
        Some(bits) => id.needs_key_length() && key_len * 8 == usize::from(bits),
        None => !id.needs_key_length(),
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.name)
    }
}
