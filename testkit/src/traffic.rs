//! Inner packets: sending them into a node, and checking what comes out of another one.

use crate::host::{Collect, Delivered, Host};
use crate::message::Carrier;
use crate::packet;
use crate::sim::{Sent, Sim};
use ravelin::Egress;
use ravelin::db::{Encapsulation, Mode};
use std::net::IpAddr;
use std::time::Duration;

impl Sim {
    /// An inner packet came out of a tunnel: it must be one that was sent, unchanged, for this host, and the first time.
    /// Transport mode may put other addresses in front.
    pub(crate) fn delivered_at(&mut self, host: Host, delivered: Delivered) {
        let name = self.name(host).to_string();
        if let Some(serial) = packet::serial(&delivered.packet) {
            let here = packet::parse(&delivered.packet).is_some_and(|(_, to, ..)| self.host(host).inner.contains(&to));
            let transport = self.children(host).iter().any(|c| c.id == delivered.child && c.mode == Mode::Transport);
            let Some(sent) = self.sent.get_mut(&serial) else { panic!("{name}: packet {serial} was never sent") };
            sent.delivered += 1;
            let same = match transport {
                true => packet::is_translation(&sent.bytes, &delivered.packet),
                false => sent.bytes == delivered.packet,
            };
            assert!(same, "{name}: packet {serial} came out of the tunnel changed");
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

    pub(crate) fn next_serial(&mut self) -> u64 {
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

    pub(crate) fn carry_sealed(&mut self, host: Host, meta: ravelin::TransmitMeta, bytes: Vec<u8>) {
        let udp = meta.encapsulation == Encapsulation::Udp;
        let (carrier, path) = if udp { (Carrier::Udp, meta.path) } else { (Carrier::Esp, meta.path.with_ports(0, 0)) };
        self.carry(host, carrier, path, bytes);
    }
}
