//! The classifier against a walk over the policies in order.

use super::*;
use crate::spd::{Action, Directions, Mark, Priority, Spd, order};
use crate::{PolicyId, PortRange, TrafficSelector};
use core::net::{Ipv4Addr, Ipv6Addr};
use lanes::{By, Plain};
use proptest::prelude::*;
use rule::Point;

/// Copies whose lookups are those of lesser processors, down to any.
fn on_lesser_processors(spd: &Spd) -> Vec<Spd> {
    let lesser = [Instructions::Any, Instructions::Avx2].into_iter().filter(|less| *less < spd.instructions());
    let limited = |less| {
        let mut spd = spd.clone();
        spd.limit_to(less);
        assert_eq!(spd.instructions(), less);
        spd
    };
    lesser.map(limited).collect()
}

/// Does this with the proof of every kind of processors that this one is of.
macro_rules! with_each {
    (|$wide:ident| $check:expr) => {
        if let Some($wide) = ravelin_wide::Avx512::detect() {
            $check
        }
        if let Some($wide) = ravelin_wide::Avx2::detect() {
            $check
        }
    };
}
pub(super) use with_each;

/// Selectors out of a small world, so that they overlap, nest and touch.
fn selector() -> impl Strategy<Value = TrafficSelector> {
    let v4 = (0u32..3, 0u32..64, 0u32..40, 0u8..33).prop_map(|(net, a, len, prefix)| {
        let base = [0x0A00_0000, 0x0A00_FFE0, 0xFFFF_FFC0][net as usize];
        let first = Ipv4Addr::from_bits(base + a);
        match len {
            0..4 => AddrRange::ANY_V4,
            4..20 => AddrRange::prefix(first.into(), prefix).unwrap(),
            _ => AddrRange::V4(first, Ipv4Addr::from_bits((base + a).saturating_add(len - 20))),
        }
    });
    let v6 = (0u32..64, 0u32..30, 100u8..129).prop_map(|(a, len, prefix)| {
        let first = Ipv6Addr::from_bits((0xFD00 << 112) + u128::from(a));
        match len {
            0..4 => AddrRange::ANY_V6,
            4..20 => AddrRange::prefix(first.into(), prefix).unwrap(),
            _ => AddrRange::V6(first, Ipv6Addr::from_bits(first.to_bits() + u128::from(len))),
        }
    });
    let ports = prop_oneof![
        3 => Just(PortRange::ANY),
        1 => Just(PortRange::Opaque),
        2 => (0u16..20, 0u16..20).prop_map(|(a, b)| PortRange::Range(a.min(b), a.max(b))),
        1 => (0u16..20).prop_map(|a| PortRange::Range(a, u16::MAX)),
        1 => (0u16..20).prop_map(|a| PortRange::Range(a, a)),
    ];
    let protocol = prop_oneof![2 => Just(0u8), 2 => Just(6), 1 => Just(17)];
    (prop_oneof![5 => v4, 1 => v6], protocol, ports).prop_map(|(addrs, protocol, ports)| TrafficSelector {
        addrs,
        protocol,
        ports,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let side = || prop::collection::vec(selector(), 1..3);
    let priority = prop_oneof![1 => (0u32..4).prop_map(Priority::At), 2 => Just(Priority::Specific)];
    let directions =
        prop_oneof![4 => Just(Directions::Both), 1 => Just(Directions::Inbound), 1 => Just(Directions::Outbound)];
    let mark = prop_oneof![4 => Just(Mark::default()), 1 => (0u32..2).prop_map(|value| Mark { value, mask: 1 })];
    let scope = prop_oneof![6 => Just((0, 0)), 1 => (0u32..2, 0u32..2)];
    (side(), side(), priority, directions, mark, scope).prop_map(
        |(local, remote, priority, directions, mark, (vrf, if_id))| {
            let mut p = Policy::new("", local, remote, Action::Bypass);
            (p.priority, p.directions, p.mark, p.vrf, p.if_id) = (priority, directions, mark, vrf, if_id);
            p
        },
    )
}

fn packet() -> impl Strategy<Value = (PacketKey, Scope, Direction)> {
    let v4 = (0usize..3, 0u32..70).prop_map(|(n, a)| {
        IpAddr::from(Ipv4Addr::from_bits([0x0A00_0000u32, 0x0A00_FFE0, 0xFFFF_FFC0][n].saturating_add(a)))
    });
    let v6 = (0u32..80).prop_map(|a| IpAddr::from(Ipv6Addr::from_bits((0xFD00 << 112) + u128::from(a))));
    let addr = || prop_oneof![5 => v4.clone(), 1 => v6.clone()];
    let port = || prop_oneof![1 => Just(None), 6 => (0u16..24).prop_map(Some), 1 => Just(Some(u16::MAX))];
    let protocol = prop_oneof![Just(6u8), Just(17), Just(0), Just(1)];
    let scope = (prop_oneof![6 => Just((0u32, 0u32)), 1 => (0u32..2, 0u32..2)], 0u32..2);
    (addr(), addr(), protocol, port(), port(), scope, any::<bool>()).prop_map(
        |(local, remote, protocol, local_port, remote_port, ((vrf, if_id), mark), out)| {
            (
                PacketKey { local, remote, protocol, local_port, remote_port },
                Scope { vrf, if_id, mark },
                if out { Direction::Outbound } else { Direction::Inbound },
            )
        },
    )
}

fn walk<'a>(
    model: &'a [Arc<Policy>],
    (packet, scope, direction): &(PacketKey, Scope, Direction),
) -> Option<&'a Arc<Policy>> {
    model.iter().filter(|p| p.matches(*direction, packet, scope)).min_by_key(|p| (order::rank(p), p.id))
}

