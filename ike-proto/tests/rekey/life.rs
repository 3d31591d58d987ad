//! One side renews, the other follows: by call, by time, by volume, with and without a key exchange.

use crate::world::World;
use ravelin_ike_proto::{Event, Reason};
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};
use ravelin_sa_db::{Instant, Report};
use std::time::Duration;

fn rekeyed(e: &Event) -> bool {
    matches!(e, Event::Rekeyed { .. })
}

fn child_rekeyed(e: &Event) -> bool {
    matches!(e, Event::ChildRekeyed { .. })
}

/// Everything is as at the start but the keys.
fn renewed(w: &World, children: usize) {
    w.assert_equal();
    assert_eq!(w.count(w.sides[0].policy), children);
    assert_eq!(w.sides[0].endpoint.len(), 1);
    assert_eq!(w.deadline(), None);
}

#[test]
fn a_child_is_rekeyed_by_either_side() {
    for (at, esp) in [(0, "aes128gcm16"), (1, "aes128gcm16"), (0, "aes128gcm16-x25519"), (1, "aes128gcm16-ecp256")] {
        let list = Proposal::parse_list(ProposalProtocol::Esp, esp).unwrap();
        let mut w = World::up(1, |_, t, _, _| t.proposals.clone_from(&list));
        let old = w.child(at);
        let now = w.now();
        let side = &mut w.sides[at];
        side.endpoint.rekey_child(now, &side.db, old).unwrap();
        w.collect();
        w.deliver_all();
        renewed(&w, 1);
        assert_ne!(w.child(at), old);
        assert_eq!((w.event(0, child_rekeyed), w.event(1, child_rekeyed)), (1, 1));
    }
}

#[test]
fn an_ike_sa_is_rekeyed_by_either_side_and_lives_on() {
    for at in [0, 1] {
        let mut w = World::up(2, |_, _, _, _| {});
        let (now, before) = (w.now(), w.sides[at].endpoint.snapshot(Instant(0))[0].clone());
        let side = &mut w.sides[at];
        side.endpoint.rekey(now, &side.db, before.id).unwrap();
        w.collect();
        w.deliver_all();
        renewed(&w, 1);
        let after = w.sides[at].endpoint.snapshot(Instant(0))[0].clone();
        assert!(after.spis != before.spis && after.id != before.id);
        assert_eq!(after.children[0].spi_in, before.children[0].spi_in, "Child SAs are inherited");
        assert_eq!((w.event(0, rekeyed), w.event(1, rekeyed)), (1, 1));
        // The other side goes on with it: its request has message id 0 in the new SA.
        let (child, now) = (w.child(1 - at), w.now());
        let side = &mut w.sides[1 - at];
        side.endpoint.rekey_child(now, &side.db, child).unwrap();
        w.collect();
        w.deliver_all();
        renewed(&w, 1);
        assert_eq!((w.event(0, child_rekeyed), w.event(1, child_rekeyed)), (1, 1));
    }
}

#[test]
fn a_peer_that_wants_another_group_gets_it() {
    let list = |s: &str| Proposal::parse_list(ProposalProtocol::Esp, s).unwrap();
    let cell = std::cell::Cell::new(0);
    let mut w = World::up(3, |_, t, _, _| {
        cell.set(cell.get() + 1);
        t.proposals = list(if cell.get() == 1 { "aes128gcm16-x25519-ecp256" } else { "aes128gcm16-ecp256" });
    });
    let (child, now) = (w.child(0), w.now());
    let side = &mut w.sides[0];
    side.endpoint.rekey_child(now, &side.db, child).unwrap();
    w.collect();
    w.deliver_all();
    renewed(&w, 1);
    assert_eq!(w.event(0, child_rekeyed), 1);
}

#[test]
fn times_renew_everything_for_ever_and_nothing_piles_up() {
    let minutes = |m: u64| Duration::from_secs(m * 60);
    let mut w = World::up(4, |p, t, _, _| {
        (p.times.rekey, p.times.over, p.times.jitter) = (minutes(50), minutes(10), minutes(5));
        (t.times.rekey, t.times.hard, t.times.jitter) = (minutes(10), minutes(12), minutes(1));
    });
    w.pass(12 * 3600);
    w.assert_equal();
    assert_eq!((w.count(w.sides[0].policy), w.sides[0].endpoint.len()), (1, 1));
    let (ikes, children) = (w.event(0, rekeyed), w.event(0, child_rekeyed));
    assert!((14..=18).contains(&ikes) && (70..=85).contains(&children), "{ikes} {children}");
    assert_eq!((ikes, children), (w.event(1, rekeyed), w.event(1, child_rekeyed)));
    assert_eq!(w.event(0, |e| matches!(e, Event::ChildRefused { .. })), 0);
}

#[test]
fn volume_reports_rekey_and_end_child_sas() {
    let mut w = World::up(5, |_, _, _, _| {});
    for report in [Report::SoftExpired, Report::SequenceLow] {
        let (old, now) = (w.child(1), w.now());
        let side = &mut w.sides[1];
        side.endpoint.handle_report(now, &side.db, report(old));
        side.endpoint.handle_report(now, &side.db, report(old));
        w.collect();
        w.deliver_all();
        renewed(&w, 1);
        assert_ne!(w.child(1), old);
    }
    let (old, now) = (w.child(1), w.now());
    let side = &mut w.sides[1];
    side.endpoint.handle_report(now, &side.db, Report::HardExpired(old));
    w.collect();
    w.deliver_all();
    renewed(&w, 0);
}

