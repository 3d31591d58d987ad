//! Two endpoints in memory, each with a model of a data plane, and a wire whose every datagram waits to be delivered
//! or lost by whoever drives it.

use crate::endpoints::{Side, net, side_on};
use ravelin_crypto::ke::{KeSecret, KeyExchange};
use ravelin_crypto::{CryptoError, CryptoRng, KeId, Provider, Secret};
use ravelin_ike_proto::{Ask, Config, Event, Output, Ticket};
use ravelin_sa_db::pad::{IkeTimes, Peer};
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};
use ravelin_sa_db::spd::{Action, ChildTimes, Policy, Protect};
use ravelin_sa_db::{Change, ChildId, CipherSuite, Db, Direction, Instant, Now, Path, PolicyId, SaParams, Spi};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a data plane holds, by the words of `sa_db::Change`.
#[derive(Default)]
pub(crate) struct Plane {
    pub(crate) inbound: BTreeMap<ChildId, Arc<SaParams>>,
    pub(crate) outbound: BTreeMap<ChildId, Arc<SaParams>>,
    pub(crate) sends: BTreeMap<PolicyId, ChildId>,
}

impl Plane {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::InstallInbound(p) => assert!(self.inbound.insert(p.child, p.clone()).is_none()),
            Change::InstallOutbound(p) => {
                assert!(self.outbound.insert(p.child, p.clone()).is_none());
                self.sends.entry(p.policy).or_insert(p.child);
            }
            Change::Switch { to, .. } => {
                let policy = self.outbound[to].policy;
                self.sends.insert(policy, *to);
            }
            Change::Remove(r) if r.direction == Direction::Inbound => assert!(self.inbound.remove(&r.child).is_some()),
            Change::Remove(r) => {
                let gone = self.outbound.remove(&r.child).expect("an SA that is removed was there");
                if self.sends.get(&gone.policy) == Some(&r.child) {
                    let next = self.outbound.values().rev().find(|p| p.policy == gone.policy).map(|p| p.child);
                    match next {
                        Some(next) => self.sends.insert(gone.policy, next),
                        None => self.sends.remove(&gone.policy),
                    };
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// SPIs and keys of all pairs: what comes to this side first; mirrored: what it sends first.
    fn pairs(&self, mirrored: bool) -> Vec<[(Spi, CipherSuite); 2]> {
        let end = |p: &Arc<SaParams>| (p.spi, p.suite.clone());
        assert!(self.inbound.keys().eq(self.outbound.keys()));
        let pair = |(c, i): (&ChildId, &Arc<SaParams>)| [end(i), end(&self.outbound[c])];
        let mut all: Vec<_> = self.inbound.iter().map(pair).collect();
        all.iter_mut().filter(|_| mirrored).for_each(|p| p.reverse());
        all.sort_by_key(|p| p[0].0);
        all
    }
}

pub(crate) struct Datagram {
    pub(crate) to: usize,
    path: Path,
    bytes: Vec<u8>,
}

/// A key exchange in form only: both sides say a number, and the secret is their sum. Never do this elsewhere.
struct Toy(KeId);

struct ToySecret(KeId, Vec<u8>);

fn sum(a: &[u8], b: &[u8]) -> Secret {
    Secret::new(a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b)).collect())
}

impl KeyExchange for Toy {
    fn id(&self) -> KeId {
        self.0
    }
    fn initiator_len(&self) -> usize {
        32
    }
    fn responder_len(&self) -> usize {
        32
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        let mut own = vec![0; 32];
        rng.fill_bytes(&mut own);
        Ok((Box::new(ToySecret(self.0, own.clone())), own))
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let mut own = vec![0; 32];
        rng.fill_bytes(&mut own);
        let secret = sum(&own, peer);
        Ok((own, secret))
    }
}

impl KeSecret for ToySecret {
    fn id(&self) -> KeId {
        self.0
    }
    fn finish(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        Ok(sum(&self.1, peer))
    }
}

impl Datagram {
    /// The message id in its IKE header.
    pub(crate) fn message_id(&self) -> u8 {
        self.bytes[if self.bytes[..4] == [0; 4] { 27 } else { 23 }]
    }

