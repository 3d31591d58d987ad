//! The plane as a whole: install, seal, open, reports, limits, removal.

use super::*;
use crate::DropReason;
use crate::testing::*;
use alloc::sync::Arc;
use proptest::prelude::*;
use ravelin_sa_db::{
    AddrRange, Change, CipherSuite, Direction, Encapsulation, Lifetime, Limits, Mode, Path, SaParams, TrafficSelector,
};
use std::vec;
use std::vec::Vec;

const OUTER: OuterInfo = OuterInfo { traffic_class: 0, hop_limit: 64 };

/// Two hosts with one SA from the first to the second.
struct Pair {
    a: Plane,
    b: Plane,
    out: Arc<SaParams>,
    inb: Arc<SaParams>,
}

fn pair_with(suite: CipherSuite, edit: impl Fn(&mut SaParams), config: PlaneConfig) -> Pair {
    let (mut out, mut inb) = (params(1, Direction::Outbound, suite.clone()), params(1, Direction::Inbound, suite));
    edit(&mut out);
    edit(&mut inb);
    inb.path = reverse(out.path);
    core::mem::swap(&mut inb.local_ts, &mut inb.remote_ts);
    let (a, b) = (Plane::with_config(provider(), config), Plane::new(provider()));
    let (out, inb) = (Arc::new(out), Arc::new(inb));
    a.apply(NOW, &Change::InstallOutbound(Arc::clone(&out))).unwrap();
    b.apply(NOW, &Change::InstallInbound(Arc::clone(&inb))).unwrap();
    Pair { a, b, out, inb }
}

fn pair(suite: CipherSuite, edit: impl Fn(&mut SaParams)) -> Pair {
    pair_with(suite, edit, PlaneConfig::default())
}

impl Pair {
    fn seal(&self, ip: &[u8]) -> Vec<u8> {
        let mut sink = Collect::default();
        assert_eq!(self.a.egress(NOW, self.out.policy, ip, &mut sink), Egress::Sent);
        sink.sent.pop().unwrap().1
    }
    fn open(&self, esp: &mut [u8]) -> Ingress {
        self.b.ingress(NOW, self.inb.path, OUTER, esp)
    }
}

#[test]
fn round_trip_of_every_suite() {
    let suites = suites(&provider());
    assert!(suites.len() >= 20, "{}", suites.len());
    for suite in suites {
        for esn in [false, true] {
            let p = pair(suite.clone(), |p| p.esn = esn);
            for ip in packets() {
                let mut esp = p.seal(&ip);
                match p.open(&mut esp) {
                    Ingress::Deliver { child, range } => {
                        assert_eq!(child, p.inb.child);
                        assert_eq!(esp[range], ip, "{suite:?} esn {esn}");
                    }
                    other => panic!("{suite:?} esn {esn}: {other:?}"),
                }
            }
            let s = p.b.stats(p.inb.child).unwrap().inbound.unwrap();
            assert_eq!((s.packets, s.sequence), (24, 24));
            assert_eq!(p.b.drops().total(), 0);
        }
    }
}

/// What the window knows already is dropped before any cryptography (RFC 4303 §3.4.3).
#[test]
fn a_repeated_number_costs_no_cryptography() {
    let p = pair(gcm(), |p| p.replay_window = 64);
    let sealed = p.seal(&udp("10.1.0.1", "10.2.0.2", 9));
    assert!(matches!(p.open(&mut sealed.clone()), Ingress::Deliver { .. }));
    let mut damaged = sealed;
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(p.open(&mut damaged), Ingress::Drop(DropReason::Replay));
}

#[test]
fn whole_packets_as_output() {
    for (v6, encapsulation) in [
        (false, Encapsulation::Udp),
        (true, Encapsulation::Udp),
        (false, Encapsulation::None),
        (true, Encapsulation::None),
    ] {
        let config = PlaneConfig { output: OutputForm::Ip, ..PlaneConfig::default() };
        let p = pair_with(
            gcm(),
            |p| {
                p.path = path(v6);
                p.encapsulation = encapsulation;
            },
            config,
        );
        let ip = udp("fd01::1", "fd02::2", 99);
        let packet = p.seal(&ip);
        let outer = crate::IpPacket::parse(&packet).unwrap();
        assert_eq!(outer.len, packet.len());
        assert_eq!(outer.is_v6(), v6);
        let at = match encapsulation {
            Encapsulation::Udp => {
                assert_eq!((outer.protocol, outer.destination_port()), (17, Some(4500)));
                outer.upper + 8
            }
            _ => {
                assert_eq!(outer.protocol, 50);
                outer.upper
            }
        };
        let mut esp = packet;
        assert!(
            matches!(p.b.ingress_at(NOW, p.inb.path, OUTER, &mut esp, at), Ingress::Deliver { range, .. } if esp[range.clone()] == ip)
        );
    }
}

