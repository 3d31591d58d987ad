//! Rekeying and reauthentication as the whole node does it: not one packet is lost, and both sides end in step. The
//! matrix of collisions is in `ike-proto/tests/rekey`.

use ravelin::Event;
use ravelin_testkit::{Host, Pair, Sim, millis, secs};

/// Pings every 20 ms while something happens; every one must be answered.
fn nothing_lost(seed: u64, change: impl FnOnce(&mut Sim, Host, Host)) -> (Sim, Host, Host) {
    let mut sim = Sim::new(seed);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    let (x, y) = sim.inner_pair(a, b);
    let mut serials = Vec::new();
    let mut send = |sim: &mut Sim| {
        for _ in 0..20 {
            serials.push(sim.send_echo(a, x, y, 64).0);
            serials.push(sim.send_echo(b, y, x, 64).0);
            sim.run_for(millis(5));
        }
    };
    send(&mut sim);
    change(&mut sim, a, b);
    send(&mut sim);
    send(&mut sim);
    sim.run_for(secs(1));
    sim.settle(a, b);
    for serial in serials {
        assert!(sim.was_delivered(serial), "packet {serial} was lost");
    }
    sim.assert_up(a, b);
    (sim, a, b)
}

#[test]
fn child_rekey_loses_nothing() {
    let (sim, a, b) = nothing_lost(1, |sim, a, _| sim.rekey_children(a));
    for host in [a, b] {
        assert_eq!(sim.count_events(host, |e| matches!(e, Event::ChildRekeyed { .. })), 1);
    }
}

#[test]
fn ike_rekey_loses_nothing() {
    let (sim, a, b) = nothing_lost(2, |sim, a, b| sim.rekey(b, a));
    for host in [a, b] {
        assert_eq!(sim.count_events(host, |e| matches!(e, Event::Rekeyed { .. })), 1);
    }
}

#[test]
fn simultaneous_child_rekeys_lose_nothing() {
    nothing_lost(3, |sim, a, b| {
        sim.rekey_children(a);
        sim.rekey_children(b);
    });
}

#[test]
fn simultaneous_ike_rekeys_lose_nothing() {
    nothing_lost(4, |sim, a, b| {
        sim.rekey(a, b);
        sim.rekey(b, a);
    });
}

#[test]
fn reauthentication_ends_in_step() {
    let mut sim = Sim::new(5);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.reauth(a, b);
    sim.run_for(secs(5));
    sim.settle(a, b);
    sim.assert_up(a, b);
    sim.expect_ping(b, a);
}
