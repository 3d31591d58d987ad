//! What there is, as values for `show` commands: states, peers, addresses, SPIs, algorithms, ages.

use super::Endpoint;
use crate::event::Assigned;
use crate::exchange::{Child, SaCore};
use crate::ids::{IkeSaId, Role};
use crate::sa::{Folded, Lifecycle, Why};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use ravelin_sa_db::pad::Identity;
use ravelin_sa_db::{ChildId, Encapsulation, Instant, Mode, Path, PeerId, PolicyId, Spi, TrafficSelector};

/// One IKE SA.
#[derive(Clone, PartialEq, Debug)]
pub struct SaSnapshot {
    /// Local name.
    pub id: IkeSaId,
    /// PAD entry; as responder known from IKE_AUTH on.
    pub peer: Option<PeerId>,
    /// Its name.
    pub peer_name: String,
    /// Where it stands.
    pub state: Lifecycle,
    /// Our role.
    pub role: Role,
    /// Where it runs.
    pub path: Path,
    /// Who we said we are.
    pub local_id: Option<Identity>,
    /// Who the peer proved to be.
    pub remote_id: Option<Identity>,
    /// SPIs, initiator's and responder's.
    pub spis: (u64, u64),
    /// Algorithms in words.
    pub proposal: String,
    /// A post-quantum preshared key is in its keys (RFC 8784, RFC 9867).
    pub ppk: bool,
    /// NAT before us, before the peer.
    pub nat: (bool, bool),
    /// Time since the attempt began.
    pub age: Duration,
    /// Time since it was established.
    pub established: Option<Duration>,
    /// Next event of its own, and when.
    pub next: (Instant, Why),
    /// Inner addresses that the peer holds.
    pub leased: Vec<IpAddr>,
    /// What the peer told us: our inner addresses, DNS servers, networks.
    pub assigned: Option<Arc<Assigned>>,
    /// Its Child SAs.
    pub children: Vec<ChildSnapshot>,
}

/// One Child SA pair.
#[derive(Clone, PartialEq, Debug)]
pub struct ChildSnapshot {
    /// Local name.
    pub id: ChildId,
    /// The policy.
    pub policy: PolicyId,
    /// Ours.
    pub spi_in: Spi,
    /// The peer's.
    pub spi_out: Spi,
    /// Algorithms in words.
    pub proposal: String,
    /// Tunnel, transport, BEET.
    pub mode: Mode,
    /// How it is carried.
    pub encapsulation: Encapsulation,
    /// Our side.
    pub local_ts: Vec<TrafficSelector>,
    /// The peer's side.
    pub remote_ts: Vec<TrafficSelector>,
    /// Time since it was installed.
    pub age: Duration,
}

impl Endpoint {
    /// Every IKE SA, oldest first.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<SaSnapshot> {
        let full = self.index.iter().map(|sa| one(&sa.core, sa.life, sa.deadline(&self.config), now));
        let half = self.index.all_folded().map(|f| half_open(f, f.created + self.config.half_open_lifetime, now));
        let mut all: Vec<SaSnapshot> = full.chain(half).collect();
        all.sort_by_key(|sa| sa.id);
        all
    }
}

fn half_open(folded: &Folded, until: Instant, now: Instant) -> SaSnapshot {
    SaSnapshot {
        id: folded.id,
        peer: None,
        peer_name: folded.profile.name.clone(),
        state: Lifecycle::Opening,
        role: Role::Responder,
        path: folded.path,
        local_id: None,
        remote_id: None,
        spis: folded.spis(),
        proposal: String::new(),
        ppk: false,
        nat: (false, false),
        age: now.since(folded.created),
        established: None,
        next: (until, Why::HalfOpen),
        leased: Vec::new(),
        assigned: None,
        children: Vec::new(),
    }
}

fn one(core: &SaCore, state: Lifecycle, next: (Instant, Why), now: Instant) -> SaSnapshot {
    SaSnapshot {
        id: core.id,
        peer: core.peer,
        peer_name: core.profile.name.clone(),
        state,
        role: core.role,
        path: core.path,
        local_id: core.local_id().cloned(),
        remote_id: core.remote_id.clone(),
        spis: (core.spi_i, core.spi_r),
        proposal: core.suite.as_ref().map(ToString::to_string).unwrap_or_default(),
        ppk: core.ppk_used,
        nat: (core.agreed.nat.local, core.agreed.nat.remote),
        age: now.since(core.created),
        established: core.established.map(|at| now.since(at)),
        next,
        leased: core.leases.iter().map(|l| l.addr).collect(),
        assigned: core.assigned.clone(),
        children: core.children.iter().map(|c| child(c, now)).collect(),
    }
}

fn child(c: &Child, now: Instant) -> ChildSnapshot {
    ChildSnapshot {
        id: c.id,
        policy: c.policy,
        spi_in: c.spi_in,
        spi_out: c.spi_out,
        proposal: c.suite.to_string(),
        mode: c.mode,
        encapsulation: c.encapsulation,
        local_ts: c.local_ts.to_vec(),
        remote_ts: c.remote_ts.to_vec(),
        age: now.since(c.since),
    }
}
