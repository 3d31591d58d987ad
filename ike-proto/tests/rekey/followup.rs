//! CREATE_CHILD_SA with additional key exchanges: IKE_FOLLOWUP_KE (RFC 9370 §2.2.4) by either side, in any number of
//! rounds, over bad links, with lost state, and a fresh PPK mixed in (RFC 9867 §3.2).

use crate::world::{World, hybrid};
use ravelin_ike_proto::Event;
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};
use ravelin_sa_db::spd::Protect;
use ravelin_sa_db::{Instant, PolicyId};
use std::time::Duration;

const METHODS: [&str; 7] = ["mlkem768", "ecp256", "mlkem512", "ecp384", "mlkem1024", "ecp521", "modp2048"];

fn rounds(n: usize) -> String {
    (1..=n).map(|k| format!("-ke{k}_{}", METHODS[k - 1])).collect()
}

fn esp(protect: &mut Protect, text: &str) {
    protect.proposals = Proposal::parse_list(ProposalProtocol::Esp, text).unwrap();
}

fn ike_proposal(w: &World, at: usize) -> String {
    w.sides[at].endpoint.snapshot(Instant(0))[0].proposal.clone()
}

pub(crate) fn rekey_child(w: &mut World, at: usize) {
    let (now, child) = (w.now(), w.child(at));
    let side = &mut w.sides[at];
    side.endpoint.rekey_child(now, &side.db, child).unwrap();
    w.collect();
}

pub(crate) fn rekey_ike(w: &mut World, at: usize) {
    let now = w.now();
    let side = &mut w.sides[at];
    let id = side.endpoint.snapshot(Instant(0))[0].id;
    side.endpoint.rekey(now, &side.db, id).unwrap();
    w.collect();
}

fn new_child(w: &mut World, at: usize) -> PolicyId {
    let (now, policy) = (w.now(), PolicyId(w.sides[at].policy.0 + 1));
    let side = &mut w.sides[at];
    side.endpoint.initiate(now, &side.db, side.peer, Some(policy)).unwrap();
    w.collect();
    policy
}

/// Messages of exchange 44 that are on the way.
fn follow_ups(w: &World) -> usize {
    w.flight.iter().filter(|d| d.exchange() == 44).count()
}

fn settled(w: &World) {
    w.assert_equal();
    assert_eq!(w.deadline(), None, "a timer is left");
    let refused = [0, 1].map(|at| w.event(at, |e| matches!(e, Event::ChildRefused { .. })));
    assert_eq!(refused, [0, 0], "{} {}", w.sides[0].story(), w.sides[1].story());
}

#[test]
fn one_to_seven_rounds_for_every_kind_of_sa_by_either_side() {
    for n in 1..=7 {
        for at in [0, 1] {
            let more = rounds(n);
            let mut w = World::up(n as u64, |p, t, _, _| {
                let text = format!("aes128gcm16-prfsha256-x25519{more}");
                p.proposals = Proposal::parse_list(ProposalProtocol::Ike, &text).unwrap();
                esp(t, &format!("aes256gcm16-ecp256{more}"));
            });
            let old = w.child(at);
            rekey_child(&mut w, at);
            let mut seen = std::collections::BTreeSet::new();
            while !w.flight.is_empty() {
                seen.extend(w.flight.iter().filter(|d| d.exchange() == 44).map(|d| (d.to, d.message_id())));
                w.deliver(0);
            }
            assert_eq!(seen.len(), 2 * n, "a request and an answer per round");
            assert_ne!(w.child(at), old);
            settled(&w);
            rekey_ike(&mut w, at);
            w.deliver_all();
            settled(&w);
            assert!((0..2).all(|at| w.event(at, |e| matches!(e, Event::Rekeyed { .. })) == 1));
            assert!(ike_proposal(&w, at).contains("ML_KEM_768"), "hybrid it stays: {}", ike_proposal(&w, at));
            let policy = new_child(&mut w, at);
            w.deliver_all();
            settled(&w);
            assert_eq!(w.count(policy), 1);
        }
    }
}

#[test]
fn every_datagram_may_be_lost_once_and_any_may_overtake() {
    for lose in 0..16 {
        let mut w = World::up(40 + lose, |p, t, _, _| hybrid(p, t));
        w.busy.clear();
        rekey_child(&mut w, 0);
        rekey_ike(&mut w, 1);
        let (mut n, until) = (0, w.now + 600_000_000);
        while !w.flight.is_empty() || w.tick(until) {
            if w.flight.is_empty() {
                continue;
            }
            // The last that was sent comes first; one of them never.
            let last = w.flight.len() - 1;
            if n == lose {
                drop(w.flight.remove(last))
            } else {
                w.deliver(last)
            }
            n += 1;
        }
        w.assert_equal();
        assert!((0..2).all(|at| w.event(at, |e| matches!(e, Event::Rekeyed { .. })) >= 1), "lost {lose}");
        assert!((0..2).all(|at| w.event(at, |e| matches!(e, Event::ChildRekeyed { .. })) >= 1), "lost {lose}");
    }
}

