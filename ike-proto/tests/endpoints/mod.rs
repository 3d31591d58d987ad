//! Two endpoints joined by memory, for tests that need no network: who they are, what they share, and a hook that
//! sees every datagram on the way.
#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin_crypto::{Provider, Secret};
use ravelin_ike_proto::{Ask, Config, Endpoint, Event, IkeSaId, Output, Ticket};
use ravelin_sa_db::pad::{Identity, Peer};
use ravelin_sa_db::spd::{Action, Policy, Protect};
use ravelin_sa_db::{AddrRange, Change, Db, Now, Path, PeerId, PolicyId, SaParams, TrafficSelector};
use std::sync::Arc;

pub(crate) struct Side {
    pub(crate) endpoint: Endpoint,
    pub(crate) db: Db,
    pub(crate) peer: PeerId,
    pub(crate) policy: PolicyId,
    pub(crate) changes: Vec<Change>,
    pub(crate) events: Vec<Event>,
    /// Questions, in order.
    pub(crate) asks: Vec<(Ticket, Ask)>,
}

pub(crate) fn net(s: &str) -> TrafficSelector {
    TrafficSelector::any(AddrRange::prefix(s.parse().unwrap(), 24).unwrap())
}

/// Side 1 or 2; `edit` changes its PAD entry, policy and configuration before they are taken.
pub(crate) fn side_with(me: u8, seed: u64, edit: impl FnOnce(&mut Peer, &mut Protect, &mut Config, &mut Db)) -> Side {
    side_on(me, seed, ravelin_crypto::rustcrypto::provider(), edit)
}

/// The same on a provider of the test's.
pub(crate) fn side_on(
    me: u8,
    seed: u64,
    crypto: Provider,
    edit: impl FnOnce(&mut Peer, &mut Protect, &mut Config, &mut Db),
) -> Side {
    let name = |n: u8| -> Identity { format!("node{n}.test").parse().unwrap() };
    let addr = |n: u8| -> std::net::IpAddr { format!("192.0.2.{n}").parse().unwrap() };
    let other = 3 - me;
    let mut db = Db::default();
    let mut peer = Peer::new("peer", name(me), name(other));
    peer.local = Some(addr(me));
    peer.remote = Some((addr(other), 500).into());
    db.pad.secrets.add_psk(None, None, Secret::new(b"a shared secret".to_vec()));
    let mut config = Config::default();
    let mut protect = Protect::new(PeerId(0));
    edit(&mut peer, &mut protect, &mut config, &mut db);
    let peer = db.pad.add(peer).unwrap();
    protect.peer = peer;
    let ts = |n: u8| net(&format!("10.0.{n}.0"));
    let policy = db.spd.add(Policy::new("net", [ts(me)], [ts(other)], Action::Protect(protect.into()))).unwrap();
    let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
    let endpoint = Endpoint::new(Arc::new(config), Arc::new(crypto), rng);
    Side { endpoint, db, peer, policy, changes: vec![], events: vec![], asks: vec![] }
}

impl Side {
    pub(crate) fn start(&mut self, now: u64) -> IkeSaId {
        self.endpoint.initiate(Now::at(now), &self.db, self.peer, Some(self.policy)).unwrap()
    }

    pub(crate) fn drain(&mut self, wire: &mut Vec<(Path, Vec<u8>)>) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(t) => wire.push((t.path, t.bytes)),
                Output::Change(c) => self.changes.push(c),
                Output::Event(e) => self.events.push(e),
                Output::Ask(ticket, ask) => self.asks.push((ticket, ask)),
                _ => {}
            }
        }
    }

    pub(crate) fn take(&mut self, now: u64, path: Path, bytes: &[u8]) {
        let skip = if path.local.port() == 4500 { 4 } else { 0 };
        let back = Path { local: path.remote, remote: path.local };
        self.endpoint.handle_datagram(Now::at(now), &self.db, back, &mut bytes[skip..].to_vec());
    }

    pub(crate) fn is_up(&self) -> bool {
        self.events.iter().any(|e| matches!(e, Event::Established(_)))
    }

    pub(crate) fn children(&self) -> usize {
        self.endpoint.snapshot(Now::at(0).mono).iter().map(|s| s.children.len()).sum()
    }

    /// Why its attempt ended, in words.
    pub(crate) fn why_closed(&self) -> String {
        let closed = |e: &Event| if let Event::Closed { reason, .. } = e { Some(reason.to_string()) } else { None };
        self.events.iter().find_map(closed).unwrap_or_default()
    }

    /// Everything that its events say.
    pub(crate) fn story(&self) -> String {
        format!("{:#?}", self.events)
    }

    pub(crate) fn installed(&self) -> Vec<Arc<SaParams>> {
        let one = |c: &Change| match c {
            Change::InstallInbound(p) | Change::InstallOutbound(p) => Some(Arc::clone(p)),
            _ => None,
        };
        self.changes.iter().filter_map(one).collect()
    }
}

/// What happens to a datagram on the way: from side 1 or 2, its octets (with marker); None drops it.
pub(crate) type Hook<'h> = &'h mut dyn FnMut(u8, Vec<u8>) -> Option<Vec<u8>>;

/// Carries datagrams until nobody has anything to say.
pub(crate) fn run_with(a: &mut Side, b: &mut Side, start: u64, hook: Hook<'_>) {
    let mut now = start;
    for _ in 0..200 {
        let (mut from_a, mut from_b) = (vec![], vec![]);
        a.drain(&mut from_a);
        b.drain(&mut from_b);
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        now += 1000;
        for (path, bytes) in from_a {
            if let Some(bytes) = hook(1, bytes) {
                b.take(now, path, &bytes);
            }
        }
        for (path, bytes) in from_b {
            if let Some(bytes) = hook(2, bytes) {
                a.take(now, path, &bytes);
            }
        }
    }
    panic!("the peers never stop talking");
}

pub(crate) fn run(a: &mut Side, b: &mut Side) {
    run_with(a, b, 1_000_000, &mut |_, bytes| Some(bytes));
}

/// Lets time pass on both sides, step by step, with everything delivered.
pub(crate) fn sleep(a: &mut Side, b: &mut Side, from: u64, seconds: u64) {
    for second in 0..seconds {
        let now = from + second * 1_000_000;
        a.endpoint.handle_timeout(Now::at(now), &a.db);
        b.endpoint.handle_timeout(Now::at(now), &b.db);
        run_with(a, b, now, &mut |_, bytes| Some(bytes));
    }
}
