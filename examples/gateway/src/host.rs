//! The host around the node: its addresses, the routes and leased addresses on the TUN device, the name servers. Events
//! say that something changed; what should then be is worked out anew from the node, and the difference is carried out.

use crate::addresses::Addresses;
use crate::resolv::Resolv;
use crate::routes::{Known, Routes, Wishes};
use crate::sockets::local_address;
use ravelin::db::{Db, Instant, Peer, PeerId};
use ravelin::{Event, Node};
use ravelin_config::{Config, Gateway};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// News of addresses come in swarms; after the first of them this long is waited for the others.
const SETTLE: Duration = Duration::from_millis(100);

/// What is known of the host, and what was made of it.
pub(crate) struct Host {
    gateway: Gateway,
    addresses: Addresses,
    routes: Routes,
    resolv: Resolv,
    known: Known,
    /// Peers whose local address follows the routing table.
    pub(crate) unbound: BTreeSet<PeerId>,
    /// Routes or name servers may have to change.
    dirty: bool,
    look_at: Option<Instant>,
}

impl Host {
    /// Gives peers without a local address the one of the routing table, and routes what the policies protect.
    pub(crate) fn new(config: &mut Config) -> io::Result<Self> {
        let gateway = config.gateway.clone();
        let mut host = Self {
            addresses: Addresses::read(&gateway)?,
            routes: Routes::new(&gateway),
            resolv: Resolv::new(gateway.resolv_conf.clone()),
            known: Known::default(),
            unbound: unbound(&config.db),
            dirty: false,
            look_at: None,
            gateway,
        };
        host.localize(&mut config.db);
        host.routes.apply(Wishes::of(&config.db, &host.addresses.inner, &host.known), false)?;
        Ok(host)
    }

    /// Where an IKE SA to a peer begins, as the routing table has it now. A peer without a route keeps what it had: its
    /// packets wait for a route like all others.
    pub(crate) fn localize(&self, db: &mut Db) {
        for id in &self.unbound {
            let Some(peer) = db.pad.peer(*id) else { continue };
            let Some(remote) = peer.remote else { continue };
            match local_address(remote.ip(), self.gateway.mark) {
                Ok(addr) if peer.local == Some(addr) => {}
                Ok(addr) => {
                    let peer = Peer { local: Some(addr), ..(**peer).clone() };
                    if let Err(e) = db.pad.replace(*id, peer) {
                        tracing::error!("{e}");
                    }
                }
                Err(e) => tracing::warn!(peer = peer.name, "no route to {}: {e}", remote.ip()),
            }
        }
    }

    /// Our addresses, the best first: those that lead to peers before the others.
    pub(crate) fn ordered(&self, db: &Db) -> Vec<IpAddr> {
        self.addresses.ordered(db.pad.iter().filter_map(|(_, p)| p.local))
    }

    /// The kernel has news.
    pub(crate) fn news(&mut self, now: Instant) {
        self.look_at = Some(self.look_at.unwrap_or(now + SETTLE));
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// Looks at the addresses when it is time to; true when they, or the ways to peers, are others than before.
    pub(crate) fn look(&mut self, now: Instant, db: &mut Db) -> bool {
        if self.look_at.is_none_or(|at| now < at) {
            return false;
        }
        self.look_at = None;
        let before = self.ordered(db);
        let read = match Addresses::read(&self.gateway) {
            Ok(read) => read,
            Err(e) => {
                tracing::error!("addresses of this host: {e}");
                return false;
            }
        };
        self.localize(db);
        if read != self.addresses {
            self.addresses = read;
            // the kernel drops routes whose source address goes
            self.apply_routes(db, true);
        }
        before != self.ordered(db)
    }

    /// Notes what an event changes.
    pub(crate) fn event(&mut self, event: &Event, db: &Db) {
        self.dirty |= match event {
            Event::Assigned { .. } => true,
            Event::Closed { .. } | Event::Rekeyed { .. } => !self.known.assigned.is_empty(),
            Event::ChildEstablished(e) => db.spd.policy(e.policy).is_some_and(|p| p.remote.is_empty()),
            Event::ChildClosed { child, .. } => self.known.bound.contains_key(child),
            _ => false,
        };
    }

    /// The configuration was read again.
    pub(crate) fn reloaded(&mut self) {
        self.dirty = true;
    }

    /// Carries out what changed.
    pub(crate) fn settle(&mut self, node: &Node, now: Instant) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let mut known = Known::default();
        let mut servers: Vec<IpAddr> = Vec::new();
        let db = node.db();
        for sa in node.snapshot(now) {
            let bound = sa.children.iter().filter(|c| db.spd.policy(c.policy).is_some_and(|p| p.remote.is_empty()));
            known.bound.extend(bound.map(|c| (c.id, (c.policy, c.remote_ts.clone()))));
            let (Some(peer), Some(assigned)) = (sa.peer, sa.assigned) else { continue };
            let addrs = known.assigned.entry(peer).or_default();
            addrs.extend(assigned.addrs.iter().map(|(a, _)| *a));
            addrs.sort_unstable();
            addrs.dedup();
            // Servers for some domains only (RFC 8598) have no place in resolv.conf.
            if assigned.domains.is_empty() {
                servers.extend(assigned.dns.iter().copied());
            }
        }
        servers.sort_unstable();
        servers.dedup();
        self.known = known;
        self.apply_routes(db, false);
        if let Err(e) = self.resolv.apply(servers) {
            tracing::error!("{e}");
        }
    }

    fn apply_routes(&mut self, db: &Db, again: bool) {
        if let Err(e) = self.routes.apply(Wishes::of(db, &self.addresses.inner, &self.known), again) {
            tracing::error!("{e}");
        }
    }
}

/// Peers that we call and whose configuration says nothing of our address.
pub(crate) fn unbound(db: &Db) -> BTreeSet<PeerId> {
    db.pad.iter().filter(|(_, p)| p.local.is_none() && p.remote.is_some()).map(|(id, _)| id).collect()
}
