//! The shortest scenario: two nodes, a tunnel, traffic both ways, and the end of it.

use ravelin_testkit::{Pair, Sim, secs};

#[test]
fn a_pair_comes_up_carries_traffic_and_goes_down() {
    let mut sim = Sim::new(1);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    sim.assert_up(a, b);
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
    sim.delete(b, a);
    sim.run_for(secs(1));
    sim.assert_down(a);
    sim.assert_down(b);
}