/// Every truncation, every flipped octet: a counted drop, and the window stays where it was.
#[test]
fn hostile_octets() {
    for suite in suites(&provider()) {
        let p = pair(suite.clone(), |_| {});
        let esp = p.seal(&udp("10.1.0.1", "10.2.0.2", 21));
        for cut in 0..esp.len() {
            let r = p.open(&mut esp[..cut].to_vec());
            assert!(
                matches!(r, Ingress::Drop(DropReason::Runt | DropReason::Integrity | DropReason::Decrypt)),
                "{suite:?} {cut} {r:?}"
            );
        }
        for at in 0..esp.len() {
            let mut bad = esp.clone();
            bad[at] ^= 0x40;
            let r = p.open(&mut bad);
            let want = if at < 4 { DropReason::UnknownSpi } else { DropReason::Integrity };
            assert_eq!(r, Ingress::Drop(want), "{suite:?} octet {at}");
        }
        let mut long = esp.clone();
        long.extend([0; 16]);
        assert!(matches!(p.open(&mut long), Ingress::Drop(DropReason::Integrity)));
        let s = p.b.stats(p.inb.child).unwrap().inbound.unwrap();
        assert_eq!((s.sequence, s.packets), (0, 0), "window or counters moved");
        assert_eq!(p.b.drops().total(), 2 * esp.len() as u64 + 1);
        assert!(matches!(p.open(&mut esp.clone()), Ingress::Deliver { .. }));
        assert_eq!(p.open(&mut esp.clone()), Ingress::Drop(DropReason::Replay));
    }
}

/// What a peer that holds the keys can put inside. `inside` is payload, padding and trailer as they are.
fn sealed_by_hand(p: &Pair, number: u64, inside: &[u8]) -> Vec<u8> {
    let t = crate::transform::Transform::new(&provider(), &p.out.suite, p.out.esn, p.out.spi.0, None).unwrap();
    let mut esp = p.out.spi.to_be_bytes().to_vec();
    esp.extend(&(number as u32).to_be_bytes());
    esp.resize(t.payload_at(), 0);
    esp.extend(inside);
    esp.resize(esp.len() + t.icv_len(), 0);
    t.seal(number, &mut esp).unwrap();
    esp
}

#[test]
fn hostile_insides() {
    let p = pair(gcm(), |p| {
        if p.direction == Direction::Inbound {
            p.remote_ts =
                vec![TrafficSelector::any(AddrRange::prefix("10.2.0.0".parse().unwrap(), 16).unwrap())].into();
            p.local_ts = vec![TrafficSelector::any(AddrRange::prefix("10.1.0.0".parse().unwrap(), 16).unwrap())].into();
        }
    });
    let good = udp("10.1.0.1", "10.2.0.2", 4);
    let with = |mut v: Vec<u8>, tail: &[u8]| {
        v.extend(tail);
        v
    };
    let mut lying_len = good.clone();
    lying_len[3] += 1;
    let mut short_header = good.clone();
    short_header[0] = 0x44;
    let mut version = good.clone();
    version[0] = 0x65;
    let cases: Vec<(Vec<u8>, DropReason)> = vec![
        (with(good.clone(), &[200, 4]), DropReason::Padding),
        (with(good.clone(), &[255, 4]), DropReason::Padding),
        (with(good.clone(), &[1, 3, 2, 4]), DropReason::Padding),
        (with(good.clone(), &[0, 6]), DropReason::NextHeader),
        (with(good.clone(), &[0, 50]), DropReason::NextHeader),
        (with(good.clone(), &[0, 144]), DropReason::NextHeader),
        (with(good.clone(), &[0, 41]), DropReason::InnerHeader),
        (with(vec![7; 30], &[0, 59]), DropReason::Dummy),
        (vec![0, 59], DropReason::Dummy),
        (vec![0, 4], DropReason::InnerHeader),
        (with(lying_len, &[0, 4]), DropReason::InnerHeader),
        (with(short_header, &[0, 4]), DropReason::InnerHeader),
        (with(version, &[0, 4]), DropReason::InnerHeader),
        (with(udp("10.1.0.1", "10.9.0.2", 4), &[0, 4]), DropReason::Selectors),
        (with(udp("10.9.0.1", "10.2.0.2", 4), &[0, 4]), DropReason::Selectors),
        (with(udp("fd01::1", "fd02::2", 4), &[0, 41]), DropReason::Selectors),
    ];
    for (n, (inside, want)) in (1u64..).zip(cases) {
        let mut esp = sealed_by_hand(&p, n, &inside);
        assert_eq!(p.open(&mut esp), Ingress::Drop(want), "case {n}");
        assert!(p.b.drops().of(want) > 0);
    }
    // TFC padding behind the inner packet is cut off.
    let mut esp = sealed_by_hand(&p, 100, &with(with(good.clone(), &[0; 77]), &[0, 4]));
    let Ingress::Deliver { range, .. } = p.open(&mut esp) else { panic!() };
    assert_eq!(esp[range], good);
}

