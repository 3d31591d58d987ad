//! Combined-mode ciphers (RFC 5282 for IKE, RFC 4106/4309/7634/8750 for ESP): algorithm and keyed object.
//! To add one: a file in `rustcrypto/aead/`, an [`Aead`] static, one line in the provider's list.

use crate::{CryptoError, EncrId};
use alloc::boxed::Box;

/// An AEAD transform at one key size. Lengths are in octets.
pub trait Aead: Send + Sync {
    /// IANA transform id.
    fn id(&self) -> EncrId;
    /// Key length without salt.
    fn key_len(&self) -> usize;
    /// Salt that follows the key in KEYMAT (4 for GCM and ChaCha20-Poly1305, 3 for CCM).
    fn salt_len(&self) -> usize;
    /// Nonce length: salt and 8 octets of IV.
    fn nonce_len(&self) -> usize {
        self.salt_len() + 8
    }
    /// Length of the integrity check value on the wire.
    fn tag_len(&self) -> usize;
    /// True when [`AeadKey::seal_many`] and [`AeadKey::open_many`] do better than one call after the other, so that it
    /// pays to bring the packets of one key together.
    fn gains_from_many(&self) -> bool {
        false
    }
    /// Builds the key schedule, once per SA. `key` is `key_len` octets, without the salt.
    ///
    /// # Errors
    /// [`CryptoError::Length`] for any other length.
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError>;
}

/// One packet for [`AeadKey::seal_many`] and [`AeadKey::open_many`].
pub struct AeadJob<'a> {
    /// Nonce (salt and IV), made by the caller; never twice for one key when sealing.
    pub nonce: [u8; 12],
    /// Additional authenticated data.
    pub aad: &'a [u8],
    /// Sealed or opened in place.
    pub data: &'a mut [u8],
    /// Written when sealing, read when opening; `tag_len` octets.
    pub tag: &'a mut [u8],
    /// What came of it.
    pub result: Result<(), CryptoError>,
}

/// What a cipher is told of a usual ESP packet besides its octets: as the wire has it, in the pieces that it is made of, so
/// that a provider puts them together as its library reads them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Told {
    /// Of the nonce, behind the salt (RFC 4106 §4, RFC 7634 §2).
    pub iv: [u8; 8],
    /// Sequence number, all of it: in the AAD behind the SPI (RFC 4106 §5).
    pub number: [u8; 8],
    /// See `iv`.
    pub salt: [u8; 4],
    /// See `number`.
    pub spi: [u8; 4],
    /// Extended sequence numbers: with them the AAD has all of the number, else its lower half.
    pub esn: bool,
}

impl Told {
    /// The nonce, in the first twelve octets.
    #[inline(always)]
    #[must_use]
    pub fn nonce(&self) -> [u8; 16] {
        join(self.salt, u64::from_le_bytes(self.iv))
    }

    /// The AAD, in the first octets, and how many that are.
    #[inline(always)]
    #[must_use]
    pub fn aad(&self) -> ([u8; 16], usize) {
        let number = u64::from_le_bytes(self.number);
        if self.esn { (join(self.spi, number), 12) } else { (join(self.spi, number >> 32), 8) }
    }
}

/// Put together in registers: what is stored in small pieces makes its reader wait.
#[inline(always)]
fn join(first: [u8; 4], last: u64) -> [u8; 16] {
    (u128::from(last) << 32 | u128::from(u32::from_le_bytes(first))).to_le_bytes()
}

/// A keyed AEAD. Safe to use from many threads at once.
pub trait AeadKey: Send + Sync {
    /// Encrypts `data` in place and writes the tag. The caller never repeats a nonce for a key.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when nonce or tag have the wrong length.
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError>;

    /// Checks the tag in constant time and decrypts `data` in place.
    ///
    /// # Errors
    /// [`CryptoError::Integrity`] when the tag is wrong; `data` is then unspecified and must be thrown away.
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError>;

    /// [`AeadKey::seal`] of a usual ESP packet.
    ///
    /// # Errors
    /// As there.
    fn seal_told(&self, told: &Told, data: &mut [u8], tag: &mut [u8; 16]) -> Result<(), CryptoError> {
        let (nonce, (aad, len)) = (told.nonce(), told.aad());
        self.seal(nonce.get(..12).unwrap_or(&[]), aad.get(..len).unwrap_or(&[]), data, tag)
    }

    /// [`AeadKey::open`] of a usual ESP packet.
    ///
    /// # Errors
    /// As there.
    fn open_told(&self, told: &Told, data: &mut [u8], tag: &[u8; 16]) -> Result<(), CryptoError> {
        let (nonce, (aad, len)) = (told.nonce(), told.aad());
        self.open(nonce.get(..12).unwrap_or(&[]), aad.get(..len).unwrap_or(&[]), data, tag)
    }

    /// Asks the memory for the key schedule, without waiting: a packet of about so many octets is about to be sealed or
    /// opened. Does nothing where the provider cannot tell where it lies.
    fn warm(&self, _octets: usize) {}

    /// Seals many packets; a multi-buffer library overrides this. Nonces of 12 octets only.
    fn seal_many(&self, jobs: &mut [AeadJob<'_>]) {
        for j in jobs {
            j.result = self.seal(&j.nonce, j.aad, j.data, j.tag);
        }
    }

    /// Opens many packets; a multi-buffer library overrides this. Nonces of 12 octets only.
    fn open_many(&self, jobs: &mut [AeadJob<'_>]) {
        for j in jobs {
            j.result = self.open(&j.nonce, j.aad, j.data, j.tag);
        }
    }
}
