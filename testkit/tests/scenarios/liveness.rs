//! Retransmission and liveness (RFC 7296 §2.1, §2.4): the schedule of repetitions, a peer that vanishes, checks that are
//! skipped while ESP proves the peer alive, answers from the cache.

use ravelin::ike::registry::ExchangeType;
use ravelin::{Event, Reason};
use ravelin_testkit::{Kind, Pair, Sim, minutes, of, secs};

#[test]
fn a_silent_peer_is_given_up_after_six_transmissions() {
    let mut sim = Sim::new(1);
    let (a, b) = Pair::new().build(&mut sim);
    sim.power_off(b);
    sim.initiate(a, b);
    sim.run_for(secs(200));
    let times: Vec<u64> = sim.trace().map(|e| e.message.sent.micros()).collect();
    let waits: Vec<u64> = times.windows(2).map(|w| (w[1] - w[0] + 500_000) / 1_000_000).collect();
    assert_eq!(waits, [4, 7, 13, 23, 42]);
    let closed = sim.events(a).iter().find(|(_, e)| matches!(e, Event::Closed { .. })).expect("closed");
    assert_eq!((closed.0.micros() - times[5] + 500_000) / 1_000_000, 76);
    assert!(matches!(sim.closed_because(a), Some(Reason::Silent { tries: 6, .. })), "{:?}", sim.events(a));
    let same: Vec<&[u8]> = sim.trace().map(|e| e.message.bytes.as_slice()).collect();
    assert!(same.windows(2).all(|w| w[0] == w[1]), "retransmissions are the same octets");
    sim.assert_down(a);
}

#[test]
fn a_peer_that_vanishes_is_found_out() {
    let mut sim = Sim::new(2);
    let (a, b) = Pair::new().both(|s| s.peer.times.dpd = secs(30)).build(&mut sim);
    sim.bring_up(a, b);
    sim.power_off(b);
    let gone = sim.now();
    sim.run_until(minutes(10), "closed", |sim| sim.is_down(a));
    let after = sim.now().since(gone).as_secs();
    assert!((190..=200).contains(&after), "30 s until the check, 165 s of repetitions, not {after} s");
    assert!(matches!(sim.closed_because(a), Some(Reason::Silent { .. })));
    sim.assert_down(a);
}

#[test]
fn an_idle_peer_is_asked_and_answers() {
    let mut sim = Sim::new(3);
    let (a, b) = Pair::new().a(|s| s.peer.times.dpd = secs(30)).build(&mut sim);
    sim.bring_up(a, b);
    sim.record();
    sim.run_for(minutes(5));
    let asked = sim.trace().filter(|e| e.message.is_request(ExchangeType::INFORMATIONAL)).count();
    assert!((9..=11).contains(&asked), "{asked} checks in five minutes");
    sim.assert_up(a, b);
}

#[test]
fn nobody_is_asked_while_esp_comes() {
    let mut sim = Sim::new(4);
    let (a, b) = Pair::new().both(|s| s.peer.times.dpd = secs(30)).build(&mut sim);
    sim.bring_up(a, b);
    sim.record();
    for _ in 0..30 {
        sim.expect_ping(a, b);
        sim.run_for(secs(10));
    }
    assert!(sim.trace().all(|e| matches!(e.message.kind(), Kind::Esp { .. })), "only ESP in five minutes");
}

#[test]
fn a_repeated_request_is_answered_from_the_cache() {
    let mut sim = Sim::new(5);
    let (a, b) = Pair::new().build(&mut sim);
    sim.record();
    sim.lose(2, of(ExchangeType::IKE_AUTH, true));
    sim.bring_up(a, b);
    let answers: Vec<_> = sim.trace().filter(|e| e.message.is_response(ExchangeType::IKE_AUTH)).collect();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|e| e.message.bytes == answers[0].message.bytes), "the same octets each time");
    assert_eq!(sim.node(b).counters().repeated, 2);
    assert_eq!(sim.count_events(b, |e| matches!(e, Event::Established(_))), 1);
    sim.assert_up(a, b);
}

#[test]
fn an_operator_can_ask_for_a_sign_of_life() {
    let mut sim = Sim::new(6);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.probe(a, b);
    sim.run_for(secs(1));
    assert_eq!(sim.count_events(a, |e| matches!(e, Event::Alive { .. })), 1);
}

#[test]
fn sleep_and_clock_steps_do_no_harm() {
    let mut sim = Sim::new(7);
    let (a, b) = Pair::new().both(|s| s.peer.times.dpd = secs(30)).build(&mut sim);
    sim.bring_up(a, b);
    sim.step_wall_clock(a, -86_400 * 365);
    sim.step_wall_clock(b, 86_400 * 365);
    sim.run_for(secs(20));
    sim.suspend(b, secs(100));
    sim.run_for(secs(250));
    sim.settle(a, b);
    sim.assert_up(a, b);
    sim.expect_ping(a, b);
}

#[test]
fn a_repeated_fragmented_request_is_answered_from_the_cache() {
    let mut sim = Sim::new(8);
    let (a, b) = Pair::new().both(|s| s.config.ike.fragment_size = 200).build(&mut sim);
    // All fragments of the first answer to IKE_AUTH.
    let mut first = None;
    sim.hook(move |m| {
        let hit = m.is_response(ExchangeType::IKE_AUTH) && *first.get_or_insert(m.sent) == m.sent;
        if hit { ravelin_testkit::Fate::Drop } else { ravelin_testkit::Fate::Pass }
    });
    sim.bring_up(a, b);
    assert!(sim.now().micros() < 10_000_000, "the first retransmission brings the answer");
    assert_eq!(sim.node(b).counters().repeated, 1);
    sim.assert_up(a, b);
}
