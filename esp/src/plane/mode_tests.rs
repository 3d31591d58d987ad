//! Transport mode, BEET, AH, path MTU: two planes that hand each other whole IP packets.

use super::*;
use crate::packet::{IpPacket, protocol};
use crate::testing::*;
use crate::{DropReason, checksum, icmp};
use alloc::sync::Arc;
use ravelin_crypto::{EncrId, IntegId};
use ravelin_sa_db::{
    AddrRange, Change, CipherSuite, Direction, Encapsulation, Mode, Path, Protocol, SaParams, TrafficSelector,
};
use std::vec;
use std::vec::Vec;

fn host(a: &str) -> Arc<[TrafficSelector]> {
    [TrafficSelector::any(AddrRange::host(a.parse().unwrap()))].into()
}

fn at(a: &str, b: &str) -> Path {
    let end = |s: &str| core::net::SocketAddr::new(s.parse().unwrap(), 4500);
    Path { local: end(a), remote: end(b) }
}

fn mac() -> CipherSuite {
    CipherSuite {
        encr: EncrId::NULL,
        key_bits: None,
        integ: IntegId::HMAC_SHA2_256_128,
        encr_key: Secret::default(),
        integ_key: Secret::new(vec![5; 32]),
    }
}

struct Pair {
    a: Plane,
    b: Plane,
    out: Arc<SaParams>,
}

fn pair(edit: impl Fn(&mut SaParams), config: PlaneConfig) -> Pair {
    let mut out = params(1, Direction::Outbound, gcm());
    edit(&mut out);
    let mut inb = SaParams { direction: Direction::Inbound, path: reverse(out.path), ..out.clone() };
    core::mem::swap(&mut inb.local_ts, &mut inb.remote_ts);
    let (a, b) = (Plane::with_config(provider(), config), Plane::new(provider()));
    let out = Arc::new(out);
    a.apply(NOW, &Change::InstallOutbound(Arc::clone(&out))).unwrap();
    b.apply(NOW, &Change::InstallInbound(Arc::new(inb))).unwrap();
    Pair { a, b, out }
}

fn ip_form() -> PlaneConfig {
    PlaneConfig { output: OutputForm::Ip, ..PlaneConfig::default() }
}

impl Pair {
    fn seal(&self, ip: &[u8]) -> Vec<u8> {
        let mut sink = Collect::default();
        assert_eq!(self.a.egress(NOW, self.out.child, ip, &mut sink), Egress::Sent);
        sink.sent.pop().unwrap().1
    }
    fn across(&self, ip: &[u8]) -> Result<Vec<u8>, DropReason> {
        self.open(self.seal(ip))
    }
    fn open(&self, mut packet: Vec<u8>) -> Result<Vec<u8>, DropReason> {
        match self.b.ingress_ip(NOW, &mut packet) {
            Ingress::Deliver { range, .. } => Ok(packet[range].to_vec()),
            Ingress::Drop(r) => Err(r),
        }
    }
}

/// A v6 packet with hop-by-hop, destination options, routing (used up), destination options, UDP.
fn v6_with_extensions() -> Vec<u8> {
    let plain = udp("2001:db8::1", "2001:db8::2", 30);
    let mut p = plain[..40].to_vec();
    p[6] = 0;
    p.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    p.extend([43, 0, 1, 4, 0, 0, 0, 0]);
    p.extend([60, 2, 4, 0, 0, 0, 0, 0].iter().chain(&[0; 16]));
    p.extend([17, 0, 0x3e, 2, 1, 2, 0, 0]);
    p.extend(&plain[40..]);
    let len = (p.len() - 40) as u16;
    p[4..6].copy_from_slice(&len.to_be_bytes());
    p
}

