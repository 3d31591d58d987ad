//! Shared plumbing of the benchmarks: many initiators and one responder, joined by memory on one core.
//!
//! `cd benches/ike && cargo run --release --bin handshake` (or `memory`). To add a benchmark: a file in `src/bin`.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::db::pad::{Identity, Peer, Uniqueness};
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::db::{Proposal, ProposalProtocol, TrafficSelector};
use ravelin::ike::config::CookiePolicy;
use ravelin::{Config, Db, Ingress, Instant, Node, Now, Output, Path, PeerId, PolicyId, Provider, Secret};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What went wrong, for people.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const INITIATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// The providers of this build, with their names.
#[must_use]
pub fn providers() -> Vec<(&'static str, Arc<Provider>)> {
    #[allow(unused_mut, reason = "grows with the feature only")]
    let mut list = vec![("portable", Arc::new(ravelin_crypto::rustcrypto::provider()))];
    #[cfg(feature = "fast")]
    list.push(("fast", Arc::new(ravelin_crypto::awslc::provider())));
    list
}

/// One responder, and initiators that come one after the other under one identity. All SAs stay.
pub struct Bench {
    /// The responder.
    pub responder: Node,
    crypto: Arc<Provider>,
    config: Config,
    initiator: Db,
    ids: (PeerId, PolicyId),
    count: u64,
    now: u64,
}

impl Bench {
    /// Both sides ready; `ike` is the proposal, as in "aes256gcm16-prfsha256-x25519".
    ///
    /// # Errors
    /// When the proposal is none.
    pub fn new(crypto: &Arc<Provider>, ike: &str) -> Result<Self> {
        let mut config = Config::default();
        config.ike.cookies = CookiePolicy::Never;
        (config.ike.half_open_max, config.ike.half_open_per_source) = (u32::MAX, u32::MAX);
        let (responder, _) = db(RESPONDER, INITIATOR, ike)?;
        let (initiator, ids) = db(INITIATOR, RESPONDER, ike)?;
        let responder = Node::new(config.clone(), Arc::clone(crypto), responder, rng(0));
        Ok(Self { responder, crypto: Arc::clone(crypto), config, initiator, ids, count: 0, now: 1 })
    }

    /// The time of the simulated world.
    #[must_use]
    pub fn now(&self) -> Now {
        Now::at(self.now)
    }

    /// Lets time pass, in microseconds.
    pub fn pass(&mut self, micros: u64) {
        self.now = self.now.saturating_add(micros);
    }

    /// One more initiator comes up with a Child SA; it is given back, for whoever needs it.
    ///
    /// # Errors
    /// When the handshake fails.
    pub fn handshake(&mut self) -> Result<Node> {
        let (now, mut node) = (self.now(), self.initiator()?);
        while exchange(&mut node, &mut self.responder, now) {}
        let up = node.snapshot(Instant(self.now)).first().is_some_and(|sa| sa.children.len() == 1);
        if up { Ok(node) } else { Err(format!("handshake {} failed", self.count).into()) }
    }

    fn initiator(&mut self) -> Result<Node> {
        self.count = self.count.saturating_add(1);
        let db = Db { pad: self.initiator.pad.clone(), spd: self.initiator.spd.clone(), ..Db::default() };
        let mut node = Node::new(self.config.clone(), Arc::clone(&self.crypto), db, rng(self.count));
        node.initiate(self.now(), self.ids.0, Some(self.ids.1))?;
        Ok(node)
    }

    /// Only the first half: the responder is left with a half-open SA.
    ///
    /// # Errors
    /// When the handshake fails.
    pub fn half_open(&mut self) -> Result<()> {
        let (now, mut node) = (self.now(), self.initiator()?);
        carry(&mut node, &mut self.responder, now);
        while self.responder.poll_output().is_some() {}
        Ok(())
    }
}

/// One turn in both directions; false when nobody had anything to say.
pub fn exchange(a: &mut Node, b: &mut Node, now: Now) -> bool {
    let first = carry(a, b, now);
    carry(b, a, now) || first
}

fn carry(from: &mut Node, to: &mut Node, now: Now) -> bool {
    let mut any = false;
    while let Some(output) = from.poll_output() {
        if let Output::Transmit(mut t) = output {
            any = true;
            let path = Path { local: t.path.remote, remote: t.path.local };
            let _: Ingress<'_> = to.handle_datagram(now, path, &mut t.bytes);
        }
    }
    any
}

fn rng(seed: u64) -> Box<ChaCha20Rng> {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

fn db(local: IpAddr, remote: IpAddr, ike: &str) -> Result<(Db, (PeerId, PolicyId))> {
    let id = |a: IpAddr| format!("h{}.bench", a.to_string().replace('.', "-")).parse::<Identity>();
    let mut peer = Peer::new("peer", id(local)?, id(remote)?);
    (peer.local, peer.remote) = (Some(local), Some((remote, 500).into()));
    peer.uniqueness = Uniqueness::Never;
    peer.mobike = false;
    peer.proposals = vec![Proposal::parse(ProposalProtocol::Ike, ike)?];
    let mut db = Db::new();
    let peer = db.pad.add(peer)?;
    db.pad.secrets.add_psk(None, None, Secret::new(b"a secret of the benchmark".to_vec()));
    let mut protect = Protect::new(peer);
    protect.proposals = vec![Proposal::parse(ProposalProtocol::Esp, "aes256gcm16")?];
    let ts = |own: bool| if own == (local == RESPONDER) { "10.1.0.0/16" } else { "10.2.0.0/16" };
    let (ours, theirs) = (ts(true).parse::<TrafficSelector>()?, ts(false).parse::<TrafficSelector>()?);
    let policy = db.spd.add(Policy::new("net", [ours], [theirs], Action::from(protect)))?;
    Ok((db, (peer, policy)))
}
