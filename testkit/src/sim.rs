//! The world: hosts, the network between them, time, and the script of what happened.

use crate::host::{Host, HostState};
use crate::message::{Carrier, Fate, Message};
use crate::nat::{NatBox, NatState};
use crate::net::Link;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ravelin::db::{PeerId, PolicyId};
use ravelin::{Event, Instant, Output, Provider};
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
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) order: u64,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) carrier: Carrier,
    pub(crate) bytes: Vec<u8>,
    /// The NAT realm it travels in.
    pub(crate) realm: Option<NatBox>,
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
pub(crate) struct Sent {
    pub(crate) to: IpAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) delivered: u32,
}

pub(crate) type Hook = Box<dyn FnMut(&mut Message) -> Fate>;

/// The simulation.
pub struct Sim {
    pub(crate) seed: u64,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) crypto: Arc<Provider>,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<HostState>,
    pub(crate) nats: Vec<NatState>,
    pub(crate) default_link: Link,
    pub(crate) links: BTreeMap<(Host, Host), Link>,
    pub(crate) arrivals: BinaryHeap<Arrival>,
    pub(crate) timers: BTreeSet<(Instant, usize)>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) kept: Vec<Message>,
    pub(crate) connections: BTreeMap<(Host, Host), (PeerId, PolicyId)>,
    pub(crate) sent: BTreeMap<u64, Sent>,
    pub(crate) serial: u64,
    pub(crate) count: u64,
    pub(crate) order: u64,
    pub(crate) fingerprint: u64,
    pub(crate) trace: VecDeque<Entry>,
    pub(crate) recording: bool,
    pub(crate) script: Vec<String>,
    pub(crate) steps: u64,
    pub(crate) quiet: bool,
}

/// Steps without any progress of time after which a simulation is taken to spin.
const SPIN: u64 = 100_000;
/// Entries of the trace that are kept without `record`.
pub(crate) const TRACE: usize = 80;
/// The simulation's wall clock at its start.
pub(crate) const WALL: u64 = 1_800_000_000;

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
    pub(crate) fn drain(&mut self, host: Host) {
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

    pub(crate) fn note(&mut self, host: Host, event: Event) {
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
            Event::HandshakeKeys(_) => return,
            _ => {}
        }
        h.events.push((at, event));
    }

    pub(crate) fn set_timer(&mut self, host: Host) {
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

    /// Prints seed, script, the last datagrams and events.
    pub fn tell(&self) {
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
            self.tell();
        }
    }
}
