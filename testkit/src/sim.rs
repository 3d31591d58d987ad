//! The world: hosts, the network between them, time, and the script of what happened.

use crate::host::{Collect, Delivered, Host, HostState};
use crate::message::{Carrier, Fate, Message};
use crate::nat::{Nat, NatBox, NatState};
use crate::net::Link;
use crate::packet;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ravelin::db::{Db, Encapsulation, PeerId, PolicyId, UnixTime};
use ravelin::ike::ids::IkeSaId;
use ravelin::{Config, Egress, Event, Ingress, Instant, Node, Now, OuterInfo, Output, Path, Provider};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// On its way, this many times.
    Sent(u32),
    /// Lost on the link.
    Lost,
    /// The link is cut.
    Cut,
    /// Larger than the link's MTU.
    TooBig,
    /// A hook dropped it.
    Hooked,
    /// A hook put it aside.
    Kept,
    /// Nobody has the destination address.
    NoRoute,
    /// A NAT box does not let it through.
    Nat,
    /// The sender does not own the source address.
    NoSource,
}

/// A datagram and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The datagram as it left.
    pub message: Message,
    /// What became of it.
    pub outcome: Outcome,
}

/// Something that arrives later.
struct Arrival {
    at: Instant,
    order: u64,
    from: SocketAddr,
    to: SocketAddr,
    carrier: Carrier,
    bytes: Vec<u8>,
    /// The NAT realm it travels in.
    realm: Option<NatBox>,
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Arrival {}
impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Arrival {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// An inner packet that was sent.
struct Sent {
    to: IpAddr,
    bytes: Vec<u8>,
    delivered: u32,
}

type Hook = Box<dyn FnMut(&mut Message) -> Fate>;

/// The simulation.
pub struct Sim {
    seed: u64,
    rng: ChaCha20Rng,
    crypto: Arc<Provider>,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<HostState>,
    nats: Vec<NatState>,
    default_link: Link,
    links: BTreeMap<(Host, Host), Link>,
    arrivals: BinaryHeap<Arrival>,
    timers: BTreeSet<(Instant, usize)>,
    hooks: Vec<Hook>,
    kept: Vec<Message>,
    pub(crate) connections: BTreeMap<(Host, Host), (PeerId, PolicyId)>,
    sent: BTreeMap<u64, Sent>,
    serial: u64,
    count: u64,
    order: u64,
    fingerprint: u64,
    pub(crate) trace: VecDeque<Entry>,
    recording: bool,
    script: Vec<String>,
    steps: u64,
    quiet: bool,
}

/// Steps without any progress of time after which a simulation is taken to spin.
const SPIN: u64 = 100_000;
/// Entries of the trace that are kept without `record`.
const TRACE: usize = 80;
/// The simulation's wall clock at its start.
const WALL: u64 = 1_800_000_000;

impl Sim {
    /// An empty world. The seed decides on everything that is random: the network and the nodes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_crypto(seed, Arc::new(ravelin::crypto::rustcrypto::provider()))
    }

    /// The same with a provider of the caller's.
    #[must_use]
    pub fn with_crypto(seed: u64, crypto: Arc<Provider>) -> Self {
        Self {
            seed,
            rng: ChaCha20Rng::seed_from_u64(seed),
            crypto,
            now: Instant(0),
            hosts: Vec::new(),
            nats: Vec::new(),
            default_link: Link::default(),
            links: BTreeMap::new(),
            arrivals: BinaryHeap::new(),
            timers: BTreeSet::new(),
            hooks: Vec::new(),
            kept: Vec::new(),
            connections: BTreeMap::new(),
            sent: BTreeMap::new(),
            serial: 0,
            count: 0,
            order: 0,
            fingerprint: 0xcbf2_9ce4_8422_2325,
            trace: VecDeque::new(),
            recording: false,
            script: Vec::new(),
            steps: 0,
            quiet: false,
        }
    }

    /// Adds a line to the script that a failing test prints.
    pub fn say(&mut self, text: impl AsRef<str>) {
        self.script.push(format!("{:>14?}  {}", self.now, text.as_ref()));
    }

    /// Says nothing when the test panics; for tests that try many schedules and report themselves.
    pub fn quiet(&mut self) {
        self.quiet = true;
    }

    /// The script so far.
    #[must_use]
    pub fn script(&self) -> String {
        self.script.join("\n")
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A number below `n` from the simulation's generator, for scripts.
    pub fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64().checked_rem(n).unwrap_or(0)
    }

    // ---- hosts -----------------------------------------------------------------------------------------------------

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

    // ---- network ---------------------------------------------------------------------------------------------------

    /// Changes the link of all pairs that have none of their own.
    pub fn network(&mut self, f: impl FnOnce(Link) -> Link) {
        self.default_link = f(self.default_link);
        let text = format!("network: {:?}", self.default_link);
        self.say(text);
    }

    /// All links perfect again, ten milliseconds one way, hooks gone.
    pub fn perfect_network(&mut self) {
        self.default_link = Link::default();
        self.links.clear();
        self.hooks.clear();
        self.say("network: perfect");
    }

    /// Changes the link between two hosts, both ways.
    pub fn link(&mut self, a: Host, b: Host, f: impl Fn(Link) -> Link) {
        self.link_one_way(a, b, &f);
        self.link_one_way(b, a, &f);
    }

    /// Changes the link from one host to another.
    pub fn link_one_way(&mut self, from: Host, to: Host, f: impl Fn(Link) -> Link) {
        let link = f(self.link_between(from, to));
        self.links.insert((from, to), link);
        let text = format!("link {} to {}: {link:?}", self.name(from), self.name(to));
        self.say(text);
    }

    /// Nothing arrives between two hosts until `heal`.
    pub fn partition(&mut self, a: Host, b: Host) {
        self.link(a, b, |l| Link { cut: true, ..l });
    }

    /// Undoes `partition`.
    pub fn heal(&mut self, a: Host, b: Host) {
        self.link(a, b, |l| Link { cut: false, ..l });
    }

    fn link_between(&self, from: Host, to: Host) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or(self.default_link)
    }