#[test]
fn tfc_padding_hides_the_length() {
    let p = pair_with(gcm(), |_| {}, PlaneConfig { tfc_min: 500, ..PlaneConfig::default() });
    let (short, long) = (udp("10.1.0.1", "10.2.0.2", 1), udp("10.1.0.1", "10.2.0.2", 400));
    let (mut x, y) = (p.seal(&short), p.seal(&long));
    assert_eq!(x.len(), y.len());
    assert!(matches!(p.open(&mut x), Ingress::Deliver { range, .. } if x[range.clone()] == short));
}

#[test]
fn ecn_of_the_outer_header_reaches_the_inner() {
    let p = pair(gcm(), |_| {});
    let mut ip = udp("10.1.0.1", "10.2.0.2", 1);
    let ce = OuterInfo { traffic_class: 3, hop_limit: 0 };
    let mut esp = p.seal(&ip);
    assert_eq!(p.b.ingress(NOW, p.inb.path, ce, &mut esp), Ingress::Drop(DropReason::Congestion));
    ip[1] = 2;
    let sum = crate::checksum::checksum(&{
        let mut h = ip[..20].to_vec();
        h[10] = 0;
        h[11] = 0;
        h
    });
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut esp = p.seal(&ip);
    let Ingress::Deliver { range, .. } = p.b.ingress(NOW, p.inb.path, ce, &mut esp) else { panic!() };
    assert_eq!(esp[range.start + 1], 3);
    assert_eq!(crate::checksum::sum(&esp[range.start..range.start + 20]), 0xffff);
}

#[test]
fn limits_are_reported_once_and_hold() {
    let p = pair(gcm(), |p| {
        p.lifetime = Lifetime {
            soft: Limits { packets: 2, bytes: 0 },
            hard: Limits { packets: 4, bytes: 0 },
            ..Lifetime::default()
        };
    });
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    let mut sink = Collect::default();
    let got: Vec<_> = (0..6).map(|_| p.a.egress(NOW, p.out.child, &ip, &mut sink)).collect();
    assert_eq!(got[..4], [Egress::Sent; 4]);
    assert_eq!(got[4..], [Egress::Discard(DropReason::Expired); 2]);
    let reports: Vec<_> = core::iter::from_fn(|| p.a.poll_report()).collect();
    assert_eq!(reports, [Report::SoftExpired(p.out.child), Report::HardExpired(p.out.child)]);
}

/// The receiver's own limit: what an authentic peer sends beyond it is not delivered, whatever the sender thinks.
#[test]
fn an_inbound_sa_beyond_its_hard_limit_delivers_nothing() {
    let p = pair(gcm(), |p| {
        if p.direction == Direction::Inbound {
            p.lifetime = Lifetime { hard: Limits { packets: 3, bytes: 0 }, ..Lifetime::default() };
        }
    });
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    let got: Vec<_> = (0..5).map(|_| p.open(&mut p.seal(&ip))).collect();
    assert!(got[..3].iter().all(|g| matches!(g, Ingress::Deliver { .. })), "{got:?}");
    assert!(got[3..].iter().all(|g| matches!(g, Ingress::Drop(DropReason::Expired))), "{got:?}");
    assert_eq!(p.b.poll_report(), Some(Report::HardExpired(p.inb.child)));
}