fn check(ops: Vec<(Policy, u8)>, packets: Vec<(PacketKey, Scope, Direction)>) -> Result<(), TestCaseError> {
    let mut spd = Spd::new();
    let mut model: Vec<Arc<Policy>> = Vec::new();
    for (n, (mut policy, op)) in ops.into_iter().enumerate() {
        policy.name = alloc::format!("p{n}");
        let at = (usize::from(op) * 7 + n) % model.len().max(1);
        if op < 6 && !model.is_empty() {
            let gone = model.swap_remove(at);
            let removed = spd.remove(gone.id);
            prop_assert_eq!(removed.as_ref(), Some(&gone));
        } else if op < 9 && !model.is_empty() {
            let id = model[at].id;
            spd.replace(id, policy).unwrap();
            model[at] = Arc::clone(spd.policy(id).unwrap());
        } else {
            let id = spd.add(policy).unwrap();
            model.push(Arc::clone(spd.policy(id).unwrap()));
        }
        if n % 50 == 49 {
            spd.settle();
            for (spd, p) in on_lesser_processors(&spd).iter().flat_map(|spd| packets.iter().map(move |p| (spd, p))) {
                prop_assert_eq!(spd.lookup(p.2, &p.0, &p.1), walk(&model, p), "{:?}\n{}", p, spd.describe_lookup());
            }
        }
        for p in packets.iter().skip(n % 3).step_by(3) {
            prop_assert_eq!(spd.lookup(p.2, &p.0, &p.1), walk(&model, p), "{:?}\n{}", p, spd.describe_lookup());
        }
    }
    for p in &packets {
        prop_assert_eq!(spd.lookup(p.2, &p.0, &p.1), walk(&model, p), "{:?}\n{}", p, spd.describe_lookup());
    }
    let scope = Scope::default();
    let keys: Vec<PacketKey> = packets.iter().map(|p| p.0).collect();
    let mut burst = Vec::new();
    spd.lookup_burst(Direction::Outbound, &keys, &scope, |p| burst.push(p.map(|p| p.id)));
    let single: Vec<Option<PolicyId>> = keys.iter().map(|k| spd.lookup_out(k, &scope).map(|p| p.id)).collect();
    prop_assert_eq!(&burst, &single);
    for lesser in on_lesser_processors(&spd) {
        burst.clear();
        lesser.lookup_burst(Direction::Outbound, &keys, &scope, |p| burst.push(p.map(|p| p.id)));
        prop_assert_eq!(&burst, &single);
        let other: Vec<Option<PolicyId>> = keys.iter().map(|k| lesser.lookup_out(k, &scope).map(|p| p.id)).collect();
        prop_assert_eq!(&other, &single);
    }
    while let Some(p) = model.pop() {
        spd.remove(p.id);
    }
    prop_assert!(spd.is_empty() && packets.iter().all(|p| spd.lookup(p.2, &p.0, &p.1).is_none()));
    prop_assert_eq!((spd.classifier.v4.leaves.len(), spd.classifier.v6.leaves.len()), (1, 1));
    Ok(())
}

/// So many cases, more where `PROPTEST_CASES` asks for more.
fn cases(n: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: if asked.cases > 256 { asked.cases / (300 / n) } else { n }, ..asked }
}