    /// Adds a NAT box with this public address.
    pub fn add_nat(&mut self, rules: Nat, public: IpAddr) -> NatBox {
        self.nats.push(NatState::new(rules, public));
        NatBox(self.nats.len() - 1)
    }

    /// Lets the world in on a public port (port forwarding).
    pub fn forward(&mut self, nat: NatBox, port: u16, inside: SocketAddr) {
        self.nats[nat.0].forward(port, inside);
    }

    /// The NAT box forgets its mappings, as after a reboot: the next datagrams get other ports.
    pub fn rebind(&mut self, nat: NatBox) {
        self.say(format!("{nat:?} rebinds"));
        self.nats[nat.0].rebind();
    }

    /// Looks at every datagram that leaves a host, in the order of installation; may change it and decide its fate.
    pub fn hook(&mut self, hook: impl FnMut(&mut Message) -> Fate + 'static) {
        self.hooks.push(Box::new(hook));
    }

    /// Loses the next `times` datagrams that fit.
    pub fn lose(&mut self, times: u32, fits: impl Fn(&Message) -> bool + 'static) {
        let mut left = times;
        self.hook(move |m| {
            if left > 0 && fits(m) {
                left -= 1;
                return Fate::Drop;
            }
            Fate::Pass
        });
    }

    /// Removes all hooks.
    pub fn unhook(&mut self) {
        self.hooks.clear();
    }

    /// Messages that hooks put aside (`Fate::Keep`), oldest first.
    #[must_use]
    pub fn kept(&self) -> &[Message] {
        &self.kept
    }

    /// Lets a kept message arrive now, past links and hooks.
    pub fn release(&mut self, index: usize) {
        let message = self.kept.remove(index);
        self.say(format!("released: {message}"));
        self.inject(message);
    }

    /// Lets all kept messages arrive now, oldest first.
    pub fn release_all(&mut self) {
        while !self.kept.is_empty() {
            self.release(0);
        }
    }

    /// Throws a kept message away.
    pub fn discard(&mut self, index: usize) -> Message {
        self.kept.remove(index)
    }

    /// Lets a datagram arrive now that seems to come from the sender's end of `message`.
    pub fn inject(&mut self, message: Message) {
        let realm = message.sender.and_then(|s| self.host(s).nat);
        let from = self.translate(&message, realm);
        if let Some(from) = from {
            self.arrive(Arrival {
                at: self.now,
                order: 0,
                from,
                to: message.to,
                carrier: message.carrier,
                bytes: message.bytes,
                realm,
            });
        }
    }

