//! Benchmarks of the three databases, beside simpler structures. Run with
//! `cargo bench -p ravelin-sa-db --bench databases -- [spd|ports|rivals|update|cache|sad|readers|pad] [--min N] [--max N]`,
//! `-- [update] --set acl,hub [--shape]` for some rule sets, their trees described instead of measured; `--seed N` for other sets; `--rounds 1` for
//! instructions counted by `valgrind --tool=callgrind`, which neighbours do not disturb; `--avx2` or `--any-processor` for lookups as on
//! lesser processors; `--ipv6` for sections spd and ports with every IPv4 prefix as one of IPv6, 32 bits longer.
//! `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` gives it large pages, as a daemon with large tables would have them.
//!
//! Own harness: times are the sum of the fastest times of the segments of a trace of 131,072 packets.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock and starts threads"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program that ends when it is wrong"
)]

mod rivals;
mod rules;
mod threads;

use ravelin_sa_db::spd::{Instructions, Policy, Scope, Spd};
use ravelin_sa_db::{Direction, PacketKey};
use rules::{Draw, Set, trace};
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// What the sets are made of: `--seed N`. Figures are given for this one, others tell luck from gain.
static SEED: AtomicU64 = AtomicU64::new(20_261_121);

/// Lookups as on lesser processors: `--avx2`, `--any-processor`.
static LIMIT: OnceLock<Instructions> = OnceLock::new();

pub(crate) fn seed() -> u64 {
    SEED.load(Ordering::Relaxed)
}

const TRACE: usize = 1 << 17;
const SEGMENT: usize = 1 << 12;

/// How often a trace is gone through: `--rounds N`. One is enough to count instructions with valgrind.
static ROUNDS: AtomicU32 = AtomicU32::new(9);

/// Time that this thread has had a core, in nanoseconds: what other programs take away does not count.
pub(crate) fn on_core() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// Time per item in nanoseconds. The items are gone through in order, [`ROUNDS`] times, in segments of a millisecond or so;
/// of each segment the fastest time counts: other programs on the machine can only make it slower.
pub(crate) fn best<T>(items: &[T], mut run: impl FnMut(&[T])) -> f64 {
    let mut fastest = vec![u64::MAX; items.len().div_ceil(SEGMENT)];
    for _ in 0..ROUNDS.load(Ordering::Relaxed) {
        for (segment, time) in items.chunks(SEGMENT).zip(&mut fastest) {
            let start = Instant::now();
            run(segment);
            *time = (*time).min(start.elapsed().as_nanos() as u64);
        }
    }
    fastest.iter().sum::<u64>() as f64 / items.len() as f64
}

fn singles(spd: &Spd, packets: &[PacketKey]) -> f64 {
    let scope = Scope::default();
    best(packets, |packets| {
        for p in packets {
            black_box(spd.lookup_out(p, &scope).is_some());
        }
    })
}

fn bursts(spd: &Spd, packets: &[PacketKey]) -> f64 {
    let scope = Scope::default();
    best(packets, |packets| {
        for chunk in packets.chunks(64) {
            spd.lookup_burst(Direction::Outbound, chunk, &scope, |p| {
                black_box(p.is_some());
            });
        }
    })
}

fn build(policies: &[Policy]) -> (Spd, f64) {
    let copies = policies.to_vec();
    let start = on_core();
    let mut spd = Spd::new();
    if let Some(limit) = LIMIT.get() {
        spd.limit_to(*limit);
    }
    for p in copies {
        spd.add(p).unwrap();
    }
    spd.settle();
    (spd, (on_core() - start) as f64 / 1e9)
}

