//! Thirty per cent loss, duplication and reordering: the tunnel comes up as long as somebody wants to send, and traffic
//! flows in it. Two hundred seeds (`RAVELIN_FULL=1`: five thousand).

use ravelin_testkit::{Pair, Sim, millis, minutes, secs};

fn survive(seed: u64) {
    let mut sim = Sim::new(seed);
    let (a, b) = Pair::new().build(&mut sim);
    sim.network(|link| link.loss(30).duplicate(30).reorder(30).jitter(millis(20)));
    let (from, to) = sim.inner_pair(a, b);
    // A program that wants an answer and asks every five seconds: it starts the negotiation, and anew if one fails.
    let mut tries = 0;
    while !sim.delivered(a).iter().any(|d| ravelin_testkit::packet::is_reply(&d.packet)) {
        tries += 1;
        assert!(tries < 120, "no answer in ten minutes");
        sim.send_echo(a, from, to, 64);
        sim.run_for(secs(5));
    }
    sim.perfect_network();
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
    // What a failed attempt left on one side only is found out by liveness checks.
    sim.run_for(minutes(5));
    sim.settle(a, b);
    sim.expect_ping(a, b);
}

#[test]
fn comes_up_and_carries_traffic() {
    let seeds = if std::env::var_os("RAVELIN_FULL").is_some() { 5000 } else { 200 };
    (0..seeds).for_each(survive);
}
