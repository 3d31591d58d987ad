//! One responder, as a gateway has it: one PAD entry and one policy for everybody. Initiators come one after the other,
//! each with its own address, identity (unless a certificate gives it) and inner address; those of a batch share a node.

use crate::certs::{self, CLIENTS, Issued};
use crate::meter::time;
use crate::{Auth, Result, Suite};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::crypto::sign::SigningKey;
use ravelin::db::pad::{AuthMethod, Credential, IdPattern, Identity, Peer, Uniqueness};
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::db::{Proposal, ProposalProtocol, TrafficSelector};
use ravelin::ike::config::CookiePolicy;
use ravelin::{Config, Db, Ingress, Node, Now, Output, Path, PeerId, PolicyId, Provider, Secret, UnixTime};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

macro_rules! cert {
    ($name:literal) => {
        include_bytes!(concat!("../../../ike-proto/tests/certs/", $name))
    };
}

/// Where the responder is.
pub const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// 2030-01-01: the certificates are valid.
const WALL: u64 = 1_893_456_000;

/// The address of an initiator.
#[must_use]
pub fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xC612_0000 + number))
}

/// A responder and what it takes to make initiators.
pub struct World {
    /// The responder.
    pub responder: Node,
    suite: Suite,
    crypto: Arc<Provider>,
    config: Config,
    count: u32,
    now: u64,
}

/// What one handshake sends, both sides together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Datagrams.
    pub datagrams: usize,
    /// Octets of their UDP payloads.
    pub octets: usize,
}

/// A node with one PAD entry and one policy for each handshake of a batch.
pub struct Initiator {
    /// The node.
    pub node: Node,
    ids: Vec<(PeerId, PolicyId)>,
}

impl World {
    /// A responder without SAs.
    ///
    /// # Errors
    /// When the suite's proposal is none.
    pub fn new(crypto: &Arc<Provider>, suite: Suite) -> Result<Self> {
        let mut config = Config::default();
        config.ike.cookies = CookiePolicy::Never;
        (config.ike.half_open_max, config.ike.half_open_per_source) = (u32::MAX, u32::MAX);
        let responder = Node::new(config.clone(), Arc::clone(crypto), gateway(crypto, suite)?, rng(0));
        Ok(Self { responder, suite, crypto: Arc::clone(crypto), config, count: 0, now: 1 })
    }

