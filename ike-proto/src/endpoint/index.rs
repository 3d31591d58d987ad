//! Where IKE SAs are found: by local name, by our SPI, by an initiator's first message, by peer, by Child SA, by time.
//! Ordered maps throughout: a stranger can choose some of the keys, and the order of everything is the same each run.

use crate::config::Config;
use crate::ids::IkeSaId;
use crate::sa::{Folded, IkeSa, Lifecycle, Why};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, SocketAddr};
use ravelin_sa_db::{ChildId, Identity, Instant, PeerId};

/// An SA and what the indexes know of it.
struct Entry {
    sa: Box<IkeSa>,
    deadline: (Instant, Why),
}

/// All IKE SAs and the ways to them.
#[derive(Default)]
pub(super) struct Index {
    sas: BTreeMap<IkeSaId, Entry>,
    /// Half-open ones that are folded up; they are in `by_spi`, `by_init` and `deadlines` too.
    folded: BTreeMap<IkeSaId, Box<Folded>>,
    /// Where the first message of those came from that are half-open and not folded.
    half_open: BTreeMap<IkeSaId, SocketAddr>,
    by_spi: BTreeMap<u64, IkeSaId>,
    /// Half-open SAs by the initiator's SPI. Several: whether a request is a retransmission its octets say,
    /// so that nobody locks an initiator out with a request under its SPI (RFC 7296 §2.1).
    by_init: BTreeSet<(u64, IkeSaId)>,
    by_peer: BTreeMap<PeerId, BTreeSet<IkeSaId>>,
    /// Established IKE SAs by a hash of PAD entry and the peer's identity; our own stands in the entry.
    by_identity: BTreeSet<(u64, IkeSaId)>,
    /// Attempts of ours by PAD entry.
    opening: BTreeMap<PeerId, BTreeSet<IkeSaId>>,
    by_child: BTreeMap<ChildId, IkeSaId>,
    deadlines: BTreeSet<(Instant, Why, IkeSaId)>,
}

/// Established IKE SAs per peer.
pub(crate) type PeersUp = BTreeMap<PeerId, BTreeSet<IkeSaId>>;

impl Index {
    pub(super) fn len(&self) -> usize {
        self.sas.len().saturating_add(self.folded.len())
    }