#[test]
fn sequence_warns_and_ends() {
    let mut out = params(1, Direction::Outbound, gcm());
    out.esn = false;
    let a = Plane::new(provider());
    a.install_outbound(NOW, &Arc::new(out.clone()), 0xffff_fffd).unwrap();
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    let mut sink = Collect::default();
    let got: Vec<_> = (0..3).map(|_| a.egress(NOW, out.policy, &ip, &mut sink)).collect();
    assert_eq!(got, [Egress::Sent, Egress::Sent, Egress::Discard(DropReason::SequenceExhausted)]);
    assert_eq!(a.poll_report(), Some(Report::SequenceLow(out.child)));
    assert_eq!(a.poll_report(), None);
}

#[test]
fn no_outbound_key_twice() {
    let a = Plane::new(provider());
    let out = Arc::new(params(1, Direction::Outbound, gcm()));
    a.apply(NOW, &Change::InstallOutbound(Arc::clone(&out))).unwrap();
    a.apply(NOW, &Change::Remove(sa_ref(&out))).unwrap();
    assert_eq!(a.apply(NOW, &Change::InstallOutbound(Arc::clone(&out))), Err(PlaneError::KeyReused));
    let mut again = (*out).clone();
    again.child = ChildId(99);
    assert_eq!(a.apply(NOW, &Change::InstallOutbound(Arc::new(again))), Err(PlaneError::KeyReused));
}
use crate::PlaneError;

#[test]
fn refused_changes() {
    let a = Plane::new(provider());
    let mut p = params(1, Direction::Inbound, gcm());
    p.suite.integ = ravelin_crypto::IntegId::HMAC_SHA1_96;
    let install = |p: &SaParams| a.apply(NOW, &Change::InstallInbound(Arc::new(p.clone())));
    assert_eq!(install(&p), Err(PlaneError::UnsupportedTransform));
    p.suite = CipherSuite {
        encr: ravelin_crypto::EncrId::NULL,
        key_bits: None,
        integ: ravelin_crypto::IntegId::NONE,
        encr_key: Secret::default(),
        integ_key: Secret::default(),
    };
    assert_eq!(install(&p), Err(PlaneError::NoProtection));
    p.suite = CipherSuite {
        encr: ravelin_crypto::EncrId::AES_CBC,
        key_bits: Some(128),
        encr_key: Secret::new(vec![1; 16]),
        ..p.suite
    };
    assert_eq!(install(&p), Err(PlaneError::NoIntegrity));
    p.suite = gcm();
    p.suite.encr_key = Secret::new(vec![1; 19]);
    assert_eq!(install(&p), Err(PlaneError::KeyLength));
    p.suite = gcm();
    p.replay_window = 5000;
    assert_eq!(install(&p), Err(PlaneError::ReplayWindow));
    p.replay_window = 64;
    p.direction = Direction::Outbound;
    assert_eq!(install(&p), Err(PlaneError::Direction));
    p.direction = Direction::Inbound;
    p.local_ts = [].into();
    assert_eq!(install(&p), Err(PlaneError::Selectors));
    p.local_ts = any_ts(false).into();
    p.spi = Spi(255);
    assert_eq!(install(&p), Err(PlaneError::Spi));
    p.spi = Spi(256);
    assert_eq!(install(&p), Ok(()));
    p.child = ChildId(2);
    assert_eq!(install(&p), Err(PlaneError::Spi));
    assert!(a.stats(ChildId(2)).is_none());
}

