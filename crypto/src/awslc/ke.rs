//! Curve25519 (RFC 8031) and ECP groups 19 to 21 (RFC 5903) by aws-lc-rs. Private keys are drawn from the caller's
//! generator and imported; aws-lc checks peer points (RFC 6989 §2.3) and refuses an all-zero X25519 result.
//! To add one: a static here, a line in the provider's list.

use crate::ke::{KeSecret, KeyExchange};
use crate::{CryptoError, CryptoRng, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use aws_lc_rs::agreement::{Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

/// One group.
#[derive(Clone, Copy)]
pub(super) struct LcGroup {
    id: KeId,
    alg: &'static Algorithm,
    /// Octets of a private key and of one coordinate.
    len: usize,
    /// Mask for the first octet of a private key, so that few draws are out of range.
    mask: u8,
    /// x and y on the wire, SEC 1's format octet before them inside; else one coordinate as it is.
    xy: bool,
}

pub(super) static CURVE25519: LcGroup = LcGroup { id: KeId::CURVE25519, alg: &X25519, len: 32, mask: 0xFF, xy: false };
pub(super) static ECP_256: LcGroup = LcGroup { id: KeId::ECP_256, alg: &ECDH_P256, len: 32, mask: 0xFF, xy: true };
pub(super) static ECP_384: LcGroup = LcGroup { id: KeId::ECP_384, alg: &ECDH_P384, len: 48, mask: 0xFF, xy: true };
pub(super) static ECP_521: LcGroup = LcGroup { id: KeId::ECP_521, alg: &ECDH_P521, len: 66, mask: 0x01, xy: true };

/// Octets of the longest private key (P-521).
const LONGEST: usize = 66;

/// Draws before a generator is called broken; a sound one needs a second draw once in 2^32 for P-256, less for others.
const DRAWS: usize = 64;

impl LcGroup {
    fn public_len(&self) -> usize {
        if self.xy { 2 * self.len } else { self.len }
    }

    fn private(&self, rng: &mut dyn CryptoRng) -> Result<PrivateKey, CryptoError> {
        let mut room = Zeroizing::new([0; LONGEST]);
        let bytes = room.get_mut(..self.len).ok_or(CryptoError::Length)?;
        for _ in 0..DRAWS {
            rng.fill_bytes(bytes);
            if let Some(first) = bytes.first_mut() {
                *first &= self.mask;
            }
            if let Ok(key) = PrivateKey::from_private_key(self.alg, bytes) {
                return Ok(key);
            }
        }
        Err(CryptoError::Internal)
    }

    fn public(&self, private: &PrivateKey) -> Result<Vec<u8>, CryptoError> {
        let public = private.compute_public_key().map_err(|_| CryptoError::Internal)?;
        Ok(public.as_ref().iter().skip(usize::from(self.xy)).copied().collect())
    }

    fn agree(&self, private: &PrivateKey, peer: &[u8]) -> Result<Secret, CryptoError> {
        if peer.len() != self.public_len() {
            return Err(CryptoError::Length);
        }
        let mut room = [4; 1 + 2 * LONGEST]; // SEC 1's format octet: uncompressed
        let skip = usize::from(self.xy);
        let bytes = room.get_mut(..skip + peer.len()).ok_or(CryptoError::Length)?;
        bytes.get_mut(skip..).ok_or(CryptoError::Length)?.copy_from_slice(peer);
        let peer = UnparsedPublicKey::new(self.alg, &*bytes);
        agree(private, peer, CryptoError::PublicValue, |shared| Ok(Secret::from(shared)))
    }
}

impl KeyExchange for LcGroup {
    fn id(&self) -> KeId {
        self.id
    }
    fn initiator_len(&self) -> usize {
        self.public_len()
    }
    fn responder_len(&self) -> usize {
        self.public_len()
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let key = self.private(rng)?;
        let public = self.public(&key)?;
        Ok((Box::new(Private { group: *self, key }), public))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let key = self.private(rng)?;
        let shared = self.agree(&key, peer)?;
        Ok((self.public(&key)?, shared))
    }
}

struct Private {
    group: LcGroup,
    key: PrivateKey,
}

impl KeSecret for Private {
    fn id(&self) -> KeId {
        self.group.id
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        self.group.agree(&self.key, peer)
    }
}
