//! The algorithms of one IKE SA, resolved against the provider.

use crate::keys::SkKeyLengths;
use crate::negotiate::Chosen;
use crate::seal::SealAlg;
use alloc::vec::Vec;
use core::fmt;
use ravelin_crypto::prf::Prf;
use ravelin_crypto::{IntegId, KeId, PrfId, Provider};
use ravelin_sa_db::proposal::EncrAlg;

/// What an IKE SA runs on.
#[derive(Clone)]
pub struct IkeSuite {
    /// Encryption transform.
    pub encr: EncrAlg,
    /// Integrity transform; NONE with an AEAD.
    pub integ: IntegId,
    /// The PRF.
    pub prf: &'static dyn Prf,
    /// First key exchange method.
    pub ke: KeId,
    /// Additional ones (RFC 9370), in order of transform type.
    pub addke: Vec<KeId>,
    /// How SK payloads are sealed.
    pub seal: SealAlg,
}

impl IkeSuite {
    /// Looks a negotiated proposal up; `None` when the provider lacks something.
    #[must_use]
    pub fn resolve(provider: &Provider, chosen: &Chosen) -> Option<Self> {
        let encr = chosen.encr?;
        Some(Self {
            encr,
            integ: chosen.integ,
            prf: provider.prf(chosen.prf?)?,
            ke: chosen.ke?,
            addke: chosen.addke.iter().map(|(_, ke)| *ke).collect(),
            seal: SealAlg::resolve(provider, encr, chosen.integ)?,
        })
    }

    /// Everything that tells one suite of a provider from another.
    pub(super) fn name(&self) -> (EncrAlg, IntegId, PrfId, KeId, &[KeId]) {
        (self.encr, self.integ, self.prf.id(), self.ke, &self.addke)
    }

    /// Lengths for the key schedule.
    #[must_use]
    pub fn key_lengths(&self) -> SkKeyLengths {
        SkKeyLengths { encr: self.seal.encr_len(), integ: self.seal.integ_len() }
    }
}

impl fmt::Debug for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.encr.id)?;
        if let Some(bits) = self.encr.key_bits {
            write!(f, "_{bits}")?;
        }
        if self.integ != IntegId::NONE {
            write!(f, "/{}", self.integ)?;
        }
        write!(f, "/PRF_{}/{}", self.prf.id(), self.ke)?;
        for ke in &self.addke {
            write!(f, "/{ke}")?;
        }
        Ok(())
    }
}
