//! AES-GCM with ICVs of 16, 12 and 8 octets (RFC 4106, RFC 5282) and with implicit IV (RFC 8750), salt of 4 octets.
//!
//! The many-packets form calls the library once per packet: its GCM works on one packet at a time, with many blocks of
//! it in flight, in the job manager too. So nothing is gained by sorting a burst by key, and
//! [`Aead::gains_from_many`] stays false: measured with bursts of 32 packets of 64 octets, sorting made a packet cost
//! 209 ns instead of 142.
//! To add a tag length: three lines in [`all`].

use crate::ffi::Key;
use crate::tag::same;
use ravelin_crypto::aead::{Aead, AeadJob, AeadKey, Told};
use ravelin_crypto::{CryptoError, EncrId};

/// One algorithm at one key size; lengths in octets.
struct Gcm {
    id: EncrId,
    key_len: usize,
    tag_len: usize,
}

/// Every algorithm of this file.
pub(crate) fn all() -> Vec<&'static dyn Aead> {
    const fn gcm(id: EncrId, key_len: usize, tag_len: usize) -> Gcm {
        Gcm { id, key_len, tag_len }
    }
    use EncrId as E;
    static ALL: [Gcm; 12] = [
        gcm(E::AES_GCM_16, 16, 16),
        gcm(E::AES_GCM_16, 24, 16),
        gcm(E::AES_GCM_16, 32, 16),
        gcm(E::AES_GCM_12, 16, 12),
        gcm(E::AES_GCM_12, 24, 12),
        gcm(E::AES_GCM_12, 32, 12),
        gcm(E::AES_GCM_8, 16, 8),
        gcm(E::AES_GCM_8, 24, 8),
        gcm(E::AES_GCM_8, 32, 8),
        gcm(E::AES_GCM_16_IIV, 16, 16),
        gcm(E::AES_GCM_16_IIV, 24, 16),
        gcm(E::AES_GCM_16_IIV, 32, 16),
    ];
    ALL.iter().map(|a| a as &'static dyn Aead).collect()
}

impl Aead for Gcm {
    fn id(&self) -> EncrId {
        self.id
    }
    fn key_len(&self) -> usize {
        self.key_len
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn tag_len(&self) -> usize {
        self.tag_len
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        if key.len() != self.key_len {
            return Err(CryptoError::Length);
        }
        match self.key_len {
            16 => self.make::<16>(key),
            24 => self.make::<24>(key),
            _ => self.make::<32>(key),
        }
    }
}

impl Gcm {
    fn make<const LEN: usize>(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Key::<LEN>::new(key, self.tag_len).ok_or(CryptoError::Internal)?)
    }
}

impl<const LEN: usize> Key<LEN> {
    #[inline(always)]
    fn seal_one(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let fits = Key::seal(self, nonce, aad, data, tag);
        if fits { Ok(()) } else { Err(CryptoError::Length) }
    }

    #[inline(always)]
    fn open_one(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let mut room = [0; 16];
        let computed = room.get_mut(..self.tag_len()).ok_or(CryptoError::Length)?;
        if tag.len() != computed.len() || !Key::open(self, nonce, aad, data, computed) {
            return Err(CryptoError::Length);
        }
        if same(&room, tag) { Ok(()) } else { Err(CryptoError::Integrity) }
    }
}

impl<const LEN: usize> AeadKey for Key<LEN> {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        self.seal_one(nonce.try_into().map_err(|_| CryptoError::Length)?, aad, data, tag)
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        self.open_one(nonce.try_into().map_err(|_| CryptoError::Length)?, aad, data, tag)
    }

    fn seal_told(&self, told: &Told, data: &mut [u8], tag: &mut [u8; 16]) -> Result<(), CryptoError> {
        let fits = Key::seal_told(self, told, data, tag);
        if fits { Ok(()) } else { Err(CryptoError::Length) }
    }

    fn open_told(&self, told: &Told, data: &mut [u8], tag: &[u8; 16]) -> Result<(), CryptoError> {
        let mut computed = [0; 16];
        if !Key::open_told(self, told, data, &mut computed) {
            return Err(CryptoError::Length);
        }
        if same(&computed, tag) { Ok(()) } else { Err(CryptoError::Integrity) }
    }

    fn warm(&self, octets: usize) {
        Key::warm(self, octets);
    }

    fn seal_many(&self, jobs: &mut [AeadJob<'_>]) {
        for j in jobs {
            j.result = self.seal_one(&j.nonce, j.aad, j.data, j.tag);
        }
    }

    fn open_many(&self, jobs: &mut [AeadJob<'_>]) {
        for j in jobs {
            j.result = self.open_one(&j.nonce, j.aad, j.data, j.tag);
        }
    }
}