/// An IPv4 packet with a router alert option.
fn v4_with_options() -> Vec<u8> {
    let plain = udp("192.0.2.1", "192.0.2.2", 30);
    let mut p = plain[..20].to_vec();
    p.extend([148, 4, 0, 0]);
    p.extend(&plain[20..]);
    p[0] = 0x46;
    let len = p.len() as u16;
    p[2..4].copy_from_slice(&len.to_be_bytes());
    p[10..12].fill(0);
    let sum = checksum::checksum(&p[..24]);
    p[10..12].copy_from_slice(&sum.to_be_bytes());
    p
}

#[test]
fn transport_keeps_the_whole_header() {
    for encapsulation in [Encapsulation::None, Encapsulation::Udp] {
        for ip in [
            udp("192.0.2.1", "192.0.2.2", 50),
            v4_with_options(),
            udp("2001:db8::1", "2001:db8::2", 50),
            v6_with_extensions(),
        ] {
            let v6 = ip[0] >> 4 == 6;
            let p = pair(
                |p| {
                    p.mode = Mode::Transport;
                    p.path = path(v6);
                    p.encapsulation = encapsulation;
                },
                ip_form(),
            );
            let sealed = p.seal(&ip);
            let outer = IpPacket::parse(&sealed).unwrap();
            assert_eq!(outer.len, sealed.len());
            if ip == v6_with_extensions() {
                // Hop-by-hop, options, routing stay outside; the last options are protected.
                assert_eq!(outer.upper, 40 + 8 + 8 + 24);
            }
            assert_eq!(p.open(sealed), Ok(ip));
        }
    }
}

#[test]
fn transport_from_the_esp_header_on() {
    for v6 in [false, true] {
        let p = pair(
            |p| {
                p.mode = Mode::Transport;
                p.path = path(v6);
                p.encapsulation = Encapsulation::None;
            },
            PlaneConfig::default(),
        );
        let ip = if v6 { udp("2001:db8::1", "2001:db8::2", 50) } else { udp("192.0.2.1", "192.0.2.2", 50) };
        let mut buf = vec![0; 24];
        buf.extend(p.seal(&ip));
        let outer = OuterInfo { traffic_class: 0, hop_limit: 61 };
        let Ingress::Deliver { range, .. } = p.b.ingress_at(NOW, reverse(path(v6)), outer, &mut buf, 24) else {
            panic!()
        };
        let (got, want) = (IpPacket::parse(&buf[range.clone()]).unwrap(), IpPacket::parse(&ip).unwrap());
        assert_eq!(
            (got.source(), got.destination(), got.source_port(), got.len, got.hop_limit),
            (want.source(), want.destination(), want.source_port(), want.len, 61)
        );
        assert_eq!(buf[range][got.upper..], ip[want.upper..]);
    }
    let p = pair(
        |p| {
            p.mode = Mode::Transport;
            p.path = path(false);
        },
        PlaneConfig::default(),
    );
    assert_eq!(
        p.a.egress(NOW, p.out.child, &v4_with_options(), &mut Collect::default()),
        Egress::Discard(DropReason::NeedsHeader)
    );
    let mut fragment = udp("192.0.2.1", "192.0.2.2", 50);
    fragment[6] = 0x20;
    assert_eq!(p.a.egress(NOW, p.out.child, &fragment, &mut Collect::default()), Egress::Discard(DropReason::Fragment));
}

