//! The SPD against a linear scan, and the rules of order.

use super::*;
use crate::TrafficSelector;
use alloc::vec::Vec;

fn ts(s: &str) -> TrafficSelector {
    s.parse().unwrap()
}
fn policy(name: &str, local: &str, remote: &str, action: Action) -> Policy {
    Policy::new(name, [ts(local)], [ts(remote)], action)
}
fn packet(local: &str, remote: &str, protocol: u8, ports: Option<(u16, u16)>) -> PacketKey {
    let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
    PacketKey { local, remote, protocol, local_port: ports.map(|p| p.0), remote_port: ports.map(|p| p.1) }
}
fn protect() -> Action {
    Protect::new(PeerId(1)).into()
}

#[test]
fn the_first_match_decides_each_way() {
    let mut spd = Spd::new();
    let wide = spd.add(policy("wide", "10.0.0.0/8", "0.0.0.0/0", protect())).unwrap();
    let narrow = spd.add(policy("narrow", "10.0.0.0/8", "192.168.7.0/24", Action::Discard)).unwrap();
    let mut ike = policy("ike", "0.0.0.0/0[udp/500]", "0.0.0.0/0[udp]", Action::Bypass);
    ike.priority = Priority::At(1);
    let ike = spd.add(ike).unwrap();
    let mut inward = policy("in", "10.0.0.0/8", "192.168.7.1", Action::Bypass);
    inward.directions = Directions::Inbound;
    let inward = spd.add(inward).unwrap();
    let scope = Scope::default();
    let out = |p: &PacketKey| spd.lookup_out(p, &scope).map(|p| p.id);
    assert_eq!(out(&packet("10.1.1.1", "192.168.7.1", 6, Some((1, 2)))), Some(narrow));
    assert_eq!(out(&packet("10.1.1.1", "192.168.8.1", 6, Some((1, 2)))), Some(wide));
    assert_eq!(out(&packet("10.1.1.1", "192.168.7.1", 17, Some((500, 500)))), Some(ike));
    assert_eq!(out(&packet("11.1.1.1", "192.168.7.1", 6, Some((1, 2)))), None);
    assert_eq!(spd.lookup_in(&packet("10.1.1.1", "192.168.7.1", 6, Some((1, 2))), &scope).unwrap().id, inward);
    assert_eq!(spd.iter().map(|p| p.id).collect::<Vec<_>>(), [ike, inward, narrow, wide]);
    assert_eq!(spd.policies_of(PeerId(1)).map(|p| p.id).collect::<Vec<_>>(), [wide]);
    // A fragment without ports matches ANY, not the port range.
    assert_eq!(out(&packet("10.1.1.1", "192.168.8.1", 17, None)), Some(wide));
    spd.remove(narrow).unwrap();
    assert_eq!(spd.lookup_out(&packet("10.1.1.1", "192.168.7.1", 6, Some((1, 2))), &scope).unwrap().id, wide);
}

#[test]
fn scopes_keep_route_based_tunnels_apart() {
    let mut spd = Spd::new();
    let any = |name: &str| policy(name, "0.0.0.0/0", "0.0.0.0/0", protect());
    let base = spd.add(any("base")).unwrap();
    let vti = spd.add(Policy { if_id: 7, ..any("vti") }).unwrap();
    let vrf = spd.add(Policy { vrf: 3, ..any("vrf") }).unwrap();
    let mark = Mark { value: 0x10, mask: 0xf0 };
    let marked = spd.add(Policy { mark, priority: Priority::At(1), ..any("marked") }).unwrap();
    let p = packet("1.1.1.1", "2.2.2.2", 1, None);
    let at = |vrf, if_id, mark| spd.lookup_out(&p, &Scope { vrf, if_id, mark }).map(|p| p.id);
    assert_eq!(at(0, 0, 0), Some(base));
    assert_eq!(at(0, 7, 0), Some(vti));
    assert_eq!(at(3, 0, 0x10), Some(vrf));
    assert_eq!(at(0, 0, 0x1f), Some(marked));
    assert_eq!(at(0, 8, 0), None);
}

