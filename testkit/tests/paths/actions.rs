//! What happens after an end: dead peers, closed Child SAs, attempts that fail, several SAs of one identity.

use ravelin::db::pad::Uniqueness;
use ravelin::db::spd::{CloseAction, StartAction};
use ravelin::{Egress, Event, Reason};
use ravelin_testkit::{Host, Pair, Sim, secs};
use std::time::Duration;

/// a watches b and does `action` when b dies.
fn watched(sim: &mut Sim, action: CloseAction) -> (Host, Host) {
    Pair::new()
        .a(|s| {
            s.peer.times.dpd = secs(10);
            s.protect.dpd = action;
            s.protect.start = StartAction::None;
        })
        .build(sim)
}

/// b vanishes and a notices; b then comes back.
fn b_dies(sim: &mut Sim, a: Host, b: Host) {
    sim.bring_up(a, b);
    sim.power_off(b);
    sim.run_until(secs(200), "a gives b up", |sim| sim.established(a).is_empty());
    assert!(matches!(sim.closed_because(a), Some(Reason::Silent { .. })));
    let peer = sim.connection(a, b).0;
    assert!(matches!(sim.node(a).last_end(peer), Some(end) if matches!(end.reason, Reason::Silent { .. })));
    sim.restart(b);
}

#[test]
fn a_dead_peer_is_cleared() {
    let mut sim = Sim::new(1);
    let (a, b) = watched(&mut sim, CloseAction::None);
    b_dies(&mut sim, a, b);
    let (from, to) = sim.inner_pair(a, b);
    sim.send_echo(a, from, to, 8);
    sim.run_for(secs(60));
    assert!(sim.is_down(a) && sim.is_down(b));
}

#[test]
fn a_dead_peer_is_called_again() {
    let mut sim = Sim::new(2);
    let (a, b) = watched(&mut sim, CloseAction::Start);
    b_dies(&mut sim, a, b);
    sim.run_until(secs(30), "up again", |sim| sim.is_up(a, b));
    sim.expect_ping(a, b);
    assert_eq!(sim.node(a).last_end(sim.connection(a, b).0), None);
}

#[test]
fn a_dead_peer_is_waited_for_with_a_trap() {
    let mut sim = Sim::new(3);
    let (a, b) = watched(&mut sim, CloseAction::Trap);
    b_dies(&mut sim, a, b);
    sim.run_for(secs(60));
    assert!(sim.is_down(a));
    let (from, to) = sim.inner_pair(a, b);
    assert_eq!(sim.send_echo(a, from, to, 8).1, Egress::Acquiring);
    sim.run_until(secs(5), "up again", |sim| sim.is_up(a, b));
}

#[test]
fn a_child_that_the_peer_closes_is_made_again() {
    for (n, action, again) in [(4, CloseAction::Start, true), (5, CloseAction::None, false)] {
        let mut sim = Sim::new(n);
        let (a, b) = Pair::new().a(|s| s.protect.close = action).build(&mut sim);
        sim.bring_up(a, b);
        let child = sim.children(b)[0].id;
        sim.with_node(b, |node, now| node.delete_child(now, child)).unwrap();
        sim.run_for(secs(1));
        assert_eq!((sim.is_up(a, b), sim.established(a).len()), (again, 1));
    }
}

#[test]
fn an_ike_sa_that_the_peer_closes_is_made_again() {
    let mut sim = Sim::new(6);
    let (a, b) = Pair::new().a(|s| s.protect.close = CloseAction::Start).build(&mut sim);
    sim.bring_up(a, b);
    sim.delete(b, a);
    sim.run_for(secs(3));
    sim.assert_up(a, b);
    // What we close ourselves stays closed.
    sim.delete(a, b);
    sim.run_for(secs(60));
    assert!(sim.is_down(a) && sim.is_down(b));
}

#[test]
fn policies_start_with_the_node() {
    let mut sim = Sim::new(7);
    let (a, b) = Pair::new().a(|s| s.protect.start = StartAction::Start).build(&mut sim);
    sim.with_node(b, |node, now| node.start(now));
    sim.with_node(a, |node, now| node.start(now));
    sim.run_for(secs(1));
    sim.assert_up(a, b);
    assert_eq!((sim.sas(a).len(), sim.children(a).len()), (1, 1));
}