    /// Cookies are demanded of everybody from now on; all SAs are gone.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn demand_cookies(&mut self) -> Result<()> {
        self.config.ike.cookies = CookiePolicy::Always;
        let db = gateway(&self.crypto, self.suite)?;
        self.responder = Node::new(self.config.clone(), Arc::clone(&self.crypto), db, rng(0));
        Ok(())
    }

    /// The time of this world.
    #[must_use]
    pub fn now(&self) -> Now {
        let at = Now::at(self.now);
        Now { wall: UnixTime(WALL + self.now / 1_000_000), ..at }
    }

    /// Lets time pass, in microseconds.
    pub fn pass(&mut self, micros: u64) {
        self.now = self.now.saturating_add(micros);
    }

    /// A node for the handshakes of one batch; each is of another identity and address.
    ///
    /// # Errors
    /// When the suite's proposal is none.
    pub fn initiator(&mut self) -> Result<Initiator> {
        let mut db = credentials(&self.crypto, self.suite)?;
        let certs = if self.suite.auth.has_certificates() { Some(Clients::new(&self.crypto)?) } else { None };
        let mut ids = Vec::new();
        for _ in 0..self.suite.batch {
            self.count += 1;
            if let Some(certs) = &certs {
                db.pad.credentials.add(format!("c{}", self.count), certs.one(self.suite, self.count));
            }
            ids.push(client(&mut db, self.suite, self.count)?);
        }
        Ok(Initiator { node: Node::new(self.config.clone(), Arc::clone(&self.crypto), db, rng(self.count)), ids })
    }

    /// The handshakes of a batch, one after the other, each with a Child SA.
    ///
    /// # Errors
    /// When one fails.
    pub fn handshakes(&mut self, initiator: &mut Initiator) -> Result<()> {
        let now = self.now();
        for (peer, policy) in &initiator.ids {
            initiator.node.initiate(now, *peer, Some(*policy))?;
            while exchange(&mut initiator.node, &mut self.responder, now) {}
        }
        Ok(())
    }

    /// What one handshake sends.
    ///
    /// # Errors
    /// When it fails.
    pub fn traffic(&mut self) -> Result<Traffic> {
        let (now, mut initiator, mut seen) = (self.now(), self.initiator()?, Traffic::default());
        initiator.ids.truncate(1);
        for (peer, policy) in &initiator.ids {
            initiator.node.initiate(now, *peer, Some(*policy))?;
        }
        let mut count = |octets: usize| {
            seen.datagrams += 1;
            seen.octets += octets;
        };
        loop {
            let first = carry_seen(&mut initiator.node, &mut self.responder, now, &mut count);
            if !carry_seen(&mut self.responder, &mut initiator.node, now, &mut count) && !first {
                break;
            }
        }
        initiator.check(now)?;
        Ok(seen)
    }

    /// Seconds of processor time per handshake of one batch, both sides together.
    ///
    /// # Errors
    /// When a handshake fails.
    pub fn timed(&mut self) -> Result<f64> {
        let mut initiator = self.initiator()?;
        let (seconds, result) = time(|| self.handshakes(&mut initiator));
        result?;
        initiator.check(self.now())?;
        Ok(seconds / self.suite.batch as f64)
    }

    /// Only the first halves of a batch: the responder is left with half-open SAs, or with nothing.
    ///
    /// # Errors
    /// When the initiator cannot begin.
    pub fn half_open(&mut self) -> Result<()> {
        let now = self.now();
        let mut initiator = self.initiator()?;
        for (peer, policy) in &initiator.ids {
            initiator.node.initiate(now, *peer, Some(*policy))?;
            carry(&mut initiator.node, &mut self.responder, now);
            while self.responder.poll_output().is_some() {}
        }
        Ok(())
    }
}

impl Initiator {
    /// The names of peers and policies.
    #[must_use]
    pub fn ids(&self) -> &[(PeerId, PolicyId)] {
        &self.ids
    }

    /// All are up, each with a Child SA.
    ///
    /// # Errors
    /// When one is not.
    pub fn check(&self, now: Now) -> Result<()> {
        let all = self.node.snapshot(now.mono);
        let up = all.iter().filter(|sa| sa.children.len() == 1).count();
        if up == self.ids.len() {
            Ok(())
        } else {
            Err(format!("{up} of {} handshakes succeeded", self.ids.len()).into())
        }
    }
}

/// One turn in both directions; false when nobody had anything to say.
pub fn exchange(a: &mut Node, b: &mut Node, now: Now) -> bool {
    let first = carry(a, b, now);
    carry(b, a, now) || first
}

fn carry(from: &mut Node, to: &mut Node, now: Now) -> bool {
    carry_seen(from, to, now, &mut |_| {})
}

fn carry_seen(from: &mut Node, to: &mut Node, now: Now, see: &mut dyn FnMut(usize)) -> bool {
    let mut any = false;
    while let Some(output) = from.poll_output() {
        if let Output::Transmit(mut t) = output {
            any = true;
            see(t.bytes.len());
            let path = Path { local: t.path.remote, remote: t.path.local };
            let _: Ingress<'_> = to.handle_datagram(now, path, &mut t.bytes);
        }
    }
    any
}

fn rng(seed: u32) -> Box<ChaCha20Rng> {
    Box::new(ChaCha20Rng::seed_from_u64(u64::from(seed)))
}

