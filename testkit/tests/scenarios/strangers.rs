//! Strangers (RFC 7296 §2.6): limits on half-open SAs, cookies under load, and nothing left of them afterwards.

use ravelin::ike::config::CookiePolicy;
use ravelin::ike::registry::ExchangeType;
use ravelin_testkit::{Carrier, Fate, Message, Pair, Sim, millis, secs};
use std::cell::RefCell;
use std::rc::Rc;

/// An IKE_SA_INIT request of `a`, caught before it arrives.
fn caught(sim: &mut Sim, a: ravelin_testkit::Host, b: ravelin_testkit::Host) -> Message {
    let store = Rc::new(RefCell::new(Vec::new()));
    let copy = Rc::clone(&store);
    sim.hook(move |m| {
        copy.borrow_mut().push(m.clone());
        Fate::Drop
    });
    let id = sim.initiate(a, b);
    sim.with_node(a, |node, now| node.delete(now, id)).expect("an attempt");
    sim.unhook();
    store.take().remove(0)
}

/// The same request with another initiator SPI.
fn variant(message: &Message, n: u32) -> Message {
    let mut copy = message.clone();
    copy.bytes[..4].copy_from_slice(&n.to_be_bytes());
    copy
}

#[test]
fn half_open_sas_are_limited_and_expire() {
    let mut sim = Sim::new(1);
    let (a, b) = Pair::new()
        .b(|s| {
            s.config.ike.cookies = CookiePolicy::Never;
            s.config.ike.half_open_per_source = 8;
        })
        .build(&mut sim);
    let request = caught(&mut sim, a, b);
    for n in 0..50 {
        sim.inject(variant(&request, n));
    }
    assert_eq!(sim.sas(b).len(), 8);
    assert_eq!(sim.node(b).counters().over_limit, 42);
    sim.run_for(secs(31));
    sim.assert_down(b);
    sim.bring_up(a, b);
    sim.assert_up(a, b);
}

#[test]
fn under_load_a_cookie_is_demanded_and_honest_peers_come_up() {
    let mut sim = Sim::new(2);
    let (a, b) = Pair::new().b(|s| s.config.ike.cookies = CookiePolicy::Threshold(4)).build(&mut sim);
    let request = caught(&mut sim, a, b);
    sim.record();
    for n in 0..1000 {
        sim.inject(variant(&request, n));
    }
    assert_eq!(sim.sas(b).len(), 4, "nothing is kept of strangers who get a cookie");
    assert_eq!(sim.node(b).counters().cookies_demanded, 996);
    let largest = sim.trace().skip(4).map(|e| e.message.bytes.len()).max();
    assert!(largest < Some(request.bytes.len()), "no amplification");
    sim.bring_up(a, b);
    sim.run_for(secs(31));
    sim.assert_up(a, b);
}

#[test]
fn a_changed_request_with_the_same_spi_does_not_lock_out_the_good_one() {
    let mut sim = Sim::new(3);
    let (a, b) = Pair::new().build(&mut sim);
    let request = caught(&mut sim, a, b);
    let mut forged = request.clone();
    let last = forged.bytes.len() - 1;
    forged.bytes[last] ^= 1;
    sim.inject(forged);
    sim.record();
    sim.inject(request);
    assert_eq!(sim.trace().count(), 1, "the good request is answered (RFC 7296 section 2.1)");
}

/// Anybody can say INVALID_IKE_SPI: the peer is asked, at most every two seconds, and nothing else changes
/// (RFC 7296 §2.4, §2.21.4).
#[test]
fn a_hint_that_an_sa_is_gone_only_asks() {
    let mut sim = Sim::new(8);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.run_for(secs(10));
    let (path, (i, r)) = (sim.sas(a)[0].path, sim.sas(a)[0].spis);
    // An INFORMATIONAL response of the responder with a Notify payload alone, without protection.
    let mut bytes = if path.local.port() == 4500 { vec![0; 4] } else { vec![] };
    bytes.extend([i.to_be_bytes(), r.to_be_bytes()].concat());
    bytes.extend([41, 0x20, 37, 0x20, 0, 0, 0, 9, 0, 0, 0, 36]);
    bytes.extend([0, 0, 0, 8, 0, 0, 0, 4]);
    let hint = Message {
        number: 0,
        sent: sim.now(),
        sender: None,
        from: path.remote,
        to: path.local,
        carrier: Carrier::Udp,
        bytes,
    };
    sim.record();
    for _ in 0..100 {
        sim.inject(hint.clone());
        sim.run_for(millis(50));
    }
    assert_eq!(sim.node(a).counters().hints, 100);
    let asked = sim.trace().filter(|e| e.message.is_request(ExchangeType::INFORMATIONAL)).count();
    assert!((1..=3).contains(&asked), "{asked} liveness checks in five seconds");
    sim.assert_up(a, b);
    // The peer has lost everything and the question shows it.
    sim.power_off(b);
    sim.run_for(secs(3));
    sim.inject(hint);
    sim.run_for(secs(170));
    sim.assert_down(a);
}

#[test]
fn half_open_sas_are_limited_in_total_too() {
    let mut sim = Sim::new(4);
    let (a, b) = Pair::new()
        .b(|s| {
            s.config.ike.cookies = CookiePolicy::Never;
            s.config.ike.half_open_max = 10;
        })
        .build(&mut sim);
    let request = caught(&mut sim, a, b);
    for n in 0..40 {
        sim.inject(variant(&request, n));
    }
    assert_eq!(sim.sas(b).len(), 10);
    assert_eq!(sim.node(b).counters().over_limit, 30);
}