/// The sender's 10.0.0.5 is seen as 203.0.113.9 behind a NAT: the inner checksum fits the addresses that are seen.
#[test]
fn checksums_behind_a_nat() {
    let p = pair(
        |p| {
            p.mode = Mode::Transport;
            p.path = at("10.0.0.5", "198.51.100.7");
            p.local_ts = host("10.0.0.5");
            p.remote_ts = host("198.51.100.7");
        },
        PlaneConfig::default(),
    );
    let ip = udp("10.0.0.5", "198.51.100.7", 33);
    let seen = at("198.51.100.7", "203.0.113.9");
    let moved = Change::Move { child: p.out.child, path: seen, encapsulation: Encapsulation::Udp };
    p.b.apply(NOW, &moved).unwrap();
    let mut sink = Collect::default();
    assert_eq!(p.a.egress(NOW, p.out.policy, &ip, &mut sink), Egress::Sent);
    let mut buf = vec![0; 24];
    buf.extend(&sink.sent[0].1);
    let Ingress::Deliver { range, .. } = p.b.ingress_at(NOW, seen, OuterInfo::default(), &mut buf, 24) else {
        panic!()
    };
    let got = &buf[range];
    let parsed = etherparse::SlicedPacket::from_ip(got).unwrap();
    let Some(etherparse::TransportSlice::Udp(u)) = parsed.transport else { panic!() };
    let want = etherparse::UdpHeader::with_ipv4_checksum(
        1000,
        2000,
        &etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, [203, 0, 113, 9], [198, 51, 100, 7]).unwrap(),
        u.payload(),
    )
    .unwrap();
    assert_eq!(u.checksum(), want.checksum);
    assert_eq!(IpPacket::parse(got).unwrap().source().to_string(), "203.0.113.9");
    // From an address that the SA is not for it is not delivered; where it came from is told.
    p.a.egress(NOW, p.out.policy, &ip, &mut sink);
    let mut buf = vec![0; 24];
    buf.extend(&sink.sent[1].1);
    let other = at("198.51.100.7", "203.0.113.10");
    assert_eq!(p.b.ingress_at(NOW, other, OuterInfo::default(), &mut buf, 24), Ingress::Drop(DropReason::Selectors));
    assert!(matches!(p.b.poll_report(), Some(ravelin_sa_db::Report::PathSeen { path, .. }) if path == other));
}

/// Two clients behind two NATs, with the same private address: each gets its own packets, and a host of that address
/// beside us is none of theirs.
#[test]
fn clients_behind_nats_are_told_apart_by_what_is_seen() {
    let plane = Plane::new(provider());
    let server = "198.51.100.7";
    for (n, nat) in [(1, "203.0.113.1"), (2, "203.0.113.2")] {
        let mut out = params(n, Direction::Outbound, gcm());
        out.child = ChildId(n);
        out.suite.encr_key.expose_mut()[0] = n as u8;
        (out.mode, out.path) = (Mode::Transport, at(server, nat));
        (out.local_ts, out.remote_ts) = (host(server), host("192.168.1.2"));
        plane.apply(NOW, &Change::InstallOutbound(Arc::new(out))).unwrap();
    }
    let policy = params(1, Direction::Outbound, gcm()).policy;
    for (to, child) in
        [("203.0.113.1", Some(1)), ("203.0.113.2", Some(2)), ("192.168.1.2", None), ("203.0.113.3", None)]
    {
        let mut sink = Collect::default();
        let result = plane.egress(NOW, policy, &udp(server, to, 10), &mut sink);
        assert_eq!(result == Egress::Sent, child.is_some(), "{to}: {result:?}");
        assert_eq!(sink.sent.first().map(|(meta, _)| meta.child.0), child, "{to}");
    }
}
use std::string::ToString;

#[test]
fn beet_puts_fixed_addresses_back() {
    for (v6, outer_v6) in [(false, false), (false, true), (true, false), (true, true)] {
        let (s, d) = if v6 { ("fd00::1", "fd00::2") } else { ("10.7.0.1", "10.7.0.2") };
        let p = pair(
            |p| {
                p.mode = Mode::Beet;
                p.path = path(outer_v6);
                p.encapsulation = Encapsulation::None;
                p.local_ts = host(s);
                p.remote_ts = host(d);
            },
            ip_form(),
        );
        let ip = udp(s, d, 77);
        let sealed = p.seal(&ip);
        assert!(sealed.len() < ip.len() + 40 + if outer_v6 { 20 } else { 0 }, "no inner header on the wire");
        let got = p.open(sealed).unwrap();
        let (g, w) = (IpPacket::parse(&got).unwrap(), IpPacket::parse(&ip).unwrap());
        assert_eq!(
            (g.source(), g.destination(), g.hop_limit, &got[g.upper..]),
            (w.source(), w.destination(), w.hop_limit, &ip[w.upper..])
        );
    }
    let p = pair(
        |p| {
            p.mode = Mode::Beet;
            p.path = path(false);
            p.local_ts = host("192.0.2.1");
            p.remote_ts = host("192.0.2.2");
        },
        ip_form(),
    );
    let got = p.across(&v4_with_options()).unwrap();
    assert_eq!((&got[20..], got[0]), (&v4_with_options()[20..], 0x46), "options travel in the pseudo header");
    assert_eq!(checksum::sum(&got[..24]), 0xffff);
}

