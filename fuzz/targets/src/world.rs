//! Two nodes and the wire between them, which belongs to the fuzzer: it delivers, drops, copies, damages, forges. Node 0
//! is also the fuzzer's: with its exported keys messages are sealed that it would never send. What must hold for node 1
//! whatever comes is checked after every call.

use crate::sk::provider;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::config::Config;
use ravelin::db::pad::{Identity, Peer};
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::db::{Db, Encapsulation};
use ravelin::ike::config::CookiePolicy;
use ravelin::ike::event::IkeKeyLog;
use ravelin::ike::registry::{ExchangeType, PayloadType};
use ravelin::ike::sa::Lifecycle;
use ravelin::ike::seal::{DirectionKeys, SealAlg, body_len, seal};
use ravelin::ike::wire::message::begin_protected;
use ravelin::ike::wire::payload::Fragment;
use ravelin::ike::wire::{Flags, Header, IkeSpi};
use ravelin::{
    Event, Ingress, Instant, Node, Now, OuterInfo, Output, PacketSink, Path, PeerId, PolicyId, Secret, TransmitMeta,
    UnixTime,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// The shared secret; must never be seen in anything that is printed.
pub(crate) const PSK: &[u8] = b"fuzz-psk-that-nobody-may-print";

/// A datagram on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Flying {
    pub(crate) to: usize,
    pub(crate) path: Path,
    pub(crate) bytes: Vec<u8>,
    /// Still as its sender made it.
    pub(crate) intact: bool,
    /// In IP protocol 50, not in UDP.
    pub(crate) bare: bool,
}

/// What of a node must not change without proof: its established SAs with their children.
pub(crate) type Standing = Vec<((u64, u64), Vec<(u32, u32)>)>;

pub(crate) struct World {
    pub(crate) nodes: [Node; 2],
    pub(crate) now: u64,
    pub(crate) wire: VecDeque<Flying>,
    pub(crate) keys: Vec<Arc<IkeKeyLog>>,
    peers: [(PeerId, PolicyId); 2],
    /// First answer of a node to a request: (node, SPIs, message id) to its datagrams.
    answers: BTreeMap<(usize, u64, u64, u32), Vec<Vec<u8>>>,
    /// The next message id of requests of a node on an SA, by what it sent so far.
    requests: BTreeMap<(usize, u64, u64), u32>,
    pub(crate) text: Option<String>,
    pub(crate) delivered: usize,
}

struct Sink(Vec<(TransmitMeta, Vec<u8>)>, Vec<u8>);
impl PacketSink for Sink {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.1 = vec![0; len];
        Some(&mut self.1)
    }
    fn commit(&mut self, meta: TransmitMeta) {
        let mut bytes = std::mem::take(&mut self.1);
        bytes.truncate(meta.len);
        self.0.push((meta, bytes));
    }
}

fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n as u8 + 1], 500))
}

/// The way between the nodes as node `n` sees it.
pub(crate) fn path(n: usize) -> Path {
    Path { local: address(n), remote: address(1 - n) }
}

/// The IKE message of a datagram: on port 4500 what follows the non-ESP marker.
pub(crate) fn ike(path: Path, bytes: &[u8]) -> Option<&[u8]> {
    if path.local.port() == 4500 { bytes.strip_prefix(&[0; 4]) } else { Some(bytes) }
}

impl World {
    /// Two nodes with a shared secret. `variant` chooses cookies and what is offered.
    pub(crate) fn new(variant: u8) -> Self {
        let mut peers = [(PeerId(0), PolicyId(0)); 2];
        let make = |n: usize, peers: &mut [(PeerId, PolicyId); 2]| {
            let id = |n: usize| -> Identity { ["a.test", "b.test"][n].parse().expect("a name") };
            let mut db = Db::new();
            let mut peer = Peer::new("other", id(n), id(1 - n));
            peer.local = Some(address(n).ip());
            peer.remote = Some(address(1 - n));
            let peer = db.pad.add(peer).expect("a PAD entry");
            db.pad.secrets.add_psk(Some(&id(n)), Some(&id(1 - n)), Secret::new(PSK.to_vec()));
            let net = |n: usize| vec![format!("10.0.{}.0/24", n + 1).parse().expect("a prefix")];
            let action = Action::from(Protect::new(peer));
            let policy = db.spd.add(Policy::new("net", net(n), net(1 - n), action)).expect("a policy");
            peers[n] = (peer, policy);
            let mut config = Config::default();
            config.ike.export_keys = n == 0;
            config.ike.half_open_max = 8;
            config.ike.max_sas = 16;
            if variant & 1 == 1 {
                config.ike.cookies = CookiePolicy::Always;
            }
            if variant & 2 == 2 {
                config.ike.fragment_size = 576;
            }
            let rng = Box::new(ChaCha8Rng::seed_from_u64(n as u64 + 7));
            Node::new(config, Arc::new(provider().clone()), db, rng)
        };
        let nodes = [make(0, &mut peers), make(1, &mut peers)];
        Self {
            nodes,
            now: 1_000_000,
            wire: VecDeque::new(),
            keys: Vec::new(),
            peers,
            answers: BTreeMap::new(),
            requests: BTreeMap::new(),
            text: None,
            delivered: 0,
        }
    }