#[test]
fn a_responder_switches_when_the_new_pair_is_used() {
    let mut w = World::up(6, |_, _, _, _| {});
    let (old, now) = (w.child(0), w.now());
    let side = &mut w.sides[0];
    side.endpoint.rekey_child(now, &side.db, old).unwrap();
    w.collect();
    w.deliver(0);
    let policy = w.sides[1].policy;
    let (new, before) = (w.child(1), w.planes[1].sends[&policy]);
    assert_ne!(new, before, "it waits");
    w.deliver(0);
    assert_eq!(w.planes[0].sends[&policy], w.child(0), "the initiator sends on the new pair at once");
    let now = w.now();
    let side = &mut w.sides[1];
    side.endpoint.handle_report(now, &side.db, Report::Traffic { child: new, last: now.mono });
    w.collect();
    assert_eq!(w.planes[1].sends[&policy], new);
    w.deliver_all();
    renewed(&w, 1);
}

#[test]
fn reauthentication_by_time_both_ways() {
    for make_before_break in [true, false] {
        let hour = Duration::from_secs(3600);
        let mut w = World::up(7, |p, _, c, _| {
            (p.times.reauth, p.times.over) = (hour, Duration::from_secs(600));
            c.make_before_break = make_before_break;
        });
        w.busy.clear();
        w.pass(5 * 3600 + 300);
        w.assert_equal();
        assert_eq!((w.count(w.sides[0].policy), w.sides[0].endpoint.len()), (1, 1));
        let up = w.event(0, |e| matches!(e, Event::Established(_)));
        assert!((6..=7).contains(&up), "{up}");
    }
}

#[test]
fn the_responder_tells_the_lifetime_and_keeps_its_word() {
    // Only the responder has a time; the initiator hears of it by AUTH_LIFETIME (RFC 4478).
    let cell = std::cell::Cell::new(0);
    let mut w = World::up(8, |p, _, _, _| {
        cell.set(cell.get() + 1);
        if cell.get() == 2 {
            (p.times.reauth, p.times.over) = (Duration::from_secs(1000), Duration::from_secs(60));
        }
    });
    w.busy.clear();
    w.pass(950);
    assert_eq!(w.event(0, |e| matches!(e, Event::Established(_))), 2);
    w.assert_equal();
    // An initiator that is cut off is thrown out.
    let until = w.now + 3_000_000_000;
    while w.tick(until) {
        w.flight.clear();
    }
    assert!(w.sides[1].endpoint.is_empty());
}

#[test]
fn a_window_above_one_carries_several_requests_at_once() {
    let mut w = World::up(9, |_, _, c, _| c.window = 4);
    let (peer, now) = (w.sides[0].peer, w.now());
    let policies: Vec<_> = w.sides[0].db.spd.policies_of(peer).map(|p| p.id).collect();
    for policy in policies.iter().skip(1) {
        let side = &mut w.sides[0];
        side.endpoint.initiate(now, &side.db, peer, Some(*policy)).unwrap();
    }
    let (child, side) = (w.child(0), &mut w.sides[0]);
    side.endpoint.rekey_child(now, &side.db, child).unwrap();
    w.collect();
    assert_eq!(w.flight.len(), 3);
    // The last comes first; all are answered.
    w.deliver(2);
    w.deliver(1);
    w.deliver_all();
    w.assert_equal();
    assert!(policies.iter().all(|p| w.count(*p) == 1));
    assert_eq!(w.deadline(), None);
}

#[test]
fn a_full_peer_refuses_new_pairs_and_still_rekeys() {
    let side = std::cell::Cell::new(0);
    let mut w = World::up(10, |p, _, _, _| {
        side.set(side.get() + 1);
        p.max_children = if side.get() == 2 { 1 } else { 64 };
    });
    let (peer, now) = (w.sides[0].peer, w.now());
    let second = w.sides[0].db.spd.policies_of(peer).nth(1).unwrap().id;
    let (child, side) = (w.child(0), &mut w.sides[0]);
    side.endpoint.initiate(now, &side.db, peer, Some(second)).unwrap();
    side.endpoint.rekey_child(now, &side.db, child).unwrap();
    w.collect();
    w.deliver_all();
    renewed(&w, 1);
    let refused =
        |e: &Event| matches!(e, Event::ChildRefused { reason, .. } if reason.to_string().contains("NO_ADDITIONAL_SAS"));
    assert_eq!((w.event(0, refused), w.event(0, child_rekeyed), w.count(second)), (1, 1, 0));
    // The full side does not even ask.
    let (peer, now) = (w.sides[1].peer, w.now());
    let side = &mut w.sides[1];
    side.endpoint.initiate(now, &side.db, peer, Some(second)).unwrap();
    w.collect();
    assert!(w.flight.is_empty());
    let limit = |e: &Event| matches!(e, Event::ChildRefused { reason: Reason::Limit { .. }, .. });
    // Once when it was asked, once when it was to ask.
    assert_eq!(w.event(1, limit), 2);
}

#[test]
fn without_times_of_its_own_a_side_follows_its_peer() {
    let cell = std::cell::Cell::new(0);
    let minutes = |m: u64| Duration::from_secs(m * 60);
    let mut w = World::up(11, |p, t, _, _| {
        cell.set(cell.get() + 1);
        if cell.get() == 2 {
            (p.times.rekey, p.times.over, t.times.rekey, t.times.hard) =
                (minutes(30), minutes(5), minutes(10), minutes(12));
        }
    });
    w.pass(3600 + 60);
    w.assert_equal();
    let seen = [0, 1].map(|at| (w.event(at, rekeyed), w.event(at, child_rekeyed)));
    assert_eq!(seen, [(2, 6), (2, 6)]);
}
