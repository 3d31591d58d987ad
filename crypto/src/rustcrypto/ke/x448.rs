//! Curve448 (RFC 8031, RFC 7748 §6.2): 56 octets each way; a shared secret of all zeros is refused. Feature
//! `extra-curves`: the crate is a pre-release.

use crate::ke::{KeSecret, KeyExchange};
use crate::{CryptoError, CryptoRng, KeId, Secret};
use alloc::boxed::Box;
use alloc::vec::Vec;
use p256::elliptic_curve::Generate;
use subtle::ConstantTimeEq;
use x448::{EphemeralSecret, PublicKey};

/// RFC 8031.
pub(crate) struct X448;

pub(crate) static CURVE448: X448 = X448;

const LEN: usize = 56;

impl KeyExchange for X448 {
    fn id(&self) -> KeId {
        KeId::CURVE448
    }
    fn initiator_len(&self) -> usize {
        LEN
    }
    fn responder_len(&self) -> usize {
        LEN
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let secret = EphemeralSecret::generate_from_rng(rng);
        let public = PublicKey::from(&secret).as_bytes().to_vec();
        Ok((Box::new(Private(secret)), public))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let secret = EphemeralSecret::generate_from_rng(rng);
        let public = PublicKey::from(&secret).as_bytes().to_vec();
        Ok((public, agree(&secret, peer)?))
    }
}

struct Private(EphemeralSecret);

impl KeSecret for Private {
    fn id(&self) -> KeId {
        KeId::CURVE448
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        agree(&self.0, peer)
    }
}

fn agree(secret: &EphemeralSecret, peer: &[u8]) -> Result<Secret, CryptoError> {
    if peer.len() != LEN {
        return Err(CryptoError::Length);
    }
    let peer = PublicKey::from_bytes(peer).ok_or(CryptoError::PublicValue)?;
    let shared = secret.diffie_hellman(&peer);
    if bool::from(shared.as_bytes().ct_eq(&[0; LEN])) {
        return Err(CryptoError::PublicValue);
    }
    Ok(Secret::from(shared.as_bytes().as_slice()))
}
