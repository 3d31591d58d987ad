//! The Peer Authorization Database (RFC 4301 §4.4.3): ordered entries that say who may speak, how each side proves
//! itself and what its Child SAs may cover; and the secrets they refer to.
//!
//! Entries are judged in order and the first that fits wins. Lookups do not walk the list: entries are indexed by
//! exact identity, by domain and by the addresses they may speak from (`index.rs`), so that their cost does not grow
//! with the number of peers.
//!
//! To add a kind of identity pattern: a variant in `identity.rs` and an arm in `index.rs`.

mod aka;
mod credentials;
mod dn;
mod identity;
mod index;
mod peer;
mod secrets;
#[cfg(feature = "serde")]
pub(crate) mod snapshot;

pub use aka::{AkaSource, Quintet, SimAnswer};
pub use credentials::{Credential, Credentials};
pub use identity::{IdKind, IdPattern, Identity, IdentityError};
pub use peer::{
    AuthMethod, Childless, Eap, EapMethod, IkeTimes, NatTraversal, Peer, PpkMethod, PpkSource, Revocation,
    TranscriptAuth, TtlsInner, Uniqueness,
};
pub use secrets::Secrets;

use crate::PeerId;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use index::{AddrIndex, IdIndex};
use ravelin_crypto::Secret;

/// Place of an entry in the order; entries are judged by rising rank.
type Rank = u64;
/// Distance between neighbours when entries are appended, so that others fit in between.
const STEP: Rank = 1 << 20;

/// Why an entry was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PadError {
    /// Another entry has this name.
    DuplicateName(String),
    /// No entry has this id.
    NoSuchPeer(PeerId),
    /// An IKE proposal breaks a rule.
    Proposal(crate::proposal::ProposalError),
}

impl fmt::Display for PadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName(name) => write!(f, "two peers are called \"{name}\"; expected unique names"),
            Self::NoSuchPeer(id) => write!(f, "{id} is not in the PAD"),
            Self::Proposal(e) => write!(f, "{e}"),
        }
    }
}

impl core::error::Error for PadError {}

/// The entries, in order, with their indexes, and the secrets.
#[derive(Clone, Default)]
pub struct Pad {
    /// Pre-shared keys.
    pub secrets: Secrets,
    /// Certificates and keys.
    pub credentials: Credentials,
    entries: BTreeMap<Rank, (PeerId, Arc<Peer>)>,
    ranks: BTreeMap<PeerId, Rank>,
    names: BTreeMap<String, PeerId>,
    ids: IdIndex,
    addrs: AddrIndex,
    last_id: u32,
}

impl Pad {
    /// An empty PAD.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry: it is judged after all others.
    ///
    /// # Errors
    /// When the name is taken or a proposal breaks a rule of RFC 7296 §3.3.
    pub fn add(&mut self, peer: Peer) -> Result<PeerId, PadError> {
        let rank = self.entries.last_key_value().map_or(STEP, |(r, _)| r.saturating_add(STEP));
        self.check(&peer, None)?;
        Ok(self.put_new(rank, peer))
    }

    /// Adds an entry that is judged just before `successor`.
    ///
    /// # Errors
    /// As [`Pad::add`], and when `successor` is not there.
    pub fn add_before(&mut self, successor: PeerId, peer: Peer) -> Result<PeerId, PadError> {
        self.check(&peer, None)?;
        let rank = match self.gap_before(successor)? {
            Some(rank) => rank,
            None => {
                self.spread();
                self.gap_before(successor)?.ok_or(PadError::NoSuchPeer(successor))?
            }
        };
        Ok(self.put_new(rank, peer))
    }

    /// Puts another entry in the place of `id`; returns the one that was there.
    ///
    /// # Errors
    /// As [`Pad::add`], and when `id` is not there.
    pub fn replace(&mut self, id: PeerId, peer: Peer) -> Result<Arc<Peer>, PadError> {
        self.check(&peer, Some(id))?;
        let rank = *self.ranks.get(&id).ok_or(PadError::NoSuchPeer(id))?;
        let old = self.remove(id).ok_or(PadError::NoSuchPeer(id))?;
        self.put(rank, id, peer);
        Ok(old)
    }

    /// Removes an entry.
    pub fn remove(&mut self, id: PeerId) -> Option<Arc<Peer>> {
        let rank = self.ranks.remove(&id)?;
        let (_, peer) = self.entries.remove(&rank)?;
        self.names.remove(&peer.name);
        self.ids.remove(&peer.remote_id, rank);
        self.addrs.remove(&peer.remote_addrs, rank);
        Some(peer)
    }

