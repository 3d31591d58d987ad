//! Ready-made nodes: two hosts with a pre-shared key, addresses 192.0.2.1 and 192.0.2.2, networks 10.0.1.0/24 and
//! 10.0.2.0/24 behind them. Everything can be changed before they are built; further hosts and connections are added
//! with [`Sim::add_host`] and [`Sim::connect`].

use crate::host::Host;
use crate::nat::Nat;
use crate::sim::Sim;
use ravelin::db::pad::{Identity, Peer};
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::db::{PeerId, TrafficSelector};
use ravelin::{Config, Db, Secret};
use std::net::{IpAddr, SocketAddr};

/// One side of a pair before it is built.
#[derive(Clone)]
pub struct Side {
    /// Name of the host.
    pub name: String,
    /// Its outer addresses; the first one is the one that is spoken from.
    pub addrs: Vec<IpAddr>,
    /// A NAT box before it, and the box's public address.
    pub nat: Option<(Nat, IpAddr)>,
    /// What the node is told.
    pub config: Config,
    /// The PAD entry about the other side; its addresses are filled in.
    pub peer: Peer,
    /// How traffic is protected; the peer is filled in.
    pub protect: Protect,
    /// Selectors of this side.
    pub local_ts: Vec<TrafficSelector>,
    /// Selectors of the other side.
    pub remote_ts: Vec<TrafficSelector>,
    /// Inner addresses that the host answers for.
    pub inner: Vec<IpAddr>,
    /// The secret.
    pub psk: Vec<u8>,
    /// It knows where to initiate to.
    pub knows_address: bool,
}

impl Side {
    /// The side with this letter and number; `other` is its peer's.
    fn new((letter, n): (char, u8), (other, m): (char, u8)) -> Self {
        let id = |l: char| -> Identity { format!("{l}.test").parse().expect("a domain name") };
        Self {
            name: letter.to_string(),
            addrs: vec![IpAddr::from([192, 0, 2, n])],
            nat: None,
            config: Config::default(),
            peer: Peer::new(format!("to-{other}"), id(letter), id(other)),
            protect: Protect::new(PeerId(0)),
            local_ts: vec![net(n)],
            remote_ts: vec![net(m)],
            inner: vec![IpAddr::from([10, 0, n, 1])],
            psk: b"a secret of the test kit".to_vec(),
            knows_address: true,
        }
    }

    /// Puts a NAT box before this side: its address becomes private, and the other side cannot initiate to it.
    pub fn behind(&mut self, nat: Nat) {
        let Some(IpAddr::V4(public)) = self.addrs.first().copied() else { panic!("a NAT needs an IPv4 address") };
        let n = public.octets()[3];
        self.addrs = vec![IpAddr::from([172, 16, n, 2])];
        self.nat = Some((nat, IpAddr::from([203, 0, 113, n])));
    }

    /// The address that the other side sees.
    fn seen_as(&self) -> Option<IpAddr> {
        self.nat.map(|(_, public)| public).or_else(|| self.addrs.first().copied())
    }
}

/// 10.0.n.0/24, all protocols.
#[must_use]
pub fn net(n: u8) -> TrafficSelector {
    format!("10.0.{n}.0/24").parse().expect("a prefix")
}

/// Two sides that are to be built.
#[derive(Clone)]
pub struct Pair {
    /// 192.0.2.1, a.test.
    pub a: Side,
    /// 192.0.2.2, b.test.
    pub b: Side,
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Both sides as described above, with the default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self { a: Side::new(('a', 1), ('b', 2)), b: Side::new(('b', 2), ('a', 1)) }
    }

    /// Changes both sides.
    #[must_use]
    pub fn both(self, f: impl Fn(&mut Side)) -> Self {
        self.a(&f).b(&f)
    }

    /// Changes one side.
    #[must_use]
    pub fn a(mut self, f: impl FnOnce(&mut Side)) -> Self {
        f(&mut self.a);
        self
    }

    /// Changes the other side.
    #[must_use]
    pub fn b(mut self, f: impl FnOnce(&mut Side)) -> Self {
        f(&mut self.b);
        self
    }

    /// Makes the hosts.
    pub fn build(self, sim: &mut Sim) -> (Host, Host) {
        let place = |sim: &mut Sim, side: &Side| {
            let nat = side.nat.map(|(rules, public)| sim.add_nat(rules, public));
            let host = sim.add_host(&side.name, &side.addrs, nat, side.config.clone(), Db::new());
            side.inner.iter().for_each(|addr| sim.add_inner(host, *addr));
            host
        };
        let (a, b) = (place(sim, &self.a), place(sim, &self.b));
        sim.connect(a, &self.a, b, &self.b);
        (a, b)
    }
}

impl Sim {
    /// Tells two hosts about each other: one PAD entry, one secret and one policy on each. May be called for any number
    /// of pairs of hosts; names of peers and policies must differ on one host.
    pub fn connect(&mut self, a: Host, side_a: &Side, b: Host, side_b: &Side) {
        self.connect_one_way(a, side_a, b, side_b);
        self.connect_one_way(b, side_b, a, side_a);
    }

    fn connect_one_way(&mut self, host: Host, side: &Side, to: Host, other: &Side) {
        let mut peer = side.peer.clone();
        peer.local = peer.local.or_else(|| side.addrs.first().copied());
        let reachable = side.knows_address && other.nat.is_none();
        if peer.remote.is_none() && reachable {
            peer.remote = other.seen_as().map(|addr| SocketAddr::new(addr, 500));
        }
        let name = peer.name.clone();
        let (local_id, pattern) = (peer.local_id.clone(), other.peer.local_id.clone());
        let db = self.db(host);
        let id = db.pad.add(peer).expect("a PAD entry");
        db.pad.secrets.add_psk(Some(&local_id), Some(&pattern), Secret::new(side.psk.clone()));
        let action = Action::from(Protect { peer: id, ..side.protect.clone() });
        let policy = Policy::new(name, side.local_ts.clone(), side.remote_ts.clone(), action);
        let policy = db.spd.add(policy).expect("a policy");
        self.connections.insert((host, to), (id, policy));
    }
}