#[test]
fn ah_in_both_modes() {
    for esn in [false, true] {
        for mode in [Mode::Tunnel, Mode::Transport] {
            for ip in [
                udp("192.0.2.1", "192.0.2.2", 50),
                v4_with_options(),
                udp("2001:db8::1", "2001:db8::2", 50),
                v6_with_extensions(),
            ] {
                let v6 = ip[0] >> 4 == 6;
                let p = pair(
                    |p| {
                        p.mode = mode;
                        p.esn = esn;
                        p.protocol = Protocol::Ah;
                        p.suite = mac();
                        p.path = path(v6);
                        p.encapsulation = Encapsulation::None;
                    },
                    ip_form(),
                );
                let sealed = p.seal(&ip);
                // Routers may change TTL, class and (IPv4) checksum; nothing else.
                let mut routed = sealed.clone();
                if v6 {
                    routed[7] -= 1;
                    routed[1] ^= 0x80;
                } else {
                    routed[8] -= 1;
                    routed[1] ^= 0x20;
                }
                for i in 0..sealed.len() {
                    let mut bad = sealed.clone();
                    bad[i] ^= 1;
                    let r = p.open(bad);
                    let mutable = if v6 { matches!(i, 0..=3 | 7) } else { matches!(i, 1 | 6..=8 | 10 | 11) };
                    if mutable {
                        continue;
                    }
                    assert!(r.is_err(), "{mode:?} octet {i}");
                }
                let p2 = pair(|q| *q = (*p.out).clone(), ip_form());
                if mode == Mode::Tunnel {
                    assert_eq!(p2.open(routed), Ok(ip.clone()), "{esn} {mode:?}");
                } else {
                    assert!(p2.open(routed).is_ok());
                }
                assert!(matches!(p.a.stats(p.out.child), Some(s) if s.outbound.unwrap().packets == 1));
            }
        }
    }
}

#[test]
fn protocols_are_not_mixed() {
    let p = pair(
        |p| {
            p.protocol = Protocol::Ah;
            p.suite = mac();
            p.path = path(false);
            p.encapsulation = Encapsulation::None;
        },
        ip_form(),
    );
    let mut esp = p.out.spi.to_be_bytes().to_vec();
    esp.extend([0; 60]);
    assert_eq!(
        p.b.ingress(NOW, reverse(path(false)), OuterInfo::default(), &mut esp),
        Ingress::Drop(DropReason::WrongProtocol)
    );
    let q = pair(
        |p| {
            p.path = path(false);
            p.encapsulation = Encapsulation::None;
        },
        ip_form(),
    );
    let mut sealed = p.seal(&udp("10.0.0.1", "10.0.0.2", 3));
    assert_eq!(q.b.ingress_ip(NOW, &mut sealed), Ingress::Drop(DropReason::WrongProtocol));
}