    pub(super) fn get(&self, id: IkeSaId) -> Option<&IkeSa> {
        self.sas.get(&id).map(|e| &*e.sa)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &IkeSa> {
        self.sas.values().map(|e| &*e.sa)
    }

    pub(super) fn lend(&mut self, id: IkeSaId) -> Option<(&PeersUp, &BTreeMap<u64, IkeSaId>, &mut IkeSa)> {
        Some((&self.by_peer, &self.by_spi, &mut *self.sas.get_mut(&id)?.sa))
    }

    pub(super) fn spis(&self) -> &BTreeMap<u64, IkeSaId> {
        &self.by_spi
    }

    pub(super) fn peers(&self) -> &PeersUp {
        &self.by_peer
    }

    pub(super) fn by_spi(&self, spi: u64) -> Option<IkeSaId> {
        self.by_spi.get(&spi).copied()
    }

    pub(super) fn spi_is_free(&self, spi: u64) -> bool {
        spi != 0 && !self.by_spi.contains_key(&spi)
    }

    /// The half-open SA that this very IKE_SA_INIT request made.
    pub(super) fn by_init(&self, spi_i: u64, source: SocketAddr, raw: &[u8]) -> Option<IkeSaId> {
        let mut same = self.by_init.range((spi_i, IkeSaId(0))..=(spi_i, IkeSaId(u64::MAX))).map(|(_, id)| *id);
        same.find(|id| match (self.sas.get(id), self.folded.get(id)) {
            (Some(e), _) => self.half_open.get(id) == Some(&source) && e.sa.core.opening.message1 == raw,
            (None, Some(f)) => f.path.remote == source && f.request() == raw,
            (None, None) => false,
        })
    }

    /// A folded SA.
    pub(super) fn folded(&self, id: IkeSaId) -> Option<&Folded> {
        self.folded.get(&id).map(|f| &**f)
    }

    /// Every folded SA.
    pub(super) fn all_folded(&self) -> impl Iterator<Item = &Folded> {
        self.folded.values().map(|f| &**f)
    }

    /// A new half-open SA, folded up.
    pub(super) fn insert_folded(&mut self, folded: Folded, config: &Config) {
        let (id, (spi_i, spi_r)) = (folded.id, folded.spis());
        self.by_spi.insert(spi_r, id);
        self.by_init.insert((spi_i, id));
        self.deadlines.insert((folded.created + config.half_open_lifetime, Why::HalfOpen, id));
        self.folded.insert(id, Box::new(folded));
    }

    /// Takes a folded SA out of every index.
    pub(super) fn take_folded(&mut self, id: IkeSaId, config: &Config) -> Option<Box<Folded>> {
        let folded = self.folded.remove(&id)?;
        let (spi_i, spi_r) = folded.spis();
        self.by_spi.remove(&spi_r);
        self.by_init.remove(&(spi_i, id));
        self.deadlines.remove(&(folded.created + config.half_open_lifetime, Why::HalfOpen, id));
        Some(folded)
    }

    /// Folds a half-open SA up, if it can be.
    pub(super) fn fold(&mut self, id: IkeSaId, config: &Config) {
        if let Some(folded) = self.get(id).and_then(IkeSa::fold)
            && self.forget(id).is_some()
        {
            self.insert_folded(folded, config);
        }
    }

    pub(super) fn by_child(&self, child: ChildId) -> Option<IkeSaId> {
        self.by_child.get(&child).copied()
    }

    pub(super) fn of_peer(&self, peer: PeerId) -> impl DoubleEndedIterator<Item = IkeSaId> {
        self.by_peer.get(&peer).into_iter().flatten().copied()
    }

    pub(super) fn insert(&mut self, sa: Box<IkeSa>, config: &Config) {
        let (id, source) = (sa.core.id, sa.core.path.remote);
        self.by_spi.insert(sa.core.spi_local(), id);
        if sa.is_half_open() {
            self.by_init.insert((sa.core.spi_i, id));
        }
        if let (Lifecycle::Opening, Some(peer)) = (sa.life, sa.core.peer) {
            self.opening.entry(peer).or_default().insert(id);
        }
        if sa.is_half_open() {
            self.half_open.insert(id, source);
        }
        self.sas.insert(id, Entry { sa, deadline: (Instant::NEVER, Why::Nothing) });
        self.refresh(id, config);
    }

    /// Brings the deadline and the half-open mark up to date.
    pub(super) fn refresh(&mut self, id: IkeSaId, config: &Config) {
        let Some(entry) = self.sas.get_mut(&id) else { return };
        let new = entry.sa.deadline(config);
        if new != entry.deadline {
            self.deadlines.remove(&(entry.deadline.0, entry.deadline.1, id));
            if new.0 != Instant::NEVER {
                self.deadlines.insert((new.0, new.1, id));
            }
            entry.deadline = new;
        }
        if entry.sa.life != Lifecycle::Opening
            && let Some(peer) = entry.sa.core.peer
        {
            leave(&mut self.opening, &peer, id);
        }
        if !entry.sa.is_half_open() && self.half_open.remove(&id).is_some() {
            self.by_init.remove(&(entry.sa.core.spi_i, id));
        }
    }

    /// Where the first message of an SA came from that was half-open when it was last looked at.
    pub(super) fn half_open_from(&self, id: IkeSaId) -> Option<IpAddr> {
        self.half_open.get(&id).map(SocketAddr::ip)
    }

    /// Drops a closed SA from every index.
    pub(super) fn forget(&mut self, id: IkeSaId) -> Option<Box<IkeSa>> {
        let entry = self.sas.remove(&id)?;
        self.by_spi.remove(&entry.sa.core.spi_local());
        if self.half_open.remove(&id).is_some() {
            self.by_init.remove(&(entry.sa.core.spi_i, id));
        }
        self.deadlines.remove(&(entry.deadline.0, entry.deadline.1, id));
        if let Some(peer) = entry.sa.core.peer {
            leave(&mut self.by_peer, &peer, id);
            leave(&mut self.opening, &peer, id);
            if let Some(identity) = &entry.sa.core.remote_id {
                self.by_identity.remove(&(hash(peer, identity), id));
            }
        }
        Some(entry.sa)
    }

    pub(super) fn peer_up(&mut self, peer: PeerId, id: IkeSaId) {
        self.by_peer.entry(peer).or_default().insert(id);
        if let Some(hash) = self.get(id).and_then(|sa| Some(hash(peer, sa.core.remote_id.as_ref()?))) {
            self.by_identity.insert((hash, id));
        }
    }

    /// The other established IKE SAs of the same PAD entry and identity.
    pub(super) fn same_identity(&self, id: IkeSaId) -> impl Iterator<Item = IkeSaId> {
        let own = self.get(id).and_then(|sa| Some((sa.core.peer?, sa.core.remote_id.as_ref()?)));
        own.into_iter().flat_map(move |(peer, identity)| {
            let hash = hash(peer, identity);
            let range = (hash, IkeSaId(0))..=(hash, IkeSaId(u64::MAX));
            let same = move |o: &IkeSaId| {
                let core = self.get(*o).map(|sa| &sa.core);
                core.is_some_and(|c| c.peer == Some(peer) && c.remote_id.as_ref() == Some(identity))
            };
            self.by_identity.range(range).map(|(_, o)| *o).filter(move |o| *o != id).filter(same)
        })
    }

    pub(super) fn child_up(&mut self, child: ChildId, id: IkeSaId) {
        self.by_child.insert(child, id);
    }

    pub(super) fn child_down(&mut self, child: ChildId) {
        self.by_child.remove(&child);
    }

    /// An SA whose deadline has come.
    pub(super) fn due(&self, now: Instant) -> Option<IkeSaId> {
        self.deadlines.first().filter(|(at, _, _)| *at <= now).map(|(_, _, id)| *id)
    }

    /// SAs whose deadline has come for this reason.
    pub(super) fn due_for(&self, now: Instant, why: Why) -> impl Iterator<Item = IkeSaId> {
        self.deadlines
            .iter()
            .take_while(move |(at, _, _)| *at <= now)
            .filter(move |(_, w, _)| *w == why)
            .map(|(_, _, id)| *id)
    }

    pub(super) fn next_deadline(&self) -> Option<(Instant, Why)> {
        self.deadlines.first().map(|(at, why, _)| (*at, *why))
    }

    /// An attempt of ours with this peer that is not established yet.
    pub(super) fn opening_to(&self, peer: PeerId) -> Option<IkeSaId> {
        self.opening.get(&peer)?.first().copied()
    }
}

/// FNV-1a. Who is proved under names that collide is found a little slower.
fn hash(peer: PeerId, identity: &Identity) -> u64 {
    let mix = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    let entry = peer.0.to_be_bytes();
    identity.data.iter().copied().chain([identity.kind.0]).chain(entry).fold(0xcbf2_9ce4_8422_2325, mix)
}

fn leave<K: Ord>(map: &mut BTreeMap<K, BTreeSet<IkeSaId>>, key: &K, id: IkeSaId) {
    if let Some(set) = map.get_mut(key) {
        set.remove(&id);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