    /// The exchange type in its IKE header.
    pub(crate) fn exchange(&self) -> u8 {
        self.bytes[if self.bytes[..4] == [0; 4] { 22 } else { 18 }]
    }
}

pub(crate) struct World {
    pub(crate) sides: [Side; 2],
    pub(crate) planes: [Plane; 2],
    pub(crate) flight: Vec<Datagram>,
    /// Questions that nobody has answered: side, ticket, question.
    pub(crate) asks: Vec<(usize, Ticket, Ask)>,
    pub(crate) now: u64,
    /// Policies by which packets flow all the time: an SA in use must have its other end.
    pub(crate) busy: Vec<PolicyId>,
}

/// No timer of its own: everything that is renewed is renewed because the test says so.
pub(crate) fn quiet(peer: &mut Peer, protect: &mut Protect, _: &mut Config, _: &mut Db) {
    let zero = Duration::ZERO;
    peer.times = IkeTimes { rekey: zero, reauth: zero, jitter: zero, over: zero, dpd: zero, keepalive: zero };
    peer.mobike = false;
    peer.proposals = Proposal::parse_list(ProposalProtocol::Ike, "aes128gcm16-prfsha256-x25519").unwrap();
    protect.times = ChildTimes { rekey: zero, hard: zero, jitter: zero };
    protect.proposals = Proposal::parse_list(ProposalProtocol::Esp, "aes128gcm16").unwrap();
}

/// An additional key exchange for IKE SAs and Child SAs alike.
pub(crate) fn hybrid(peer: &mut Peer, protect: &mut Protect) {
    let ike = "aes128gcm16-prfsha256-x25519-ke1_ecp256";
    peer.proposals = Proposal::parse_list(ProposalProtocol::Ike, ike).unwrap();
    protect.proposals = Proposal::parse_list(ProposalProtocol::Esp, "aes128gcm16-x25519-ke1_ecp256").unwrap();
}