#[test]
fn rekey_switches_without_a_gap() {
    let p = pair(gcm(), |_| {});
    let mut suite = gcm();
    suite.encr_key = Secret::new(vec![33; 20]);
    let (out2, mut inb2) = (params(2, Direction::Outbound, suite.clone()), params(2, Direction::Inbound, suite));
    inb2.path = p.inb.path;
    let (out2, inb2) = (Arc::new(out2), Arc::new(inb2));
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    let spi = |p: &Pair| Spi::from_be_bytes(p.seal(&ip)[..4].try_into().unwrap());
    p.a.apply(NOW, &Change::InstallOutbound(Arc::clone(&out2))).unwrap();
    assert_eq!(spi(&p), p.out.spi, "not before the switch");
    p.b.apply(NOW, &Change::InstallInbound(Arc::clone(&inb2))).unwrap();
    p.a.apply(NOW, &Change::Switch { from: p.out.child, to: out2.child }).unwrap();
    assert_eq!(spi(&p), out2.spi);
    assert!(p.a.stats(out2.child).unwrap().active && !p.a.stats(p.out.child).unwrap().active);
    p.a.apply(NOW, &Change::Remove(sa_ref(&p.out))).unwrap();
    assert_eq!(spi(&p), out2.spi);
    p.a.apply(NOW, &Change::Remove(sa_ref(&out2))).unwrap();
    assert_eq!(p.a.egress(NOW, p.out.policy, &ip, &mut Collect::default()), Egress::NoSa);
    assert!(p.a.all_stats().is_empty());
}

#[test]
fn removal_promotes_the_one_in_waiting() {
    let p = pair(gcm(), |_| {});
    let mut suite = gcm();
    suite.encr_key = Secret::new(vec![33; 20]);
    let out2 = Arc::new(params(2, Direction::Outbound, suite));
    p.a.apply(NOW, &Change::InstallOutbound(Arc::clone(&out2))).unwrap();
    p.a.apply(NOW, &Change::Remove(sa_ref(&p.out))).unwrap();
    let esp = p.seal(&udp("10.1.0.1", "10.2.0.2", 1));
    assert_eq!(esp[..4], out2.spi.to_be_bytes());
}

#[test]
fn a_move_keeps_counters_and_windows() {
    let p = pair(gcm(), |_| {});
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    let mut first = p.seal(&ip);
    p.open(&mut first.clone());
    let path = Path { local: "192.0.2.9:4500".parse().unwrap(), remote: "192.0.2.2:7777".parse().unwrap() };
    let change = Change::Move { child: p.out.child, path, encapsulation: Encapsulation::None };
    p.a.apply(NOW, &change).unwrap();
    p.b.apply(NOW, &change).unwrap();
    let mut sink = Collect::default();
    p.a.egress(NOW, p.out.policy, &ip, &mut sink);
    let (meta, esp) = sink.sent.pop().unwrap();
    assert_eq!((meta.path, meta.encapsulation), (path, Encapsulation::None));
    assert_eq!(esp[4..8], [0, 0, 0, 2]);
    assert_eq!(p.open(&mut first), Ingress::Drop(DropReason::Replay));
}

#[test]
fn hints_are_bounded() {
    let p = pair(gcm(), |_| {});
    let mut other = p.inb.path;
    other.remote.set_port(1024);
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    for i in 0..1000u64 {
        let mut esp = p.seal(&ip);
        p.b.ingress(NOW + core::time::Duration::from_micros(i), other, OUTER, &mut esp);
        p.b.ingress(NOW, other, OUTER, &mut [9, 9, 9, 9, i as u8, 0, 0, 0, 0, 0, 0, 0]);
    }
    let reports: Vec<_> = core::iter::from_fn(|| p.b.poll_report()).collect();
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports.contains(&Report::PathSeen { child: p.inb.child, path: other }));
    assert!(reports.contains(&Report::UnknownSpi { spi: Spi(0x0909_0909), path: other }));
    assert_eq!(p.b.last_inbound(p.inb.child), Some(NOW + core::time::Duration::from_micros(999)));
}

#[test]
fn idle_is_reported_once_until_traffic() {
    let s = core::time::Duration::from_secs;
    let p = pair(gcm(), |p| p.lifetime.idle = s(10));
    assert_eq!(p.a.deadline(), Some(NOW + s(10)));
    p.a.handle_timeout(NOW + s(9));
    assert_eq!(p.a.poll_report(), None);
    p.a.handle_timeout(NOW + s(10));
    assert_eq!(p.a.poll_report(), Some(Report::Idle(p.out.child)));
    p.a.handle_timeout(NOW + s(30));
    assert_eq!((p.a.poll_report(), p.a.deadline()), (None, None));
    let ip = udp("10.1.0.1", "10.2.0.2", 1);
    p.a.egress(NOW + s(31), p.out.policy, &ip, &mut Collect::default());
    assert_eq!(p.a.deadline(), Some(NOW + s(41)));
}

