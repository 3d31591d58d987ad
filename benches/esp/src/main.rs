//! The ESP plane against the bare cipher of the same provider, `ryke` and `boringtun`, in one run.
//!
//! Contenders take turns: each round prepares a batch of packets for each of them outside the clock, then times the
//! batch. The figure is the lower quartile of all rounds, so that a busy machine disturbs all alike and little.
//! `cargo run --release -- [quick] [markdown file] [directory for plots]`

mod alloc;
mod floor;
mod lanes;
mod many;
mod peers;
mod plot;
mod setup;
mod single;

use std::fmt::Write as _;

/// Measured sizes of inner IP packets, in octets.
pub const SIZES: [usize; 6] = [64, 256, 512, 1024, 1400, 9000];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|a| a == "quick");
    let files: Vec<_> = args.iter().filter(|a| *a != "quick").collect();
    let rounds = if quick { 60 } else { 400 };
    let mut md = String::new();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name\t: ")).unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(md, "Machine: {model}, {cores} cores. {rounds} rounds of {} packets each.\n", setup::BATCH);
    if args.iter().any(|a| a == "floor") {
        floor::run(200_000, &mut md);
        println!("{md}");
        return;
    }
    alloc::check(&mut md);
    floor::run(rounds * 10, &mut md);
    let tables = single::run(rounds, &mut md);
    many::run(rounds.min(200), &mut md);
    lanes::run(if quick { 3 } else { 8 }, &mut md);
    println!("{md}");
    if let Some(path) = files.first() {
        std::fs::write(path, &md).expect("markdown file");
    }
    if let Some(dir) = files.get(1) {
        for (name, svg) in plot::all(&tables) {
            std::fs::write(format!("{dir}/{name}.svg"), svg).expect("plot");
        }
    }
}