    /// The entry with this id.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<&Arc<Peer>> {
        self.entries.get(self.ranks.get(&id)?).map(|(_, p)| p)
    }

    /// The entry with this name.
    #[must_use]
    pub fn find_by_name(&self, name: &str) -> Option<PeerId> {
        self.names.get(name).copied()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Arc<Peer>)> {
        self.entries.values().map(|(id, p)| (*id, p))
    }

    /// Entries that may speak from `remote`, in order: what an IKE_SA_INIT request can be about, before any identity
    /// is known. Lazy; taking only the first few costs no more than these.
    pub fn candidates(&self, remote: IpAddr) -> impl Iterator<Item = (PeerId, &Arc<Peer>)> {
        self.addrs.ranks(remote).filter_map(|rank| self.entries.get(&rank)).map(|(id, p)| (*id, p))
    }

    /// The first entry for a peer that calls itself `remote_id`, speaks from `remote` and, if it said so (IDr of an
    /// initiator), wants to reach `local_hint`.
    #[must_use]
    pub fn find(&self, local_hint: Option<&Identity>, remote_id: &Identity, remote: IpAddr) -> Option<PeerId> {
        self.find_all(local_hint, remote_id, remote).next().map(|(id, _)| id)
    }

    /// As [`Pad::find`], but every entry that fits, in order.
    pub fn find_all<'a>(
        &'a self,
        local_hint: Option<&'a Identity>,
        remote_id: &Identity,
        remote: IpAddr,
    ) -> impl Iterator<Item = (PeerId, &'a Arc<Peer>)> + use<'a> {
        let by_id = self.ids.ranks(remote_id);
        by_id
            .into_iter()
            .filter_map(|rank| self.entries.get(&rank))
            .filter(move |(_, p)| p.may_speak_from(remote))
            .filter(move |(_, p)| local_hint.is_none_or(|l| p.local_id.same(l)))
            .map(|(id, p)| (*id, p))
    }

    /// The PSK between two identities, most specific first ([`Secrets::psk`]).
    #[must_use]
    pub fn secret_for(&self, local: &Identity, remote: &Identity) -> Option<&Arc<Secret>> {
        self.secrets.psk(local, remote)
    }

    fn check(&self, peer: &Peer, replaces: Option<PeerId>) -> Result<(), PadError> {
        match self.names.get(&peer.name) {
            Some(owner) if Some(*owner) != replaces => return Err(PadError::DuplicateName(peer.name.clone())),
            _ => {}
        }
        for p in &peer.proposals {
            p.check().map_err(PadError::Proposal)?;
        }
        Ok(())
    }

    fn put_new(&mut self, rank: Rank, peer: Peer) -> PeerId {
        self.last_id = self.last_id.saturating_add(1);
        let id = PeerId(self.last_id);
        self.put(rank, id, peer);
        id
    }

    fn put(&mut self, rank: Rank, id: PeerId, peer: Peer) {
        self.names.insert(peer.name.clone(), id);
        self.ids.insert(&peer.remote_id, rank);
        self.addrs.insert(&peer.remote_addrs, rank);
        self.ranks.insert(id, rank);
        self.entries.insert(rank, (id, Arc::new(peer)));
    }

    fn gap_before(&self, successor: PeerId) -> Result<Option<Rank>, PadError> {
        let after = *self.ranks.get(&successor).ok_or(PadError::NoSuchPeer(successor))?;
        let before = self.entries.range(..after).next_back().map_or(0, |(r, _)| *r);
        let middle = before.midpoint(after);
        Ok((middle > before && middle < after).then_some(middle))
    }

    /// Gives every entry a new rank, [`STEP`] apart: once in a long while.
    fn spread(&mut self) {
        let old = core::mem::take(&mut self.entries);
        self.ids = IdIndex::default();
        self.addrs = AddrIndex::default();
        let mut rank = 0;
        for (id, peer) in old.into_values() {
            rank += STEP;
            self.ids.insert(&peer.remote_id, rank);
            self.addrs.insert(&peer.remote_addrs, rank);
            self.ranks.insert(id, rank);
            self.entries.insert(rank, (id, peer));
        }
    }
}

impl fmt::Debug for Pad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(id, p)| (id, &p.name))).finish()
    }
}

#[cfg(test)]
mod tests;
