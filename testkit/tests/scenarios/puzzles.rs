//! Puzzles (RFC 8019), both roles: the responder sets them once too many SAs are half open, the initiator solves them.

use ravelin::ike::registry::{ExchangeType, NotifyType};
use ravelin::ike::wire::message::encode_clear;
use ravelin::ike::wire::payload::Payload;
use ravelin_testkit::{Fate, Host, Message, Pair, Sim, secs};

/// Node b sets puzzles of this difficulty from the first request on.
fn puzzled(seed: u64, difficulty: u8) -> (Sim, Host, Host) {
    let mut sim = Sim::new(seed);
    let pair = Pair::new().b(|s| {
        (s.config.ike.puzzle_threshold, s.config.ike.puzzle_difficulty) = (0, difficulty);
    });
    let (a, b) = pair.build(&mut sim);
    (sim, a, b)
}

#[test]
fn a_puzzle_is_solved_on_the_way() {
    let (mut sim, a, b) = puzzled(1, 8);
    sim.bring_up(a, b);
    assert_eq!(sim.node(b).counters().puzzles_set, 1);
    sim.assert_up(a, b);
    // One round trip more, and no more than that.
    let init = |e: &ravelin_testkit::Entry| e.message.ike().is_some_and(|h| h.exchange == ExchangeType::IKE_SA_INIT);
    assert_eq!(sim.trace().filter(|e| init(e)).count(), 4);
    sim.expect_ping(a, b);
}

#[test]
fn no_puzzle_without_need() {
    let mut sim = Sim::new(2);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    assert_eq!(sim.node(b).counters().puzzles_set, 0);
}

/// Takes the PUZZLE notify out, as for an initiator that knows none.
fn without_puzzle(m: &mut Message) -> Fate {
    use ravelin::ike::wire::Message as Wire;
    if let Ok(wire) = Wire::decode(&m.bytes) {
        let mut kept = wire.payloads.into_vec();
        kept.retain(|p| !matches!(p, Payload::Notify(n) if n.kind == NotifyType::PUZZLE));
        m.bytes = encode_clear(&wire.header, &kept).expect("fewer payloads fit");
    }
    Fate::Pass
}

#[test]
fn who_knows_no_puzzles_has_some_luck() {
    let mut up = 0;
    for seed in 0..24 {
        let (mut sim, a, b) = puzzled(seed, 8);
        sim.hook(|m| if m.is_response(ExchangeType::IKE_SA_INIT) { without_puzzle(m) } else { Fate::Pass });
        sim.initiate(a, b);
        up += u32::from(sim.wait(secs(160), |sim| sim.is_up(a, b)));
        assert!(sim.node(b).counters().puzzles_set > 0 || sim.is_up(a, b));
    }
    assert!((1..24).contains(&up), "{up} of 24 came up without solving");
}

#[test]
fn a_puzzle_that_is_too_hard_is_not_tried() {
    let (mut sim, a, b) = puzzled(3, 60);
    sim.initiate(a, b);
    sim.run_for(secs(3));
    // The cookie came back without a solution; the attempt goes on, nothing spins.
    assert!(sim.node(b).counters().puzzles_set >= 1);
    assert!(sim.datagrams() < 12, "{} datagrams", sim.datagrams());
}