/// Every rank of which `merit` says that it is exact, and the first pair beyond that is not told apart. What the sieves
/// keep of a merit tells the specific ones apart as well.
#[test]
fn merit_is_exact_for_early_ranks() {
    for (kind, exact) in [(0u64, 2_047u64), (1 << 31, 511)] {
        let merit_of = |rank: u64| rule::merit((kind | rank) << 32);
        for rank in 0..exact {
            assert!(merit_of(rank) > merit_of(rank + 1), "{kind:x} {rank}");
            assert!(kind == 0 || merit_of(rank) & !rule::ROUGH > merit_of(rank + 1) & !rule::ROUGH, "{rank}");
        }
        assert_eq!(merit_of(exact), merit_of(exact + 1), "{kind:x}");
        assert!(merit_of((1 << 31) - 1) > 1);
    }
    for rank in 0..2_000u64 {
        let roughly = |rank: u64| rule::merit(rank << 32) & !rule::ROUGH;
        assert!(roughly(rank) > roughly(rank + rank / 15 + 1), "{rank}");
    }
}

proptest! {
    #[test]
    fn merit_falls_with_the_key(a in any::<u64>(), b in any::<u64>(), shift in 0u32..64) {
        let (a, b) = (a >> shift, b >> shift);
        prop_assert!(rule::merit(a.min(b)) >= rule::merit(a.max(b)));
        prop_assert!(rule::merit(a) > 1);
    }

    #[test]
    fn a_rule_is_the_same_when_it_is_hot(local in selector(), remote in selector(), (packet, _, direction) in packet()) {
        let (a, b) = (is_v6(&local.addrs), is_v6(&remote.addrs));
        if let Some(rule) = Rule::<u128>::new(&local, &remote, 77, 5, INBOUND | MARKED).filter(|_| a == b) {
            let hot = rule::Hot::new(&rule);
            prop_assert_eq!(hot.rule(77), rule);
            let family = packet.local.is_ipv6() == a && packet.remote.is_ipv6() == a;
            let mut policy = Policy::new("p", [local], [remote], Action::Bypass);
            policy.directions = Directions::Inbound;
            let point = Point::<u128>::new(&packet, flag(direction));
            if family {
                let matches = policy.matches(direction, &packet, &Scope::default());
                prop_assert_eq!(hot.matches(Plain, &point), matches);
                with_each!(|wide| prop_assert_eq!(hot.matches(By(wide), &point), matches));
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn few_policies_agree_with_a_walk(ops in prop::collection::vec((policy(), 0u8..24), 1..30), packets in prop::collection::vec(packet(), 1..60)) {
        check(ops, packets)?;
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn many_policies_agree_with_a_walk(ops in prop::collection::vec((policy(), 0u8..30), 300..900), packets in prop::collection::vec(packet(), 40)) {
        check(ops, packets)?;
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn vectors_agree_with_a_walk(
        pairs in prop::collection::vec((selector(), selector(), any::<u16>(), prop_oneof![1u8..4, 5u8..8]), 1..700),
        packets in prop::collection::vec(packet(), 16),
    ) {
        let mut rules: Vec<Rule<u32>> = (0u32..).zip(&pairs).filter(|(_, (l, r, ..))| !is_v6(&l.addrs) && !is_v6(&r.addrs))
            .filter_map(|(n, (l, r, rank, flags))| Rule::new(l, r, (u64::from(*rank) << 32) | u64::from(n), n, *flags))
            .collect();
        rules.sort_unstable();
        let mut vectors = vectors::Vectors::new(rules.clone());
        let gone = rules.len() / 3;
        prop_assert!(rules.drain(gone / 2..gone).all(|rule| vectors.remove(&rule)));
        let points: Vec<_> = packets.iter().map(|(packet, _, way)| Point::<u32>::new(packet, flag(*way))).collect();
        let points: &[_; 16] = points.as_slice().try_into().unwrap();
        let together = vectors.locate(Plain, points);
        with_each!(|wide| prop_assert_eq!(vectors.locate(By(wide), points), together));
        for (p, places) in points.iter().zip(together) {
            prop_assert_eq!(vectors.locate(Plain, &[*p]), [places]);
            for agreed in [false, true] {
                let agree = |slot| agreed || slot % 2 == 0;
                let holds = |r: &&Rule<u32>| rule::Hot::new(r).matches(Plain, p) && (r.flags & MARKED == 0 || agree(r.slot));
                let first = rules.iter().find(holds).map(|r| (rule::merit(r.key), r.slot));
                prop_assert_eq!(vectors.first(&places, 1, &agree).map(|(merit, slot, _)| (merit, slot)), first);
                let of_any_mark = rules.iter().find(|r| rule::Hot::new(r).matches(Plain, p));
                let expected = of_any_mark.map_or((0, u32::MAX), |r| (rule::merit(r.key), r.slot));
                with_each!(|wide| if let Some((merit, slot, _)) = vectors.first_at_once(wide, &places) {
                    prop_assert_eq!((merit, slot), expected);
                });
                if let Some(least) = first.map_or(Some(9), |(merit, _)| merit.checked_add(1)) {
                    prop_assert_eq!(vectors.first(&places, least, &agree), None);
                }
            }
        }
    }
}

/// A table that stands alone is not asked how good its buckets are; it has to be when wide policies come.
#[test]
fn wide_policies_come_to_a_table_that_stands_alone_and_go() {
    let mut spd = Spd::new();
    let mut state = 3u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let ts = |addr: u32, prefix: u8| TrafficSelector {
        addrs: AddrRange::prefix(IpAddr::V4(Ipv4Addr::from_bits(addr)), prefix).unwrap(),
        protocol: 0,
        ports: PortRange::ANY,
    };
    let (mut model, mut packets, mut wide) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..3_000u32 {
        let (l, r) = (draw() << 8 | n & 0xFF, draw());
        let prefix = if n < 2_950 { 32 } else { (draw() % 3) as u8 };
        let mut p = Policy::new(alloc::format!("{n}"), [ts(l, prefix)], [ts(r, prefix)], Action::Bypass);
        p.priority = Priority::At(draw());
        let id = spd.add(p).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
        if prefix < 32 {
            wide.push(id);
        }
        let [local, remote] = [l, r].map(|a| IpAddr::from(Ipv4Addr::from_bits(a)));
        packets.push(PacketKey { local, remote, protocol: 6, local_port: Some(1), remote_port: Some(2) });
    }
    agree_with_a_walk(&spd, &model, &packets);
    for id in wide {
        spd.remove(id);
        model.retain(|p| p.id != id);
    }
    agree_with_a_walk(&spd, &model, &packets);
}

/// Rules that differ in wide, overlapping port ranges only, more than one group of vectors holds.
#[test]
fn overlapping_port_ranges_in_several_groups() {
    let mut spd = Spd::new();
    let mut state = 7u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u16
    };
    let mut model = Vec::new();
    for n in 0..3000u32 {
        let (a, b, c, d) = (draw(), draw(), draw(), draw());
        let ts = |a: u16, b: u16| TrafficSelector {
            addrs: AddrRange::ANY_V4,
            protocol: 6,
            ports: PortRange::Range(a.min(b), a.max(b)),
        };
        let mut p = Policy::new(alloc::format!("{n}"), [ts(a, b)], [ts(c, d)], Action::Bypass);
        p.priority = Priority::At(u32::from(draw()));
        let id = spd.add(p).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
    }
    let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
    for round in 0..4 {
        for _ in 0..300 {
            let key =
                PacketKey { local: ip, remote: ip, protocol: 6, local_port: Some(draw()), remote_port: Some(draw()) };
            let p = (key, Scope::default(), Direction::Outbound);
            assert_eq!(spd.lookup(p.2, &p.0, &p.1).map(|p| p.id), walk(&model, &p).map(|p| p.id), "round {round}");
            spd.lookup_burst(p.2, &[p.0; 16], &p.1, |found| {
                assert_eq!(found.map(|p| p.id), walk(&model, &p).map(|p| p.id), "round {round}");
            });
        }
        for _ in 0..700 {
            let gone = model.swap_remove(usize::from(draw()) % model.len());
            assert!(spd.remove(gone.id).is_some());
        }
    }
}

/// Enough pairs of hosts that some buckets share place and tag, under wide policies whose ranks are all over the place,
/// while policies come and go: every host must be found, or the wide policy that goes before it.
#[test]
fn buckets_that_share_a_tag_and_wide_policies_between() {
    let mut spd = Spd::new();
    let mut state = 11u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let ts = |addr: u32, prefix: u8| TrafficSelector {
        addrs: AddrRange::prefix(IpAddr::V4(Ipv4Addr::from_bits(addr)), prefix).unwrap(),
        protocol: 0,
        ports: PortRange::ANY,
    };
    let (mut hosts, mut wide) = (Vec::new(), Vec::new());
    for n in 0..40_000u32 {
        let (l, r) = (draw(), draw());
        let prefix = if n % 200 == 0 { 4 } else { 32 };
        let mut p = Policy::new(alloc::format!("{n}"), [ts(l, prefix)], [ts(r, prefix)], Action::Bypass);
        p.priority = Priority::At(draw());
        let id = spd.add(p).unwrap();
        if prefix == 4 { &mut wide } else { &mut hosts }.push((id, l, r));
    }
    for round in 0..3 {
        let first: Vec<_> = wide.iter().filter_map(|(id, ..)| spd.policy(*id).cloned()).collect();
        let mut keys = Vec::new();
        for (id, l, r) in &hosts {
            let [local, remote] = [*l, *r].map(|a| IpAddr::from(Ipv4Addr::from_bits(a)));
            let key = PacketKey { local, remote, protocol: 6, local_port: Some(1), remote_port: Some(2) };
            let own = spd.policy(*id).into_iter();
            let all = own.chain(first.iter().filter(|p| p.matches(Direction::Outbound, &key, &Scope::default())));
            let expected = all.min_by_key(|p| (order::rank(p), p.id)).map(|p| p.id);
            assert_eq!(spd.lookup_out(&key, &Scope::default()).map(|p| p.id), expected, "round {round}");
            keys.push((key, expected));
        }
        let mut expected = keys.iter().map(|(_, id)| *id);
        let packets: Vec<PacketKey> = keys.iter().map(|(key, _)| *key).collect();
        spd.lookup_burst(Direction::Outbound, &packets, &Scope::default(), |p| {
            assert_eq!(p.map(|p| p.id), expected.next().unwrap());
        });
        for _ in 0..9_000 {
            let (gone, ..) = hosts.swap_remove(draw() as usize % hosts.len());
            assert!(spd.remove(gone).is_some());
        }
        for n in 0..3_000 {
            let (l, r) = (draw(), draw());
            let mut p = Policy::new(alloc::format!("{round}-{n}"), [ts(l, 32)], [ts(r, 32)], Action::Bypass);
            p.priority = Priority::At(draw());
            hosts.push((spd.add(p).unwrap(), l, r));
        }
    }
}

/// Policies of random rank, some of them wide: a split. Its head loses all it has, then gets more than the rest has.
#[test]
fn rules_split_by_rank_come_and_go() {
    let mut spd = Spd::new();
    let mut state = 9u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let ts = |addr: u32, prefix: u8, ports: PortRange| TrafficSelector {
        addrs: AddrRange::prefix(IpAddr::V4(Ipv4Addr::from_bits(addr)), prefix).unwrap(),
        protocol: 0,
        ports,
    };
    let mut policy = |n: u32, rank: u32| {
        let (l, r) = (draw() << 8 | n & 0xFF, draw() << 8);
        let prefix = if n.is_multiple_of(8) { (draw() % 3) as u8 } else { 24 };
        let ports = if n.is_multiple_of(3) { PortRange::Range(0, 300) } else { PortRange::ANY };
        let mut p =
            Policy::new(alloc::format!("{n}"), [ts(l, prefix, PortRange::ANY)], [ts(r, prefix, ports)], Action::Bypass);
        p.priority = Priority::At(if rank == 0 { 1_000 + draw() } else { rank });
        let [local, remote] = [l, r].map(|a| IpAddr::from(Ipv4Addr::from_bits(a)));
        (p, PacketKey { local, remote, protocol: 6, local_port: Some(1), remote_port: Some((n % 600) as u16) })
    };
    let (mut model, mut packets) = (Vec::new(), Vec::new());
    let check = |spd: &Spd, model: &[Arc<Policy>], packets: &[PacketKey]| {
        let scope = Scope::default();
        let some: Vec<PacketKey> = packets.iter().step_by(5).copied().collect();
        let expected: Vec<_> =
            some.iter().map(|p| walk(model, &(*p, scope, Direction::Outbound)).map(|p| p.id)).collect();
        let single: Vec<_> = some.iter().map(|p| spd.lookup_out(p, &scope).map(|p| p.id)).collect();
        let mut burst = Vec::new();
        spd.lookup_burst(Direction::Outbound, &some, &scope, |p| burst.push(p.map(|p| p.id)));
        assert_eq!(single, expected);
        assert_eq!(burst, expected);
    };
    for n in 0..3_000 {
        let (p, packet) = policy(n, 0);
        let id = spd.add(p).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
        packets.push(packet);
    }
    assert!(spd.describe_lookup().contains("by rank"), "{}", spd.describe_lookup());
    check(&spd, &model, &packets);
    model.sort_by_key(|p| (order::rank(p), p.id));
    for gone in model.drain(..800) {
        assert_eq!(spd.remove(gone.id), Some(gone));
    }
    check(&spd, &model, &packets);
    for n in 3_000..6_000 {
        let (p, packet) = policy(n, 1 + n % 900);
        let id = spd.add(p).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
        packets.push(packet);
        if n.is_multiple_of(1_000) {
            spd.settle();
            check(&spd, &model, &packets);
        }
    }
    check(&spd, &model, &packets);
    while let Some(p) = model.pop() {
        assert_eq!(spd.remove(p.id), Some(p));
    }
    assert!(spd.is_empty() && spd.describe_lookup().is_empty());
}

/// The boxes of one policy are on one side of a split, wherever that falls, so that they are found when it goes.
#[test]
fn a_split_keeps_a_policy_together() {
    let any = TrafficSelector { addrs: AddrRange::ANY_V4, protocol: 0, ports: PortRange::ANY };
    let host = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x0A00_0000 + n));
    let scope = Scope::default();
    for odd in 0..3 {
        let mut spd = Spd::new();
        let mut ids = Vec::new();
        for n in 0..400u32 {
            let own = TrafficSelector { addrs: AddrRange::prefix(host(n), 32).unwrap(), ..any };
            let local = if n < odd { alloc::vec![any] } else { alloc::vec![any, own] };
            let mut p = Policy::new(alloc::format!("{n}"), local, [any], Action::Bypass);
            p.priority = Priority::At(n);
            ids.push(spd.add(p).unwrap());
        }
        assert!(spd.describe_lookup().contains("by rank"), "{}", spd.describe_lookup());
        for n in 0..150u32 {
            assert!(spd.remove(ids[n as usize]).is_some());
            for host in (0..=n).map(host) {
                let p = PacketKey { local: host, remote: host, protocol: 6, local_port: None, remote_port: None };
                assert_eq!(spd.lookup_out(&p, &scope).map(|p| p.id), ids.get(n as usize + 1).copied(), "{n}");
            }
        }
    }
}

/// Lookups one by one and in bursts, as this processor and as lesser ones make them, against a walk.
fn agree_with_a_walk(spd: &Spd, model: &[Arc<Policy>], packets: &[PacketKey]) {
    let scope = Scope::default();
    let expected: Vec<_> =
        packets.iter().map(|p| walk(model, &(*p, scope, Direction::Outbound)).map(|p| p.id)).collect();
    for spd in on_lesser_processors(spd).iter().chain([spd]) {
        let single: Vec<_> = packets.iter().map(|p| spd.lookup_out(p, &scope).map(|p| p.id)).collect();
        let mut burst = Vec::new();
        spd.lookup_burst(Direction::Outbound, packets, &scope, |p| burst.push(p.map(|p| p.id)));
        assert_eq!(single, expected, "{}", spd.describe_lookup());
        assert_eq!(burst, expected, "{}", spd.describe_lookup());
    }
}

/// Bursts of every size, those that are looked up together and what is left over, also of families by turns.
#[test]
fn bursts_of_any_size_and_of_mixed_families() {
    let mut state = 5u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let addr = |v6: bool, n: u32| match v6 {
        true => IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | (u128::from(n) << 64))),
        false => IpAddr::from(Ipv4Addr::from_bits(n << 8)),
    };
    let (mut spd, mut model, mut packets) = (Spd::new(), Vec::new(), Vec::new());
    for n in 0..1_200u32 {
        // Prefixes of several lengths, so that there is a chain of tables.
        let (v6, l, r, cut) = (n % 3 == 0, draw() % 5_000, draw() % 5_000, (n % 7) as u8);
        let ts = |a: u32, cut: u8| TrafficSelector {
            addrs: AddrRange::prefix(addr(v6, a), if v6 { 64 } else { 24 } - cut).unwrap(),
            protocol: 0,
            ports: PortRange::ANY,
        };
        let mut p = Policy::new(alloc::format!("{n}"), [ts(l, cut)], [ts(r, cut * 2 % 7)], Action::Bypass);
        p.priority = Priority::At(draw());
        let id = spd.add(p).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
        let (local, remote) = (addr(v6, l), addr(v6, r));
        packets.push(PacketKey { local, remote, protocol: 6, local_port: Some(1), remote_port: Some(2) });
    }
    let (v6, v4): (Vec<_>, Vec<_>) = packets.iter().copied().partition(|p| p.local.is_ipv6());
    for n in (0..40).chain([63, 64, 65, 95, 96, 97, 111, 112, 127, 128, 200]) {
        for all in [&v4, &v6, &packets] {
            let some = all.get(n..n * 2).unwrap();
            agree_with_a_walk(&spd, &model, some);
        }
    }
    // Long runs of one family, then of the other.
    let runs: Vec<_> = [&v4[..70], &v6[..33], &v4[70..75], &v6[33..50]].concat();
    agree_with_a_walk(&spd, &model, &runs);
}

