//! What the two nodes of a random schedule are told, and what stands between them: drawn from the seed like the steps.
//!
//! To add something to choose: a field, a line in `Setting::random` and what it means in `Setting::build`.

use crate::host::Host;
use crate::nat::{Nat, NatKind};
use crate::pair::{Pair, Side};
use crate::sim::Sim;
use crate::time::secs;
use ravelin::db::pad::{Childless, Uniqueness};
use ravelin::db::spd::{Action, CloseAction, Policy, StartAction};
use ravelin::db::{PolicyId, Proposal, ProposalProtocol, TrafficSelector};
use ravelin::ike::config::CookiePolicy;
use std::net::IpAddr;

/// What two nodes are like. The default is two nodes as `Pair::new` makes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// A NAT box before host a.
    pub nat: Option<NatKind>,
    /// Requests at once (SET_WINDOW_SIZE).
    pub window: u32,
    /// Reauthentication makes the new IKE SA first.
    pub make_before_break: bool,
    /// RFC 4555, with two addresses on each host.
    pub mobike: bool,
    /// Lifetimes of a minute or two instead of hours.
    pub short: bool,
    /// Several IKE SAs of the same identities.
    pub uniqueness: Uniqueness,
    /// When the peer dies or closes.
    pub action: CloseAction,
    /// RFC 6023.
    pub childless: Childless,
    /// Child SAs with key exchanges of their own.
    pub pfs: bool,
    /// IP packets with IKE fragments are this small.
    pub fragment: u16,
    /// Always cookies.
    pub cookies: bool,
    /// Attempts; 0: for ever.
    pub tries: u32,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            nat: None,
            window: 1,
            make_before_break: true,
            mobike: false,
            short: false,
            uniqueness: Uniqueness::InitialContact,
            action: CloseAction::None,
            childless: Childless::Allow,
            pfs: false,
            fragment: 1280,
            cookies: false,
            tries: 1,
        }
    }
}

/// The two nodes of a schedule, built.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The first host.
    pub a: Host,
    /// The second host.
    pub b: Host,
    /// The policy of a second network on each, between the same peers.
    pub second: [PolicyId; 2],
    /// What was built.
    pub setting: Setting,
}

/// The addresses of a host: its home and another.
const ADDRS: [[IpAddr; 2]; 2] = [
    [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1))],
    [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2))],
];

impl Setting {
    /// Drawn by `below`, which gives a number smaller than its argument.
    pub fn random(below: &mut dyn FnMut(u64) -> u64) -> Self {
        let mut of = |n| below(n);
        let nat = match of(6) {
            0 => Some(NatKind::Cone),
            1 => Some(NatKind::Symmetric),
            _ => None,
        };
        Self {
            nat,
            window: [1, 1, 2, 5][of(4) as usize],
            make_before_break: of(3) > 0,
            mobike: of(2) == 0,
            short: of(2) == 0,
            uniqueness: [Uniqueness::InitialContact, Uniqueness::Replace, Uniqueness::Keep, Uniqueness::Never]
                [of(4) as usize],
            action: [CloseAction::None, CloseAction::Start, CloseAction::Trap][of(3) as usize],
            childless: [Childless::Allow, Childless::Prefer, Childless::Never][of(3) as usize],
            pfs: of(3) == 0,
            fragment: if of(4) == 0 { 300 } else { 1280 },
            cookies: of(5) == 0,
            tries: [1, 3, 0][of(3) as usize],
        }
    }

    fn side(&self, side: &mut Side) {
        side.config.ike.window = self.window;
        side.config.ike.make_before_break = self.make_before_break;
        side.config.ike.fragment_size = self.fragment;
        if self.cookies {
            side.config.ike.cookies = CookiePolicy::Always;
        }
        side.peer.mobike = self.mobike;
        side.peer.uniqueness = self.uniqueness;
        side.peer.childless = self.childless;
        side.peer.keying_tries = self.tries;
        if self.short {
            side.peer.times.rekey = secs(110);
            side.peer.times.reauth = secs(250);
            side.peer.times.jitter = secs(20);
            side.peer.times.over = secs(60);
            side.protect.times.rekey = secs(70);
            side.protect.times.jitter = secs(10);
            side.protect.times.hard = secs(100);
        }
        side.protect.close = self.action;
        side.protect.dpd = self.action;
        side.protect.start = StartAction::Trap;
        if self.pfs {
            let list = Proposal::parse_list(ProposalProtocol::Esp, "aes128gcm16-x25519");
            side.protect.proposals = list.expect("proposals");
        }
    }

    /// Makes the hosts.
    ///
    /// # Panics
    /// Never: what is configured is in order.
    pub fn build(self, sim: &mut Sim) -> Stage {
        let mut pair = Pair::new().both(|s| self.side(s));
        if let Some(kind) = self.nat {
            pair = pair.a(|s| s.behind(if kind == NatKind::Cone { Nat::cone() } else { Nat::symmetric() }));
        }
        let sides = [pair.a.clone(), pair.b.clone()];
        let (a, b) = pair.build(sim);
        let (mut second, at) = ([PolicyId(0); 2], [(a, b), (b, a)]);
        for (n, (host, other)) in at.into_iter().enumerate() {
            let (peer, _) = sim.connection(host, other);
            let ts = |n: usize| -> TrafficSelector { format!("10.1.{n}.0/24").parse().expect("a prefix") };
            let protect = ravelin::db::spd::Protect { peer, ..sides[n].protect.clone() };
            let policy = Policy::new("second", [ts(n)], [ts(1 - n)], Action::from(protect));
            second[n] = sim.db(host).spd.add(policy).expect("a policy");
            // Whatever address it has: it moves.
            let mut entry = ravelin::db::Peer::clone(sim.db(host).pad.peer(peer).expect("an entry"));
            entry.local = None;
            sim.db(host).pad.replace(peer, entry).expect("an entry");
        }
        let stage = Stage { a, b, second, setting: self };
        stage.home(sim);
        stage
    }
}

impl Stage {
    /// The other address of a host comes or goes; one always stays. Hosts behind a NAT do not move.
    pub fn address(&self, sim: &mut Sim, first: bool, which: usize) {
        let host = if first { self.a } else { self.b };
        if !self.setting.mobike || sim.nat_of(host).is_some() {
            return;
        }
        let addr = ADDRS[usize::from(!first)][which.min(1)];
        let now = sim.addresses(host);
        if now.contains(&addr) {
            if now.len() == 1 {
                return;
            }
            sim.remove_address(host, addr);
        } else {
            sim.add_address(host, addr);
        }
        self.tell_addresses(sim, host);
    }

    /// Every host has its home address, best first.
    pub fn home(&self, sim: &mut Sim) {
        for (n, host) in [self.a, self.b].into_iter().enumerate() {
            let home = ADDRS[n][0];
            if sim.nat_of(host).is_none() && !sim.addresses(host).contains(&home) {
                sim.add_address(host, home);
            }
            self.tell_addresses(sim, host);
        }
    }

    /// Tells a node what addresses its host has.
    pub fn tell_addresses(&self, sim: &mut Sim, host: Host) {
        let mut now = sim.addresses(host).to_vec();
        now.sort_unstable();
        sim.with_node(host, |node, at| node.set_addresses(at, now));
    }
}
