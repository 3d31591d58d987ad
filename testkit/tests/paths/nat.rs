//! NAT traversal without MOBIKE (RFC 7296 §2.23).

use ravelin::Event;
use ravelin::db::Encapsulation;
use ravelin::db::pad::NatTraversal;
use ravelin_testkit::{Fate, Host, Nat, NatBox, Pair, Sim, secs};
use std::time::Duration;

/// a behind a NAT box, without MOBIKE and without liveness checks.
fn behind_nat(sim: &mut Sim) -> (Host, Host) {
    Pair::new()
        .both(|s| {
            s.peer.mobike = false;
            s.peer.times.dpd = Duration::ZERO;
        })
        .a(|s| s.behind(Nat::cone()))
        .build(sim)
}

fn moved(sim: &Sim, host: Host) -> usize {
    sim.count_events(host, |e| matches!(e, Event::Moved { .. }))
}

#[test]
fn esp_from_a_new_mapping_is_followed() {
    let mut sim = Sim::new(1);
    let (a, b) = behind_nat(&mut sim);
    sim.bring_up(a, b);
    sim.expect_ping(a, b);
    let before = sim.sas(b)[0].path;
    sim.rebind(NatBox::first());
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
    let after = sim.sas(b)[0].path;
    assert_ne!(before.remote, after.remote);
    assert_eq!((before.remote.ip(), moved(&sim, b), moved(&sim, a)), (after.remote.ip(), 1, 0));
}

#[test]
fn ike_from_a_new_mapping_is_followed() {
    let mut sim = Sim::new(2);
    let (a, b) = behind_nat(&mut sim);
    sim.bring_up(a, b);
    sim.rebind(NatBox::first());
    sim.probe(a, b);
    sim.run_for(secs(1));
    assert_eq!(moved(&sim, b), 1);
    sim.expect_ping(b, a);
    // A new Child SA path is used by liveness checks of the side in the open as well.
    sim.probe(b, a);
    sim.run_for(secs(1));
    assert_eq!(sim.count_events(b, |e| matches!(e, Event::Alive { .. })), 1);
}

#[test]
fn nobody_follows_a_peer_that_is_not_behind_a_nat() {
    let mut sim = Sim::new(3);
    let (a, b) = Pair::new()
        .both(|s| {
            s.peer.mobike = false;
            s.peer.nat_traversal = NatTraversal::Auto;
        })
        .build(&mut sim);
    sim.bring_up(a, b);
    let before = sim.sas(b)[0].path;
    // Authentic datagrams of a arrive from elsewhere: an attacker on the path redirects.
    sim.hook(move |m| {
        if m.sender == Some(a) {
            m.from.set_ip("198.51.100.7".parse().unwrap());
        }
        Fate::Pass
    });
    sim.probe(a, b);
    sim.run_for(secs(3));
    assert_eq!((sim.sas(b)[0].path, moved(&sim, b)), (before, 0));
}

#[test]
fn keepalives_hold_a_mapping_open() {
    let mut sim = Sim::new(4);
    let (a, b) = behind_nat(&mut sim);
    sim.bring_up(a, b);
    sim.run_for(secs(600));
    sim.expect_ping(b, a);
    assert!(sim.node(b).keepalives() >= 25, "{}", sim.node(b).keepalives());
}

#[test]
fn forced_encapsulation_runs_in_udp_on_a_clean_path() {
    let mut sim = Sim::new(5);
    let (a, b) = Pair::new().a(|s| s.peer.nat_traversal = NatTraversal::Force).build(&mut sim);
    sim.bring_up(a, b);
    for host in [a, b] {
        assert_eq!(sim.children(host)[0].encapsulation, Encapsulation::Udp);
        assert_eq!(sim.sas(host)[0].path.local.port(), 4500);
    }
    sim.expect_ping(a, b);
}