/// A table in the middle of a chain that grows and shrinks is built anew, and what stands beside the first one with it.
#[test]
fn tables_of_a_chain_change_behind_the_first() {
    let (mut spd, mut model, mut packets) = (Spd::new(), Vec::new(), Vec::new());
    let mut state = 11u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.rotate_left(9)
    };
    let mut add = |spd: &mut Spd, model: &mut Vec<Arc<Policy>>, prefixes: [u8; 2], rank: u32| {
        let addrs = [draw(), draw()];
        let ts = |n: usize| TrafficSelector {
            addrs: AddrRange::prefix(IpAddr::V4(Ipv4Addr::from_bits(addrs[n])), prefixes[n]).unwrap(),
            protocol: 0,
            ports: PortRange::ANY,
        };
        let mut p = Policy::new(alloc::format!("{}", model.len()), [ts(0)], [ts(1)], Action::Bypass);
        p.priority = Priority::At(rank);
        let id = spd.add(p).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
        let [local, remote] = addrs.map(|a| IpAddr::from(Ipv4Addr::from_bits(a)));
        (id, PacketKey { local, remote, protocol: 6, local_port: Some(1), remote_port: Some(2) })
    };
    let shapes = [[32, 32], [28, 0], [0, 28], [14, 4]];
    for n in 0..600u32 {
        packets.push(add(&mut spd, &mut model, shapes[n as usize % shapes.len()], n * 7 % 601).1);
    }
    let mut later = Vec::new();
    for n in 0..1_200u32 {
        let (id, packet) = add(&mut spd, &mut model, shapes[1 + n as usize / 400], n * 11 % 1201);
        later.push(id);
        packets.push(packet);
        if n % 100 == 99 {
            agree_with_a_walk(&spd, &model, &packets);
        }
    }
    assert!(spd.describe_lookup().matches("table").count() > 1, "{}", spd.describe_lookup());
    agree_with_a_walk(&spd, &model, &packets);
    for part in later.chunks(150).rev() {
        for id in part {
            spd.remove(*id);
        }
        model.retain(|p| !part.contains(&p.id));
        agree_with_a_walk(&spd, &model, &packets);
    }
    // The second table goes, and its place is another one's, in another VRF: nobody is to look there.
    let (gone, left) =
        model.into_iter().partition(|p: &Arc<Policy>| p.name.parse::<usize>().unwrap() % shapes.len() > 1);
    let mut model: Vec<Arc<Policy>> = left;
    for policy in &gone {
        spd.remove(policy.id);
    }
    agree_with_a_walk(&spd, &model, &packets);
    assert!(gone.len() > 100, "{}", gone.len());
    for policy in gone {
        let mut other = Policy::clone(&policy);
        other.vrf = 2;
        let id = spd.add(other).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
    }
    agree_with_a_walk(&spd, &model, &packets);
}