    /// The same with both SAs up.
    pub(crate) fn established(variant: u8) -> Self {
        let mut world = Self::new(variant);
        world.initiate(0);
        world.deliver_all();
        assert_eq!(world.standing(1).len(), 1, "the nodes come up");
        world
    }

    pub(crate) fn time(&self) -> Now {
        Now { mono: Instant(self.now), wall: UnixTime(1_800_000_000 + self.now / 1_000_000) }
    }

    pub(crate) fn initiate(&mut self, n: usize) {
        let (now, (peer, policy)) = (self.time(), self.peers[n]);
        let _ = self.nodes[n].initiate(now, peer, Some(policy));
        self.drain(n);
    }

    /// Does something with a node.
    pub(crate) fn with(&mut self, n: usize, f: impl FnOnce(&mut Node, Now)) {
        let now = self.time();
        f(&mut self.nodes[n], now);
        self.drain(n);
    }

    /// The established SAs of a node, without what time changes.
    pub(crate) fn standing(&self, n: usize) -> Standing {
        let mut out: Standing = Vec::new();
        for sa in self.nodes[n].snapshot(Instant(self.now)) {
            if sa.state != Lifecycle::Opening {
                out.push((sa.spis, sa.children.iter().map(|c| (c.spi_in.0, c.spi_out.0)).collect()));
            }
        }
        out.sort();
        out
    }

    /// Half-open SAs of a node.
    pub(crate) fn opening(&self, n: usize) -> usize {
        self.nodes[n].snapshot(Instant(self.now)).iter().filter(|s| s.state == Lifecycle::Opening).count()
    }

    /// Gives a node a datagram; returns how many octets it sent back at once.
    pub(crate) fn deliver(&mut self, flying: Flying) -> usize {
        let (before, sent_from) = (self.model_before(&flying), self.wire.len());
        let Flying { to, path, mut bytes, bare, .. } = flying;
        let (now, node) = (self.time(), &mut self.nodes[to]);
        let result = match bare {
            true => node.handle_esp(now, path, OuterInfo::default(), &mut bytes),
            false => node.handle_datagram(now, path, &mut bytes),
        };
        if let Ingress::Deliver { .. } = result {
            self.delivered += 1;
        }
        let sent = self.drain(to);
        if let Some(before) = before {
            self.model_after(&before, sent_from);
        }
        sent
    }

    /// Node `n` has answered this request of the other.
    pub(crate) fn is_answered(&self, n: usize, spis: (u64, u64), id: u32) -> bool {
        self.answers.contains_key(&(n, spis.0, spis.1, id))
    }

    /// Delivers what flies until nothing does.
    pub(crate) fn deliver_all(&mut self) {
        for _ in 0..200 {
            let Some(next) = self.wire.pop_front() else { return };
            self.deliver(next);
        }
        assert!(self.wire.is_empty(), "two nodes talk without end");
    }

    /// Lets time pass on both nodes up to `micros` later, with every timer at its time.
    pub(crate) fn advance(&mut self, micros: u64) {
        let end = self.now.saturating_add(micros);
        for n in 0..2 {
            let from = self.now;
            let mut at_once = 0;
            while let Some(at) = self.nodes[n].deadline().map(|d| d.at.micros()).filter(|at| *at <= end) {
                at_once = if at > self.now { 0 } else { at_once + 1 };
                assert!(at_once < 50, "node {n} spins at {at}: {:?}", self.nodes[n].deadline());
                self.now = self.now.max(at);
                let now = self.time();
                self.nodes[n].handle_timeout(now);
                self.drain(n);
            }
            self.now = if n == 0 { from } else { end };
        }
    }