fn gateway(crypto: &Provider, suite: Suite) -> Result<Db> {
    let pattern = match suite.auth {
        Auth::Psk => "*.bench".parse()?,
        _ => IdPattern::Below(".test".into()),
    };
    let mut db = credentials(crypto, suite)?;
    if suite.auth.has_certificates() {
        let chain = vec![cert!("node2.der").to_vec(), cert!("sub.der").to_vec()];
        db.pad.credentials.add("own", Credential::new(chain, crypto.signing_key(cert!("node2.p8"))?.into()));
    }
    let mut peer = Peer::new("everybody", gateway_id(suite)?, pattern);
    peer.local = Some(RESPONDER);
    entry(&mut db, suite, peer, "10.1.0.0/16", "10.128.0.0/9")?;
    Ok(db)
}

fn gateway_id(suite: Suite) -> Result<Identity> {
    Ok(if suite.auth == Auth::Psk { "gw.bench" } else { "node2.test" }.parse()?)
}

fn client(db: &mut Db, suite: Suite, number: u32) -> Result<(PeerId, PolicyId)> {
    let own = match suite.auth {
        Auth::Psk => format!("c{number}.bench").parse::<Identity>()?,
        _ => "node1.test".parse()?,
    };
    let mut peer = Peer::new(format!("gateway{number}"), own, gateway_id(suite)?);
    peer.credential = suite.auth.has_certificates().then(|| format!("c{number}"));
    (peer.local, peer.remote) = (Some(address(number)), Some((RESPONDER, 500).into()));
    let inner = Ipv4Addr::from_bits(0x0A80_0000 + number);
    entry(db, suite, peer, &format!("{inner}/32"), "10.1.0.0/16")
}

/// Certificates of initiators, with the one key.
struct Clients {
    key: Arc<dyn SigningKey>,
    issued: &'static Issued,
}

impl Clients {
    fn new(crypto: &Provider) -> Result<Self> {
        Ok(Self { key: crypto.signing_key(cert!("node1.p8"))?.into(), issued: certs::issued(crypto)? })
    }

    /// That of initiator `number`, who is one of a batch's when clients return.
    fn one(&self, suite: Suite, number: u32) -> Credential {
        let number = if suite.auth == Auth::Returning { number as usize % suite.batch } else { number as usize };
        let chain = vec![self.issued.clients[number % CLIENTS].clone()];
        Credential::new(chain, Arc::clone(&self.key))
    }
}

/// Secrets and trusted CAs of a node; those of an initiator get their own certificates one by one.
fn credentials(crypto: &Provider, suite: Suite) -> Result<Db> {
    let mut db = Db::new();
    if suite.auth == Auth::Psk {
        db.pad.secrets.add_psk(None, None, Secret::new(b"a secret of the benchmark".to_vec()));
        return Ok(db);
    }
    db.pad.credentials.add_anchor("gateways", cert!("ca.der"));
    db.pad.credentials.add_anchor("clients", &certs::issued(crypto)?.authority);
    Ok(db)
}

fn entry(db: &mut Db, suite: Suite, mut peer: Peer, ours: &str, theirs: &str) -> Result<(PeerId, PolicyId)> {
    peer.proposals = vec![Proposal::parse(ProposalProtocol::Ike, suite.ike)?];
    if suite.auth.has_certificates() {
        (peer.local_auth, peer.remote_auth) = (AuthMethod::Pubkey, vec![AuthMethod::Pubkey]);
        peer.anchors = vec![if peer.remote.is_some() { "gateways" } else { "clients" }.into()];
        // All have one certificate, so one identity.
        peer.uniqueness = Uniqueness::Never;
    }
    let name = peer.name.clone();
    let peer = db.pad.add(peer)?;
    let mut protect = Protect::new(peer);
    protect.proposals = vec![Proposal::parse(ProposalProtocol::Esp, "aes256gcm16")?];
    let (ours, theirs) = (ours.parse::<TrafficSelector>()?, theirs.parse::<TrafficSelector>()?);
    let policy = db.spd.add(Policy::new(name, [ours], [theirs], Action::from(protect)))?;
    Ok((peer, policy))
}