#[test]
fn replacement_keeps_id_and_place() {
    let mut spd = Spd::new();
    let a = spd.add(policy("a", "10.0.0.0/8", "10.0.0.0/8", Action::Bypass)).unwrap();
    let b = spd.add(policy("b", "10.0.0.0/8", "10.0.0.0/8", Action::Discard)).unwrap();
    let old = spd.replace(a, policy("a2", "10.0.0.0/8", "11.0.0.0/8", protect())).unwrap();
    assert_eq!(old.name, "a");
    assert_eq!(spd.iter().map(|p| p.id).collect::<Vec<_>>(), [a, b]);
    assert_eq!((spd.find_by_name("a"), spd.find_by_name("a2")), (None, Some(a)));
    assert_eq!(
        spd.replace(a, policy("b", "10.0.0.0/8", "10.0.0.0/8", Action::Bypass)).unwrap_err(),
        SpdError::DuplicateName("b".into())
    );
    assert!(spd.replace(PolicyId(99), policy("z", "::/0", "::/0", Action::Bypass)).is_err());
    let one_way = Policy { directions: Directions::Outbound, ..policy("w", "::/0", "::/0", protect()) };
    assert!(matches!(spd.add(one_way), Err(SpdError::OneWayProtect(_))));
}

#[test]
fn populate_from_packet_narrows_the_new_sa() {
    let mut p = Protect::new(PeerId(1));
    p.pfp = Pfp { remote_addr: true, protocol: true, remote_port: true, ..Pfp::NONE };
    let policy = Policy::new("p", [ts("10.0.0.0/8")], [ts("192.168.0.0/16"), ts("172.16.0.0/12")], Action::from(p));
    let (local, remote) = policy.selectors_for(&packet("10.1.1.1", "192.168.3.4", 6, Some((1025, 443))));
    assert_eq!(local, [ts("10.0.0.0/8[tcp]")]);
    assert_eq!(remote, [ts("192.168.3.4[tcp/443]")]);
    let (_, remote) = policy.selectors_for(&packet("10.1.1.1", "192.168.3.4", 50, None));
    assert_eq!(remote, [ts("192.168.3.4[50/opaque]")]);
}

#[test]
fn numbers_run_out_and_the_order_stays() {
    let mut spd = Spd::new();
    let any = |name: &str| policy(name, "10.0.0.0/8", "10.0.0.0/8", Action::Bypass);
    let (a, b) = (spd.add(any("a")).unwrap(), spd.add(any("b")).unwrap());
    let lease = spd.add(Policy::new("lease", [ts("10.0.0.0/8")], [], protect())).unwrap();
    let copy = Arc::new(Policy { remote: alloc::vec![ts("11.0.0.1")], ..Policy::clone(spd.policy(lease).unwrap()) });
    assert!(spd.bind(&copy));
    spd.last_sequence = u32::MAX;
    let c = spd.add(any("c")).unwrap();
    assert_eq!(spd.iter().map(|p| p.id).collect::<Vec<_>>(), [lease, a, b, c], "narrow first, then by age");
    assert_eq!((spd.last_sequence, spd.find_by_name("b")), (4, Some(b)));
    let scope = Scope::default();
    assert_eq!(spd.lookup_out(&packet("10.1.1.1", "10.1.1.1", 6, None), &scope).unwrap().id, a);
    assert_eq!(spd.lookup_out(&packet("10.1.1.1", "11.0.0.1", 6, None), &scope).unwrap().id, lease);
    assert!(spd.unbind(&copy) && !spd.unbind(&copy));
}

#[cfg(feature = "std")]
#[test]
fn readers_see_what_was_published() {
    use crate::shared::Published;
    let mut spd = Spd::new();
    let a = spd.add(policy("a", "10.0.0.0/8", "10.0.0.0/8", Action::Bypass)).unwrap();
    let mut publisher = spd.publisher();
    let reader = publisher.reader();
    let (p, scope) = (packet("10.1.1.1", "10.2.2.2", 6, None), Scope::default());
    let seen =
        |reader: &crate::shared::Reader<SpdView>| reader.load().lookup(Direction::Outbound, &p, &scope).map(|p| p.id);
    let b = spd.add(policy("b", "10.1.0.0/16", "10.0.0.0/8", Action::Discard)).unwrap();
    assert_eq!(seen(&reader), Some(a));
    assert_eq!(publisher.publish(&mut spd), Published::Now);
    assert_eq!(seen(&reader), Some(b));
    for round in 0..3 {
        spd.remove(b);
        spd.replace(a, policy(&alloc::format!("a{round}"), "10.0.0.0/8", "10.0.0.0/8", Action::Discard)).unwrap();
        assert_eq!(publisher.publish(&mut spd), Published::Now);
        assert_eq!(seen(&reader), Some(a));
    }
}
