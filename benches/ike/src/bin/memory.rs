//! Memory of a responder with many IKE SAs, each with one Child SA pair in the inline plane; of half-open SAs; and what a
//! timer event costs. Octets are those asked of the allocator. `cargo run --release --bin memory`;
//! `RAVELIN_SAS=1000` for fewer SAs.

use comfy_table::{CellAlignment, Table, presets};
use ravelin::ike::sa::Why;
use ravelin_bench_ike::{Bench, Result, providers};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SUITE: &str = "aes256gcm16-prfsha256-x25519";

fn main() -> Result<()> {
    let most = std::env::var("RAVELIN_SAS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000usize);
    let Some((_, crypto)) = providers().pop() else { return Ok(()) };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "IKE SAS",
        "OCTETS PER IKE SA WITH CHILD",
        "OCTETS PER HALF-OPEN",
        "TIMER EVENT",
        "DEADLINE",
    ]);
    for count in [1_000, 10_000, 100_000].into_iter().filter(|n| *n <= most) {
        let mut bench = Bench::new(&crypto, SUITE)?;
        bench.handshake()?;
        let before = live();
        for _ in 0..count {
            drop(bench.handshake()?);
        }
        while bench.responder.poll_output().is_some() {}
        let per_sa = live().saturating_sub(before) / count;
        let begin = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(bench.responder.deadline());
        }
        let deadline = begin.elapsed() / 100;
        let timer = timers(&mut bench, count);
        let mut bench = Bench::new(&crypto, SUITE)?;
        bench.half_open()?;
        let before = live();
        for _ in 0..count.min(10_000) {
            bench.half_open()?;
        }
        let per_half_open = live().saturating_sub(before) / count.min(10_000);
        table.add_row([
            count.to_string(),
            per_sa.to_string(),
            per_half_open.to_string(),
            format!("{timer:.2} us"),
            format!("{:.2} us", deadline.as_secs_f64() * 1e6),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}

/// Octets in use.
fn live() -> usize {
    let s = ALLOCATOR.stats();
    s.bytes_allocated.saturating_sub(s.bytes_deallocated)
}

/// Microseconds per liveness check that falls due, the sealed request included.
fn timers(bench: &mut Bench, count: usize) -> f64 {
    bench.pass(61_000_000);
    let begin = Instant::now();
    let mut calls = 0u32;
    while bench.responder.deadline().is_some_and(|d| d.at <= bench.now().mono && d.why != Why::Output) && calls < 1_000
    {
        bench.responder.handle_timeout(bench.now());
        while bench.responder.poll_output().is_some() {}
        calls = calls.saturating_add(1);
    }
    begin.elapsed().as_secs_f64() * 1e6 / count as f64
}
