//! IKE handshakes per second and core beside what cryptography alone allows and beside `ryke`; memory and timers of a
//! gateway with up to 100,000 IKE SAs.
//!
//! Contenders take turns, a batch each per round; initiators are made outside the clock, and the clock is the processor
//! time of the one thread that does everything. Figures are medians over the rounds.
//! `cargo run --release -- [quick] [rate|scale|hybrid] [markdown file] [directory for plots]`;
//! `… -- loop fast 0` makes handshakes of one provider and suite for ten seconds, for a profiler (`loop fast 0 4`: four
//! batches only, for one that counts instructions); `… -- blocks fast` tells which heap blocks an SA is made of.

mod ceiling;
mod hybrid;
mod peers;
mod plot;
mod rate;
mod scale;
mod udp;

use ravelin_bench_ike::meter::{self, Counting};
use ravelin_bench_ike::world::World;
use ravelin_bench_ike::{Result, SUITES, providers};
use std::fmt::Write as _;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        println!("a debug build: use --release, these numbers say nothing");
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, provider, suite, ..] = args.as_slice()
        && word == "loop"
    {
        let batches = args.get(3).map(|n| n.parse()).transpose()?;
        return forever(provider, suite.parse()?, batches);
    }
    if let [word, provider, ..] = args.as_slice()
        && word == "blocks"
    {
        let (_, crypto) = providers().into_iter().find(|(n, _)| n == provider).ok_or("fast or portable")?;
        for half in [false, true] {
            println!("half-open: {half}");
            for (size, count) in scale::blocks_per_sa(&crypto, half)? {
                println!("{size:>5} octets x {count:.2} = {:.0}", size as f64 * count);
            }
        }
        return Ok(());
    }
    let has = |word: &str| args.iter().any(|a| a == word);
    let files: Vec<_> = args.iter().filter(|a| !["quick", "rate", "scale", "hybrid"].contains(&a.as_str())).collect();
    let (quick, all) = (has("quick"), !has("rate") && !has("scale") && !has("hybrid"));
    let mut md = machine();
    let mut bars = Vec::new();
    if all || has("rate") {
        let rows = rate::run(if quick { 5 } else { 25 })?;
        rate::table(&rows, &mut md);
        bars = rows;
    }
    if all || has("hybrid") {
        hybrid::run(if quick { 5 } else { 25 }, &mut md)?;
    }
    if all || has("scale") {
        let counts: &[usize] = if quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] };
        for (name, crypto) in providers() {
            let _ = writeln!(md, "### Scale, {name} provider\n");
            scale_table(&scale::run(&crypto, counts, if quick { 5 } else { 25 })?, &mut md);
            let (open, cookies) = scale::half_open(&crypto, if quick { 1_000 } else { 10_000 })?;
            let _ = writeln!(
                md,
                "Half-open responder: {open} octets of heap each; while cookies are demanded: {cookies}.\n"
            );
        }
    }
    println!("{md}");
    if let Some(path) = files.first() {
        std::fs::write(path, &md)?;
    }
    if let Some(dir) = files.get(1)
        && !bars.is_empty()
    {
        std::fs::write(format!("{dir}/ike-handshakes.svg"), plot::bars(&bars))?;
    }
    Ok(())
}

fn forever(provider: &str, suite: usize, batches: Option<usize>) -> Result<()> {
    let (_, crypto) = providers().into_iter().find(|(n, _)| *n == provider).ok_or("fast or portable")?;
    let suite = *SUITES.get(suite).ok_or("no such suite")?;
    if let Some(batches) = batches {
        let mut world = World::new(&crypto, suite)?;
        world.timed()?;
        meter::counting(true);
        let before = meter::allocations();
        (0..batches).try_for_each(|_| world.timed().map(drop))?;
        let all = (meter::allocations() - before) as usize / (batches * suite.batch).max(1);
        println!("{all} allocations per handshake, PAD entries and policies of the initiator included");
        return Ok(());
    }
    let begin = meter::cpu();
    while meter::cpu() - begin < Duration::from_secs(10) {
        let mut world = World::new(&crypto, suite)?;
        let all = (0..20).map(|_| world.timed()).collect::<Result<Vec<f64>>>()?;
        println!("{:.0}/s", 1.0 / meter::median(all));
    }
    Ok(())
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name\t: ")).unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("Machine: {model}, {cores} cores, load {load} at the start.\n\n")
}

fn scale_table(rows: &[scale::Row], md: &mut String) {
    let _ = writeln!(
        md,
        "| IKE SAs | heap per SA | resident per SA | handshakes/s | of an empty one | timer event | `deadline()` | idle `handle_timeout()` |\n|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for r in rows {
        let share = r.rate / r.empty * 100.0;
        let _ = writeln!(
            md,
            "| {} | {} | {} | {:.0} | {share:.0} % of {:.0} | {:.2} us | {:.0} ns | {:.2} us |",
            r.sas, r.heap, r.resident, r.rate, r.empty, r.timer, r.deadline, r.idle
        );
    }
    md.push('\n');
}
