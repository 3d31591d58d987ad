//! RFC 4301's appendix D (which policy meets fragments, by how ports are given) and a hub with overlapping policies.

use super::*;
use crate::spd::{Priority, Protect};
use crate::{PeerId, PolicyId, Spi};
use std::string::ToString;
use std::vec;

fn ts(s: &str) -> TrafficSelector {
    s.parse().unwrap()
}

fn packet(local: &str, remote: &str, protocol: u8, ports: Option<(u16, u16)>) -> PacketKey {
    let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
    PacketKey { local, remote, protocol, local_port: ports.map(|p| p.0), remote_port: ports.map(|p| p.1) }
}

/// Appendix D: a non-first fragment has no ports. Only ANY or OPAQUE port selectors are for it (§4.4.1.1, §7).
#[test]
fn appendix_d_fragments() {
    let mut spd = Spd::new();
    let mut add = |n: u32, name: &str, local: &str, remote: &str, action: Action| {
        let mut p = Policy::new(name, [ts(local)], [ts(remote)], action);
        p.priority = Priority::At(n);
        spd.add(p).unwrap()
    };
    add(1, "web", "192.0.2.0/24[tcp]", "198.51.100.0/24[tcp/80]", Protect::new(PeerId(1)).into());
    add(2, "fragments", "192.0.2.0/24[tcp/opaque]", "198.51.100.0/24[tcp/opaque]", Protect::new(PeerId(1)).into());
    add(3, "rest", "192.0.2.0/24", "198.51.100.0/24", Action::Discard);
    let scope = Scope::default();
    let explain = |p: &PacketKey| spd.explain(Direction::Outbound, p, &scope, 8);
    let first = explain(&packet("192.0.2.1", "198.51.100.1", 6, Some((1025, 80))));
    assert_eq!((first.policy.as_ref().unwrap().name.as_str(), first.above.len()), ("web", 0));
    let fragment = explain(&packet("192.0.2.1", "198.51.100.1", 6, None));
    assert_eq!(fragment.policy.as_ref().unwrap().name, "fragments");
    assert_eq!(fragment.above[0].1, [Mismatch::RemotePort]);
    let other = explain(&packet("192.0.2.1", "198.51.100.1", 17, None));
    assert_eq!(other.policy.as_ref().unwrap().name, "rest");
    assert_eq!(
        other.above.iter().map(|(_, why)| why.as_slice()).collect::<Vec<_>>(),
        [[Mismatch::Protocol], [Mismatch::Protocol]]
    );
    assert_eq!(
        fragment.to_string(),
        "packet 192.0.2.1 (no port) to 198.51.100.1 (no port), protocol 6\n  not \"web\": the remote port is outside\n  matches \"fragments\": protect\n"
    );
}

#[test]
fn a_hub_with_overlapping_policies() {
    let mut spd = Spd::new();
    let mut add = |name: &str, local: &str, remote: &str, action: Action| {
        spd.add(Policy::new(name, [ts(local)], [ts(remote)], action)).unwrap()
    };
    add("internet", "0.0.0.0/0", "0.0.0.0/0", Action::Bypass);
    add("branches", "10.0.0.0/8", "10.0.0.0/8", Action::Discard);
    let north = add("north", "10.0.0.0/8", "10.1.0.0/16", Protect::new(PeerId(1)).into());
    add("lab", "10.0.0.0/16", "10.1.7.0/24", Protect::new(PeerId(2)).into());
    let mut sad: Sad<()> = Sad::new();
    let sa = |child, remote: &str, active| OutboundSa {
        child: ChildId(child),
        policy: north,
        spi: Spi(0x1000),
        local_ts: vec![ts("10.0.0.0/8")],
        remote_ts: vec![ts(remote)],
        resource: vec![],
        active,
        sa: Arc::new(()),
    };
    sad.insert_outbound(sa(1, "10.1.0.0/17", true)).unwrap();
    sad.insert_outbound(sa(2, "10.1.0.0/16", false)).unwrap();
    let scope = Scope::default();
    let explain = |remote: &str| {
        let p = packet("10.5.0.1", remote, 6, Some((1, 2)));
        spd.explain(Direction::Outbound, &p, &scope, 8).with_sas(&sad, b"")
    };
    let low = explain("10.1.7.9");
    assert_eq!((low.policy.as_ref().map(|p| p.id), &low.sa), (Some(north), &Some(SaAnswer::Carries(ChildId(1)))));
    assert_eq!(low.above[0].1, [Mismatch::LocalAddr]);
    let high = explain("10.1.200.9");
    let reasons = vec![
        (ChildId(2), "it waits for its turn or for its end"),
        (ChildId(1), "its negotiated selectors do not hold the packet"),
    ];
    assert_eq!(high.sa, Some(SaAnswer::None(reasons)));
    let wide = explain("10.2.0.1");
    assert_eq!(
        (wide.policy.as_ref().map(|p| p.name.as_str()), &wide.sa),
        (Some("branches"), &Some(SaAnswer::NotNeeded))
    );
    let out = explain("203.0.113.5");
    assert_eq!((out.policy.as_ref().map(|p| p.id), out.above.len()), (Some(PolicyId(1)), 3));
    assert!(
        out.to_string().ends_with("not \"branches\": the remote address is outside\n  matches \"internet\": bypass\n"),
        "{out}"
    );
    let short = spd.explain(Direction::Inbound, &packet("11.0.0.1", "fd00::1", 6, None), &scope, 1);
    assert_eq!((short.policy.is_none(), short.above.len(), short.not_shown), (true, 1, 3));
}
