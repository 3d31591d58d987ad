//! A fresh PPK at every rekeying (RFC 9867 §3.2), from the PAD and from a key-distribution system that gives each PPK
//! out once.

use crate::followup::{rekey_child, rekey_ike};
use crate::world::World;
use ravelin_crypto::Secret;
use ravelin_ike_proto::{Answer, Ask, Event};
use ravelin_sa_db::pad::{PpkMethod, PpkSource};
use std::collections::BTreeMap;

/// A key-distribution system with an outlet at both ends.
#[derive(Default)]
struct Kms {
    next: u8,
    given: BTreeMap<Vec<u8>, Vec<u8>>,
    /// PPK_IDs in the order in which they were fetched by id, which uses them up.
    used: Vec<Vec<u8>>,
    refuses: bool,
}

impl Kms {
    fn answer(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::NextPpk { .. } if self.refuses => Answer::Refused("no key material left".into()),
            Ask::NextPpk { .. } => {
                self.next += 1;
                let (id, key) = (vec![2, b'q', self.next], vec![self.next; 32]);
                self.given.insert(id.clone(), key.clone());
                Answer::Ppk { id, secret: Secret::new(key) }
            }
            Ask::Ppk { id } => match self.given.remove(id) {
                Some(key) => {
                    self.used.push(id.clone());
                    Answer::Secret(Secret::new(key))
                }
                None => Answer::Refused("unknown or used".into()),
            },
            other => panic!("{other:?}"),
        }
    }
}

fn world(required: bool) -> World {
    World::raw(21, |p, _, c, _| {
        p.ppk_method = PpkMethod::Intermediate;
        (p.ppk_source, p.ppk_rekey, p.ppk_required) = (PpkSource::Asked, true, required);
        c.asks = false;
    })
}

/// Carries everything, questions included, until nobody has anything to say.
fn run(w: &mut World, kms: &mut Kms) {
    for _ in 0..200 {
        w.collect();
        let asked: Vec<_> = w.asks.drain(..).collect();
        if asked.is_empty() && w.flight.is_empty() {
            return;
        }
        for (at, ticket, ask) in asked {
            let (now, answer) = (w.now(), kms.answer(&ask));
            let side = &mut w.sides[at];
            side.endpoint.handle_answer(now, &side.db, ticket, answer).unwrap();
        }
        w.collect();
        if !w.flight.is_empty() {
            w.deliver(0);
        }
    }
    panic!("the peers never stop talking");
}

fn start(w: &mut World, kms: &mut Kms) {
    let busy = std::mem::take(&mut w.busy);
    w.sides[0].start(0);
    run(w, kms);
    w.busy = busy;
}

#[test]
fn every_rekeying_takes_a_ppk_of_its_own() {
    let (mut w, mut kms) = (world(true), Kms::default());
    start(&mut w, &mut kms);
    assert!(w.sides.iter().all(|s| s.is_up()), "{}", w.sides[0].story());
    assert_eq!(kms.used.len(), 1);
    for (at, ike) in [(0, false), (1, false), (0, true), (1, true), (1, false)] {
        let before = kms.used.len();
        if ike {
            rekey_ike(&mut w, at)
        } else {
            rekey_child(&mut w, at)
        }
        run(&mut w, &mut kms);
        w.assert_equal();
        assert_eq!(kms.used.len(), before + 1, "one PPK, used once, by {at} ike {ike}");
    }
    assert_eq!(w.event(0, |e| matches!(e, Event::Rekeyed { .. })), 2);
    assert_eq!(w.event(0, |e| matches!(e, Event::ChildRekeyed { .. })), 3);
    assert!(kms.given.is_empty(), "nothing was fetched for nothing");
}

#[test]
fn both_sides_at_once() {
    for (a, b) in [(false, false), (true, true), (false, true)] {
        let (mut w, mut kms) = (world(true), Kms::default());
        start(&mut w, &mut kms);
        if a {
            rekey_ike(&mut w, 0)
        } else {
            rekey_child(&mut w, 0)
        }
        if b {
            rekey_ike(&mut w, 1)
        } else {
            rekey_child(&mut w, 1)
        }
        run(&mut w, &mut kms);
        let until = w.now + 100_000_000;
        while w.tick(until) {
            run(&mut w, &mut kms);
        }
        w.assert_equal();
    }
}

