//! Shared plumbing of the demo: one host with two UDP sockets, a node and a clock. Everything that Ravelin itself does
//! not own is here: sockets, time, entropy. To put a node into a program of your own, start by reading [`Host::turn`].

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin::crypto::rustcrypto;
use ravelin::db::pad::{Identity, NatTraversal, Peer};
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::db::{TrafficSelector, UnixTime};
use ravelin::{Config, Db, Egress, Event, Ingress, Instant, Node, Now, Output, PacketSink, Path, Secret, TransmitMeta};
use std::error::Error;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Time since the start, as the node wants it.
#[derive(Clone, Copy)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Now { mono: Instant(0) + self.elapsed(), wall: UnixTime(wall) }
    }
}

/// What distinguishes the two hosts.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    pub(crate) name: &'static str,
    pub(crate) addr: &'static str,
    pub(crate) net: &'static str,
}

/// A pair of UDP sockets: IKE, and IKE with ESP (RFC 3948).
pub(crate) struct Sockets {
    ike: UdpSocket,
    nat_t: UdpSocket,
}

impl Sockets {
    /// Free unprivileged ports of this address.
    pub(crate) fn bind(who: Who) -> Result<Self> {
        let bind = || -> Result<UdpSocket> {
            let socket = UdpSocket::bind((who.addr, 0)).map_err(|e| format!("no UDP socket on {}: {e}", who.addr))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(Self { ike: bind()?, nat_t: bind()? })
    }

    pub(crate) fn ports(&self) -> Result<(SocketAddr, SocketAddr)> {
        Ok((self.ike.local_addr()?, self.nat_t.local_addr()?))
    }
}

/// One of the two hosts.
pub(crate) struct Host {
    pub(crate) who: Who,
    pub(crate) node: Node,
    pub(crate) events: Vec<(Duration, Event)>,
    /// Inner packets that came out of the tunnel.
    pub(crate) delivered: Vec<Vec<u8>>,
    sockets: Sockets,
}

impl Host {
    /// A host with one peer and one policy. A real program reads these from its configuration.
    pub(crate) fn new(
        who: Who,
        peer: Who,
        sockets: Sockets,
        remote: (SocketAddr, SocketAddr),
        psk: &str,
    ) -> Result<Self> {
        let id = |w: Who| format!("{}.demo", w.name).parse::<Identity>();
        let mut entry = Peer::new(peer.name, id(who)?, id(peer)?);
        entry.local = Some(who.addr.parse::<IpAddr>()?);
        entry.remote = Some(remote.0);
        // Bare ESP needs a raw socket and root; ESP in UDP does not.
        entry.nat_traversal = NatTraversal::Force;
        let mut db = Db::new();
        let entry = db.pad.add(entry)?;
        db.pad.secrets.add_psk(None, None, Secret::new(psk.as_bytes().to_vec()));
        let ts = |w: Who| w.net.parse::<TrafficSelector>();
        let action = Action::from(Protect::new(entry));
        db.spd.add(Policy::new(format!("{}-{}", who.name, peer.name), [ts(who)?], [ts(peer)?], action))?;

        let (ike, nat_t) = sockets.ports()?;
        let mut config = Config::default();
        (config.ike.ports.ike, config.ike.ports.nat_t) = (ike.port(), nat_t.port());
        config.ike.ports.remote_nat_t = remote.1.port();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let rng = Box::new(ChaCha20Rng::from_seed(seed));
        let node = Node::new(config, Arc::new(rustcrypto::provider()), db, rng);
        Ok(Self { who, node, events: Vec::new(), delivered: Vec::new(), sockets })
    }

    /// One turn of the loop: what came in, what is due, what wants out. False when nothing happened.
    pub(crate) fn turn(&mut self, clock: Clock) -> Result<bool> {
        let (mut buf, mut busy) = (vec![0; 65_536], false);
        for socket in [&self.sockets.ike, &self.sockets.nat_t] {
            let local = socket.local_addr()?;
            while let Some((len, remote)) = receive(socket, &mut buf)? {
                busy = true;
                let datagram = buf.get_mut(..len).unwrap_or_default();
                if let Ingress::Deliver { packet, .. } =
                    self.node.handle_datagram(clock.now(), Path { local, remote }, datagram)
                {
                    self.delivered.push(packet.to_vec());
                }
            }
        }
        let now = clock.now();
        if self.node.deadline().is_some_and(|d| d.at <= now.mono) {
            self.node.handle_timeout(now);
        }
        while let Some(output) = self.node.poll_output() {
            busy = true;
            match output {
                Output::Transmit(t) => self.transmit(t.path, &t.bytes)?,
                Output::Esp(p) => self.transmit(p.meta.path, &p.bytes)?,
                Output::Event(event) => self.events.push((clock.elapsed(), event)),
                _ => {}
            }
        }
        Ok(busy)
    }

