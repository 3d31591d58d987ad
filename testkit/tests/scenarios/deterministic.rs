//! Same seed and same script: the same octets at the same times. Another seed: other octets.

use ravelin_testkit::{Entry, Pair, Sim, millis, secs};

fn run(seed: u64) -> (u64, Vec<Entry>) {
    let mut sim = Sim::new(seed);
    sim.record();
    let (a, b) = Pair::new().build(&mut sim);
    sim.network(|link| link.loss(20).duplicate(20).reorder(20).jitter(millis(50)));
    sim.initiate(a, b);
    for _ in 0..20 {
        sim.ping(a, b);
        sim.run_for(secs(7));
    }
    sim.delete(a, b);
    sim.run_for(secs(200));
    (sim.fingerprint(), sim.trace().cloned().collect())
}

#[test]
fn same_seed_and_script_give_the_same_octets() {
    let (one, two, other) = (run(42), run(42), run(43));
    assert!(one.1.len() > 40, "{} datagrams are too few to show anything", one.1.len());
    assert_eq!(one.1, two.1);
    assert_eq!(one.0, two.0);
    assert_ne!(one.0, other.0);
    assert_ne!(one.1.first().map(|e| &e.message.bytes), other.1.first().map(|e| &e.message.bytes));
}