/// A second table that gives way to a list is not asked any more, whatever stands in its place in memory: here the table of
/// another VRF with the same policies.
#[test]
fn a_table_that_became_a_list_is_not_asked() {
    let policy = |name: alloc::string::String, local: u32, remote: u32, prefixes: [u8; 2]| {
        let ts = |addr: u32, prefix: u8| TrafficSelector {
            addrs: AddrRange::prefix(IpAddr::V4(Ipv4Addr::from_bits(addr)), prefix).unwrap(),
            protocol: 0,
            ports: PortRange::ANY,
        };
        Policy::new(name, [ts(local, prefixes[0])], [ts(remote, prefixes[1])], Action::Bypass)
    };
    let (mut spd, mut second) = (Spd::new(), Vec::new());
    for n in 0..400u32 {
        spd.add(policy(alloc::format!("host {n}"), n << 16, n.wrapping_mul(77_777_777), [32, 32])).unwrap();
    }
    for n in 0..40u32 {
        second.push(spd.add(policy(alloc::format!("net {n}"), (200 << 24) | (n << 16), 0, [16, 0])).unwrap());
    }
    assert_eq!(spd.describe_lookup().matches("table").count(), 2, "{}", spd.describe_lookup());
    for id in second.drain(5..) {
        spd.remove(id).unwrap();
    }
    let shape = spd.describe_lookup();
    assert!(shape.matches("table").count() == 1 && shape.contains("list of 5"), "{shape}");
    for n in 0..40u32 {
        let mut p = policy(alloc::format!("other {n}"), (200 << 24) | (n << 16), 0, [16, 0]);
        p.vrf = 1;
        spd.add(p).unwrap();
    }
    for n in 0..40u32 {
        let local = IpAddr::V4(Ipv4Addr::from_bits((200 << 24) | (n << 16) | 9));
        let remote = IpAddr::V4(Ipv4Addr::from_bits(n));
        let packet = PacketKey { local, remote, protocol: 6, local_port: Some(1), remote_port: Some(2) };
        let name = |vrf: u32| {
            let scope = Scope { vrf, ..Scope::default() };
            spd.lookup_out(&packet, &scope).map(|p| p.name.clone())
        };
        assert_eq!(name(0), (n < 5).then(|| alloc::format!("net {n}")));
        assert_eq!(name(1), Some(alloc::format!("other {n}")));
    }
}

