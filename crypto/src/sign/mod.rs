//! Signatures (RFC 7427, RFC 8420, RFC 4754; draft-ietf-ipsecme-ikev2-pqc-auth): schemes, families of algorithms that
//! verify against a SubjectPublicKeyInfo, and signing keys from PKCS#8.
//!
//! RSA is verified everywhere but signed only by the fast provider: the portable `rsa` crate leaks timing when it
//! signs (RUSTSEC-2023-0071). The fast provider's RSA-PSS and ECDSA draw salts and nonces from aws-lc's own generator;
//! every other signature takes its randomness from the caller.
//! To add a family: a file in `rustcrypto/sign/`, a [`SignatureScheme`], its identifier, one line in the provider.

pub mod formats;
mod identifier;

use crate::{AuthHashId, CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// How AUTH data of a public key method is made. The key type and size come with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 with this hash (RFC 8017 §8.2), keys of 2048 to 4096 bits.
    RsaPkcs1(AuthHashId),
    /// RSASSA-PSS with this hash, MGF1 with the same, a salt as long as the hash (RFC 8017 §8.1), keys as above.
    RsaPss(AuthHashId),
    /// ECDSA on P-256, P-384 or P-521 with this hash; DER SEQUENCE { r, s } (RFC 7427 §3, RFC 5758).
    Ecdsa(AuthHashId),
    /// ECDSA as r | s of the curve's length (RFC 4754, methods 9, 10, 11): the hash says which curve.
    EcdsaRaw(AuthHashId),
    /// Ed25519 (RFC 8420); hash id Identity.
    Ed25519,
    /// ML-DSA-44, pure, empty context (FIPS 204); hash id Identity.
    MlDsa44,
    /// ML-DSA-65, likewise.
    MlDsa65,
    /// ML-DSA-87, likewise.
    MlDsa87,
}

impl SignatureScheme {
    /// The hash as announced in SIGNATURE_HASH_ALGORITHMS; Identity for schemes that hash by themselves.
    #[must_use]
    pub fn hash(self) -> AuthHashId {
        match self {
            Self::RsaPkcs1(h) | Self::RsaPss(h) | Self::Ecdsa(h) | Self::EcdsaRaw(h) => h,
            Self::Ed25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => AuthHashId::IDENTITY,
        }
    }

    /// True when the hash is SHA-1, which belongs behind the legacy choice.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        self.hash() == AuthHashId::SHA1
    }
}

/// A family of signature algorithms of one provider. Messages are given in parts and signed as their concatenation.
pub trait SignatureFamily: Send + Sync {
    /// What [`SignatureFamily::verify`] takes.
    fn schemes(&self) -> &'static [SignatureScheme];

    /// Checks `signature` with the public key in `spki` (DER SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] when the scheme is not of this family, [`CryptoError::Key`] when the key is of
    /// another type, of a refused size or badly encoded, [`CryptoError::Integrity`] when the signature is wrong.
    fn verify(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), CryptoError>;

    /// A signing key from a PKCS#8 PrivateKeyInfo (DER, not encrypted).
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] when the key is not of this family or the family cannot sign,
    /// [`CryptoError::Key`] when it is, but is refused.
    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError>;
}

/// A private key that signs. Never printed, wiped on drop.
pub trait SigningKey: Send + Sync {
    /// The public half, DER SubjectPublicKeyInfo.
    fn public_key(&self) -> &[u8];
    /// What the key can sign, best first.
    fn schemes(&self) -> &[SignatureScheme];
    /// Signs the concatenation of `message`.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for a scheme that is not among [`SigningKey::schemes`], else
    /// [`CryptoError::Internal`].
    fn sign(&self, scheme: SignatureScheme, rng: &mut dyn CryptoRng, message: &[&[u8]])
    -> Result<Vec<u8>, CryptoError>;
}
