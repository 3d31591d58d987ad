//! Random schedules: operator commands and network events in random order while the network is bad; then the network
//! heals, and both nodes must converge: the same SAs on both sides with equal keys, traffic both ways, nothing left over,
//! and at the end, after shutdown, nothing at all.
//!
//! A schedule is made of a seed. One that fails is shrunk by leaving out steps, and printed with its seed. To add a kind
//! of step: a variant of [`Step`], a line in `Schedule::random` and an arm in `Schedule::play`.

use crate::host::Host;
use crate::net::Link;
use crate::pair::Pair;
use crate::sim::Sim;
use crate::time::{millis, minutes, secs};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ravelin::Provider;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// One thing that happens. `true` means host a, `false` host b.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    /// Time passes.
    Wait(Duration),
    /// A host initiates.
    Initiate(bool),
    /// A host deletes its IKE SAs.
    Delete(bool),
    /// A host deletes its oldest Child SA.
    DeleteChild(bool),
    /// A host asks whether the other lives.
    Probe(bool),
    /// A host sends a packet, which may start a negotiation.
    Send(bool),
    /// A host starts afresh.
    Restart(bool),
    /// A host sleeps.
    Suspend(bool, Duration),
    /// The network gets this bad.
    Network(Link),
    /// Nothing passes from a to b (true) or from b to a (false).
    Cut(bool),
    /// The network is perfect.
    Perfect,
}

/// A seed and what happens.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// For the simulation.
    pub seed: u64,
    /// In this order.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// A random schedule of about ten minutes.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0x5C4E_D01E);
        let mut below = move |n: u64| rng.next_u64() % n;
        let (mut steps, mut time) = (Vec::new(), Duration::ZERO);
        while time < minutes(10) {
            let who = below(2) == 0;
            steps.push(match below(16) {
                0..=2 => Step::Initiate(who),
                3 => Step::Delete(who),
                4 => Step::DeleteChild(who),
                5 => Step::Probe(who),
                6..=8 => Step::Send(who),
                9 if below(4) == 0 => Step::Restart(who),
                10 => Step::Suspend(who, secs(below(120))),
                11..=12 => Step::Network(
                    Link::default()
                        .loss(below(60) as f64)
                        .duplicate(below(40) as f64)
                        .reorder(below(40) as f64)
                        .jitter(millis(below(500))),
                ),
                13 => Step::Cut(who),
                14 => Step::Perfect,
                _ => Step::Probe(who),
            });
            // Often things happen at the same moment, sometimes much later.
            let pause = match below(4) {
                0 => Duration::ZERO,
                1 => millis(below(50)),
                2 => millis(below(5_000)),
                _ => secs(below(60)),
            };
            if !pause.is_zero() {
                steps.push(Step::Wait(pause));
                time += pause;
            }
        }
        Self { seed, steps }
    }

    /// Plays it on a pair, heals, and demands convergence; virtual time that passed, `None` when they do not converge.
    /// `loud`: then tells what happened.
    pub fn play(&self, crypto: &Arc<Provider>, pair: &Pair, loud: bool) -> Option<Duration> {
        let mut sim = Sim::with_crypto(self.seed, Arc::clone(crypto));
        sim.quiet();
        let (a, b) = pair.clone().build(&mut sim);
        let played = catch_unwind(AssertUnwindSafe(|| {
            self.steps.iter().for_each(|step| one(&mut sim, *step, a, b));
            converge(&mut sim, a, b);
        }));
        if played.is_err() && loud {
            sim.tell();
        }
        played.is_ok().then(|| sim.now().since(ravelin::Instant(0)))
    }

    /// Leaves out steps as long as the schedule still fails.
    #[must_use]
    pub fn shrink(&self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut best = self.clone();
        let mut chunk = best.steps.len() / 2;
        while chunk > 0 {
            let mut at = 0;
            while at < best.steps.len() {
                let mut less = best.clone();
                less.steps.drain(at..(at + chunk).min(less.steps.len()));
                if fails(&less) {
                    best = less;
                } else {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        best
    }

    /// The steps as Rust that can be pasted into a test.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = format!("Schedule {{ seed: {}, steps: vec![\n", self.seed);
        for step in &self.steps {
            let _ = writeln!(text, "    {step:?},");
        }
        text + "] }"
    }
}

fn one(sim: &mut Sim, step: Step, a: Host, b: Host) {
    let pick = |who: bool| if who { (a, b) } else { (b, a) };
    match step {
        Step::Wait(time) => sim.run_for(time),
        Step::Initiate(who) => _ = sim.initiate(pick(who).0, pick(who).1),
        Step::Delete(who) => sim.delete(pick(who).0, pick(who).1),
        Step::DeleteChild(who) => {
            let host = pick(who).0;
            if let Some(child) = sim.children(host).first().map(|c| c.id) {
                let text = format!("{} deletes {child}", sim.name(host));
                sim.say(text);
                let _ = sim.with_node(host, |node, now| node.delete_child(now, child));
            }
        }
        Step::Probe(who) => sim.probe(pick(who).0, pick(who).1),
        Step::Send(who) => {
            let (from, to) = pick(who);
            let (src, dst) = sim.inner_pair(from, to);
            let text = format!("{} sends a packet", sim.name(from));
            sim.say(text);
            sim.send_echo(from, src, dst, 64);
        }
        Step::Restart(who) => sim.restart(pick(who).0),
        Step::Suspend(who, time) => sim.suspend(pick(who).0, time),
        Step::Network(link) => {
            sim.perfect_network();
            sim.network(|_| link);
        }
        Step::Cut(who) => sim.link_one_way(pick(who).0, pick(who).1, |l| Link { cut: true, ..l }),
        Step::Perfect => sim.perfect_network(),
    }
}

/// After all storms: what two sane nodes must come to.
fn converge(sim: &mut Sim, a: Host, b: Host) {
    sim.perfect_network();
    // Sleepers wake, attempts end, and liveness checks find what one side has lost (60 s and 165 s, twice over).
    sim.run_for(minutes(9));
    sim.settle(a, b);
    sim.expect_ping(a, b);
    sim.expect_ping(b, a);
    sim.settle(a, b);
    sim.shutdown(a);
    sim.run_for(secs(5));
    sim.shutdown(b);
    sim.run_for(secs(5));
    sim.assert_down(a);
    sim.assert_down(b);
}