/// Rules of one rank, of which those that came first stand behind bit vectors, and are looked at last.
#[test]
fn what_comes_and_goes_does_not_fill_the_memory() {
    // Hosts, which have a table, and beside them ports, which have none.
    let policy = |n: u32| {
        let ts = |addrs, ports| TrafficSelector { addrs, protocol: 17, ports };
        let host = AddrRange::prefix(Ipv4Addr::from_bits(0x0A00_0000 | n.wrapping_mul(2_654_435_761) >> 8).into(), 32)
            .unwrap();
        let one = PortRange::Range(n as u16, n as u16 | 15);
        let (addrs, ports) = if n.is_multiple_of(10) { (AddrRange::ANY_V4, one) } else { (host, PortRange::ANY) };
        Policy::new(alloc::format!("p{n}"), [ts(addrs, ports)], [ts(AddrRange::ANY_V4, PortRange::ANY)], Action::Bypass)
    };
    let mut spd = Spd::new();
    let mut ids: Vec<PolicyId> = (0..3000).map(|n| spd.add(policy(n)).unwrap()).collect();
    let before = spd.lookup_memory();
    for n in 3000..30_000 {
        let at = n as usize % ids.len();
        spd.remove(ids[at]);
        ids[at] = spd.add(policy(n)).unwrap();
    }
    assert!(spd.lookup_memory() < 2 * before, "{before} {}", spd.lookup_memory());
    // Most have a place beside the others of their bucket.
    let leaves = &spd.classifier.v4.leaves;
    let mut out = Vec::new();
    spd.classifier.v4.collect(spd.classifier.plain.v4, &mut out);
    let near =
        (0..leaves.len()).filter_map(|at| leaves.rule_at(at)).filter(|r| r.is_near() && r.slot != u32::MAX).count();
    assert!(near > out.len() / 2 && near < out.len(), "{near} of {}", out.len());
}