/// One policy, hundreds of peers: each packet finds the SA of its own peer, whatever the shape of its selectors.
#[test]
fn routes_of_a_policy_with_many_sas() {
    let a = Plane::new(provider());
    let ts = |s: &str, len: u8| vec![TrafficSelector::any(AddrRange::prefix(s.parse().unwrap(), len).unwrap())];
    let mut all = Vec::new();
    for i in 0..300u64 {
        let mut suite = gcm();
        suite.encr_key = Secret::new([&i.to_be_bytes()[..], &[0; 12]].concat());
        let mut p = params(i + 1, Direction::Outbound, suite);
        let remote = match i {
            298 => ts("10.9.0.0", 16),
            299 => vec![TrafficSelector::any(
                AddrRange::new("10.10.0.3".parse().unwrap(), "10.10.0.9".parse().unwrap()).unwrap(),
            )],
            _ => ts(&std::format!("10.2.{}.{}", i / 100, i % 100), 32),
        };
        p.remote_ts = remote.into();
        let p = Arc::new(p);
        a.apply(NOW, &Change::InstallOutbound(Arc::clone(&p))).unwrap();
        all.push(p);
    }
    let child = |dst: &str| {
        let mut sink = Collect::default();
        let r = a.egress(NOW, all[0].policy, &udp("10.1.0.1", dst, 1), &mut sink);
        (r == Egress::Sent).then(|| sink.sent[0].0.child.0)
    };
    assert_eq!(child("10.2.1.5"), Some(106));
    assert_eq!(child("10.9.77.1"), Some(299));
    assert_eq!(child("10.10.0.5"), Some(300));
    assert_eq!(child("10.10.0.2"), None);
    for p in &all[..297] {
        a.apply(NOW, &Change::Remove(sa_ref(p))).unwrap();
    }
    assert_eq!(child("10.2.1.5"), None);
    assert_eq!(child("10.9.77.1"), Some(299));
    assert_eq!(child("10.2.2.97"), Some(298));
}

#[test]
fn cbc_ivs_are_their_own_each() {
    let suite = suites(&provider()).into_iter().find(|s| s.encr == ravelin_crypto::EncrId::AES_CBC).unwrap();
    let ivs = |seed: u8| {
        let p = pair_with(
            suite.clone(),
            |_| {},
            PlaneConfig { seed: Secret::new(vec![seed; 32]), ..PlaneConfig::default() },
        );
        let ip = udp("10.1.0.1", "10.2.0.2", 1);
        (0..50).map(|_| p.seal(&ip)[8..24].to_vec()).collect::<std::collections::BTreeSet<_>>()
    };
    let (x, y) = (ivs(1), ivs(2));
    assert_eq!((x.len(), y.len()), (50, 50));
    assert!(x.is_disjoint(&y), "the seed matters");
    assert_eq!(x, ivs(1), "the same seed gives the same octets");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Arbitrary octets behind the right SPI never do anything but count.
    #[test]
    fn garbage_is_counted(garbage in prop::collection::vec(any::<u8>(), 0..200), number in any::<u32>()) {
        let p = pair(gcm(), |_| {});
        let mut esp = p.inb.spi.to_be_bytes().to_vec();
        esp.extend(number.to_be_bytes());
        esp.extend(garbage);
        prop_assert!(matches!(p.open(&mut esp), Ingress::Drop(_)));
        prop_assert_eq!(p.b.drops().total(), 1);
        prop_assert_eq!(p.b.stats(p.inb.child).unwrap().inbound.unwrap().sequence, 0);
    }

    /// Loss, duplication and reordering within the window: each packet is delivered once and whole.
    #[test]
    fn each_packet_once(order in prop::collection::vec(0usize..60, 1..300), mode in Just(Mode::Tunnel)) {
        let p = pair(gcm(), |p| { p.mode = mode; p.replay_window = 64; });
        let sealed: Vec<_> = (0..60).map(|i| { let ip = udp("10.1.0.1", "10.2.0.2", i); (p.seal(&ip), ip) }).collect();
        let mut seen = [false; 60];
        for i in order {
            let mut esp = sealed[i].0.clone();
            match p.open(&mut esp) {
                Ingress::Deliver { range, .. } => { prop_assert!(!seen[i]); seen[i] = true; prop_assert_eq!(&esp[range], &sealed[i].1[..]); }
                Ingress::Drop(r) => { prop_assert!(seen[i]); prop_assert_eq!(r, DropReason::Replay); }
            }
        }
    }
}
