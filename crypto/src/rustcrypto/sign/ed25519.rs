//! Ed25519 (RFC 8032, RFC 8410 for keys, RFC 8420 for IKE). Points of small order and non-canonical encodings are refused.

use crate::sign::{SignatureFamily, SignatureScheme, SigningKey};
use crate::{CryptoError, CryptoRng};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ed25519_dalek::{Signature, Signer, SigningKey as Private, VerifyingKey};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

/// RFC 8420.
pub(crate) struct Ed25519;

pub(crate) static ED25519: Ed25519 = Ed25519;

const SCHEMES: &[SignatureScheme] = &[SignatureScheme::Ed25519];
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// SubjectPublicKeyInfo before the 32 octets of the key (RFC 8410 §4): DER has no other form.
const SPKI: [u8; 12] = [0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0];

impl SignatureFamily for Ed25519 {
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
        if scheme != SignatureScheme::Ed25519 {
            return Err(CryptoError::Unsupported);
        }
        let key = spki.strip_prefix(&SPKI).and_then(|key| key.try_into().ok()).ok_or(CryptoError::Key)?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| CryptoError::Key)?;
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError::Integrity)?;
        key.verify_strict(&message.concat(), &signature).map_err(|_| CryptoError::Integrity)
    }

    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let info = PrivateKeyInfoRef::try_from(pkcs8).map_err(|_| CryptoError::Key)?;
        info.algorithm.assert_algorithm_oid(ID_ED25519).map_err(|_| CryptoError::Unsupported)?;
        // CurvePrivateKey is an OCTET STRING inside the OCTET STRING (RFC 8410 §7).
        let [4, 32, seed @ ..] = info.private_key.as_bytes() else { return Err(CryptoError::Key) };
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.try_into().map_err(|_| CryptoError::Key)?);
        let private = Private::from_bytes(&seed);
        let public = [&SPKI, private.verifying_key().as_bytes().as_slice()].concat();
        Ok(Box::new(Key { private, public }))
    }
}

struct Key {
    private: Private,
    public: Vec<u8>,
}

impl SigningKey for Key {
    fn public_key(&self) -> &[u8] {
        &self.public
    }
    fn schemes(&self) -> &[SignatureScheme] {
        SCHEMES
    }
    /// Deterministic by design (RFC 8032 §5.1.6): the generator is not used.
    fn sign(
        &self,
        scheme: SignatureScheme,
        _rng: &mut dyn CryptoRng,
        message: &[&[u8]],
    ) -> Result<Vec<u8>, CryptoError> {
        if scheme != SignatureScheme::Ed25519 {
            return Err(CryptoError::Unsupported);
        }
        Ok(self.private.sign(&message.concat()).to_bytes().to_vec())
    }
}