    fn transmit(&self, path: Path, bytes: &[u8]) -> Result<()> {
        let from_ike = self.sockets.ike.local_addr()? == path.local;
        let socket = if from_ike { &self.sockets.ike } else { &self.sockets.nat_t };
        socket.send_to(bytes, path.remote)?;
        Ok(())
    }

    /// Gives an inner IP packet to the node.
    pub(crate) fn send(&mut self, clock: Clock, ip: &[u8]) -> Egress {
        let mut sink = SocketSink { socket: &self.sockets.nat_t, buf: Vec::new() };
        self.node.handle_packet(clock.now(), ip, &mut sink)
    }

    /// Receives on the socket that carries ESP, waiting a little; number of inner octets delivered.
    pub(crate) fn receive_esp(&mut self, clock: Clock, buf: &mut [u8]) -> Result<Option<usize>> {
        let local = self.sockets.nat_t.local_addr()?;
        let Some((len, remote)) = receive(&self.sockets.nat_t, buf)? else { return Ok(None) };
        let datagram = buf.get_mut(..len).unwrap_or_default();
        Ok(match self.node.handle_datagram(clock.now(), Path { local, remote }, datagram) {
            Ingress::Deliver { packet, .. } => Some(packet.len()),
            _ => Some(0),
        })
    }

    /// Lets the ESP socket wait up to 20 ms (`true`), or never.
    pub(crate) fn wait_on_esp(&self, wait: bool) -> Result<()> {
        self.sockets.nat_t.set_nonblocking(!wait)?;
        self.sockets.nat_t.set_read_timeout(wait.then_some(Duration::from_millis(20)))?;
        Ok(())
    }
}

fn receive(socket: &UdpSocket, buf: &mut [u8]) -> Result<Option<(usize, SocketAddr)>> {
    match socket.recv_from(buf) {
        Ok(got) => Ok(Some(got)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Sealed packets go straight into the socket; one that the kernel has no room for is lost, as on any network.
struct SocketSink<'s> {
    socket: &'s UdpSocket,
    buf: Vec<u8>,
}

impl PacketSink for SocketSink<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.buf.resize(len, 0);
        Some(&mut self.buf)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        let _ = self.socket.send_to(self.buf.get(..meta.len).unwrap_or_default(), meta.path.remote);
    }
}

/// An IPv4 packet around `payload`.
pub(crate) fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len().saturating_add(20)).unwrap_or(u16::MAX).to_be_bytes();
    let mut ip = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    ip.extend(from);
    ip.extend(to);
    put(&mut ip, 10, checksum);
    ip.extend(payload);
    ip
}

/// An ICMP echo request (8) or reply (0).
pub(crate) fn echo(kind: u8, sequence: u16, data: &[u8]) -> Vec<u8> {
    let [a, b] = sequence.to_be_bytes();
    let mut icmp = vec![kind, 0, 0, 0, 0x52, 0x56, a, b];
    icmp.extend(data);
    put(&mut icmp, 2, checksum);
    icmp
}

/// A UDP datagram; no checksum, which IPv4 allows.
pub(crate) fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len().saturating_add(8)).unwrap_or(u16::MAX);
    let mut udp: Vec<u8> = [from, to, len, 0].iter().flat_map(|n| n.to_be_bytes()).collect();
    udp.extend(data);
    udp
}

fn put(bytes: &mut [u8], at: usize, f: impl Fn(&[u8]) -> u16) {
    let value = f(bytes).to_be_bytes();
    if let Some(field) = bytes.get_mut(at..at.saturating_add(2)) {
        field.copy_from_slice(&value);
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    ravelin::esp::checksum::checksum(bytes)
}
