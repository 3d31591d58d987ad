//! Random schedules of operator commands and network events; after the network heals both nodes converge.
//!
//! `RAVELIN_SCHEDULES=10000` for the full run (`RAVELIN_FULL=1` is the same), `RAVELIN_FIRST=n` begins elsewhere,
//! `RAVELIN_SEED=n` plays one, `RAVELIN_KEEP_GOING=1` lists every seed that fails and goes on.
//! One test in a process of its own, because it counts the heap's octets.

use ravelin_testkit::schedule::Schedule;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Played in every test run; the rest of the full run's ten thousand on request.
const DEFAULT: u64 = 200;
const FULL: u64 = 10_000;
/// Played in every test run too: they found faults that the first ones do not.
const FOUND: [u64; 2] = [1_117, 5_161];

#[test]
#[allow(clippy::disallowed_methods, reason = "the speed of the simulation is printed, not used")]
fn nodes_converge_after_any_storm() {
    let full = number("RAVELIN_FULL").is_some();
    let count = number("RAVELIN_SCHEDULES").unwrap_or(if full { FULL } else { DEFAULT });
    let first = number("RAVELIN_FIRST").unwrap_or(0);
    let seeds: Vec<u64> = match number("RAVELIN_SEED") {
        Some(seed) => vec![seed],
        None if full => (first..first + count).collect(),
        None => (first..first + count).chain(FOUND).collect(),
    };
    let keep_going = number("RAVELIN_KEEP_GOING").is_some();
    let crypto = Arc::new(ravelin::crypto::rustcrypto::provider());
    let begin = std::time::Instant::now();
    let (mut time, mut count, mut datagrams, mut kept, mut failed) = (Duration::ZERO, 0, 0, 0, vec![]);
    for seed in seeds {
        let schedule = Schedule::random(seed);
        count += 1;
        match schedule.play(&crypto, &heap, false) {
            Some(played) => {
                time += played.time;
                datagrams += played.datagrams;
                kept = kept.max(played.kept);
            }
            None if keep_going => {
                println!("RAVELIN_SEED={seed} fails");
                failed.push(seed);
            }
            None => {
                let small = schedule.shrink(|s| s.play(&crypto, &heap, false).is_none());
                small.play(&crypto, &heap, true);
                panic!("RAVELIN_SEED={seed}: nodes do not converge; the smallest such schedule:\n{}", small.print());
            }
        }
    }
    let (real, time) = (begin.elapsed().as_secs_f64(), time.as_secs_f64());
    println!(
        "{count} schedules, {datagrams} datagrams, {time:.0} virtual s in {real:.1} s: {:.0} times real time",
        time / real
    );
    println!("after shutdown a node has at most {kept} octets more than a fresh one");
    assert!(failed.is_empty(), "{} of {count} fail: {failed:?}", failed.len());
}