    /// An inner packet from node `n`.
    pub(crate) fn packet(&mut self, n: usize) {
        let mut ip = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, n as u8 + 1, 1, 10, 0, 2 - n as u8, 1];
        ip.extend_from_slice(&[0, 7, 0, 7, 0, 8, 0, 0]);
        let (now, mut sink) = (self.time(), Sink(Vec::new(), Vec::new()));
        let _ = self.nodes[n].handle_packet(now, &ip, &mut sink);
        for (meta, bytes) in sink.0 {
            self.fly(n, meta.path, bytes, meta.encapsulation == Encapsulation::None);
        }
        self.drain(n);
    }

    fn fly(&mut self, from: usize, path: Path, bytes: Vec<u8>, bare: bool) {
        assert!(bytes.len() <= 65_535 && self.wire.len() < 4096, "node {from} sends without bound");
        let seen = Path { local: path.remote, remote: path.local };
        self.wire.push_back(Flying { to: 1 - from, path: seen, bytes, intact: true, bare });
    }

    /// Takes everything that a node wants, checks it, and returns the octets that it sent.
    fn drain(&mut self, n: usize) -> usize {
        let (mut sent, mut outputs) = (0, 0);
        let mut datagrams: Vec<Vec<u8>> = Vec::new();
        while let Some(output) = self.nodes[n].poll_output() {
            outputs += 1;
            assert!(outputs < 300, "one call makes {outputs} outputs");
            if let Some(text) = &mut self.text {
                // Keys may stand in what is exported on purpose; not even there are they printed.
                text.push_str(&format!("{output:?}\n"));
            }
            match output {
                Output::Transmit(t) => {
                    sent += t.bytes.len();
                    datagrams.extend(ike(t.path, &t.bytes).map(<[u8]>::to_vec));
                    self.fly(n, t.path, t.bytes, false);
                }
                Output::Esp(p) => self.fly(n, p.meta.path, p.bytes, p.meta.encapsulation == Encapsulation::None),
                Output::Event(event) => {
                    if let Some(text) = &mut self.text {
                        text.push_str(&tell(&event));
                    }
                    if let Event::IkeKeys(keys) = event {
                        self.keys.push(keys);
                    }
                }
                _ => {}
            }
        }
        self.check_sent(n, datagrams);
        sent
    }

    /// At most one answer to a request, repeated only as it was; requests are numbered one after another.
    fn check_sent(&mut self, n: usize, datagrams: Vec<Vec<u8>>) {
        let mut by_request: BTreeMap<(usize, u64, u64, u32), Vec<Vec<u8>>> = BTreeMap::new();
        for datagram in datagrams {
            let Ok(header) = Header::parse(&datagram) else { continue };
            if header.exchange.is_unprotected() {
                continue;
            }
            let (i, r, id) = (header.initiator_spi.0, header.responder_spi.0, header.message_id);
            if header.is_response() {
                // Answers outside an SA (INVALID_IKE_SPI) are not protected, and bound to nothing.
                if header.next_payload == PayloadType::SK || header.next_payload == PayloadType::SKF {
                    by_request.entry((n, i, r, id)).or_default().push(datagram);
                }
            } else {
                let next = self.requests.entry((n, i, r)).or_insert(0);
                assert!(id <= *next + 1, "request {id} of node {n} after {next}");
                *next = (*next).max(id);
            }
        }
        for (key, answer) in by_request {
            match self.answers.get(&key) {
                Some(first) => {
                    for datagram in &answer {
                        assert!(
                            first.contains(datagram),
                            "a second, different answer to request {} of node {n}",
                            key.3
                        );
                    }
                }
                None => {
                    self.answers.insert(key, answer);
                }
            }
        }
    }

    /// Seals `plain` with the keys of node 0 on its newest SA, as a message of node 0 to node 1.
    pub(crate) fn forge(
        &self,
        exchange: ExchangeType,
        response: bool,
        id: u32,
        first: PayloadType,
        plain: &[u8],
        piece: Option<Fragment>,
    ) -> Option<Flying> {
        let keys = self.keys.last()?;
        let we_began = self.nodes[0]
            .snapshot(Instant(self.now))
            .iter()
            .any(|s| s.spis == keys.spis && s.role == ravelin::Role::Initiator);
        let to =
            self.nodes[1].snapshot(Instant(self.now)).iter().find(|s| s.spis == keys.spis).map_or(path(1), |s| s.path);
        let alg = SealAlg::resolve(provider(), keys.encr, keys.integ)?;
        let (encr, integ) = if we_began { (&keys.sk_ei, &keys.sk_ai) } else { (&keys.sk_er, &keys.sk_ar) };
        let header =
            Header::new(IkeSpi(keys.spis.0), IkeSpi(keys.spis.1), exchange, Flags::new(we_began, response), id);
        let mut datagram = begin_protected(&header, &[], first, piece, body_len(&alg, plain.len())).ok()?;
        let iv = vec![0xf0; alg.iv_len()];
        seal(&alg, DirectionKeys { encr: encr.expose(), integ: integ.expose() }, &iv, &mut datagram, plain).ok()?;
        if to.local.port() == 4500 {
            datagram.splice(..0, [0; 4]);
        }
        Some(Flying { to: 1, path: to, bytes: datagram, intact: false, bare: false })
    }

    /// What the message id of node 0's next request is, as far as node 0 knows.
    pub(crate) fn next_id(&self) -> u32 {
        let Some(keys) = self.keys.last() else { return 0 };
        self.requests.get(&(0, keys.spis.0, keys.spis.1)).map_or(2, |id| id + 1)
    }

    /// What a node has in the plane and among the SPIs is what IKE has.
    pub(crate) fn check_books(&self, n: usize) {
        let node = &self.nodes[n];
        let sas = node.snapshot(Instant(self.now));
        let mut children: Vec<_> = sas.iter().flat_map(|s| &s.children).map(|c| c.id).collect();
        children.sort();
        let plane: Vec<_> = node.plane().all_stats().iter().map(|s| s.child).collect();
        assert_eq!(plane, children, "plane and IKE of node {n} disagree");
        assert!(sas.len() <= 16, "max_sas");
    }
}

/// An event as an operator reads it.
fn tell(event: &Event) -> String {
    match event {
        Event::Closed { reason, .. }
        | Event::ChildClosed { reason, .. }
        | Event::ChildRefused { reason, .. }
        | Event::Noted { reason, .. } => {
            format!("{reason}\n")
        }
        _ => String::new(),
    }
}
