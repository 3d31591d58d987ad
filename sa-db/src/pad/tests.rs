//! Order, identities and addresses of the PAD against a linear search.

use super::index::prefixes_of;
use super::*;
use crate::AddrRange;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;
use std::string::ToString;

fn peer(name: &str, remote_id: &str) -> Peer {
    Peer::new(name, "gw.lab.test".parse().unwrap(), remote_id.parse::<IdPattern>().unwrap())
}
fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}
fn id(s: &str) -> Identity {
    s.parse().unwrap()
}

#[test]
fn the_first_entry_that_fits_wins() {
    let mut pad = Pad::new();
    let wild = pad.add(peer("wild", "*.lab.test")).unwrap();
    let moon = pad.add(peer("moon", "moon.lab.test")).unwrap();
    let any = pad.add(peer("any", "%any")).unwrap();
    assert_eq!(pad.find(None, &id("moon.lab.test"), ip("192.0.2.1")), Some(wild));
    let first = pad.add_before(wild, peer("first", "MOON.lab.test")).unwrap();
    assert_eq!(pad.find(None, &id("moon.lab.test"), ip("192.0.2.1")), Some(first));
    let order: Vec<_> = pad.find_all(None, &id("moon.lab.test"), ip("192.0.2.1")).map(|(i, _)| i).collect();
    assert_eq!(order, [first, wild, moon, any]);
    pad.remove(first);
    assert_eq!(pad.find(None, &id("other"), ip("192.0.2.1")), Some(any));
    assert_eq!(pad.find_by_name("moon"), Some(moon));
    assert!(matches!(pad.add(peer("moon", "x")), Err(PadError::DuplicateName(_))));
    assert_eq!(pad.find(Some(&id("nobody")), &id("moon.lab.test"), ip("192.0.2.1")), None);
    assert_eq!(pad.find(Some(&id("GW.lab.test")), &id("x"), ip("192.0.2.1")), Some(any));
}

#[test]
fn addresses_bound_who_may_speak() {
    let mut pad = Pad::new();
    let mut a = peer("a", "%any");
    a.remote_addrs = alloc::vec![AddrRange::parse("10.0.0.0/8").unwrap(), AddrRange::parse("2001:db8::/32").unwrap()];
    let a = pad.add(a).unwrap();
    let b = pad.add(peer("b", "%any")).unwrap();
    let seen = |s: &str| pad.candidates(ip(s)).map(|(i, _)| i).collect::<Vec<_>>();
    assert_eq!(seen("10.1.1.1"), [a, b]);
    assert_eq!(seen("2001:db8::5"), [a, b]);
    assert_eq!(seen("11.1.1.1"), [b]);
    assert_eq!(pad.find(None, &id("x"), ip("11.1.1.1")), Some(b));
}

#[test]
fn inserting_before_never_runs_out_of_room() {
    let mut pad = Pad::new();
    let mut head = pad.add(peer("p", "x")).unwrap();
    let mut expected = alloc::vec![head];
    for n in 0..100 {
        head = pad.add_before(head, peer(&n.to_string(), "x")).unwrap();
        expected.insert(0, head);
    }
    assert_eq!(pad.iter().map(|(i, _)| i).collect::<Vec<_>>(), expected);
    assert_eq!(pad.find(None, &id("x"), ip("::1")), Some(head));
}

#[test]
fn child_constraints_narrow_what_a_peer_claims() {
    let ts = |s: &str| s.parse::<crate::TrafficSelector>().unwrap();
    let mut p = peer("p", "x");
    assert_eq!(*p.constrain(&[ts("0.0.0.0/0")]), [ts("0.0.0.0/0")]);
    p.child_constraints = alloc::vec![ts("10.1.0.0/16"), ts("10.2.0.0/16[tcp/80]")];
    assert_eq!(p.constrain(&[ts("0.0.0.0/0")]), p.child_constraints);
    assert_eq!(*p.constrain(&[ts("10.2.3.0/24[tcp]")]), [ts("10.2.3.0/24[tcp/80]")]);
    assert!(p.constrain(&[ts("192.168.0.0/16")]).is_empty());
}

