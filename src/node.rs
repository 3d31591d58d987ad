//! The whole house in one object: IKE endpoint, databases, data plane. It drains its layers inside every call, so a
//! lazy driver can delay a datagram but never a key.
//!
//! To add an input: a method here that ends in `settle`. To add an output: a variant of [`Output`].

use crate::config::{Config, DataPlane};
use crate::demux::{self, Kind};
use crate::hold::HoldQueue;
use crate::output::{EspPacket, Output};
use ravelin_crypto::{CryptoRng, Provider, Secret};
use ravelin_esp::plane::ChildStats;
use ravelin_esp::{DropReason, IpPacket, OuterInfo, PacketSink, Plane, TransmitMeta, Worker};
use ravelin_ike_proto::endpoint::{Counters, SaSnapshot};
use ravelin_ike_proto::sa::Why;
use ravelin_ike_proto::{Answer, ApiError, Deadline, Endpoint, IkeSaId, Ticket};
use ravelin_sa_db::spd::{Action, Scope};
use ravelin_sa_db::{Change, ChildId, Db, Direction, Instant, Now, PacketKey, Path, PeerId, PolicyId, Report};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// What became of what came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Ingress<'b> {
    /// It was IKE or a keepalive; look at the outputs.
    Consumed,
    /// An inner IP packet, opened in the caller's buffer.
    Deliver {
        /// The Child SA it came on.
        child: ChildId,
        /// The packet.
        packet: &'b mut [u8],
    },
    /// Dropped and counted.
    Dropped(DropReason),
}

/// What became of a packet that wants to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Sealed into the sink.
    Sent,
    /// The policy lets it pass in the clear; the caller forwards it.
    Bypass,
    /// Dropped and counted.
    Discard(DropReason),
    /// Larger than the path carries and not to be fragmented; dropped and counted. The sender is to be told, by
    /// `ravelin_esp::icmp::too_big` for one.
    TooBig {
        /// The largest inner packet that fits, in octets.
        mtu: u16,
    },
    /// It waits for the SA that is being made.
    Acquiring,
}

/// An IPsec host without I/O.
pub struct Node {
    config: Config,
    endpoint: Endpoint,
    db: Db,
    plane: Arc<Plane>,
    out: VecDeque<Output>,
    held: HoldQueue,
    keepalives: u64,
    /// For bursts; made by the first one.
    worker: Option<Worker>,
}

impl Node {
    /// A node without SAs. `rng` must be a cryptographic generator with a secret seed (in tests: a known one).
    #[must_use]
    pub fn new(mut config: Config, crypto: Arc<Provider>, mut db: Db, mut rng: Box<dyn CryptoRng + Send>) -> Self {
        db.spd.settle();
        if config.plane.seed.is_empty() {
            let mut seed = Secret::zeroed(32);
            rng.fill_bytes(seed.expose_mut());
            config.plane.seed = seed;
        }
        let plane = Arc::new(Plane::with_config(Arc::clone(&crypto), config.plane.clone()));
        let endpoint = Endpoint::new(Arc::new(config.ike.clone()), crypto, rng);
        Self {
            config,
            endpoint,
            db,
            plane,
            out: VecDeque::new(),
            held: HoldQueue::default(),
            keepalives: 0,
            worker: None,
        }
    }

