//! Many datagrams or packets in one call: runs of ESP go through the plane together, where packets of one SA share
//! their cryptographic work; everything keeps its order. Buffers are the caller's, and all is done in place.
//!
//! The node's worker (see `ravelin_esp::Worker`) is made by the first burst and lets go of SAs as soon as they are
//! removed.

use crate::demux::{self, Kind};
use crate::node::Node;
use arrayvec::ArrayVec;
use ravelin_esp::plane::{BURST, OpenJob, SealJob};
use ravelin_esp::{DropReason, IpPacket, OuterInfo, TransmitMeta};
use ravelin_sa_db::spd::{Action, Scope};
use ravelin_sa_db::{ChildId, Direction, Now, Path, PolicyId};
use std::ops::Range;

/// One UDP payload of a burst.
#[derive(Debug)]
pub struct Datagram<'b> {
    /// Between whom.
    pub path: Path,
    /// The payload; opened in place.
    pub buf: &'b mut [u8],
    /// What became of it.
    pub result: Arrived,
}

/// What became of a datagram of a burst.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Arrived {
    /// It was IKE or a keepalive; look at the outputs.
    #[default]
    Consumed,
    /// An inner IP packet lies in this part of the buffer.
    Deliver {
        /// The Child SA it came on.
        child: ChildId,
        /// Where.
        range: Range<usize>,
    },
    /// Dropped and counted.
    Dropped(DropReason),
}

/// One IP packet of a burst that wants to go out; sealed in place, with room before and behind it as
/// [`Node::room`] says.
#[derive(Debug)]
pub struct Packet<'b> {
    /// The buffer.
    pub buf: &'b mut [u8],
    /// The IP packet in it.
    pub ip: Range<usize>,
    /// What became of it.
    pub result: Departed,
}

/// What became of a packet of a burst.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Departed {
    /// Sealed: this part of the buffer is to be sent.
    Sent {
        /// What to send.
        range: Range<usize>,
        /// Where to.
        meta: TransmitMeta,
    },
    /// The policy lets it pass in the clear; the caller forwards it.
    #[default]
    Bypass,
    /// Dropped and counted.
    Discard(DropReason),
    /// Larger than the path carries; dropped and counted.
    TooBig {
        /// The largest inner packet that fits, in octets.
        mtu: u16,
    },
    /// It waits for the SA that is being made.
    Acquiring,
}

impl<'b> Datagram<'b> {
    /// One that was not looked at.
    pub fn new(path: Path, buf: &'b mut [u8]) -> Self {
        Self { path, buf, result: Arrived::Consumed }
    }
}

impl<'b> Packet<'b> {
    /// One that was not looked at.
    pub fn new(buf: &'b mut [u8], ip: Range<usize>) -> Self {
        Self { buf, ip, result: Departed::Bypass }
    }
}

