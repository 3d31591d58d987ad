//! From a cipher suite to keyed objects, and the cryptographic part of one ESP packet (RFC 4303 §3.3.2, §3.4.4):
//! combined modes (RFC 4106, 4309, 7634, 8750), GMAC (RFC 4543), and cipher-then-MAC, each with and without ESN.
//! Everything works in place on the ESP packet: SPI, number, IV, payload and trailer, ICV.
//! To add a transform: nothing here if it is an AEAD or a cipher of `ravelin-crypto`; a new shape is a variant of `Kind`.

use crate::nonce::{CbcIv, nonce};
use crate::{DropReason, PlaneError};
use alloc::boxed::Box;
use core::ops::Range;
use ravelin_crypto::aead::{Aead, AeadJob, AeadKey};
use ravelin_crypto::cipher::CipherKey;
use ravelin_crypto::integ::IntegKey;
use ravelin_crypto::{CryptoError, EncrId, IntegId, Provider, Secret};
use ravelin_sa_db::CipherSuite;

/// SPI and sequence number.
pub(crate) const HEADER: usize = 8;
/// Pad Length and Next Header.
pub(crate) const TRAILER: usize = 2;

/// The keyed algorithms of one direction of one SA.
pub(crate) struct Transform {
    kind: Kind,
    iv_len: u8,
    icv_len: u8,
    align: u8,
    esn: bool,
    /// See [`Transform::usual`].
    usual: bool,
}

/// Lengths of IVs, ICVs and blocks, which are small.
fn small(len: usize) -> Result<u8, PlaneError> {
    u8::try_from(len).map_err(|_| PlaneError::UnsupportedTransform)
}

enum Kind {
    Aead { key: Box<dyn AeadKey>, salt: [u8; 4], salt_len: u8 },
    Gmac { key: Box<dyn AeadKey>, salt: [u8; 4] },
    Split(Box<Split>),
}

/// Cipher, then MAC.
struct Split {
    cipher: Option<Box<dyn CipherKey>>,
    cbc_iv: Option<CbcIv>,
    integ: Option<Box<dyn IntegKey>>,
}

/// The transform an implicit-IV or GMAC transform is made of.
fn base(id: EncrId) -> Option<EncrId> {
    match id {
        EncrId::AES_CCM_8_IIV => Some(EncrId::AES_CCM_8),
        EncrId::AES_GCM_16_IIV | EncrId::NULL_AUTH_AES_GMAC => Some(EncrId::AES_GCM_16),
        EncrId::CHACHA20_POLY1305_IIV => Some(EncrId::CHACHA20_POLY1305),
        _ => None,
    }
}

/// To multiples of what.
#[derive(Clone, Copy)]
pub(crate) struct Padding {
    mask: usize,
}

impl Padding {
    /// Payload, padding and trailer together.
    #[inline(always)]
    pub(crate) fn of(self, payload: usize) -> usize {
        payload.saturating_add(TRAILER).saturating_add(self.mask) & !self.mask
    }
}

impl Transform {
    /// Builds the key schedules, once per SA. `seed` makes unpredictable IVs, for outbound SAs.
    pub(crate) fn new(
        provider: &Provider,
        suite: &CipherSuite,
        esn: bool,
        spi: u32,
        seed: Option<&Secret>,
    ) -> Result<Self, PlaneError> {
        if suite.encr.is_aead() {
            return Self::combined(provider, suite, esn);
        }
        let integ = Self::integ(provider, suite)?;
        let icv_len = integ.as_ref().map_or(0, |(len, _)| *len);
        let integ = integ.map(|(_, key)| key);
        if suite.encr == EncrId::NULL {
            if integ.is_none() {
                return Err(PlaneError::NoProtection);
            }
            let kind = Kind::Split(Box::new(Split { cipher: None, cbc_iv: None, integ }));
            return Ok(Self { kind, iv_len: 0, icv_len: small(icv_len)?, align: 4, esn, usual: false });
        }
        let cipher = provider.cipher(suite.encr, suite.key_bits).ok_or(PlaneError::UnsupportedTransform)?;
        let key = cipher.key(suite.encr_key.expose()).map_err(|_| PlaneError::KeyLength)?;
        let keys = [suite.encr_key.expose(), suite.integ_key.expose()];
        let cbc_iv = match seed {
            Some(seed) if cipher.random_iv() => Some(CbcIv::new(provider, cipher, seed, &keys, spi)?),
            _ => None,
        };
        let kind = Kind::Split(Box::new(Split { cipher: Some(key), cbc_iv, integ }));
        let (iv_len, align) = (small(cipher.iv_len())?, small(cipher.block_len().max(4))?);
        Ok(Self { kind, iv_len, icv_len: small(icv_len)?, align, esn, usual: false })
    }