fn a_range() -> impl Strategy<Value = AddrRange> {
    let v4 = (any::<u32>(), 0u32..33, 0u32..5).prop_map(|(a, shift, extra)| {
        let b = a.saturating_add(1u32.checked_shl(shift).unwrap_or(0)).saturating_sub(extra);
        AddrRange::V4(Ipv4Addr::from_bits(a.min(b)), Ipv4Addr::from_bits(a.max(b)))
    });
    let v6 = (any::<u128>(), any::<u128>(), 0u32..128).prop_map(|(a, b, s)| {
        AddrRange::V6(Ipv6Addr::from_bits(a.min(a ^ (b >> s))), Ipv6Addr::from_bits(a.max(a ^ (b >> s))))
    });
    prop_oneof![v4, v6]
}

proptest! {
    #[test]
    fn a_range_is_the_sum_of_its_prefixes(r in a_range()) {
        let bits = |a: IpAddr| match a { IpAddr::V4(a) => (32u32, u128::from(a.to_bits())), IpAddr::V6(a) => (128, a.to_bits()) };
        let (width, first) = bits(r.first());
        let mut next = Some(first);
        for (len, start) in prefixes_of(&r) {
            prop_assert_eq!(Some(start), next);
            let host = width - u32::from(len);
            let last = start | 1u128.checked_shl(host).map_or(u128::MAX, |b| b - 1);
            next = last.checked_add(1);
        }
        prop_assert_eq!(next, bits(r.last()).1.checked_add(1));
    }

    #[test]
    fn lookups_agree_with_a_walk(ops in prop::collection::vec((0u8..12, 0u8..6, any::<bool>(), 0u8..4), 1..40), who in 0u8..8, from in 0u8..4) {
        let patterns = ["%any", "a.x.test", "*.x.test", "*.test", "u@x.test", "*@x.test", "10.0.0.0/8", "10.1.1.1",
            "C=CH, O=Lab, CN=*", "C=CH, O=Lab, CN=a", "keyid:k", "10.1.0.9-10.1.2.3"];
        let sources = ["10.1.1.1", "10.2.0.0/16", "0.0.0.0/0", "10.1.0.255-10.1.1.2", "fd00::/8", "::/0"];
        let ids = ["a.x.test", "x.test", "u@x.test", "10.1.1.1", "C=ch, O=lab, CN=a", "keyid:k", "b.A.X.TEST", "%null"];
        let addrs = ["10.1.1.1", "10.2.3.4", "192.0.2.1", "fd00::1"];
        let mut pad = Pad::new();
        let mut model: Vec<PeerId> = Vec::new();
        for (n, (pattern, source, bounded, op)) in ops.into_iter().enumerate() {
            if op == 3 && !model.is_empty() {
                let at = usize::from(source) % model.len();
                pad.remove(model.remove(at)).unwrap();
                continue;
            }
            let mut p = peer(&n.to_string(), patterns[usize::from(pattern)]);
            if bounded {
                p.remote_addrs.push(AddrRange::parse(sources[usize::from(source)]).unwrap());
            }
            if op == 2 && !model.is_empty() {
                let at = usize::from(source) % model.len();
                let new = pad.add_before(model[at], p).unwrap();
                model.insert(at, new);
            } else {
                model.push(pad.add(p).unwrap());
            }
        }
        let (who, from) = (id(ids[usize::from(who)]), ip(addrs[usize::from(from)]));
        let walk: Vec<_> = model.iter().copied()
            .filter(|i| pad.peer(*i).is_some_and(|p| p.remote_id.matches(&who) && p.may_speak_from(from))).collect();
        prop_assert_eq!(pad.find_all(None, &who, from).map(|(i, _)| i).collect::<Vec<_>>(), walk);
        let may: Vec<_> = model.iter().copied().filter(|i| pad.peer(*i).is_some_and(|p| p.may_speak_from(from))).collect();
        prop_assert_eq!(pad.candidates(from).map(|(i, _)| i).collect::<Vec<_>>(), may);
    }
}