#[test]
fn of_equal_rank_the_first_wins_behind_vectors_too() {
    let (mut spd, mut model, mut packets) = (Spd::new(), Vec::new(), Vec::new());
    let mut state = 5u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.rotate_left(9)
    };
    let mut policy = |wide: bool, n: u32| {
        let [l, r] = [draw(), draw()];
        let (a, b) = (draw() as u16, draw() as u16);
        let one = |addr| AddrRange::V4(Ipv4Addr::from_bits(addr), Ipv4Addr::from_bits(addr));
        let ts = |addr: u32| TrafficSelector {
            addrs: if wide { AddrRange::ANY_V4 } else { one(addr) },
            protocol: 6,
            ports: if wide { PortRange::Range(a.min(b), a.max(b)) } else { PortRange::ANY },
        };
        let mut p = Policy::new(alloc::format!("{n}"), [ts(l)], [ts(r)], Action::Bypass);
        p.priority = Priority::At(5);
        let [local, remote] = [l, r].map(|a| IpAddr::from(Ipv4Addr::from_bits(a)));
        packets.push(PacketKey { local, remote, protocol: 6, local_port: Some(a), remote_port: Some(b) });
        p
    };
    for n in 0..2_400 {
        let id = spd.add(policy(false, n)).unwrap();
        model.push(Arc::clone(spd.policy(id).unwrap()));
    }
    // The first ones become wide, in another order, so that groups of vectors grow where they stand.
    for n in 0..400u32 {
        let at = (n * 171 % 400) as usize;
        let id = model[at].id;
        spd.replace(id, policy(true, at as u32)).unwrap();
        model[at] = Arc::clone(spd.policy(id).unwrap());
    }
    spd.settle();
    let shape = spd.describe_lookup();
    let first = shape.lines().find_map(|l| l.strip_prefix("vectors over ")).and_then(|n| n.parse::<u32>().ok());
    assert!(first.is_some_and(|n| n > 256), "{shape}");
    agree_with_a_walk(&spd, &model, &packets);
}