    fn combined(provider: &Provider, suite: &CipherSuite, esn: bool) -> Result<Self, PlaneError> {
        if suite.integ != IntegId::NONE {
            return Err(PlaneError::UnsupportedTransform);
        }
        let own = provider.aead(suite.encr, suite.key_bits);
        let based = || provider.aead(base(suite.encr)?, suite.key_bits);
        let aead: &'static dyn Aead = own.or_else(based).ok_or(PlaneError::UnsupportedTransform)?;
        let material = suite.encr_key.expose();
        let (key, given) = material.split_at_checked(aead.key_len()).ok_or(PlaneError::KeyLength)?;
        let salt_len = aead.salt_len();
        let mut salt = [0u8; 4];
        match salt.get_mut(..salt_len) {
            Some(s) if given.len() == salt_len && salt_len >= 3 => s.copy_from_slice(given),
            _ => return Err(PlaneError::KeyLength),
        }
        let key = aead.key(key).map_err(|_| PlaneError::KeyLength)?;
        let iv_len = if suite.encr.is_implicit_iv() { 0 } else { 8 };
        let kind = if suite.encr == EncrId::NULL_AUTH_AES_GMAC {
            Kind::Gmac { key, salt }
        } else {
            Kind::Aead { key, salt, salt_len: small(salt_len)? }
        };
        let icv_len = small(aead.tag_len())?;
        let usual = matches!(kind, Kind::Aead { salt_len: 4, .. }) && (iv_len, icv_len) == (8, 16);
        Ok(Self { kind, iv_len, icv_len, align: 4, esn, usual })
    }

    #[allow(clippy::type_complexity, reason = "used once")]
    fn integ(provider: &Provider, suite: &CipherSuite) -> Result<Option<(usize, Box<dyn IntegKey>)>, PlaneError> {
        if suite.integ == IntegId::NONE {
            return Ok(None);
        }
        let integ = provider.integ(suite.integ).ok_or(PlaneError::UnsupportedTransform)?;
        let key = integ.key(suite.integ_key.expose()).map_err(|_| PlaneError::KeyLength)?;
        Ok(Some((integ.icv_len(), key)))
    }

    /// True when packets carry an ICV. Confidentiality alone is not installed by the plane (RFC 8221 §4).
    pub(crate) fn has_integrity(&self) -> bool {
        self.icv_len != 0
    }

    /// The MAC of a transform without encryption, for AH.
    pub(crate) fn integ_key(&self) -> Option<&dyn IntegKey> {
        match &self.kind {
            Kind::Split(split) if split.cipher.is_none() => split.integ.as_deref(),
            _ => None,
        }
    }

    /// Where the payload starts in the ESP packet.
    #[inline]
    pub(crate) fn payload_at(&self) -> usize {
        HEADER.wrapping_add(usize::from(self.iv_len))
    }

    /// Octets of ICV.
    #[inline]
    pub(crate) fn icv_len(&self) -> usize {
        usize::from(self.icv_len)
    }

    /// Sequence numbers of 64 bits.
    pub(crate) fn esn(&self) -> bool {
        self.esn
    }

    /// Pads to a multiple of `octets` if that is a power of two and more than the cipher needs.
    pub(crate) fn pad_to(&mut self, octets: u8) {
        if octets.is_power_of_two() {
            self.align = self.align.max(octets);
        }
    }

    /// Payload, padding and trailer together (RFC 4303 §2.4), for `payload` octets.
    #[inline]
    pub(crate) fn padded(&self, payload: usize) -> usize {
        self.padding().of(payload)
    }

    /// How it pads.
    #[inline(always)]
    pub(crate) fn padding(&self) -> Padding {
        Padding { mask: usize::from(self.align).wrapping_sub(1) }
    }

    /// Key and salt of a combined mode of the usual shape: IV of 8 octets, ICV of 16, nonce of 12 (see `plane/lane.rs`).
    #[inline(always)]
    pub(crate) fn usual(&self) -> Option<(&dyn AeadKey, [u8; 4])> {
        match &self.kind {
            Kind::Aead { key, salt, .. } if self.usual => Some((key.as_ref(), *salt)),
            _ => None,
        }
    }

    /// Asks the memory for what a packet of so many octets will need of the key.
    #[inline]
    pub(crate) fn warm(&self, octets: usize) {
        if let Kind::Aead { key, .. } = &self.kind {
            ravelin_prefetch::read(&**key);
            key.warm(octets);
        }
    }

    /// The key, when many packets can go to it at once.
    #[inline]
    pub(crate) fn batch(&self) -> Option<&dyn AeadKey> {
        match &self.kind {
            Kind::Aead { key, salt_len: 4, .. } => Some(key.as_ref()),
            _ => None,
        }
    }

