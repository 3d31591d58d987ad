//! The network: links, NAT boxes and hooks, from the sender's node to the receiver's. To add an impairment: a field of
//! [`Link`] and a line in `decide`.

use crate::host::{Delivered, Host, HostState};
use crate::message::{Carrier, Fate, Message};
use crate::nat::{Nat, NatBox, NatState};
use crate::net::Link;
use crate::sim::{Arrival, Entry, Outcome, Sim, TRACE};
use ravelin::{Ingress, OuterInfo, Path};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Sim {
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

    pub(crate) fn link_between(&self, from: Host, to: Host) -> Link {
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

    /// Begins the trace anew, and keeps all of it from now on.
    pub fn record(&mut self) {
        self.trace.clear();
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
    pub(crate) fn carry(&mut self, sender: Host, carrier: Carrier, path: Path, bytes: Vec<u8>) {
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

    pub(crate) fn arrive(&mut self, arrival: Arrival) {
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
}
