//! The ESP plane against the bare cipher of the same provider, `ryke` and `boringtun`, in one run.
//!
//! Contenders take turns: each round prepares a batch of packets for each of them outside the clock, then times the
//! batch. The figure is the lower quartile of all rounds, so that a busy machine disturbs all alike and little.
//! `cargo run --release -- [quick] [markdown file] [directory for plots]`, or `-- floor`, `-- hot`, `-- lanes`, `-- many`,
//! `-- profile`, `-- single` (of which the environment may name one, `CASE=AES-128-GCM,\ ipsec-mb`) for a part.

mod alloc;
mod floor;
mod hot;
mod lanes;
mod many;
#[cfg(feature = "peers")]
mod peers;
/// Nobody to compare with.
#[cfg(not(feature = "peers"))]
mod peers {
    pub struct Peers;
    impl Peers {
        pub fn new(_: usize) -> Self {
            Self
        }
        pub fn round(&mut self, _: &[Vec<u8>]) -> [f64; 4] {
            [f64::NAN; 4]
        }
    }
}
mod plot;
mod setup;
mod single;

use std::fmt::Write as _;

/// Measured sizes of inner IP packets, in octets.
pub const SIZES: [usize; 6] = [64, 256, 512, 1024, 1400, 9000];

/// ipsec-mb over aws-lc-rs, where this build and processor have it.
pub fn ipsec_mb() -> Option<std::sync::Arc<ravelin_crypto::Provider>> {
    let mb = ravelin_crypto_ipsec_mb::provider()?;
    Some(std::sync::Arc::new(mb.or("ipsec-mb over aws-lc-rs", &ravelin_crypto::awslc::provider())))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|a| a == "quick");
    let words = ["quick", "floor", "hot", "lanes", "many", "profile", "single"];
    let files: Vec<_> = args.iter().filter(|a| !words.contains(&a.as_str())).collect();
    let rounds = if quick { 60 } else { 400 };
    let mut md = String::new();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name\t: ")).unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(md, "Machine: {model}, {cores} cores. {rounds} rounds of {} packets each.\n", setup::BATCH);
    if args.iter().any(|a| a == "floor") {
        let rounds = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(20_000);
        floor::run(rounds, &mut md);
        println!("{md}");
        return;
    }
    if args.iter().any(|a| a == "single") {
        single::run(rounds, &mut md);
        println!("{md}");
        return;
    }
    if args.iter().any(|a| a == "hot") {
        hot::run(rounds * 20, &mut md);
        println!("{md}");
        return;
    }
    if args.iter().any(|a| a == "lanes") {
        lanes::run(if quick { 3 } else { 8 }, &mut md);
        println!("{md}");
        return;
    }
    if args.iter().any(|a| a == "many") {
        many::run(rounds.min(200), &mut md);
        println!("{md}");
        return;
    }
    if args.iter().any(|a| a == "profile") {
        // Nothing but the numbers, for a table over profiles.
        for t in single::run(rounds / 2, &mut md) {
            for (name, v) in t.rows.iter().filter(|(n, _)| n.ends_with("bare cipher") || n.ends_with("in place") || n == "open: plane") {
                println!("{} | {name} | {:.0} | {:.0}", t.title, v[0], v[4]);
            }
        }
        return;
    }
    if let Some(with) = ravelin_crypto_ipsec_mb::instructions() {
        let _ = writeln!(md, "ipsec-mb runs its code for {with}.\n");
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
        std::fs::create_dir_all(dir).expect("directory for plots");
        for (name, svg) in plot::all(&tables) {
            std::fs::write(format!("{dir}/{name}.svg"), svg).expect("plot");
        }
    }
}