#[test]
fn keying_tries_are_counted_and_zero_is_for_ever() {
    for (tries, attempts) in [(1, 1), (3, 3)] {
        let mut sim = Sim::new(8);
        let (a, b) = Pair::new().a(|s| s.peer.keying_tries = tries).build(&mut sim);
        sim.power_off(b);
        sim.initiate(a, b);
        sim.run_for(secs(1000));
        assert_eq!(sim.count_events(a, |e| matches!(e, Event::Closed { .. })), attempts);
    }
    let mut sim = Sim::new(9);
    let (a, b) = Pair::new().a(|s| s.peer.keying_tries = 0).build(&mut sim);
    sim.power_off(b);
    sim.initiate(a, b);
    sim.run_for(secs(3600));
    assert!(sim.count_events(a, |e| matches!(e, Event::Closed { .. })) > 10);
    sim.restart(b);
    sim.run_until(secs(200), "up at last", |sim| sim.is_up(a, b));
}

/// Two IKE SAs of the same identities, made by a one after the other; how many are left, and which is the first.
fn two_of_one(seed: u64, rule: Uniqueness) -> (usize, bool) {
    let mut sim = Sim::new(seed);
    let (a, b) =
        Pair::new().b(|s| s.peer.uniqueness = rule).a(|s| s.peer.uniqueness = Uniqueness::Never).build(&mut sim);
    sim.bring_up(a, b);
    let first = sim.sas(b)[0].spis;
    // a forgets that it has one, by a second PAD entry for the same peer.
    let (peer, _) = sim.connection(a, b);
    let mut again = ravelin::db::Peer::clone(sim.db(a).pad.peer(peer).unwrap());
    again.name = "again".into();
    let second = sim.db(a).pad.add(again).unwrap();
    // The first one says INITIAL_CONTACT again only when it knows of no other: take the word out by answering "up".
    sim.with_node(a, |node, now| node.initiate(now, second, None)).unwrap();
    sim.run_for(secs(3));
    let left = sim.established(b);
    (left.len(), left.iter().any(|sa| sa.spis == first))
}

#[test]
fn one_identity_with_initial_contact() {
    // The second PAD entry has no SA yet, so a says INITIAL_CONTACT.
    assert_eq!(two_of_one(10, Uniqueness::InitialContact), (1, false));
    assert_eq!(two_of_one(11, Uniqueness::Replace), (1, false));
    assert_eq!(two_of_one(12, Uniqueness::Keep), (1, false));
    assert_eq!(two_of_one(13, Uniqueness::Never), (2, true));
}

/// As before, from a host that has another connection to the same peer: no INITIAL_CONTACT.
fn two_without_contact(seed: u64, rule: Uniqueness) -> (usize, bool) {
    let mut sim = Sim::new(seed);
    let (a, b) = Pair::new().b(|s| s.peer.uniqueness = rule).build(&mut sim);
    sim.bring_up(a, b);
    let first = sim.sas(b)[0].spis;
    let (peer, policy) = sim.connection(b, a);
    let _ = policy;
    // b sees another a: the same identity from another place, which has an IKE SA with b already by another entry.
    let c = sim.add_host("c", &["192.0.2.3".parse().unwrap()], None, ravelin::Config::default(), ravelin::Db::new());
    let db = ravelin::Db { pad: sim.db(a).pad.clone(), spd: sim.db(a).spd.clone(), ..ravelin::Db::default() };
    *sim.db(c) = db;
    let (to_b, _) = sim.connection(a, b);
    let mut entry = ravelin::db::Peer::clone(sim.db(c).pad.peer(to_b).unwrap());
    entry.local = Some("192.0.2.3".parse().unwrap());
    sim.db(c).pad.replace(to_b, entry).unwrap();
    let _ = peer;
    sim.with_node(c, |node, now| node.initiate(now, to_b, None)).unwrap();
    sim.run_for(secs(3));
    let left = sim.established(b);
    (left.len(), left.iter().any(|sa| sa.spis == first))
}

#[test]
fn one_identity_on_two_hosts() {
    // c is a fresh host and says INITIAL_CONTACT: everything but "never" believes it.
    assert_eq!(two_without_contact(14, Uniqueness::Replace), (1, false));
    assert_eq!(two_without_contact(15, Uniqueness::Never), (2, true));
    let _ = Duration::ZERO;
}