    /// Every datagram so far (with `record`) or the last ones, and what became of them.
    pub fn trace(&self) -> impl Iterator<Item = &Entry> {
        self.trace.iter()
    }

    /// Keeps the whole trace from now on.
    pub fn record(&mut self) {
        self.recording = true;
    }

    /// Datagrams sent so far.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.count
    }

    /// A checksum over all that was sent, octet for octet, with its time and addresses.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// A datagram leaves a host.
    fn carry(&mut self, sender: Host, carrier: Carrier, path: Path, bytes: Vec<u8>) {
        self.count += 1;
        self.mix(&self.now.micros().to_be_bytes());
        self.mix(path.to_string().as_bytes());
        self.mix(&bytes);
        self.host_mut(sender).last_path = Some(path);
        let mut message = Message {
            number: self.count,
            sent: self.now,
            sender: Some(sender),
            from: path.local,
            to: path.remote,
            carrier,
            bytes,
        };
        let mut fate = Fate::Pass;
        let mut hooks = std::mem::take(&mut self.hooks);
        for hook in &mut hooks {
            if fate == Fate::Pass {
                fate = hook(&mut message);
            }
        }
        self.hooks = hooks;
        let outcome = self.decide(sender, fate, &message);
        if self.trace.len() >= TRACE && !self.recording {
            self.trace.pop_front();
        }
        self.trace.push_back(Entry { message, outcome });
    }

    fn decide(&mut self, sender: Host, fate: Fate, message: &Message) -> Outcome {
        let realm = self.host(sender).nat;
        if !self.host(sender).addrs.contains(&message.from.ip()) {
            return Outcome::NoSource;
        }
        match fate {
            Fate::Drop => return Outcome::Hooked,
            Fate::Keep => {
                self.kept.push(message.clone());
                return Outcome::Kept;
            }
            _ => {}
        }
        let Some(receiver) = self.find(realm, message.from, message.to) else { return Outcome::NoRoute };
        let link = self.link_between(sender, receiver);
        let headers = if message.to.is_ipv4() { 20 } else { 40 } + if message.carrier == Carrier::Udp { 8 } else { 0 };
        let certain = matches!(fate, Fate::Deliver | Fate::Times(_));
        if link.cut && !certain {
            return Outcome::Cut;
        }
        if link.mtu != 0 && message.bytes.len() + headers > link.mtu {
            return Outcome::TooBig;
        }
        let Some(from) = self.translate(message, realm) else { return Outcome::Nat };
        let (loss, twice, late) = (self.chance(link.loss), self.chance(link.duplicate), self.chance(link.reorder));
        if loss && !certain {
            return Outcome::Lost;
        }
        let times = match fate {
            Fate::Times(n) => n,
            _ if twice => 2,
            _ => 1,
        };
        for copy in 0..times {
            let mut delay = link.delay + self.part_of(link.jitter);
            if late || copy > 0 {
                delay += self.part_of(link.reorder_by);
            }
            if let Fate::Delay(more) = fate {
                delay += more;
            }
            self.order += 1;
            self.arrivals.push(Arrival {
                at: self.now + delay,
                order: self.order,
                from,
                to: message.to,
                carrier: message.carrier,
                bytes: message.bytes.clone(),
                realm,
            });
        }
        Outcome::Sent(times)
    }

    /// The source as the receiver will see it; `None` when a NAT box does not let it out.
    fn translate(&mut self, message: &Message, realm: Option<NatBox>) -> Option<SocketAddr> {
        let Some(nat) = realm else { return Some(message.from) };
        let inside = self.hosts.iter().any(|h| h.nat == realm && h.addrs.contains(&message.to.ip()));
        if inside {
            return Some(message.from);
        }
        let now = self.now;
        (message.carrier == Carrier::Udp).then(|| self.nats[nat.0].outward(now, message.from, message.to))
    }

    /// Who has this destination, seen from a realm.
    fn find(&self, realm: Option<NatBox>, from: SocketAddr, to: SocketAddr) -> Option<Host> {
        let owner = |realm: Option<NatBox>, ip: IpAddr| {
            self.hosts.iter().position(|h| h.nat == realm && h.addrs.contains(&ip)).map(Host)
        };
        owner(realm, to.ip()).or_else(|| owner(None, to.ip())).or_else(|| {
            let nat = self.nats.iter().position(|n| n.public == to.ip())?;
            // Whether the mapping lets it in is decided when it arrives.
            let inside = self.nats[nat].peek(from, to.port()).map(|i| i.ip());
            let behind = |h: &HostState| h.nat == Some(NatBox(nat)) && inside.is_none_or(|i| h.addrs.contains(&i));
            self.hosts.iter().position(behind).map(Host)
        })
    }

    fn chance(&mut self, percent: f64) -> bool {
        // Always drawn, so that a run is comparable with one on another link.
        let drawn = self.below(1_000_000);
        (drawn as f64) < percent * 10_000.0
    }

    fn part_of(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(if micros == 0 { 0 } else { self.below(micros) })
    }

    fn mix(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.fingerprint = (self.fingerprint ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival { mut to, from, carrier, mut bytes, realm, .. } = arrival;
        let direct = |s: &Self, realm, ip: IpAddr| {
            s.hosts.iter().position(|h: &HostState| h.nat == realm && h.addrs.contains(&ip)).map(Host)
        };
        let mut receiver = direct(self, realm, to.ip()).or_else(|| direct(self, None, to.ip()));
        if receiver.is_none()
            && let Some(nat) = self.nats.iter().position(|n| n.public == to.ip())
            && carrier == Carrier::Udp
        {
            let now = self.now;
            let Some(inside) = self.nats[nat].inward(now, from, to.port()) else { return };
            to = inside;
            receiver = direct(self, Some(NatBox(nat)), to.ip());
        }
        let Some(host) = receiver else { return };
        let h = self.host(host);
        if h.off || h.asleep_until > self.now {
            return;
        }
        let now = self.time_of(host);
        let path = Path { local: to, remote: from };
        let node = &mut self.host_mut(host).node;
        let result = match carrier {
            Carrier::Udp => node.handle_datagram(now, path, &mut bytes),
            Carrier::Esp => node.handle_esp(now, path, OuterInfo::default(), &mut bytes),
        };
        match result {
            Ingress::Consumed => {}
            Ingress::Deliver { child, packet } => {
                let packet = packet.to_vec();
                self.delivered_at(host, Delivered { at: self.now, child, packet });
            }
            Ingress::Dropped(_) => self.host_mut(host).dropped += 1,
        }
        self.drain(host);
    }

    /// An inner packet came out of a tunnel: it must be one that was sent, unchanged, for this host, and the first time.
    fn delivered_at(&mut self, host: Host, delivered: Delivered) {
        let name = self.name(host).to_string();
        if let Some(serial) = packet::serial(&delivered.packet) {
            let here = packet::parse(&delivered.packet).is_some_and(|(_, to, ..)| self.host(host).inner.contains(&to));
            let Some(sent) = self.sent.get_mut(&serial) else { panic!("{name}: packet {serial} was never sent") };
            sent.delivered += 1;
            assert!(sent.bytes == delivered.packet, "{name}: packet {serial} came out of the tunnel changed");
            assert!(sent.delivered == 1, "{name}: packet {serial} was delivered twice (replay)");
            assert!(here, "{name}: packet {serial} for {} was delivered to the wrong host", sent.to);
        }
        let request = delivered.packet.clone();
        self.host_mut(host).delivered.push(delivered);
        if packet::answer(&request, 0).is_some() {
            let serial = self.next_serial();
            if let Some(reply) = packet::answer(&request, serial) {
                self.send_raw(host, serial, reply);
            }
        }
    }

    // ---- inner packets ---------------------------------------------------------------------------------------------

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn send_raw(&mut self, host: Host, serial: u64, packet: Vec<u8>) -> Egress {
        let to = packet::parse(&packet).map_or(IpAddr::from([0; 4]), |(_, to, ..)| to);
        self.sent.insert(serial, Sent { to, bytes: packet.clone(), delivered: 0 });
        let now = self.time_of(host);
        let mut sink = Collect::default();
        let result = self.host_mut(host).node.handle_packet(now, &packet, &mut sink);
        for sealed in sink.sealed {
            self.carry_sealed(host, sealed.meta, sealed.bytes);
        }
        self.drain(host);
        result
    }

    /// Sends an echo request of `len` payload octets between two inner addresses; its serial number, and what the node
    /// did with it.
    pub fn send_echo(&mut self, host: Host, from: IpAddr, to: IpAddr, len: usize) -> (u64, Egress) {
        let serial = self.next_serial();
        let packet = packet::echo(from, to, false, &packet::payload(serial, len));
        (serial, self.send_raw(host, serial, packet))
    }

    /// Sends a UDP datagram of `len` payload octets.
    pub fn send_udp(&mut self, host: Host, from: (IpAddr, u16), to: (IpAddr, u16), len: usize) -> (u64, Egress) {
        let serial = self.next_serial();
        let packet = packet::udp(from, to, &packet::payload(serial, len));
        (serial, self.send_raw(host, serial, packet))
    }

    /// The first inner addresses of one family of two hosts.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn inner_pair(&self, a: Host, b: Host) -> (IpAddr, IpAddr) {
        let (x, y) = (&self.host(a).inner, &self.host(b).inner);
        let found = x.iter().find_map(|p| y.iter().find(|q| p.is_ipv4() == q.is_ipv4()).map(|q| (*p, *q)));
        found.unwrap_or_else(|| panic!("{} and {} have no inner addresses of one family", self.name(a), self.name(b)))
    }

    /// True when this packet came out of a tunnel.
    #[must_use]
    pub fn was_delivered(&self, serial: u64) -> bool {
        self.sent.get(&serial).is_some_and(|s| s.delivered > 0)
    }

    /// Pings through the tunnel from host to host; the round trip, `None` when no reply came in ten seconds.
    pub fn ping(&mut self, from: Host, to: Host) -> Option<Duration> {
        let (src, dst) = self.inner_pair(from, to);
        let text = format!("{} pings {}", self.name(from), self.name(to));
        self.say(text);
        let (before, begin) = (self.host(from).delivered.len(), self.now);
        self.send_echo(from, src, dst, 56);
        let replied = |sim: &Self| {
            let new = sim.host(from).delivered.iter().skip(before);
            new.filter_map(|d| packet::parse(&d.packet).map(|p| (p.0, &d.packet)))
                .any(|(source, p)| source == dst && packet::is_reply(p))
        };
        self.wait(Duration::from_secs(10), replied).then(|| self.now.since(begin))
    }

    fn carry_sealed(&mut self, host: Host, meta: ravelin::TransmitMeta, bytes: Vec<u8>) {
        let udp = meta.encapsulation == Encapsulation::Udp;
        let (carrier, path) = if udp { (Carrier::Udp, meta.path) } else { (Carrier::Esp, meta.path.with_ports(0, 0)) };
        self.carry(host, carrier, path, bytes);
    }

    // ---- operator commands -----------------------------------------------------------------------------------------

    /// Brings up an IKE SA from one host to another, with the Child SA of their policy.
    ///
    /// # Panics
    /// When the node refuses the call.
    pub fn initiate(&mut self, from: Host, to: Host) -> IkeSaId {
        let text = format!("{} initiates to {}", self.name(from), self.name(to));
        self.say(text);
        let (peer, policy) = self.connection(from, to);
        self.with_node(from, |node, now| node.initiate(now, peer, Some(policy))).expect("initiate")
    }

    /// Deletes the IKE SAs of one host with another.
    pub fn delete(&mut self, from: Host, to: Host) {
        let text = format!("{} deletes its IKE SAs with {}", self.name(from), self.name(to));
        self.say(text);
        for id in self.ike_sas(from, to) {
            // One that is closing already may be gone before its turn.
            let _ = self.with_node(from, |node, now| node.delete(now, id));
        }
    }

    /// Asks whether the peer lives, on every IKE SA with it.
    pub fn probe(&mut self, from: Host, to: Host) {
        let text = format!("{} probes {}", self.name(from), self.name(to));
        self.say(text);
        for id in self.ike_sas(from, to) {
            let _ = self.with_node(from, |node, now| node.probe(now, id));
        }
    }

    /// Deletes everything of a host and takes nothing new.
    pub fn shutdown(&mut self, host: Host) {
        let text = format!("{} shuts down", self.name(host));
        self.say(text);
        self.with_node(host, |node, now| node.shutdown(now));
    }

    /// The peer and policy that `Pair` or `connect` made on `from` for `to`.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn connection(&self, from: Host, to: Host) -> (PeerId, PolicyId) {
        match self.connections.get(&(from, to)) {
            Some(c) => *c,
            None => panic!("{} is not configured for {}", self.name(from), self.name(to)),
        }
    }

    // ---- time ------------------------------------------------------------------------------------------------------

    /// Lets the next thing happen, if it is not later than `limit`; false when there is none.
    pub fn step(&mut self, limit: Instant) -> bool {
        let arrival = self.arrivals.peek().map(|a| a.at);
        let timer = self.timers.first().copied();
        let next = [arrival, timer.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|n| *n <= limit) else { return false };
        self.steps = if next > self.now { 0 } else { self.steps + 1 };
        assert!(self.steps < SPIN, "the simulation spins: {SPIN} steps without progress of time");
        self.now = self.now.max(next);
        if arrival == Some(next)
            && let Some(arrival) = self.arrivals.pop()
        {
            self.arrive(arrival);
        } else if let Some((_, host)) = timer {
            self.timeout(Host(host));
        }
        true
    }

    fn timeout(&mut self, host: Host) {
        let now = self.time_of(host);
        self.host_mut(host).node.handle_timeout(now);
        self.drain(host);
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let limit = self.now + time;
        while self.step(limit) {}
        self.now = limit;
    }

    /// Lets time pass until `done`, at most this much; true when it was done.
    pub fn wait(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let limit = self.now + time;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(limit) {
                self.now = limit;
                return done(self);
            }
        }
    }

    /// As `wait`, and panics with `what` when it was not done in time.
    ///
    /// # Panics
    /// When it was not done in time.
    pub fn run_until(&mut self, time: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        assert!(self.wait(time, done), "after {time:?} still not: {what}");
    }

    /// Carries away what a node wants, and sets its timer.
    fn drain(&mut self, host: Host) {
        while let Some(output) = self.host_mut(host).node.poll_output() {
            if self.host(host).off {
                continue;
            }
            match output {
                Output::Transmit(t) => self.carry(host, Carrier::Udp, t.path, t.bytes),
                Output::Esp(p) => self.carry_sealed(host, p.meta, p.bytes),
                Output::Event(event) => self.note(host, event),
                _ => {}
            }
        }
        self.set_timer(host);
    }

    fn note(&mut self, host: Host, event: Event) {
        let at = self.now;
        let h = self.host_mut(host);
        match &event {
            Event::ChildKeys { inbound, outbound } => {
                h.keys.insert(inbound.child, (Arc::clone(inbound), Arc::clone(outbound)));
                return;
            }
            Event::IkeKeys(keys) => {
                h.ike_keys.push(Arc::clone(keys));
                return;
            }
            _ => {}
        }
        h.events.push((at, event));
    }

    fn set_timer(&mut self, host: Host) {
        let h = &mut self.hosts[host.0];
        let clock = h.clock;
        let deadline = h.node.deadline().filter(|d| d.at != Instant::NEVER).map(|d| d.at - clock);
        let at = deadline.filter(|_| !h.off).map(|at| at.max(h.asleep_until).max(self.now));
        let old = std::mem::replace(&mut h.timer, at);
        if old != at {
            if let Some(old) = old {
                self.timers.remove(&(old, host.0));
            }
            if let Some(at) = at {
                self.timers.insert((at, host.0));
            }
        }
    }

    /// Datagrams on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.arrivals.len()
    }

    fn report(&self) {
        eprintln!("\n---- simulation with seed {} failed at {:?} ----", self.seed, self.now);
        eprintln!("script:\n{}", self.script());
        eprintln!("last datagrams:");
        for entry in self.trace.iter().rev().take(40).rev() {
            let sender = entry.message.sender.map_or("?", |s| self.name(s));
            eprintln!("{:>14?}  {sender:<8} {} {:?}", entry.message.sent, entry.message, entry.outcome);
        }
        for h in &self.hosts {
            eprintln!("events of {}:", h.name);
            for (at, event) in h.events.iter().rev().take(12).rev() {
                eprintln!("{at:>14?}  {event:?}");
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.quiet {
            self.report();
        }
    }
}