impl World {
    /// Established, with one Child SA pair for the first of three policies.
    pub(crate) fn up(seed: u64, edit: impl Fn(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Self {
        Self::on(&ravelin_crypto::rustcrypto::provider(), seed, edit)
    }

    /// The same with key exchanges that are no more than their form, for tests of what crosses: quick.
    pub(crate) fn quick(seed: u64, edit: impl Fn(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Self {
        Self::on(&Self::toys(), seed, edit)
    }

    fn toys() -> Provider {
        Provider { kes: vec![&Toy(KeId::CURVE25519), &Toy(KeId::ECP_256)], ..ravelin_crypto::rustcrypto::provider() }
    }

    fn on(crypto: &Provider, seed: u64, edit: impl Fn(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Self {
        let mut w = Self::raw_on(crypto, seed, edit);
        let busy = core::mem::take(&mut w.busy);
        w.sides[0].start(0);
        w.collect();
        w.deliver_all();
        assert!(w.planes.iter().all(|p| p.inbound.len() == 1), "{}", w.sides[0].story());
        w.busy = busy;
        w
    }

    /// Nothing is begun yet.
    pub(crate) fn raw(seed: u64, edit: impl Fn(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Self {
        Self::raw_on(&ravelin_crypto::rustcrypto::provider(), seed, edit)
    }

    fn raw_on(crypto: &Provider, seed: u64, edit: impl Fn(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Self {
        let side = |me: u8| {
            let mut side = side_on(me, seed * 2 + u64::from(me), crypto.clone(), |p, t, c, d| {
                quiet(p, t, c, d);
                edit(p, t, c, d);
            });
            let protect = side.db.spd.policy(side.policy).unwrap().protect().unwrap().clone();
            for third in [10u8, 20] {
                let ts = |n: u8| net(&format!("10.{third}.{n}.0"));
                let action = Action::Protect(protect.clone().into());
                side.db.spd.add(Policy::new(format!("net{third}"), [ts(me)], [ts(3 - me)], action)).unwrap();
            }
            side
        };
        let sides = [side(1), side(2)];
        let busy = vec![sides[0].policy];
        let planes = [Plane::default(), Plane::default()];
        Self { sides, planes, flight: vec![], asks: vec![], now: 0, busy }
    }

    pub(crate) fn now(&self) -> Now {
        Now::at(self.now)
    }

    /// Takes the outputs of both sides.
    pub(crate) fn collect(&mut self) {
        for at in 0..2 {
            while let Some(output) = self.sides[at].endpoint.poll_output() {
                match output {
                    Output::Transmit(t) => self.flight.push(Datagram { to: 1 - at, path: t.path, bytes: t.bytes }),
                    Output::Change(c) => self.planes[at].apply(&c),
                    Output::Event(e) => self.sides[at].events.push(e),
                    Output::Ask(ticket, ask) => self.asks.push((at, ticket, ask)),
                    _ => {}
                }
            }
        }
        self.check_ends();
    }

    /// No packet that is sent now comes to an SA that is not there.
    fn check_ends(&self) {
        for at in 0..2 {
            for (policy, child) in self.planes[at].sends.iter().filter(|(p, _)| self.busy.contains(p)) {
                let out = &self.planes[at].outbound[child];
                let there = self.planes[1 - at].inbound.values().find(|i| i.spi == out.spi);
                let there = there.unwrap_or_else(|| panic!("side {at} sends {policy} on {child}, which has no end"));
                assert_eq!(there.suite, out.suite, "keys of {child}");
            }
        }
    }

    pub(crate) fn deliver(&mut self, at: usize) {
        let d = self.flight.remove(at);
        self.now += 1000;
        self.sides[d.to].take(self.now, d.path, &d.bytes);
        self.collect();
    }

    pub(crate) fn deliver_all(&mut self) {
        for _ in 0..500 {
            if self.flight.is_empty() {
                return;
            }
            self.deliver(0);
        }
        panic!("the peers never stop talking");
    }

    /// The next moment at which a side has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.sides.iter().filter_map(|s| s.endpoint.deadline()).map(|d| d.at).min()
    }

    /// Lets the next timer fire on both sides; false when there is none before `until`.
    pub(crate) fn tick(&mut self, until: u64) -> bool {
        let Some(at) = self.deadline().filter(|at| at.micros() <= until) else { return false };
        self.now = self.now.max(at.micros());
        let now = self.now();
        for side in &mut self.sides {
            side.endpoint.handle_timeout(now, &side.db);
        }
        self.collect();
        true
    }

    /// Lets time pass with everything delivered.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = self.now + seconds * 1_000_000;
        self.deliver_all();
        while self.tick(until) {
            self.deliver_all();
        }
        self.now = self.now.max(until);
    }

    /// Both sides hold the same SAs with the same keys, and nothing besides.
    pub(crate) fn assert_equal(&self) {
        let [a, b] = &self.planes;
        assert_eq!(a.pairs(false), b.pairs(true), "\n{}\n{}", self.sides[0].story(), self.sides[1].story());
        for (at, side) in self.sides.iter().enumerate() {
            assert_eq!(side.db.spis.len(), self.planes[at].inbound.len(), "SPIs of side {at}");
            assert_eq!(side.children(), self.planes[at].inbound.len(), "children of side {at}");
        }
        let spis = |s: &Side| s.endpoint.snapshot(Instant(0)).iter().map(|i| i.spis).collect::<Vec<_>>();
        assert_eq!(spis(&self.sides[0]), spis(&self.sides[1]), "IKE SAs");
    }

    /// Child SAs of a policy, which are the same number on both sides.
    pub(crate) fn count(&self, policy: PolicyId) -> usize {
        self.planes[0].inbound.values().filter(|i| i.policy == policy).count()
    }

    pub(crate) fn event(&self, at: usize, f: impl Fn(&Event) -> bool) -> usize {
        self.sides[at].events.iter().filter(|e| f(e)).count()
    }

    pub(crate) fn child(&self, at: usize) -> ChildId {
        *self.planes[at].inbound.keys().next_back().unwrap()
    }
}