    /// One packet of a batch: what [`Transform::seal`] or [`Transform::open`] would hand to the key. `room` holds the AAD.
    #[inline]
    pub(crate) fn job<'a>(
        &self,
        number: u64,
        esp: &'a mut [u8],
        room: &'a mut [u8; 12],
        sealing: bool,
    ) -> Result<AeadJob<'a>, CryptoError> {
        let Kind::Aead { salt, .. } = &self.kind else { return Err(CryptoError::Unsupported) };
        let (head, iv, data, tag) = self.parts(esp)?;
        let counter = number.to_be_bytes();
        let iv = match iv.first_chunk_mut::<8>() {
            Some(iv) if sealing => {
                *iv = counter;
                counter
            }
            Some(iv) => *iv,
            None => counter,
        };
        let len;
        (*room, len) = aad(head, number, self.esn);
        let aad = room.get(..len).ok_or(CryptoError::Length)?;
        Ok(AeadJob { nonce: nonce(*salt, 4, iv), aad, data, tag, result: Ok(()) })
    }

    /// Where payload and trailer are in a packet of this length.
    #[inline]
    pub(crate) fn inside(&self, len: usize) -> Result<Range<usize>, DropReason> {
        let end = len.checked_sub(self.icv_len()).ok_or(DropReason::Runt)?;
        let start = self.payload_at();
        if end < start.saturating_add(TRAILER) { Err(DropReason::Runt) } else { Ok(start..end) }
    }

    /// Seals `esp` in place: header, payload and trailer are there, IV and ICV are written. `number` is the full
    /// sequence number, never used before with this key.
    #[inline(always)]
    pub(crate) fn seal(&self, number: u64, esp: &mut [u8]) -> Result<(), CryptoError> {
        match &self.kind {
            Kind::Aead { key, salt, salt_len } => {
                let (head, iv, data, tag) = self.parts(esp)?;
                let counter = number.to_be_bytes();
                if let Some(iv) = iv.first_chunk_mut::<8>() {
                    *iv = counter;
                }
                let n = nonce(*salt, usize::from(*salt_len), counter);
                let (aad, aad_len) = aad(head, number, self.esn);
                let n = n.get(..usize::from(*salt_len).wrapping_add(8)).ok_or(CryptoError::Length)?;
                key.seal(n, aad.get(..aad_len).ok_or(CryptoError::Length)?, data, tag)
            }
            Kind::Gmac { key, salt } => {
                let counter = number.to_be_bytes();
                *self.parts(esp)?.1.first_chunk_mut::<8>().ok_or(CryptoError::Length)? = counter;
                let n = nonce(*salt, 4, counter);
                let mut tag = [0u8; 16];
                self.with_high_half(number, esp, |aad| key.seal(&n, aad, &mut [], &mut tag))?;
                self.parts(esp)?.3.copy_from_slice(&tag);
                Ok(())
            }
            Kind::Split(split) => {
                let Split { cipher, cbc_iv, integ } = &**split;
                let (_, iv, data, _) = self.parts(esp)?;
                if let Some(cipher) = cipher {
                    match (cbc_iv, iv.first_chunk_mut::<8>()) {
                        (Some(maker), _) => maker.write(number, iv)?,
                        (None, Some(chunk)) => *chunk = number.to_be_bytes(),
                        (None, None) => return Err(CryptoError::Length),
                    }
                    cipher.encrypt(iv, data)?;
                }
                let Some(integ) = integ else { return Ok(()) };
                let at = esp.len().checked_sub(self.icv_len()).ok_or(CryptoError::Length)?;
                let (covered, icv) = esp.split_at_mut_checked(at).ok_or(CryptoError::Length)?;
                let high = high_half(number);
                if self.esn { integ.sign(&[covered, &high], icv) } else { integ.sign(&[covered], icv) }
            }
        }
    }

    /// Verifies and decrypts `esp` in place; returns where payload and trailer are.
    #[inline(always)]
    pub(crate) fn open(&self, number: u64, esp: &mut [u8]) -> Result<Range<usize>, DropReason> {
        let inside = self.inside(esp.len())?;
        self.open_parts(number, esp).map_err(reason)?;
        Ok(inside)
    }

    #[inline(always)]
    fn open_parts(&self, number: u64, esp: &mut [u8]) -> Result<(), CryptoError> {
        match &self.kind {
            Kind::Aead { key, salt, salt_len } => {
                let (head, iv, data, tag) = self.parts(esp)?;
                let iv = iv.first_chunk::<8>().copied().unwrap_or(number.to_be_bytes());
                let n = nonce(*salt, usize::from(*salt_len), iv);
                let (aad, aad_len) = aad(head, number, self.esn);
                let n = n.get(..usize::from(*salt_len).wrapping_add(8)).ok_or(CryptoError::Length)?;
                key.open(n, aad.get(..aad_len).ok_or(CryptoError::Length)?, data, tag)
            }
            Kind::Gmac { key, salt } => {
                let (_, iv, _, tag) = self.parts(esp)?;
                let tag: [u8; 16] = tag.as_ref().try_into().map_err(|_| CryptoError::Length)?;
                let n = nonce(*salt, 4, *iv.first_chunk::<8>().ok_or(CryptoError::Length)?);
                self.with_high_half(number, esp, |aad| key.open(&n, aad, &mut [], &tag))
            }
            Kind::Split(split) => {
                let Split { cipher, integ, .. } = &**split;
                if let Some(integ) = integ {
                    let at = esp.len().checked_sub(self.icv_len()).ok_or(CryptoError::Length)?;
                    let (covered, icv) = esp.split_at_checked(at).ok_or(CryptoError::Length)?;
                    let high = high_half(number);
                    if self.esn { integ.verify(&[covered, &high], icv) } else { integ.verify(&[covered], icv) }?;
                }
                let Some(cipher) = cipher else { return Ok(()) };
                let (_, iv, data, _) = self.parts(esp)?;
                cipher.decrypt(iv, data)
            }
        }
    }

    /// Header, IV, payload with trailer, ICV.
    #[inline(always)]
    #[allow(clippy::type_complexity, reason = "four slices of one packet")]
    fn parts<'a>(
        &self,
        esp: &'a mut [u8],
    ) -> Result<(&'a mut [u8; HEADER], &'a mut [u8], &'a mut [u8], &'a mut [u8]), CryptoError> {
        let (head, rest) = esp.split_first_chunk_mut::<HEADER>().ok_or(CryptoError::Length)?;
        let (iv, rest) = rest.split_at_mut_checked(usize::from(self.iv_len)).ok_or(CryptoError::Length)?;
        let at = rest.len().checked_sub(self.icv_len()).ok_or(CryptoError::Length)?;
        let (data, icv) = rest.split_at_mut_checked(at).ok_or(CryptoError::Length)?;
        Ok((head, iv, data, icv))
    }

    /// GMAC covers SPI, high half, low half, IV and payload in one piece (RFC 4543 §3.3). With ESN the packet is moved
    /// by four octets over its own ICV for that moment, and back.
    fn with_high_half(
        &self,
        number: u64,
        esp: &mut [u8],
        run: impl FnOnce(&[u8]) -> Result<(), CryptoError>,
    ) -> Result<(), CryptoError> {
        let end = esp.len().checked_sub(self.icv_len()).ok_or(CryptoError::Length)?;
        if !self.esn {
            return run(esp.get(..end).ok_or(CryptoError::Length)?);
        }
        if self.icv_len < 4 || end < HEADER {
            return Err(CryptoError::Length);
        }
        esp.copy_within(4..end, 8);
        esp.get_mut(4..8).ok_or(CryptoError::Length)?.copy_from_slice(&high_half(number));
        let result = esp.get(..end.wrapping_add(4)).ok_or(CryptoError::Length).and_then(run);
        esp.copy_within(8..end.wrapping_add(4), 4);
        result
    }
}

