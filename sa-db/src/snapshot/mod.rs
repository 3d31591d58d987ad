//! The databases as one value that can be written down and read again: PAD, SPD, address pools with their leases, and
//! what a data plane tells of its SAs (RFC 4301 §4.4). Any serde format will do; JSON and TOML show names and texts.
//!
//! Secrets are left out unless they are asked for; private keys of certificates never leave. To add a field: give it
//! `#[serde(default)]`, so that older snapshots still read, or raise [`VERSION`] when that cannot be.

mod text;

pub use crate::pad::snapshot::{CredentialSnapshot, PadSnapshot, PeerSnapshot, PskSnapshot, SecretsSnapshot};
pub use crate::pool::snapshot::{LeaseSnapshot, PoolSnapshot};
pub use crate::sad::snapshot::{KeySnapshot, SaSnapshot};
pub use crate::spd::snapshot::{ActionSnapshot, BoundSnapshot, PolicySnapshot, SpdSnapshot};
pub use text::Octets;
pub(crate) use text::{hex, hex_list, hex_option, secret};

use crate::pad::{Pad, PadError};
use crate::pool::Pools;
use crate::spd::{Spd, SpdError};
use crate::{Db, PeerId, Spi};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The version that is written. Others are refused.
pub const VERSION: u32 = 1;

/// Whether secrets go into a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Include {
    /// Everything but secrets.
    #[default]
    Public,
    /// Pre-shared keys, passwords and the keys of SAs as well: the snapshot must be kept like them.
    Secrets,
}

/// The databases at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`VERSION`] of whoever wrote it.
    pub version: u32,
    /// Who may speak.
    pub pad: PadSnapshot,
    /// Which traffic needs what.
    pub spd: SpdSnapshot,
    /// Inner addresses and who has them.
    pub pools: Vec<PoolSnapshot>,
    /// SAs, as the data plane told them; in no particular order.
    pub sas: Vec<SaSnapshot>,
}

/// Why a snapshot was not taken in. Nothing of it is then in force.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Another version than [`VERSION`].
    Version(u32),
    /// Two things have the same id, or an id is 0 or above the last one given.
    Id(String),
    /// A policy refers to a `protect` that is not in the list.
    NoSuchProtect {
        /// The policy.
        policy: String,
        /// The index it has.
        index: u32,
    },
    /// A policy protects traffic with a peer that is not in the PAD.
    NoSuchPeer {
        /// The policy.
        policy: String,
        /// The peer it names.
        peer: PeerId,
    },
    /// Two pools have this name.
    DuplicatePool(String),
    /// Two inbound SAs have this SPI, or it is reserved (RFC 4303 §2.1).
    Spi(Spi),
    /// The PAD refused an entry.
    Pad(PadError),
    /// The SPD refused a policy.
    Spd(SpdError),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(v) => {
                write!(f, "the snapshot is of version {v}; expected {VERSION}: read it with the release that wrote it")
            }
            Self::Id(what) => {
                write!(f, "{what} has an id that is taken, 0 or above the last one given; expected unique ids")
            }
            Self::NoSuchProtect { policy, index } => {
                write!(f, "policy \"{policy}\" refers to protect {index}, which is not in the snapshot's list")
            }
            Self::NoSuchPeer { policy, peer } => {
                write!(f, "policy \"{policy}\" protects traffic with {peer}, which is not in the snapshot's PAD")
            }
            Self::DuplicatePool(name) => write!(f, "two pools are called \"{name}\"; expected unique names"),
            Self::Spi(spi) => write!(f, "inbound SPI {spi} is reserved or there twice (RFC 4303 §2.1)"),
            Self::Pad(e) => write!(f, "{e}"),
            Self::Spd(e) => write!(f, "{e}"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Snapshot {
    /// PAD, SPD and pools of `db`, and the SAs that a data plane tells ([`SaSnapshot::new`]).
    #[must_use]
    pub fn take(db: &Db, sas: impl IntoIterator<Item = SaSnapshot>, include: Include) -> Self {
        Self {
            version: VERSION,
            pad: PadSnapshot::take(&db.pad, include),
            spd: SpdSnapshot::take(&db.spd),
            pools: PoolSnapshot::take(&db.pools),
            sas: sas.into_iter().map(|sa| if include == Include::Public { sa.without_keys() } else { sa }).collect(),
        }
    }

    /// The databases again, with the same ids, order, leases and taken SPIs. The SAs are for the data plane:
    /// [`SaSnapshot::params`].
    ///
    /// # Errors
    /// The first thing that does not fit; there is no half a result.
    pub fn restore(&self) -> Result<Db, SnapshotError> {
        if self.version != VERSION {
            return Err(SnapshotError::Version(self.version));
        }
        let pad: Pad = self.pad.restore()?;
        let spd: Spd = self.spd.restore(&pad)?;
        let pools: Pools = PoolSnapshot::restore(&self.pools)?;
        let db = Db { pad, spd, pools, ..Db::default() };
        let inbound = self.sas.iter().filter(|s| s.direction == crate::Direction::Inbound);
        match inbound.map(|s| Spi(s.spi)).find(|spi| !db.spis.take(*spi)) {
            Some(spi) => Err(SnapshotError::Spi(spi)),
            None => Ok(db),
        }
    }
}

#[cfg(test)]
mod tests;
