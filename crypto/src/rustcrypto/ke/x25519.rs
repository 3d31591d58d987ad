//! Curve25519 (RFC 8031, RFC 7748 §6.1): 32 octets each way; a shared secret of all zeros is refused.

use crate::ke::{KeSecret, KeyExchange};
use crate::{CryptoError, CryptoRng, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use x25519_dalek::{EphemeralSecret, PublicKey};

/// RFC 8031.
pub(crate) struct X25519;

pub(crate) static CURVE25519: X25519 = X25519;

impl KeyExchange for X25519 {
    fn id(&self) -> KeId {
        KeId::CURVE25519
    }
    fn initiator_len(&self) -> usize {
        32
    }
    fn responder_len(&self) -> usize {
        32
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let secret = EphemeralSecret::random_from_rng(rng);
        let public = PublicKey::from(&secret).as_bytes().to_vec();
        Ok((Box::new(Private(secret)), public))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let secret = EphemeralSecret::random_from_rng(rng);
        let public = PublicKey::from(&secret).as_bytes().to_vec();
        Ok((public, agree(secret, peer)?))
    }
}

struct Private(EphemeralSecret);

impl KeSecret for Private {
    fn id(&self) -> KeId {
        KeId::CURVE25519
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        agree(self.0, peer)
    }
}

fn agree(secret: EphemeralSecret, peer: &[u8]) -> Result<Secret, CryptoError> {
    let peer: [u8; 32] = peer.try_into().map_err(|_| CryptoError::Length)?;
    let shared = secret.diffie_hellman(&PublicKey::from(peer));
    if shared.was_contributory() {
        Ok(Secret::from(shared.as_bytes().as_slice()))
    } else {
        Err(CryptoError::PublicValue)
    }
}
