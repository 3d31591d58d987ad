//! Hosts: adding, looking at, changing them; sleep, vanishing and restart.

use crate::host::{Delivered, Host, HostState};
use crate::nat::NatBox;
use crate::sim::{Sim, WALL};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::Instant;
use ravelin::db::{Db, UnixTime};
use ravelin::{Config, Event, Node, Now};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

impl Sim {
    /// Adds a host with a node. `addrs` are its outer addresses, private ones if it stands behind a NAT.
    pub fn add_host(&mut self, name: &str, addrs: &[IpAddr], nat: Option<NatBox>, mut config: Config, db: Db) -> Host {
        config.ike.export_keys = true;
        let host = Host(self.hosts.len());
        let node = self.new_node(host, 0, &config, db);
        // Every host's clock has another origin, so that times of different hosts cannot be mixed unnoticed.
        let clock = Duration::from_secs(1000).saturating_mul(u32::try_from(host.0).unwrap_or(0).saturating_add(1));
        self.hosts.push(HostState {
            name: name.to_string(),
            node,
            config,
            addrs: addrs.to_vec(),
            inner: Vec::new(),
            nat,
            clock,
            wall_off: 0,
            asleep_until: Instant(0),
            off: false,
            timer: None,
            events: Vec::new(),
            delivered: Vec::new(),
            keys: BTreeMap::new(),
            ike_keys: Vec::new(),
            incarnation: 0,
            dropped: 0,
            last_path: None,
        });
        host
    }

    fn new_node(&self, host: Host, incarnation: u64, config: &Config, db: Db) -> Node {
        let seed = self.seed ^ (host.0 as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (incarnation << 56);
        let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
        Node::new(config.clone(), Arc::clone(&self.crypto), db, rng)
    }

    pub(crate) fn host(&self, host: Host) -> &HostState {
        &self.hosts[host.0]
    }

    pub(crate) fn host_mut(&mut self, host: Host) -> &mut HostState {
        &mut self.hosts[host.0]
    }

    /// The node of a host, to look at.
    #[must_use]
    pub fn node(&self, host: Host) -> &Node {
        &self.host(host).node
    }

    /// Does something with the node of a host, at its time; what comes out is carried away.
    pub fn with_node<R>(&mut self, host: Host, f: impl FnOnce(&mut Node, Now) -> R) -> R {
        let now = self.time_of(host);
        let result = f(&mut self.host_mut(host).node, now);
        self.drain(host);
        result
    }

    /// The databases of a host.
    pub fn db(&mut self, host: Host) -> &mut Db {
        self.host_mut(host).node.db_mut()
    }

    /// What a host's clocks show.
    #[must_use]
    pub fn time_of(&self, host: Host) -> Now {
        let h = self.host(host);
        let wall = (WALL + self.now.micros() / 1_000_000).saturating_add_signed(h.wall_off);
        Now { mono: self.now + h.clock, wall: UnixTime(wall) }
    }

    /// Name of a host.
    #[must_use]
    pub fn name(&self, host: Host) -> &str {
        &self.host(host).name
    }

    /// All hosts.
    pub fn all_hosts(&self) -> impl Iterator<Item = Host> + use<> {
        (0..self.hosts.len()).map(Host)
    }

    /// What the host's node told, with the simulation's time.
    #[must_use]
    pub fn events(&self, host: Host) -> &[(Instant, Event)] {
        &self.host(host).events
    }

    /// Forgets the events of all hosts, so that a test looks only at what follows.
    pub fn forget_events(&mut self) {
        for h in &mut self.hosts {
            h.events.clear();
        }
    }

    /// Inner packets that came out of tunnels at this host.
    #[must_use]
    pub fn delivered(&self, host: Host) -> &[Delivered] {
        &self.host(host).delivered
    }

    /// Gives a host an inner address that it answers for.
    pub fn add_inner(&mut self, host: Host, addr: IpAddr) {
        self.host_mut(host).inner.push(addr);
    }

    /// Gives a host an outer address.
    pub fn add_address(&mut self, host: Host, addr: IpAddr) {
        let name = self.name(host).to_string();
        self.say(format!("{name} gets {addr}"));
        self.host_mut(host).addrs.push(addr);
    }

    /// Takes an outer address away; what is on its way to it is lost.
    pub fn remove_address(&mut self, host: Host, addr: IpAddr) {
        let name = self.name(host).to_string();
        self.say(format!("{name} loses {addr}"));
        self.host_mut(host).addrs.retain(|a| *a != addr);
    }

    /// The outer addresses of a host.
    #[must_use]
    pub fn addresses(&self, host: Host) -> &[IpAddr] {
        &self.host(host).addrs
    }

    /// What the node of a host and a fresh one with the same databases weigh by `heap`, which says how many octets are
    /// allocated now. The host then has the fresh one.
    pub fn weigh(&mut self, host: Host, heap: &dyn Fn() -> usize) -> (usize, usize) {
        let mut one = || {
            let h = self.host(host);
            let db = Db { pad: h.node.db().pad.clone(), spd: h.node.db().spd.clone(), ..Db::default() };
            let fresh = self.new_node(host, 0, &h.config.clone(), db);
            let old = std::mem::replace(&mut self.host_mut(host).node, fresh);
            let before = heap();
            drop(old);
            before.saturating_sub(heap())
        };
        (one(), one())
    }

    /// The NAT box before a host.
    #[must_use]
    pub fn nat_of(&self, host: Host) -> Option<NatBox> {
        self.host(host).nat
    }

    /// Puts a host behind a NAT box, or in the open.
    pub fn put_behind(&mut self, host: Host, nat: Option<NatBox>) {
        let text = format!("{} is now behind {nat:?}", self.name(host));
        self.say(text);
        self.host_mut(host).nat = nat;
    }

    /// Steps the wall clock of a host; its monotonic clock does not move.
    pub fn step_wall_clock(&mut self, host: Host, seconds: i64) {
        let text = format!("wall clock of {} steps by {seconds} s", self.name(host));
        self.say(text);
        self.host_mut(host).wall_off += seconds;
    }

    /// The host sleeps: it takes nothing in and does nothing until then; its clock goes on.
    pub fn suspend(&mut self, host: Host, time: Duration) {
        let text = format!("{} sleeps for {time:?}", self.name(host));
        self.say(text);
        let until = self.now + time;
        self.host_mut(host).asleep_until = until;
        self.set_timer(host);
    }

    /// The host vanishes without a word.
    pub fn power_off(&mut self, host: Host) {
        let text = format!("{} vanishes", self.name(host));
        self.say(text);
        self.host_mut(host).off = true;
        self.set_timer(host);
    }

    /// The host comes back with the same databases and no SAs.
    pub fn restart(&mut self, host: Host) {
        let text = format!("{} starts afresh", self.name(host));
        self.say(text);
        let h = self.host(host);
        let (config, incarnation) = (h.config.clone(), h.incarnation + 1);
        let db = Db { pad: h.node.db().pad.clone(), spd: h.node.db().spd.clone(), ..Db::default() };
        let node = self.new_node(host, incarnation, &config, db);
        let h = self.host_mut(host);
        (h.node, h.incarnation, h.off) = (node, incarnation, false);
        h.keys.clear();
        self.drain(host);
    }
}