/// What a read of memory costs that waits for the one before, in nanoseconds, when all reads are within so many octets:
/// a walk through all cache lines of them in random order, the fastest of three.
fn read_price(octets: usize) -> f64 {
    const WORDS: usize = 16;
    let lines = (octets / 64).max(2);
    let mut next: Vec<u32> = vec![0; lines * WORDS];
    let mut order: Vec<u32> = (0..lines as u32).collect();
    let mut rng = rules::Rng(7);
    for n in (1..lines).rev() {
        order.swap(n, rng.below(n as u64 + 1) as usize);
    }
    for (a, b) in order.iter().zip(order.iter().cycle().skip(1)) {
        next[*a as usize * WORDS] = *b;
    }
    let steps = lines.max(1 << 18);
    let walk = || {
        let start = Instant::now();
        let at = (0..steps).fold(0, |at: u32, _| next[at as usize * WORDS]);
        black_box(at);
        start.elapsed().as_nanos() as f64 / steps as f64
    };
    (0..3).map(|_| walk()).fold(f64::INFINITY, f64::min)
}

/// How the sets of a section are measured.
#[derive(Clone, Copy)]
struct How {
    /// Described instead.
    shape: bool,
    /// Over IPv6.
    ipv6: bool,
}

fn spd_section(sets: &[(Set, &str)], sizes: &[usize], how: How) {
    println!(
        "{:<15} {:>8} {:>9} {:>9} | {:>8} {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8} | {:>13}",
        "set",
        "policies",
        "adds/s",
        "B/policy",
        "uniform",
        "burst",
        "zipf",
        "burst",
        "miss",
        "burst",
        "hit rate",
        "reads x price"
    );
    for (set, name) in sets {
        for size in sizes {
            let mut policies = set.policies(*size, seed());
            if policies.len() < *size {
                continue;
            }
            if how.ipv6 {
                policies.iter_mut().for_each(rules::over_ipv6);
            }
            let (spd, secs) = build(&policies);
            // Few are added in less time than the clock tells.
            let per_second = if secs > 0.0 { format!("{:.0}", *size as f64 / secs) } else { String::from("-") };
            if how.shape {
                println!("{name} {size}, {per_second}/s\n{}", spd.describe_lookup());
                continue;
            }
            let uniform = trace(&policies, Draw::Uniform, TRACE, 1);
            let zipf = trace(&policies, Draw::Zipf, TRACE, 2);
            let miss = trace(&policies, Draw::Miss, TRACE, 3);
            let scope = Scope::default();
            let hit = miss.iter().filter(|p| spd.lookup_out(p, &scope).is_some()).count() as f64 / miss.len() as f64;
            // The least that a lookup waits for memory, one by one: reads that wait for each other, at the price that
            // a read within so much memory has on this machine right now.
            let reads = if *size > 1 { set.reads() } else { 1 };
            let price = read_price(spd.lookup_memory());
            println!(
                "{name:<15} {:>8} {per_second:>9} {:>9.0} | {:>8.1} {:>8.1} {:>8.1} {:>8.1} | {:>8.1} {:>8.1} {:>7.0}% | {reads} x {price:.1} = {:.0}",
                size,
                spd.lookup_memory() as f64 / *size as f64,
                singles(&spd, &uniform),
                bursts(&spd, &uniform),
                singles(&spd, &zipf),
                bursts(&spd, &zipf),
                singles(&spd, &miss),
                bursts(&spd, &miss),
                hit * 100.0,
                reads as f64 * price
            );
        }
    }
}

