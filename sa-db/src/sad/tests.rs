//! Lookup tiers, switching and removal of the SAD.

use super::*;
use std::vec;

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}
fn packet(remote: &str) -> PacketKey {
    PacketKey { local: ip("10.0.0.1"), remote: ip(remote), protocol: 17, local_port: Some(1), remote_port: Some(2) }
}
fn out(child: u64, remote: &str, resource: &[u8], active: bool) -> OutboundSa<u64> {
    OutboundSa {
        child: ChildId(child),
        policy: PolicyId(1),
        spi: Spi(0x1000),
        local_ts: vec!["10.0.0.0/8".parse().unwrap()],
        remote_ts: vec![remote.parse().unwrap()],
        resource: resource.to_vec(),
        active,
        sa: Arc::new(child),
    }
}

#[test]
fn the_longest_inbound_match_wins() {
    let mut sad = Sad::new();
    let (dst, src, spi) = (ip("224.0.0.9"), ip("10.0.0.9"), Spi(0x999));
    let mut put = |n: u64, dst, src| sad.insert_inbound(InboundKey { spi, dst, src }, ChildId(n), Arc::new(n));
    put(1, None, None).unwrap();
    put(2, Some(dst), None).unwrap();
    put(3, Some(dst), Some(src)).unwrap();
    assert_eq!(put(4, None, None), Err(SadError::DuplicateKey(InboundKey::spi(spi))));
    let found = |d, s| sad.inbound(spi, d, s).map(|i| *i.sa);
    assert_eq!(found(dst, src), Some(3));
    assert_eq!(found(dst, ip("10.0.0.8")), Some(2));
    assert_eq!(found(ip("224.0.0.8"), src), Some(1));
    assert!(sad.inbound(Spi(0x998), dst, src).is_none());
    assert_eq!(sad.remove(ChildId(3), Direction::Inbound).map(|a| *a), Some(3));
    assert_eq!(sad.inbound(spi, dst, src).map(|i| *i.sa), Some(2));
    assert!(sad.insert_inbound(InboundKey::spi(Spi(255)), ChildId(9), Arc::new(9)).is_err());
}

#[test]
fn rekeying_overlaps_then_switches() {
    let mut sad = Sad::new();
    sad.insert_outbound(out(1, "10.9.0.0/16", b"", true)).unwrap();
    sad.insert_outbound(out(2, "10.9.0.0/16", b"", false)).unwrap();
    let carries = |sad: &Sad<u64>| sad.outbound(PolicyId(1), &packet("10.9.1.1"), b"").map(|o| o.child.0);
    assert_eq!(carries(&sad), Some(1));
    assert!(sad.switch(ChildId(1), ChildId(2)));
    assert_eq!(carries(&sad), Some(2));
    assert!(!sad.switch(ChildId(2), ChildId(7)));
    assert_eq!(carries(&sad), Some(2));
    sad.remove(ChildId(1), Direction::Outbound).unwrap();
    sad.insert_outbound(out(3, "10.9.0.0/16", b"", true)).unwrap();
    assert_eq!((carries(&sad), sad.outbound_of(ChildId(2)).unwrap().active), (Some(3), false));
    assert_eq!(
        sad.insert_outbound(out(3, "10.9.0.0/16", b"", true)),
        Err(SadError::DuplicateChild(ChildId(3), Direction::Outbound))
    );
    sad.remove(ChildId(3), Direction::Outbound).unwrap();
    assert_eq!(carries(&sad), None);
    assert_eq!(sad.children().map(|(c, ..)| c.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn resources_and_selectors_choose_among_the_sas_of_a_policy() {
    let mut sad = Sad::new();
    sad.insert_outbound(out(1, "10.9.0.0/16", b"", true)).unwrap();
    sad.insert_outbound(out(2, "10.9.0.0/16", b"cpu1", true)).unwrap();
    sad.insert_outbound(out(3, "10.8.0.0/16", b"", true)).unwrap();
    let carries = |p: &str, r: &[u8]| sad.outbound(PolicyId(1), &packet(p), r).map(|o| o.child.0);
    assert_eq!(carries("10.9.1.1", b""), Some(1));
    assert_eq!(carries("10.9.1.1", b"cpu1"), Some(2));
    assert_eq!(carries("10.9.1.1", b"cpu2"), Some(1));
    assert_eq!(carries("10.8.1.1", b"cpu1"), Some(3));
    assert_eq!(carries("10.7.1.1", b""), None);
}

/// Any sequence of insertions, removals and switches against plain lists.
mod model {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn inbound_agrees_with_a_list(ops in prop::collection::vec((0u32..12, 0u8..3, 0u8..3, any::<bool>()), 1..200)) {
            let mut sad: Sad<usize> = Sad::new();
            let mut list: Vec<(InboundKey, ChildId, usize)> = Vec::new();
            let addr = |n: u8| (n > 0).then(|| IpAddr::from([10, 0, 0, n]));
            for (n, (spi, dst, src, add)) in ops.into_iter().enumerate() {
                let key = InboundKey { spi: Spi(300 + spi), dst: addr(dst), src: addr(dst).and(addr(src)) };
                let child = ChildId(n as u64);
                let there = list.iter().position(|(k, ..)| *k == key);
                match (add, there) {
                    (true, Some(_)) => prop_assert_eq!(sad.insert_inbound(key, child, Arc::new(n)), Err(SadError::DuplicateKey(key))),
                    (true, None) => {
                        prop_assert_eq!(sad.insert_inbound(key, child, Arc::new(n)), Ok(()));
                        list.push((key, child, n));
                    }
                    (false, Some(at)) => {
                        let (_, child, n) = list.swap_remove(at);
                        prop_assert_eq!(sad.remove(child, Direction::Inbound).map(|a| *a), Some(n));
                        prop_assert!(sad.remove(child, Direction::Inbound).is_none());
                    }
                    (false, None) => {}
                }
                for (spi, d, s) in (0..12).flat_map(|spi| (1..4).flat_map(move |d| (1..4).map(move |s| (spi, d, s)))) {
                    let (spi, d, s) = (Spi(300 + spi), IpAddr::from([10, 0, 0, d]), IpAddr::from([10, 0, 0, s]));
                    let fits = |k: &InboundKey| k.spi == spi && k.dst.is_none_or(|a| a == d) && k.src.is_none_or(|a| a == s);
                    let longest = list.iter().filter(|(k, ..)| fits(k)).max_by_key(|(k, ..)| (k.dst.is_some(), k.src.is_some()));
                    prop_assert_eq!(sad.inbound(spi, d, s).map(|i| *i.sa), longest.map(|l| l.2));
                }
                prop_assert_eq!(sad.inbound_len(), list.len());
            }
        }
    }
}
