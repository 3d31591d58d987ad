//! The two ways to protect an SK payload: an AEAD (RFC 5282) or encrypt-then-MAC (RFC 7296 §3.14).

use core::fmt;
use ravelin_crypto::aead::Aead;
use ravelin_crypto::cipher::Cipher;
use ravelin_crypto::integ::Integ;
use ravelin_crypto::{IntegId, Provider};
use ravelin_sa_db::proposal::EncrAlg;

/// Resolved algorithms of one IKE SA.
#[derive(Clone, Copy)]
pub enum SealAlg {
    /// Combined mode.
    Aead(&'static dyn Aead),
    /// Cipher, then MAC over everything.
    Etm {
        /// The cipher.
        cipher: &'static dyn Cipher,
        /// The MAC.
        integ: &'static dyn Integ,
    },
}

impl SealAlg {
    /// Looks the negotiated ids up; `None` when the provider lacks one or they do not go together.
    #[must_use]
    pub fn resolve(provider: &Provider, encr: EncrAlg, integ: IntegId) -> Option<Self> {
        if encr.id.is_aead() {
            return (integ == IntegId::NONE).then(|| provider.aead(encr.id, encr.key_bits)).flatten().map(Self::Aead);
        }
        Some(Self::Etm { cipher: provider.cipher(encr.id, encr.key_bits)?, integ: provider.integ(integ)? })
    }

    /// Octets of cipher key and salt.
    #[must_use]
    pub fn encr_len(&self) -> usize {
        match self {
            Self::Aead(a) => a.key_len().saturating_add(a.salt_len()),
            Self::Etm { cipher, .. } => cipher.key_len().saturating_add(cipher.salt_len()),
        }
    }

    /// Octets of the integrity key.
    #[must_use]
    pub fn integ_len(&self) -> usize {
        match self {
            Self::Aead(_) => 0,
            Self::Etm { integ, .. } => integ.key_len(),
        }
    }

    /// Octets of IV on the wire.
    #[must_use]
    pub fn iv_len(&self) -> usize {
        match self {
            Self::Aead(_) => 8,
            Self::Etm { cipher, .. } => cipher.iv_len(),
        }
    }

    /// Octets of check value on the wire.
    #[must_use]
    pub fn icv_len(&self) -> usize {
        match self {
            Self::Aead(a) => a.tag_len(),
            Self::Etm { integ, .. } => integ.icv_len(),
        }
    }

    /// What the plaintext (payloads, padding, Pad Length) must be a multiple of.
    #[must_use]
    pub fn block_len(&self) -> usize {
        match self {
            Self::Aead(_) => 1,
            Self::Etm { cipher, .. } => cipher.block_len().max(1),
        }
    }

    /// True when the IV must be unpredictable (CBC) and not merely unique.
    #[must_use]
    pub fn random_iv(&self) -> bool {
        match self {
            Self::Aead(_) => false,
            Self::Etm { cipher, .. } => cipher.random_iv(),
        }
    }
}

impl fmt::Debug for SealAlg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aead(a) => write!(f, "{}-{}", a.id(), a.key_len().saturating_mul(8)),
            Self::Etm { cipher, integ } => {
                write!(f, "{}-{}/{}", cipher.id(), cipher.key_len().saturating_mul(8), integ.id())
            }
        }
    }
}