#[test]
fn a_peer_that_forgot_is_asked_again_from_the_start() {
    for child in [true, false] {
        let mut w = World::up(7, |p, t, c, _| {
            hybrid(p, t);
            c.followup_timeout = Duration::from_secs(2);
        });
        if child {
            rekey_child(&mut w, 0)
        } else {
            rekey_ike(&mut w, 0)
        }
        w.deliver(0);
        w.deliver(0);
        assert_eq!(follow_ups(&w), 1);
        w.flight.clear();
        // The state goes before the retransmission comes; the answer is STATE_NOT_FOUND.
        let until = w.now + 3_000_000;
        while w.tick(until) {}
        assert_eq!(w.sides[1].db.spis.len(), 1, "the unfinished pair's SPI is free again");
        w.pass(60);
        settled(&w);
        let done = |e: &Event| matches!(e, Event::ChildRekeyed { .. } | Event::Rekeyed { .. });
        assert_eq!((w.event(0, done), w.event(1, done)), (1, 1), "{}", w.sides[0].story());
    }
}

#[test]
fn a_peer_that_forgets_for_ever_is_left() {
    let mut w = World::up(8, |p, t, c, _| {
        hybrid(p, t);
        c.followup_timeout = Duration::ZERO;
    });
    w.busy.clear();
    rekey_child(&mut w, 0);
    w.pass(120);
    assert!(w.sides.iter().all(|s| s.endpoint.is_empty()), "{}", w.sides[0].story());
    assert!(w.sides[0].why_closed().contains("STATE_NOT_FOUND"), "{}", w.sides[0].why_closed());
    assert!(w.sides.iter().all(|s| s.db.spis.is_empty()));
}

#[test]
fn what_a_peer_begins_and_lets_lie_is_bounded() {
    let mut w = World::up(9, |p, t, c, _| {
        hybrid(p, t);
        c.window = 16;
    });
    let reserved = w.sides[1].db.spis.len();
    for _ in 0..3 {
        // Begun, and the request of the follow-up is lost with everything after it.
        rekey_child(&mut w, 0);
        new_child(&mut w, 0);
        while let Some(at) = w.flight.iter().position(|d| d.to == 1 && d.exchange() == 36) {
            w.deliver(at);
        }
        w.flight.clear();
    }
    assert!(w.sides[1].db.spis.len() <= reserved + 4, "{}", w.sides[1].db.spis.len());
    w.now += 21_000_000;
    let now = w.now();
    let side = &mut w.sides[1];
    side.endpoint.handle_timeout(now, &side.db);
    assert_eq!(side.db.spis.len(), reserved, "given up after the time-out");
    w.busy.clear();
    w.collect();
    w.pass(600);
    w.assert_equal();
}

#[test]
fn deletes_while_a_chain_runs() {
    for who in [0, 1] {
        for ike in [true, false] {
            let mut w = World::up(10, |p, t, _, _| hybrid(p, t));
            w.busy.clear();
            rekey_child(&mut w, 0);
            w.deliver(0);
            w.deliver(0);
            assert_eq!(follow_ups(&w), 1);
            let (now, child) = (w.now(), w.child(who));
            let side = &mut w.sides[who];
            let id = side.endpoint.snapshot(Instant(0))[0].id;
            if ike {
                side.endpoint.delete(now, &side.db, id).unwrap();
            } else {
                side.endpoint.delete_child(now, &side.db, child).unwrap();
            }
            w.collect();
            w.pass(60);
            w.assert_equal();
            let left = (w.sides[0].endpoint.len(), w.planes[0].inbound.len());
            assert_eq!(left, if ike { (0, 0) } else { (1, 0) }, "by {who}: {}", w.sides[who].story());
            assert_eq!(w.deadline(), None);
        }
    }
}

#[test]
fn a_full_window_holds_the_next_request_back() {
    let mut w = World::up(11, |p, t, c, _| {
        hybrid(p, t);
        c.window = 2;
    });
    let first = new_child(&mut w, 0);
    let now = w.now();
    let side = &mut w.sides[0];
    side.endpoint.initiate(now, &side.db, side.peer, Some(PolicyId(first.0 + 1))).unwrap();
    w.collect();
    assert_eq!(w.flight.len(), 2);
    // The second is answered first: its follow-up would be the third id of a window of two.
    w.deliver(1);
    w.deliver(1);
    assert_eq!((w.flight.len(), follow_ups(&w)), (1, 0), "it waits");
    w.deliver_all();
    settled(&w);
    assert_eq!((w.count(first), w.count(PolicyId(first.0 + 1))), (1, 1));
}

#[test]
fn optional_exchanges_are_left_out_with_a_peer_that_has_none() {
    let cell = std::cell::Cell::new(0);
    let mut w = World::up(12, |p, t, _, _| {
        cell.set(cell.get() + 1);
        let more = if cell.get() == 1 { "-ke1_mlkem512-ke1_none" } else { "" };
        let text = format!("aes128gcm16-prfsha256-x25519{more}");
        p.proposals = Proposal::parse_list(ProposalProtocol::Ike, &text).unwrap();
        esp(t, &format!("aes128gcm16-x25519{more}"));
    });
    for at in [0, 1] {
        rekey_child(&mut w, at);
        w.deliver_all();
        rekey_ike(&mut w, at);
        w.deliver_all();
        settled(&w);
    }
    assert_eq!(w.event(0, |e| matches!(e, Event::Rekeyed { .. })), 2);
}

#[test]
fn the_same_seed_gives_the_same_keys_after_rekeying() {
    let go = || {
        let mut w = World::up(13, |p, t, _, _| hybrid(p, t));
        rekey_ike(&mut w, 0);
        w.deliver_all();
        rekey_child(&mut w, 1);
        w.deliver_all();
        w.planes[0].inbound.values().map(|p| p.suite.encr_key.expose().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(go(), go());
}