#[test]
fn without_key_material_an_optional_ppk_is_left_out_and_a_required_one_is_waited_for() {
    for required in [false, true] {
        let (mut w, mut kms) = (world(required), Kms::default());
        start(&mut w, &mut kms);
        kms.refuses = true;
        let old = w.child(0);
        rekey_child(&mut w, 0);
        run(&mut w, &mut kms);
        assert_eq!(w.child(0) == old, required, "required {required}");
        let told = |e: &Event| matches!(e, Event::ChildRefused { reason, .. } if reason.to_string().contains("no key material"));
        assert_eq!(w.event(0, told), usize::from(required));
        if required {
            // It is tried again, and there is a key by then.
            kms.refuses = false;
            let until = w.now + 60_000_000;
            while w.tick(until) {
                run(&mut w, &mut kms);
            }
            assert_ne!(w.child(0), old);
        }
        w.assert_equal();
    }
}

#[test]
fn a_ppk_that_the_responder_does_not_know_is_refused_when_policy_demands_one() {
    let (mut w, mut kms) = (world(true), Kms::default());
    start(&mut w, &mut kms);
    let old = w.child(0);
    rekey_child(&mut w, 0);
    for _ in 0..20 {
        w.collect();
        for (at, ticket, ask) in w.asks.drain(..).collect::<Vec<_>>() {
            // The two outlets have drifted apart.
            let answer = if at == 1 { Answer::Refused("unknown".into()) } else { kms.answer(&ask) };
            let now = w.now();
            let side = &mut w.sides[at];
            side.endpoint.handle_answer(now, &side.db, ticket, answer).unwrap();
        }
        w.collect();
        if !w.flight.is_empty() {
            w.deliver(0);
        }
    }
    assert_eq!(w.child(0), old);
    let refused = |at| {
        w.event(at, |e| matches!(e, Event::ChildRefused { reason, .. } if reason.to_string().contains("preshared key")))
    };
    assert_eq!(refused(1), 1, "{}", w.sides[1].story());
}

#[test]
fn a_ppk_of_the_pad_is_mixed_in_again() {
    let id = b"\x02pad".to_vec();
    let mut w = World::up(22, |p, _, _, db| {
        (p.ppk, p.ppk_rekey, p.ppk_required) = (Some(id.clone()), true, true);
        db.pad.secrets.add_ppk(id.clone(), Secret::new(vec![9; 32]));
    });
    for at in [0, 1] {
        rekey_child(&mut w, at);
        w.deliver_all();
        rekey_ike(&mut w, at);
        w.deliver_all();
        w.assert_equal();
    }
    assert_eq!(w.event(1, |e| matches!(e, Event::Rekeyed { .. })), 2);
    // A side whose PPK changed makes SAs with it, as long as the other side has it too.
    for side in &mut w.sides {
        side.db.pad.secrets.add_ppk(id.clone(), Secret::new(vec![10; 32]));
    }
    rekey_child(&mut w, 0);
    w.deliver_all();
    w.assert_equal();
    w.sides[1].db.pad.secrets.add_ppk(id, Secret::new(vec![11; 32]));
    let old = w.child(0);
    rekey_child(&mut w, 0);
    w.deliver_all();
    assert_eq!(w.child(0), old, "the confirmation does not fit");
}

#[test]
fn nobody_answers() {
    let (mut w, mut kms) = (world(false), Kms::default());
    start(&mut w, &mut kms);
    let old = w.child(0);
    rekey_child(&mut w, 0);
    w.asks.clear();
    let until = w.now + 19_000_000;
    while w.tick(until) {}
    assert_eq!(w.child(0), old, "it waits");
    let until = w.now + 30_000_000;
    while w.tick(until) {
        run(&mut w, &mut kms);
    }
    assert_ne!(w.child(0), old, "without, then");
}
