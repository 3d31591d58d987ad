//! On-demand SAs: the first packets wait for the SA and arrive; what the SPD does not allow does not leave.

use ravelin::db::spd::{Action, Policy, Priority};
use ravelin::{DropReason, Egress};
use ravelin_testkit::{Pair, Sim, secs};

#[test]
fn the_first_packets_wait_and_arrive_in_order() {
    let mut sim = Sim::new(1);
    let (a, b) = Pair::new().build(&mut sim);
    let (from, to) = sim.inner_pair(a, b);
    let serials: Vec<u64> = (0..5)
        .map(|_| {
            let (serial, result) = sim.send_udp(a, (from, 1), (to, 2), 100);
            assert_eq!(result, Egress::Acquiring);
            serial
        })
        .collect();
    sim.run_for(secs(1));
    let came: Vec<u64> = sim.delivered(b).iter().filter_map(|d| ravelin_testkit::packet::serial(&d.packet)).collect();
    assert_eq!(came, serials);
    sim.assert_up(a, b);
}

#[test]
fn packets_that_wait_in_vain_are_counted() {
    let mut sim = Sim::new(2);
    let (a, b) = Pair::new().build(&mut sim);
    sim.power_off(b);
    let (from, to) = sim.inner_pair(a, b);
    sim.send_udp(a, (from, 1), (to, 2), 100);
    sim.run_for(secs(11));
    assert_eq!(sim.node(a).held_dropped(), 1);
}

#[test]
fn without_a_policy_nothing_leaves() {
    let mut sim = Sim::new(3);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    let (from, _) = sim.inner_pair(a, b);
    let before = sim.datagrams();
    let (_, result) = sim.send_udp(a, (from, 1), ("10.9.9.9".parse().expect("an address"), 2), 100);
    assert_eq!(result, Egress::Discard(DropReason::NoPolicy));
    let ts = |s: &str| s.parse().expect("a selector");
    let mut discard = Policy::new("not-this", [ts("10.0.1.0/24")], [ts("10.0.2.99")], Action::Discard);
    discard.priority = Priority::At(1);
    sim.db(a).spd.add(discard).expect("a policy");
    let (_, result) = sim.send_udp(a, (from, 1), ("10.0.2.99".parse().expect("an address"), 2), 100);
    assert_eq!(result, Egress::Discard(DropReason::PolicyDiscard));
    assert_eq!(sim.datagrams(), before);
}

#[test]
fn replayed_and_damaged_esp_is_dropped_in_silence() {
    let mut sim = Sim::new(4);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.record();
    sim.expect_ping(a, b);
    let esp: Vec<_> = sim.trace().filter(|e| e.message.is_esp()).map(|e| e.message.clone()).collect();
    let (before, delivered) = (sim.datagrams(), sim.delivered(b).len());
    for message in &esp {
        sim.inject(message.clone());
        for at in 0..message.bytes.len() {
            let mut damaged = message.clone();
            damaged.bytes[at] ^= 0x40;
            sim.inject(damaged);
        }
    }
    assert_eq!((sim.datagrams(), sim.delivered(b).len()), (before, delivered));
    assert!(sim.node(b).plane().drops().of(DropReason::Replay) >= 1);
    sim.expect_ping(a, b);
}