/// Ours beside simpler structures, on the same rules and packets; all must give the same answers.
fn rivals_section(sizes: &[usize]) {
    println!(
        "\nOurs beside others: nanoseconds per lookup, uniform traffic (hit); '-': cannot express the set, or too large"
    );
    println!(
        "{:<15} {:>8} {:>8} {:>8} {:>10} {:>9} {:>10} {:>10} {:>8}",
        "set", "policies", "ours", "burst", "linear", "tuples", "hash>=24", "split tree", "trie"
    );
    let sets = Set::ALL.iter().chain(Set::PORTS).filter(|(s, _)| *s != Set::Six);
    for (set, name) in sets {
        for size in sizes.iter().filter(|n| **n > 1 && **n <= 100_000) {
            let policies = set.policies(*size, seed());
            if policies.len() < *size {
                continue;
            }
            let (spd, _) = build(&policies);
            let packets = trace(&policies, Draw::Uniform, TRACE, 1);
            let rules = rivals::rules(&policies);
            let scope = Scope::default();
            let name_of = |order: u64| format!("p{}", order as u32);
            let ours = |p: &PacketKey| spd.lookup_out(p, &scope).map(|p| p.name.clone());
            let measure = |find: &dyn Fn(&PacketKey) -> Option<u64>, n: usize| {
                packets.iter().take(300).for_each(|p| assert_eq!(find(p).map(name_of), ours(p), "{name} {p:?}"));
                format!(
                    "{:.0}",
                    best(&packets[..n], |l| l.iter().for_each(|p| {
                        black_box(find(p));
                    }))
                )
            };
            let few = (40_000_000 / size).clamp(512, TRACE);
            let linear = rivals::Linear(rules.clone());
            let tuples = rivals::TupleSpace::new(&rules);
            let thresholds = rivals::Thresholds::new(&rules, 24);
            let split = rivals::Split::new(&rules, 40 * size);
            let trie = (*set == Set::Hosts || *set == Set::Nets).then(|| rivals::Trie::new(&rules));
            println!(
                "{name:<15} {size:>8} {:>8.0} {:>8.0} {:>10} {:>9} {:>10} {:>10} {:>8}",
                singles(&spd, &packets),
                bursts(&spd, &packets),
                measure(&|p| linear.find(p), few.min(2048)),
                format!("{} ({})", measure(&|p| tuples.find(p), few), tuples.tuples()),
                measure(&|p| thresholds.find(p), few.min(8192)),
                split.map_or("-".into(), |t| measure(&|p| t.find(p), TRACE)),
                trie.map_or("-".into(), |t| {
                    let agree = packets.iter().take(300).filter(|p| t.find(p).map(name_of) == ours(p)).count();
                    let ns = best(&packets, |l| {
                        l.iter().for_each(|p| {
                            black_box(t.find(p));
                        })
                    });
                    if agree == 300 { format!("{ns:.0}") } else { format!("{ns:.0}*") }
                }),
            );
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)?.parse().ok());
    let (min, max) = (value("--min").unwrap_or(1), value("--max").unwrap_or(1_000_000));
    if let Some(seed) = value("--seed") {
        SEED.store(seed as u64, Ordering::Relaxed);
    }
    for (flag, most) in [("--any-processor", Instructions::Any), ("--avx2", Instructions::Avx2)] {
        if args.iter().any(|a| a == flag) {
            LIMIT.get_or_init(|| most);
        }
    }
    if let Some(rounds) = value("--rounds") {
        ROUNDS.store(u32::try_from(rounds).unwrap_or(9), Ordering::Relaxed);
    }
    let given = |flag: &str| args.iter().any(|a| a == flag);
    let how = How { shape: given("--shape"), ipv6: given("--ipv6") };
    let wants = |name: &str| {
        args.iter().all(|a| a.starts_with('-') || a.parse::<usize>().is_ok()) || args.iter().any(|a| a == name)
    };
    let sizes: Vec<usize> =
        [1, 1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|n| (min..=max).contains(n)).collect();
    let one = args.iter().position(|a| a == "--set").and_then(|i| args.get(i + 1)).cloned();
    let chosen = |name: &str| one.as_deref().is_none_or(|one| one.split(',').any(|o| o == name));
    if one.is_some() && !args.iter().any(|a| a == "update") {
        let sets: Vec<(Set, &str)> = Set::ALL.iter().chain(Set::PORTS).filter(|(_, n)| chosen(n)).copied().collect();
        return spd_section(&sets, &sizes, how);
    }
    if wants("spd") {
        println!("SPD lookups, nanoseconds each");
        spd_section(Set::ALL, &sizes, how);
    }
    if wants("ports") {
        println!("SPD lookups where policies differ in ports alone, nanoseconds each");
        spd_section(Set::PORTS, &[100, 1_000, 10_000], how);
    }
    if wants("rivals") {
        rivals_section(&sizes);
    }
    if wants("update") {
        threads::updates(max.min(100_000), chosen);
    }
    if wants("cache") {
        threads::cache();
    }
    if wants("sad") {
        threads::sad(max);
    }
    if wants("readers") {
        threads::readers();
    }
    if wants("pad") {
        threads::pad(max);
    }
}
