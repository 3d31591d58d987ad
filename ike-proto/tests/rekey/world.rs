//! Two endpoints in memory, each with a model of a data plane, and a wire whose every datagram waits to be delivered
//! or lost by whoever drives it.

use crate::endpoints::{Side, net, side_with};
use ravelin_ike_proto::{Config, Event, Output};
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

pub(crate) struct World {
    pub(crate) sides: [Side; 2],
    pub(crate) planes: [Plane; 2],
    pub(crate) flight: Vec<Datagram>,
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

impl World {
    /// Established, with one Child SA pair for the first of three policies.
    pub(crate) fn up(seed: u64, edit: impl Fn(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Self {
        let side = |me: u8| {
            let mut side = side_with(me, seed * 2 + u64::from(me), |p, t, c, d| {
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
        let mut w = Self { sides, planes: [Plane::default(), Plane::default()], flight: vec![], now: 0, busy: vec![] };
        w.sides[0].start(0);
        w.collect();
        w.deliver_all();
        assert!(w.planes.iter().all(|p| p.inbound.len() == 1), "{}", w.sides[0].story());
        w.busy = busy;
        w
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
