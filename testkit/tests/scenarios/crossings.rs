//! Crossings that random schedules found, as they were shrunk.

use ravelin_testkit::{Pair, Sim, minutes, secs};

#[test]
fn the_new_ike_sa_is_deleted_before_the_old_one() {
    let mut sim = Sim::new(86);
    let (a, b) = Pair::new().build(&mut sim);
    sim.bring_up(a, b);
    // b sleeps, so that a's request does not arrive while b's does; then b deletes the SA that it made.
    sim.suspend(b, secs(48));
    sim.rekey(a, b);
    sim.rekey(b, a);
    sim.delete(b, a);
    sim.run_for(minutes(5));
    sim.assert_down(a);
    sim.assert_down(b);
}
