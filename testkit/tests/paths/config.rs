//! Configuration payloads (RFC 7296 §2.19, §3.15; RFC 8598).

use crate::ip;
use ravelin::Event;
use ravelin::db::AddrRange;
use ravelin::db::pool::{Pool, PoolInfo};
use ravelin_testkit::{Host, Pair, Sim, secs};

/// a is a client that asks for addresses of these families, b a gateway with a pool.
fn client_and_gateway(sim: &mut Sim, v4: bool, v6: bool, ranges: &[&str]) -> (Host, Host) {
    let pair = Pair::new()
        .a(|s| {
            (s.peer.request_v4, s.peer.request_v6) = (v4, v6);
            s.local_ts.clear();
            s.inner.clear();
        })
        .b(|s| {
            s.peer.pools = vec!["clients".into()];
            s.remote_ts.clear();
        });
    let (a, b) = pair.build(sim);
    let ranges: Vec<AddrRange> = ranges.iter().map(|r| AddrRange::parse(r).expect("a range")).collect();
    let mut pool = Pool::new("clients", ranges);
    pool.info = PoolInfo {
        dns: vec![ip("10.0.2.53")],
        domains: vec!["corp.example".into()],
        subnets: vec![AddrRange::parse("10.0.2.0/24").expect("a prefix")],
        ..PoolInfo::default()
    };
    assert!(sim.db(b).pools.add(pool));
    (a, b)
}

#[test]
fn a_client_gets_an_address_dns_and_its_traffic_flows() {
    let mut sim = Sim::new(1);
    let (a, b) = client_and_gateway(&mut sim, true, true, &["10.9.0.1-10.9.0.9", "fd09::1-fd09::9"]);
    sim.bring_up(a, b);
    let told = sim.sas(a)[0].assigned.clone().expect("a CFG_REPLY");
    assert_eq!(told.addrs, [(ip("10.9.0.1"), 32), (ip("fd09::1"), 128)]);
    assert_eq!(
        (told.dns.as_slice(), told.domains.as_slice()),
        (&[ip("10.0.2.53")][..], &["corp.example".to_string()][..])
    );
    assert_eq!(told.subnets, [AddrRange::parse("10.0.2.0/24").unwrap()]);
    assert_eq!(sim.sas(b)[0].leased, [ip("10.9.0.1"), ip("fd09::1")]);
    assert!(sim.events(a).iter().any(|(_, e)| matches!(e, Event::Assigned { .. })));
    assert!(sim.events(b).iter().any(|(_, e)| matches!(e, Event::Leased { addrs, .. } if addrs.len() == 2)));
    sim.add_inner(a, ip("10.9.0.1"));
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
    let child = &sim.children(b)[0];
    assert_eq!(child.remote_ts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.9.0.1/32", "fd09::1/128"]);
    // The end gives everything back, and the same client gets the same address again.
    assert_eq!((sim.node(b).db().pools.usage("clients"), sim.node(b).db().spd.bound_len()), ((2, 0), 1));
    sim.delete(a, b);
    sim.run_for(secs(1));
    assert_eq!((sim.node(b).db().pools.usage("clients"), sim.node(b).db().spd.bound_len()), ((0, 2), 0));
    assert_eq!(sim.node(a).db().spd.bound_len(), 0);
    sim.bring_up(a, b);
    assert_eq!(sim.sas(a)[0].assigned.clone().unwrap().addrs, told.addrs);
    sim.expect_ping(a, b);
}

#[test]
fn an_exhausted_pool_refuses_the_child_and_keeps_the_ike_sa() {
    let mut sim = Sim::new(2);
    let (a, b) = client_and_gateway(&mut sim, true, false, &["fd09::1"]);
    sim.initiate(a, b);
    sim.run_for(secs(1));
    assert_eq!((sim.established(a).len(), sim.children(a).len(), sim.children(b).len()), (1, 0, 0));
    let why = sim.child_refused_because(a).expect("a refusal").to_string();
    assert!(why.contains("INTERNAL_ADDRESS_FAILURE"), "{why}");
    assert!(sim.child_refused_because(b).expect("a refusal").to_string().contains("pools"));
}

#[test]
fn one_of_two_families_is_better_than_none() {
    let mut sim = Sim::new(3);
    let (a, b) = client_and_gateway(&mut sim, true, true, &["10.9.0.1"]);
    sim.bring_up(a, b);
    assert_eq!(sim.sas(a)[0].assigned.clone().unwrap().addrs, [(ip("10.9.0.1"), 32)]);
}

#[test]
fn a_peer_that_must_ask_and_does_not_hears_failed_cp_required() {
    let mut sim = Sim::new(4);
    let (a, b) = client_and_gateway(&mut sim, false, false, &["10.9.0.1"]);
    sim.initiate(a, b);
    sim.run_for(secs(1));
    let why = sim.child_refused_because(a).expect("a refusal").to_string();
    assert!(why.contains("FAILED_CP_REQUIRED"), "{why}");
    assert_eq!(sim.established(a).len(), 1);
}

#[test]
fn an_empty_side_without_pools_is_the_outer_address() {
    let mut sim = Sim::new(5);
    let (a, b) = Pair::new()
        .both(|s| {
            s.local_ts.clear();
            s.remote_ts.clear();
            s.inner = s.addrs.clone();
        })
        .build(&mut sim);
    sim.bring_up(a, b);
    let child = &sim.children(a)[0];
    assert_eq!(
        (child.local_ts[0].to_string(), child.remote_ts[0].to_string()),
        ("192.0.2.1/32".into(), "192.0.2.2/32".into())
    );
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
}