fn with_df(mut ip: Vec<u8>, df: bool) -> Vec<u8> {
    ip[6] = if df { 0x40 } else { 0 };
    ip[10..12].fill(0);
    let sum = checksum::checksum(&ip[..20]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip
}

#[test]
fn path_mtu_is_learned_with_care_and_told() {
    for encapsulation in [Encapsulation::None, Encapsulation::Udp] {
        let p = pair(
            |p| {
                p.path = path(false);
                p.encapsulation = encapsulation;
            },
            ip_form(),
        );
        let big = with_df(udp("10.0.0.1", "10.0.0.2", 1372), false);
        let sealed = p.seal(&big);
        // A router complains, quoting what RFC 792 demands.
        let mut message = vec![3, 4, 0, 0, 0, 0, 1280u16.to_be_bytes()[0], 1280u16.to_be_bytes()[1]];
        message.extend(&sealed[..36]);
        let error = icmp::read_size_error(&message, false).unwrap();
        for lie in [
            icmp::SizeError { spi: Spi(77777), ..error },
            icmp::SizeError { sequence: Some(2), ..error },
            icmp::SizeError { sequence: None, ..error },
            icmp::SizeError { destination: "192.0.2.77".parse().unwrap(), ..error },
        ] {
            assert_eq!(p.a.handle_size_error(&lie), None);
        }
        assert_eq!(p.a.handle_size_error(&icmp::SizeError { mtu: 0, ..error }), Some(p.out.child));
        assert_eq!(p.a.path_mtu(p.out.child), Some(576), "never below what all carry");
        p.a.set_path_mtu(p.out.child, 0).unwrap();
        assert_eq!(p.a.handle_size_error(&error), Some(p.out.child));
        assert_eq!(p.a.handle_size_error(&error), None, "nothing new");
        // DF is clear: fragments, each within the MTU, and together the whole.
        let mut sink = Collect::default();
        assert_eq!(p.a.egress(NOW, p.out.child, &big, &mut sink), Egress::Sent);
        assert_eq!(sink.sent.len(), 2);
        let mut body = Vec::new();
        for (_, packet) in sink.sent {
            assert!(packet.len() <= 1280);
            body.extend(p.open(packet).unwrap()[20..].to_vec());
        }
        assert_eq!(body, &big[20..]);
        // DF is set: the sender is told the largest that fits, and that one does fit exactly.
        let df = with_df(big.clone(), true);
        let mut sink = Collect::default();
        let Egress::TooBig { mtu } = p.a.egress(NOW, p.out.child, &df, &mut sink) else { panic!() };
        let mut fits = udp("10.0.0.1", "10.0.0.2", usize::from(mtu) - 28);
        assert!(p.seal(&fits).len() <= 1280);
        fits = udp("10.0.0.1", "10.0.0.2", usize::from(mtu) - 27);
        fits[6] = 0x40;
        assert!(matches!(p.a.egress(NOW, p.out.child, &fits, &mut sink), Egress::TooBig { .. }));
        let mut out = [0; 576];
        assert!(icmp::too_big(&df, mtu, "10.0.0.254".parse().unwrap(), &mut out).is_some());
    }
}

#[test]
fn dummies_go_and_are_thrown_away() {
    let p = pair(
        |p| {
            p.path = path(false);
            p.encapsulation = Encapsulation::None;
        },
        ip_form(),
    );
    let mut sink = Collect::default();
    assert_eq!(p.a.egress_dummy(p.out.child, 333, &mut sink), Egress::Sent);
    let (meta, packet) = sink.sent.pop().unwrap();
    assert_eq!((meta.protocol, packet.len() > 333), (protocol::ESP, true));
    assert_eq!(p.open(packet), Err(DropReason::Dummy));
    assert_eq!(p.b.stats(p.out.child).unwrap().inbound.unwrap().packets, 1, "authentic: proof of life");
}

#[test]
fn mss_is_clamped_on_both_ways() {
    let mut syn = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9)
        .tcp(1, 2, 3, 4)
        .syn()
        .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)])
        .unwrap()
        .write(&mut syn, &[])
        .unwrap();
    let p = pair(|p| p.path = path(false), PlaneConfig { mss_clamp: 1300, ..ip_form() });
    let got = p.across(&syn).unwrap();
    assert_eq!(got[42..44], 1300u16.to_be_bytes());
    assert!(etherparse::SlicedPacket::from_ip(&got).unwrap().transport.is_some());
}
