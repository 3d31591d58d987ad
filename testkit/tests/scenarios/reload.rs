//! Databases in place of those of a running node (`Node::reload`): what stays is not touched, what changed loses what was
//! made for it, what is gone is deleted on both sides.

use ravelin::db::Policy;
use ravelin::db::spd::Action;
use ravelin::{Db, Reload};
use ravelin_testkit::{Host, Pair, Sim, secs};
use std::sync::Arc;

fn up() -> (Sim, Host, Host) {
    let mut sim = Sim::new(1);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    (sim, a, b)
}

#[test]
fn the_same_again_touches_nothing() {
    let (mut sim, a, b) = up();
    let same = sim.node(a).db().clone();
    assert_eq!(sim.with_node(a, |n, now| n.reload(now, same)), Reload::default());
    assert_eq!(Reload::default().to_string(), "nothing changed\n");
    sim.assert_up(a, b);
    sim.expect_ping(a, b);
}

/// New policies come, also those that protect nothing; a policy with other selectors loses its Child SA, the IKE SA stays.
#[test]
fn other_selectors_cost_the_child_sa_only() {
    let (mut sim, a, b) = up();
    let mut db = sim.node(a).db().clone();
    let (_, id) = sim.connection(a, b);
    let had = Arc::clone(db.spd.policy(id).unwrap());
    let remote = vec!["10.77.0.0/16".parse().unwrap()];
    db.spd.replace(id, Policy { remote, ..(*had).clone() }).unwrap();
    db.spd.add(Policy { name: "past".into(), action: Action::Bypass, ..(*had).clone() }).unwrap();
    let done = sim.with_node(a, |n, now| n.reload(now, db));
    assert_eq!((&done.added[..], &done.changed[..]), (&["past".to_owned()][..], &[had.name.to_string()][..]));
    assert!(done.removed.is_empty() && done.notes.is_empty() && done.deleting.len() == 1, "{done:?}");
    sim.run_for(secs(1));
    assert!(sim.children(a).is_empty() && sim.children(b).is_empty());
    assert_eq!(sim.node(b).snapshot(sim.now()).len(), 1, "the IKE SA stays");
    let past = sim.node(a).db().spd.find_by_name("past").and_then(|id| sim.node(a).db().spd.policy(id));
    assert!(past.is_some_and(|p| p.action == Action::Bypass));
}

#[test]
fn a_peer_that_is_gone_hears_of_it() {
    let (mut sim, a, b) = up();
    let done = sim.with_node(a, |n, now| n.reload(now, Db::default()));
    assert!(!done.removed.is_empty() && done.added.is_empty() && done.changed.is_empty(), "{done}");
    sim.run_for(secs(1));
    sim.assert_down(a);
    sim.assert_down(b);
    assert_eq!((sim.node(a).db().pad.iter().count(), sim.node(a).db().spd.iter().count()), (0, 0));
}