impl Node {
    /// Octets of room that [`Node::handle_packets`] may need before and behind an IP packet.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        self.plane().room()
    }

    /// As [`Node::handle_datagram`] for each, in order.
    pub fn handle_datagrams(&mut self, now: Now, burst: &mut [Datagram<'_>]) {
        let nat_t = self.nat_port();
        let mut rest = burst;
        while !rest.is_empty() {
            let is_esp =
                |d: &Datagram<'_>| d.path.local.port() == nat_t && matches!(demux::sort(true, d.buf), Kind::Esp);
            let run = rest.iter().take(BURST).take_while(|d| is_esp(d)).count();
            let Some((now_esp, after)) = rest.split_at_mut_checked(run.max(1)) else { return };
            if run == 0 {
                now_esp.iter_mut().for_each(|d| self.one(now, d));
            } else {
                self.open_run(now, now_esp);
            }
            rest = after;
        }
    }

    fn one(&mut self, now: Now, d: &mut Datagram<'_>) {
        let start = d.buf.as_ptr().addr();
        d.result = match self.handle_datagram(now, d.path, d.buf) {
            crate::Ingress::Consumed => Arrived::Consumed,
            crate::Ingress::Dropped(reason) => Arrived::Dropped(reason),
            crate::Ingress::Deliver { child, packet } => {
                let at = packet.as_ptr().addr().saturating_sub(start);
                Arrived::Deliver { child, range: at..at.saturating_add(packet.len()) }
            }
        };
    }

    fn open_run(&mut self, now: Now, run: &mut [Datagram<'_>]) {
        let mut jobs: ArrayVec<OpenJob<'_>, BURST> = ArrayVec::new();
        for d in run.iter_mut().take(BURST) {
            jobs.push(OpenJob::new(d.path, OuterInfo::default(), d.buf, 0));
        }
        self.worker().open_burst(now.mono, &mut jobs);
        let results: ArrayVec<_, BURST> = jobs.into_iter().map(|j| j.result).collect();
        for (d, result) in run.iter_mut().zip(results) {
            d.result = match result {
                ravelin_esp::Ingress::Deliver { child, range } => Arrived::Deliver { child, range },
                ravelin_esp::Ingress::Drop(reason) => Arrived::Dropped(reason),
            };
        }
        self.after_burst(now);
    }

    /// As [`Node::handle_packet`] for each, in order, but in place.
    pub fn handle_packets(&mut self, now: Now, burst: &mut [Packet<'_>]) {
        self.handle_packets_in(now, Scope::default(), burst);
    }

    /// As [`Node::handle_packets`], for packets of an interface id, mark or VRF.
    pub fn handle_packets_in(&mut self, now: Now, scope: Scope, burst: &mut [Packet<'_>]) {
        for chunk in burst.chunks_mut(BURST) {
            self.seal_run(now, &scope, chunk);
        }
    }

    fn seal_run(&mut self, now: Now, scope: &Scope, run: &mut [Packet<'_>]) {
        let mut wanted: ArrayVec<Option<PolicyId>, BURST> = ArrayVec::new();
        for p in run.iter_mut().take(BURST) {
            wanted.push(self.judge(scope, p));
        }
        let mut jobs: ArrayVec<SealJob<'_>, BURST> = ArrayVec::new();
        for (p, policy) in run.iter_mut().zip(&wanted) {
            if let Some(policy) = policy {
                jobs.push(SealJob::new(*policy, p.buf, p.ip.clone()));
            }
        }
        self.worker().seal_burst(now.mono, &mut jobs);
        let results: ArrayVec<_, BURST> = jobs.into_iter().map(|j| j.result).collect();
        let protected = run.iter_mut().zip(&wanted).filter_map(|(p, policy)| policy.map(|policy| (p, policy)));
        for ((p, policy), result) in protected.zip(results) {
            p.result = match result {
                Ok((range, meta)) => Departed::Sent { range, meta },
                Err(ravelin_esp::Egress::TooBig { mtu }) => Departed::TooBig { mtu },
                Err(ravelin_esp::Egress::Discard(reason)) => Departed::Discard(reason),
                Err(_) => self.hold(now, policy, p.buf.get(p.ip.clone()).unwrap_or_default()),
            };
        }
        self.after_burst(now);
    }

    /// What the SPD says: `Some` for what is to be sealed; else the result stands in the packet.
    fn judge(&self, scope: &Scope, p: &mut Packet<'_>) -> Option<PolicyId> {
        let Ok(parsed) = IpPacket::parse(p.buf.get(p.ip.clone()).unwrap_or_default()) else {
            p.result = Departed::Discard(DropReason::NotIp);
            return None;
        };
        let Some(policy) = self.db().spd.lookup_out(&parsed.key(Direction::Outbound), scope) else {
            p.result = Departed::Discard(DropReason::NoPolicy);
            return None;
        };
        match policy.action {
            Action::Protect(_) => return Some(policy.id),
            Action::Bypass => p.result = Departed::Bypass,
            _ => p.result = Departed::Discard(DropReason::PolicyDiscard),
        }
        None
    }

    fn hold(&mut self, now: Now, policy: PolicyId, ip: &[u8]) -> Departed {
        let Ok(parsed) = IpPacket::parse(ip) else { return Departed::Discard(DropReason::NotIp) };
        self.acquire(now, policy, parsed.key(Direction::Outbound), ip);
        Departed::Acquiring
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Db, Egress, Ingress, Output, PacketSink};
    use ravelin_crypto::Secret;
    use ravelin_sa_db::{IdPattern, Identity, Peer, PeerId, Policy, Protect};

    /// A counter: good for a test, for nothing else.
    struct Counter(u64);
    impl rand_core::TryRng for Counter {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            self.try_next_u64().map(|n| (n >> 32) as u32)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Ok(self.0)
        }
        fn try_fill_bytes(&mut self, b: &mut [u8]) -> Result<(), Self::Error> {
            b.iter_mut().for_each(|o| *o = self.try_next_u64().map_or(0, |n| (n >> 56) as u8));
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Counter {}

    fn node(me: usize) -> Node {
        let addr = ["192.0.2.1:500", "192.0.2.2:500"].map(|a| a.parse::<std::net::SocketAddr>().unwrap());
        let net = ["10.1.0.0/16", "10.2.0.0/16"];
        let id = |n: usize| Identity::fqdn(["moon", "sun"][n]);
        let mut db = Db::default();
        let mut peer = Peer::new("peer", id(me), IdPattern::Exact(id(1 - me)));
        (peer.local, peer.remote) = (Some(addr[me].ip()), Some(addr[1 - me]));
        let peer: PeerId = db.pad.add(peer).unwrap();
        db.pad.secrets.add_psk(None, None, Secret::new(b"secret".to_vec()));
        let (local, remote) = (net[me].parse().unwrap(), net[1 - me].parse().unwrap());
        db.spd.add(Policy::new("net", vec![local], vec![remote], Protect::new(peer).into())).unwrap();
        let provider = ravelin_crypto::rustcrypto::provider().into();
        Node::new(Config::default(), provider, db, Box::new(Counter(me as u64 + 1)))
    }

    fn ip(n: u8) -> Vec<u8> {
        let mut p = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, n, 10, 2, 0, 1];
        p.extend_from_slice(&[0, 9, 0, 9, 0, 8, 0, 0]);
        p
    }

    struct Nowhere(Vec<u8>);
    impl PacketSink for Nowhere {
        fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
            self.0 = vec![0; len];
            Some(&mut self.0)
        }
        fn commit(&mut self, _: TransmitMeta) {}
    }

    fn swap(path: Path) -> Path {
        Path { local: path.remote, remote: path.local }
    }

    #[test]
    fn a_burst_is_many_single_calls() {
        let (mut moon, mut sun) = (node(0), node(1));
        let now = Now::at(1_000_000);
        let mut first = Packet::new(&mut [], 0..0);
        moon.handle_packets(now, std::slice::from_mut(&mut first));
        assert_eq!(first.result, Departed::Discard(DropReason::NotIp));
        let mut held: Vec<Vec<u8>> = (0..3).map(ip).collect();
        let mut packets: Vec<Packet<'_>> = held.iter_mut().map(|b| Packet::new(b, 0..28)).collect();
        moon.handle_packets(now, &mut packets);
        assert!(packets.iter().all(|p| p.result == Departed::Acquiring));

        let mut arrived = 0;
        for _ in 0..20 {
            for forth in [true, false] {
                let (from, to) = if forth { (&mut moon, &mut sun) } else { (&mut sun, &mut moon) };
                let mut sent = Vec::new();
                while let Some(o) = from.poll_output() {
                    match o {
                        Output::Transmit(t) => sent.push((swap(t.path), t.bytes)),
                        Output::Esp(p) => sent.push((swap(p.meta.path).with_ports(4500, 4500), p.bytes)),
                        _ => {}
                    }
                }
                let mut burst: Vec<_> = sent.iter_mut().map(|(p, b)| Datagram::new(*p, b)).collect();
                to.handle_datagrams(now, &mut burst);
                arrived += burst.iter().filter(|d| matches!(d.result, Arrived::Deliver { .. })).count();
            }
        }
        assert_eq!(arrived, 3, "what was held came with the SA, together with IKE in one burst");

        let (before, behind) = moon.room();
        let mut bufs: Vec<Vec<u8>> = (0..40).map(|n| [vec![0; before], ip(n), vec![0; behind]].concat()).collect();
        let mut packets: Vec<Packet<'_>> = bufs.iter_mut().map(|b| Packet::new(b, before..before + 28)).collect();
        moon.handle_packets(now, &mut packets);
        let path = Path { local: "192.0.2.2:4500".parse().unwrap(), remote: "192.0.2.1:4500".parse().unwrap() };
        let mut wire: Vec<Vec<u8>> = packets
            .iter()
            .map(|p| match &p.result {
                Departed::Sent { range, .. } => p.buf[range.clone()].to_vec(),
                other => panic!("{other:?}"),
            })
            .collect();
        wire.push(wire[0].clone());
        let mut burst: Vec<_> = wire.iter_mut().map(|b| Datagram::new(path, b)).collect();
        sun.handle_datagrams(now, &mut burst);
        for (n, d) in burst.iter().take(40).enumerate() {
            let Arrived::Deliver { range, .. } = &d.result else { panic!("{n}: {:?}", d.result) };
            assert_eq!(d.buf[range.clone()], ip(n as u8));
        }
        assert_eq!(burst[40].result, Arrived::Dropped(DropReason::Replay));
        // single calls and bursts share numbers and windows
        let mut sink = Nowhere(Vec::new());
        assert_eq!(moon.handle_packet(now, &ip(99), &mut sink), Egress::Sent);
        assert!(matches!(sun.handle_datagram(now, path, &mut sink.0), Ingress::Deliver { .. }));
        let child = moon.snapshot(now.mono)[0].children[0].id;
        assert_eq!(moon.stats(child).unwrap().outbound.unwrap().packets, 44);
    }
}
