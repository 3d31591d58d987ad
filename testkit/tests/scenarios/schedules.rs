//! Random schedules of operator commands and network events; after the network heals both nodes converge.
//! `RAVELIN_SCHEDULES=10000` for the full run, `RAVELIN_SEED=n` for one of them.

use ravelin_testkit::Pair;
use ravelin_testkit::schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the speed of the simulation is printed, not used")]
fn nodes_converge_after_any_storm() {
    let seeds = match number("RAVELIN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RAVELIN_SCHEDULES").unwrap_or(200),
    };
    let crypto = Arc::new(ravelin::crypto::rustcrypto::provider());
    let pair = Pair::new();
    let begin = std::time::Instant::now();
    let (mut time, mut count) = (Duration::ZERO, 0);
    for seed in seeds {
        let schedule = Schedule::random(seed);
        match schedule.play(&crypto, &pair, false) {
            Some(passed) => time += passed,
            None => {
                let small = schedule.shrink(|s| s.play(&crypto, &pair, false).is_none());
                small.play(&crypto, &pair, true);
                panic!("RAVELIN_SEED={seed}: nodes do not converge; the smallest such schedule:\n{}", small.print());
            }
        }
        count += 1;
    }
    let real = begin.elapsed().as_secs_f64();
    println!(
        "{count} schedules, {:.0} virtual s in {real:.1} s: {:.0} times real time",
        time.as_secs_f64(),
        time.as_secs_f64() / real
    );
}
