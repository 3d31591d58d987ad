//! Headers that lie, fragments, extension headers: what becomes a selector key.

use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn v4(protocol: u8, frag: u16, upper: &[u8]) -> Vec<u8> {
    let len = (20 + upper.len()) as u16;
    let mut p = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    p[2..4].copy_from_slice(&len.to_be_bytes());
    p[6..8].copy_from_slice(&frag.to_be_bytes());
    p.extend_from_slice(upper);
    p
}

fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut p = vec![0x60, 0, 0, 0, 0, rest.len() as u8, next, 64];
    p.extend([0x20; 16]);
    p.extend([0x21; 16]);
    p.extend_from_slice(rest);
    p
}

#[test]
fn local_is_source_out_and_destination_in() {
    let p = v4(17, 0, &[0, 53, 0x12, 0x34, 0, 8, 0, 0]);
    let out = key(&p, Direction::Outbound).unwrap();
    assert_eq!(out.local.to_string(), "10.0.0.1");
    assert_eq!((out.local_port, out.remote_port), (Some(53), Some(0x1234)));
    let inb = key(&p, Direction::Inbound).unwrap();
    assert_eq!((inb.local, inb.remote_port), (out.remote, Some(53)));
}
use std::string::ToString;

#[test]
fn icmp_has_type_and_code_in_both() {
    let k = key(&v4(1, 0, &[8, 3, 0, 0]), Direction::Outbound).unwrap();
    assert_eq!((k.local_port, k.remote_port), (Some(0x0803), Some(0x0803)));
}

#[test]
fn fragments() {
    let first = IpPacket::parse(&v4(6, 0x2000, &[0, 80, 0, 81])).unwrap();
    assert_eq!((first.fragment, first.source_port()), (Fragment::First, Some(80)));
    let later = IpPacket::parse(&v4(6, 0x0010, &[0, 80, 0, 81])).unwrap();
    assert_eq!((later.fragment, later.source_port()), (Fragment::Later, None));
}

#[test]
fn extension_headers_are_walked() {
    let mut rest = vec![60, 0, 1, 4, 0, 0, 0, 0]; // hop-by-hop, then destination options
    rest.extend([44, 0, 1, 4, 0, 0, 0, 0]); // then fragment, first
    rest.extend([17, 0, 0, 1, 0, 0, 0, 9]);
    rest.extend([0, 7, 0, 8, 0, 8, 0, 0]);
    let p = IpPacket::parse(&v6(0, &rest)).unwrap();
    assert_eq!((p.protocol, p.upper, p.fragment), (17, 64, Fragment::First));
    assert_eq!((p.source_port(), p.destination_port()), (Some(7), Some(8)));
    rest[18..20].copy_from_slice(&[0, 9]);
    let p = IpPacket::parse(&v6(0, &rest)).unwrap();
    assert_eq!((p.fragment, p.source_port()), (Fragment::Later, None));
    // A chain that claims more than is there.
    assert!(IpPacket::parse(&v6(60, &[17, 9, 0, 0, 0, 0, 0, 0])).is_err());
    // A chain without end.
    let endless: Vec<u8> = core::iter::repeat_n([60, 0, 1, 4, 0, 0, 0, 0], 20).flatten().collect();
    assert!(IpPacket::parse(&v6(60, &endless)).is_err());
}

#[test]
fn lying_lengths() {
    let good = v4(17, 0, &[0; 8]);
    for cut in 0..good.len() {
        assert!(IpPacket::parse(&good[..cut]).is_err(), "{cut}");
    }
    let mut p = good.clone();
    p[0] = 0x44;
    assert!(IpPacket::parse(&p).is_err());
    p[0] = 0x4f;
    assert!(IpPacket::parse(&p).is_err());
    let mut p = good;
    p.extend([0; 9]);
    assert_eq!(IpPacket::parse(&p).unwrap().len, 28);
}

proptest! {
    #[test]
    fn never_beyond_the_octets(mut p in prop::collection::vec(any::<u8>(), 0..200), v in prop_oneof![Just(0x45u8), Just(0x60), any::<u8>()]) {
        if let Some(b) = p.first_mut() { *b = v; }
        if let Ok(ip) = IpPacket::parse(&p) {
            prop_assert!(ip.len <= p.len() && ip.upper <= ip.len);
        }
    }

    /// An independent parser agrees on addresses, protocol and ports of whole packets.
    #[test]
    fn agrees_with_etherparse(src in any::<[u8; 16]>(), dst in any::<[u8; 16]>(), sp in any::<u16>(), dp in any::<u16>(), n in 0usize..50, six in any::<bool>(), tcp in any::<bool>()) {
        use etherparse::PacketBuilder;
        let b = if six { PacketBuilder::ipv6(src, dst, 9) } else {
            PacketBuilder::ipv4(src[..4].try_into().unwrap(), dst[..4].try_into().unwrap(), 9)
        };
        let mut out = Vec::new();
        let data = vec![1u8; n];
        if tcp { b.tcp(sp, dp, 1, 2).write(&mut out, &data).unwrap() } else { b.udp(sp, dp).write(&mut out, &data).unwrap() };
        let ip = IpPacket::parse(&out).unwrap();
        prop_assert_eq!(ip.len, out.len());
        prop_assert_eq!(ip.protocol, if tcp { 6 } else { 17 });
        prop_assert_eq!((ip.source_port(), ip.destination_port()), (Some(sp), Some(dp)));
        let want = if six { IpAddr::from(src) } else { IpAddr::from(<[u8; 4]>::try_from(&src[..4]).unwrap()) };
        prop_assert_eq!(ip.source(), want);
    }
}

#[test]
fn no_packet_is_like_none() {
    for octet in [0, 0xff] {
        let mut ip = [octet; 0x1_0000];
        (ip[2], ip[3]) = (0, 24);
        assert_eq!(Alike::default().len(&ip), None);
        (ip[2], ip[3]) = (0xff, 0xff);
        assert_eq!(Alike::default().len(&ip), None);
    }
}