    /// Takes a UDP payload that came on `path`. It is decrypted in place.
    pub fn handle_datagram<'b>(&mut self, now: Now, path: Path, buf: &'b mut [u8]) -> Ingress<'b> {
        let nat_t = path.local.port() == self.config.ike.ports.nat_t;
        match demux::sort(nat_t, buf) {
            Kind::Ike(start) => {
                if let Some(message) = buf.get_mut(start..) {
                    self.endpoint.handle_datagram(now, &self.db, path, message);
                }
                self.settle(now);
                Ingress::Consumed
            }
            Kind::Esp => self.handle_esp(now, path, OuterInfo::default(), buf),
            Kind::Keepalive => {
                self.keepalives = self.keepalives.saturating_add(1);
                Ingress::Consumed
            }
            Kind::Runt => Ingress::Dropped(DropReason::Runt),
        }
    }

    /// Takes an ESP packet, from the SPI on: the payload of IP protocol 50, or of UDP once it is known to be ESP.
    pub fn handle_esp<'b>(&mut self, now: Now, path: Path, outer: OuterInfo, buf: &'b mut [u8]) -> Ingress<'b> {
        let result = self.plane.ingress(now.mono, path, outer, buf);
        self.settle_reports(now);
        match result {
            ravelin_esp::Ingress::Deliver { child, range } => match buf.get_mut(range) {
                Some(packet) => Ingress::Deliver { child, packet },
                None => Ingress::Dropped(DropReason::Runt),
            },
            ravelin_esp::Ingress::Drop(reason) => Ingress::Dropped(reason),
        }
    }

    /// Takes an IP packet that wants to go out: the SPD says what happens to it (RFC 4301 §5.1). Sealed packets go to
    /// `sink`; one that has no SA yet is held and starts the negotiation.
    pub fn handle_packet(&mut self, now: Now, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        self.handle_packet_in(now, Scope::default(), ip, sink)
    }

    /// As [`Node::handle_packet`], for a packet of an interface id, mark or VRF.
    pub fn handle_packet_in(&mut self, now: Now, scope: Scope, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        let Ok(parsed) = IpPacket::parse(ip) else { return Egress::Discard(DropReason::NotIp) };
        let key = parsed.key(Direction::Outbound);
        let Some(policy) = self.db.spd.lookup_out(&key, &scope) else { return Egress::Discard(DropReason::NoPolicy) };
        let policy_id = policy.id;
        match policy.action {
            Action::Bypass => return Egress::Bypass,
            Action::Protect(_) => {}
            _ => return Egress::Discard(DropReason::PolicyDiscard),
        }
        let result = self.plane.egress(now.mono, policy_id, ip, sink);
        let result = match result {
            ravelin_esp::Egress::Sent => Egress::Sent,
            ravelin_esp::Egress::Discard(reason) => Egress::Discard(reason),
            ravelin_esp::Egress::TooBig { mtu } => Egress::TooBig { mtu },
            ravelin_esp::Egress::NoSa => {
                self.acquire(now, policy_id, key, ip);
                return Egress::Acquiring;
            }
        };
        self.settle_reports(now);
        result
    }

    /// Holds a packet and asks for its SA.
    pub(crate) fn acquire(&mut self, now: Now, policy: PolicyId, packet: PacketKey, ip: &[u8]) {
        self.held.push(self.config.hold, now.mono, policy, ip);
        self.endpoint.handle_report(now, &self.db, Report::Acquire { policy, packet });
        self.settle(now);
    }

    pub(crate) fn worker(&mut self) -> &mut Worker {
        let plane = &self.plane;
        self.worker.get_or_insert_with(|| Worker::new(Arc::clone(plane)))
    }

    pub(crate) fn after_burst(&mut self, now: Now) {
        if let Some(worker) = &mut self.worker {
            worker.flush();
        }
        self.settle_reports(now);
    }

    pub(crate) fn nat_port(&self) -> u16 {
        self.config.ike.ports.nat_t
    }

    /// Does everything whose time has come.
    pub fn handle_timeout(&mut self, now: Now) {
        for child in self.endpoint.children_to_vouch(now) {
            if let Some(report) = self.plane.traffic(child) {
                self.endpoint.handle_report(now, &self.db, report);
            }
        }
        self.plane.handle_timeout(now.mono);
        self.endpoint.handle_timeout(now, &self.db);
        self.held.expire(now.mono);
        self.settle(now);
    }

    /// Takes what an external data plane saw.
    pub fn handle_report(&mut self, now: Now, report: Report) {
        self.endpoint.handle_report(now, &self.db, report);
        self.settle(now);
    }

    /// Brings up an IKE SA with a peer, and a Child SA for `child` if given.
    ///
    /// # Errors
    /// [`ApiError`] when peer or policy do not exist or lack addresses.
    pub fn initiate(&mut self, now: Now, peer: PeerId, child: Option<PolicyId>) -> Result<IkeSaId, ApiError> {
        let result = self.endpoint.initiate(now, &self.db, peer, child);
        self.settle(now);
        result
    }

    /// Deletes an IKE SA with its Child SAs, telling the peer.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`].
    pub fn delete(&mut self, now: Now, sa: IkeSaId) -> Result<(), ApiError> {
        let result = self.endpoint.delete(now, &self.db, sa);
        self.settle(now);
        result
    }

    /// Deletes a Child SA, telling the peer.
    ///
    /// # Errors
    /// [`ApiError::UnknownChild`].
    pub fn delete_child(&mut self, now: Now, child: ChildId) -> Result<(), ApiError> {
        let result = self.endpoint.delete_child(now, &self.db, child);
        self.settle(now);
        result
    }

    /// Rekeys an IKE SA (RFC 7296 §1.3.2); its Child SAs live on in the new one.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`] or [`ApiError::NotEstablished`].
    pub fn rekey(&mut self, now: Now, sa: IkeSaId) -> Result<(), ApiError> {
        let result = self.endpoint.rekey(now, &self.db, sa);
        self.settle(now);
        result
    }

    /// Rekeys a Child SA (RFC 7296 §1.3.3).
    ///
    /// # Errors
    /// [`ApiError::UnknownChild`].
    pub fn rekey_child(&mut self, now: Now, child: ChildId) -> Result<(), ApiError> {
        let result = self.endpoint.rekey_child(now, &self.db, child);
        self.settle(now);
        result
    }

    /// Authenticates anew (RFC 7296 §2.8.3): a new IKE SA with Child SAs for the same policies takes the place of this.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`], [`ApiError::NotEstablished`], or [`ApiError::NoRemoteAddress`] when only the peer can
    /// initiate.
    pub fn reauth(&mut self, now: Now, sa: IkeSaId) -> Result<(), ApiError> {
        let result = self.endpoint.reauth(now, &self.db, sa);
        self.settle(now);
        result
    }

    /// Asks whether a peer is alive.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`] or [`ApiError::NotEstablished`].
    pub fn probe(&mut self, now: Now, sa: IkeSaId) -> Result<(), ApiError> {
        let result = self.endpoint.probe(now, &self.db, sa);
        self.settle(now);
        result
    }

    /// Begins everything whose policy says so (`StartAction::Start`).
    pub fn start(&mut self, now: Now) {
        self.endpoint.start(now, &self.db);
        self.settle(now);
    }

    /// Moves an IKE SA and its Child SAs to another path (RFC 4555); the peer is told.
    ///
    /// # Errors
    /// [`ApiError::UnknownSa`], [`ApiError::NotEstablished`], or [`ApiError::NotAllowed`] without MOBIKE or as responder.
    pub fn roam(&mut self, now: Now, sa: IkeSaId, path: Path) -> Result<(), ApiError> {
        let result = self.endpoint.roam(now, &self.db, sa, path);
        self.settle(now);
        result
    }

    /// Says which addresses this host has, the best first, whenever they change (RFC 4555 §3.2): IKE SAs with MOBIKE
    /// leave addresses that are gone, and peers learn what there is.
    pub fn set_addresses(&mut self, now: Now, addresses: Vec<IpAddr>) {
        self.endpoint.set_addresses(now, &self.db, addresses);
        self.settle(now);
    }

    /// Takes the answer to a question ([`Output::Ask`]).
    ///
    /// # Errors
    /// [`ApiError::UnknownTicket`] or [`ApiError::WrongAnswer`].
    pub fn handle_answer(&mut self, now: Now, ticket: Ticket, answer: Answer) -> Result<(), ApiError> {
        let result = self.endpoint.handle_answer(now, &self.db, ticket, answer);
        self.settle(now);
        result
    }

    /// Lets something go wrong in what this node sends from now on (`ike::fault`).
    #[cfg(feature = "fault-injection")]
    pub fn inject(&mut self, rule: ravelin_ike_proto::fault::Rule) {
        self.endpoint.inject(rule);
    }

    /// Ends what [`Node::inject`] began.
    #[cfg(feature = "fault-injection")]
    pub fn stop_injecting(&mut self) {
        self.endpoint.stop_injecting();
    }

    /// Faults made so far.
    #[cfg(feature = "fault-injection")]
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.endpoint.injected()
    }

    /// Deletes everything and takes nothing new; done when [`Node::is_idle`].
    pub fn shutdown(&mut self, now: Now) {
        self.endpoint.shutdown(now, &self.db);
        self.settle(now);
    }

    /// True when no IKE SA is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.endpoint.is_empty()
    }

    /// Takes the oldest output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Node::handle_timeout`] next; "at once" while output waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        if !self.out.is_empty() {
            return Some(Deadline { at: Instant(0), why: Why::Output });
        }
        let hold = self.held.deadline().map(|at| Deadline { at, why: Why::Expire });
        let idle = self.plane.deadline().map(|at| Deadline { at, why: Why::Expire });
        [self.endpoint.deadline(), hold, idle].into_iter().flatten().min_by_key(|d| d.at)
    }

    /// The databases.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The databases, to add and remove peers, secrets and policies.
    pub fn db_mut(&mut self) -> &mut Db {
        &mut self.db
    }

    /// The inline data plane; any number of threads may seal and open on it.
    #[must_use]
    pub fn plane(&self) -> &Arc<Plane> {
        &self.plane
    }

    /// Every IKE SA with its Child SAs.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<SaSnapshot> {
        self.endpoint.snapshot(now)
    }

    /// Counters of a Child SA in the inline plane.
    #[must_use]
    pub fn stats(&self, child: ChildId) -> Option<ChildStats> {
        self.plane.stats(child)
    }

    /// Why there is no IKE SA with a peer any more.
    #[must_use]
    pub fn last_end(&self, peer: PeerId) -> Option<&ravelin_ike_proto::endpoint::LastEnd> {
        self.endpoint.last_end(peer)
    }

    /// What came in, by what became of it.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.endpoint.counters()
    }

    /// Packets that waited for an SA in vain.
    #[must_use]
    pub fn held_dropped(&self) -> u64 {
        self.held.dropped
    }

    /// NAT keepalives that came.
    #[must_use]
    pub fn keepalives(&self) -> u64 {
        self.keepalives
    }

    /// Reports of the plane to IKE, and what follows; nothing when there are none.
    fn settle_reports(&mut self, now: Now) {
        if let Some(report) = self.plane.poll_report() {
            self.endpoint.handle_report(now, &self.db, report);
            self.settle(now);
        }
    }

    /// Drains the layers until nothing moves: changes to the plane, its reports back to IKE, the rest to the queue.
    fn settle(&mut self, now: Now) {
        for _ in 0..MAX_ROUNDS {
            while let Some(output) = self.endpoint.poll_output() {
                match output {
                    ravelin_ike_proto::Output::Transmit(t) => self.out.push_back(Output::Transmit(t)),
                    ravelin_ike_proto::Output::Event(e) => self.out.push_back(Output::Event(e)),
                    ravelin_ike_proto::Output::Ask(t, a) => self.out.push_back(Output::Ask(t, a)),
                    ravelin_ike_proto::Output::Change(c) => self.change(now, c),
                    _ => {}
                }
            }
            let Some(report) = self.plane.poll_report() else { return };
            self.endpoint.handle_report(now, &self.db, report);
        }
    }

    fn change(&mut self, now: Now, change: Change) {
        match &change {
            Change::AddPolicy(policy) => drop(self.db.spd.bind(policy)),
            Change::RemovePolicy(policy) => drop(self.db.spd.unbind(policy)),
            _ => {}
        }
        if self.config.data_plane == DataPlane::External {
            self.out.push_back(Output::Change(change));
            return;
        }
        let release = match &change {
            Change::InstallOutbound(sa) => Some(sa.policy),
            _ => None,
        };
        let child = match &change {
            Change::InstallInbound(sa) | Change::InstallOutbound(sa) => Some(sa.child),
            _ => None,
        };
        let applied = self.plane.apply(now.mono, &change);
        if let (Change::Remove(_), Some(worker)) = (&change, &mut self.worker) {
            // What is removed is wiped now, not when the worker next looks.
            worker.quiesce();
        }
        if applied.is_err() {
            // Removing what is gone is no failure; an SA that cannot be installed is given back to the peer.
            if let Some(child) = child {
                self.endpoint.handle_report(now, &self.db, Report::Failed(child));
            }
            return;
        }
        if let Some(policy) = release {
            self.release(now, policy);
        }
    }

    /// Sends what waited for this policy.
    fn release(&mut self, now: Now, policy: PolicyId) {
        for packet in self.held.take(policy) {
            let mut sink = QueueSink { out: &mut self.out, buf: Vec::new() };
            // A packet that the new SA does not cover after all is counted by the plane.
            let _ = self.plane.egress(now.mono, policy, &packet, &mut sink);
        }
    }
}

/// Rounds of draining per call; each handles all outputs that wait.
const MAX_ROUNDS: usize = 64;

/// A sink into the output queue.
struct QueueSink<'q> {
    out: &'q mut VecDeque<Output>,
    buf: Vec<u8>,
}

impl PacketSink for QueueSink<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.buf = vec![0; len];
        Some(&mut self.buf)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        let mut bytes = std::mem::take(&mut self.buf);
        bytes.truncate(meta.len);
        self.out.push_back(Output::Esp(EspPacket { meta, bytes }));
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("endpoint", &self.endpoint).field("plane", &self.plane).finish_non_exhaustive()
    }
}