/// What a failed opening is called.
pub(crate) fn reason(e: CryptoError) -> DropReason {
    match e {
        CryptoError::Integrity => DropReason::Integrity,
        CryptoError::Length => DropReason::Decrypt,
        _ => DropReason::Provider,
    }
}

#[inline]
fn high_half(number: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_be_bytes();
    [a, b, c, d]
}

/// AAD of combined modes: SPI and number, 64 bits of it with ESN (RFC 4106 §5).
#[inline(always)]
fn aad(head: &[u8; HEADER], number: u64, esn: bool) -> ([u8; 12], usize) {
    let [s0, s1, s2, s3, l0, l1, l2, l3] = *head;
    let [h0, h1, h2, h3, ..] = number.to_be_bytes();
    if esn {
        ([s0, s1, s2, s3, h0, h1, h2, h3, l0, l1, l2, l3], 12)
    } else {
        ([s0, s1, s2, s3, l0, l1, l2, l3, 0, 0, 0, 0], 8)
    }
}

#[cfg(test)]
impl Transform {
    /// Seals with a foreign IV, without ESN: for vectors only.
    pub(crate) fn seal_with_iv(&self, esp: &mut [u8], iv: [u8; 8]) -> Result<(), CryptoError> {
        let Kind::Aead { key, salt, salt_len } = &self.kind else { return Err(CryptoError::Unsupported) };
        let (head, iv_field, data, tag) = self.parts(esp)?;
        iv_field.copy_from_slice(&iv);
        let n = nonce(*salt, usize::from(*salt_len), iv);
        key.seal(&n[..usize::from(*salt_len) + 8], &head[..], data, tag)
    }
}
