//! Both sides begin at the same moment, and either side ends it, or both do.

use ravelin_testkit::{Pair, Sim, minutes, secs};

#[test]
fn both_initiate_at_once() {
    for seed in 0..50 {
        let mut sim = Sim::new(seed);
        let (a, b) = Pair::new().build(&mut sim);
        sim.network(|link| link.jitter(secs(1)));
        sim.initiate(a, b);
        sim.initiate(b, a);
        sim.run_until(minutes(3), "up", |sim| sim.is_up(a, b));
        sim.perfect_network();
        // Two IKE SAs may have come up; both sides must agree on what there is, and traffic flows both ways.
        sim.run_for(minutes(5));
        sim.settle(a, b);
        sim.expect_ping(a, b);
        sim.expect_ping(b, a);
    }
}

#[test]
fn either_side_deletes() {
    for first in [true, false] {
        let mut sim = Sim::new(1);
        let (a, b) = Pair::new().build(&mut sim);
        sim.bring_up(a, b);
        if first {
            sim.delete(a, b)
        } else {
            sim.delete(b, a)
        }
        sim.run_for(secs(1));
        sim.assert_down(a);
        sim.assert_down(b);
    }
}

#[test]
fn both_sides_delete_at_once() {
    let mut sim = Sim::new(2);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.delete(a, b);
    sim.delete(b, a);
    sim.run_for(minutes(4));
    sim.assert_down(a);
    sim.assert_down(b);
}

#[test]
fn a_child_sa_is_deleted_alone() {
    for first in [true, false] {
        let mut sim = Sim::new(3);
        let (a, b) = Pair::new().build(&mut sim);
        sim.bring_up(a, b);
        let host = if first { a } else { b };
        let child = sim.children(host)[0].id;
        sim.with_node(host, |node, now| node.delete_child(now, child)).expect("a Child SA");
        sim.run_for(secs(1));
        assert_eq!((sim.established(a).len(), sim.children(a).len(), sim.children(b).len()), (1, 0, 0));
        sim.assert_in_step(a, b);
        // The next packet makes a new one on the IKE SA that is there.
        sim.expect_ping(a, b);
        sim.assert_up(a, b);
    }
}

#[test]
fn shutdown_deletes_everything() {
    let mut sim = Sim::new(4);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.shutdown(a);
    sim.run_for(secs(1));
    sim.assert_down(a);
    sim.assert_down(b);
    let (peer, policy) = sim.connection(a, b);
    assert!(sim.with_node(a, |node, now| node.initiate(now, peer, Some(policy))).is_err(), "it takes nothing new");
}

#[test]
fn a_restarted_peer_is_recognised() {
    let mut sim = Sim::new(5);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.restart(a);
    sim.bring_up(a, b);
    sim.run_for(secs(1));
    // INITIAL_CONTACT (RFC 7296 §2.4): b forgets the SA of the old incarnation.
    sim.assert_up(a, b);
    sim.expect_ping(b, a);
}
