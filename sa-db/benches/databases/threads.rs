//! Updates while other threads look up: rates, and how long readers take at worst.

use crate::rules::{Draw, Rng, Set, trace};
use crate::{TRACE, best, build, seed};
use ravelin_sa_db::sad::{InboundKey, OutboundSa, Sad, SadOp, SadPublisher};
use ravelin_sa_db::shared::Published;
use ravelin_sa_db::spd::{FlowCache, Scope};
use ravelin_sa_db::{ChildId, Direction, PolicyId, Spi};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Insertions and removals at a steady size: alone, then with a reader and a publication after every 64.
pub(crate) fn updates(size: usize, chosen: impl Fn(&str) -> bool) {
    println!("\nSPD updates at {size} policies (each is one removal and one insertion, counted as two)");
    println!("{:<10} {:>12} {:>14} {:>16} {:>14}", "set", "alone /s", "published /s", "reader lookups/s", "later");
    for (set, name) in Set::ALL.iter().copied().filter(|(_, name)| chosen(name)) {
        let all = set.policies(size + size / 2, seed());
        let (base, spare) = all.split_at(size.min(all.len()));
        let (mut spd, _) = build(base);
        let mut ids: Vec<PolicyId> = spd.iter().map(|p| p.id).collect();
        let mut rng = Rng(5);
        let rounds = spare.len().min(50_000);
        let fresh: Vec<_> = spare.iter().take(rounds).cloned().collect();
        let start = Instant::now();
        for p in fresh {
            let at = rng.below(ids.len() as u64) as usize;
            black_box(spd.remove(ids[at]));
            ids[at] = spd.add(p).unwrap();
        }
        let alone = 2.0 * rounds as f64 / start.elapsed().as_secs_f64();
        let mut publisher = spd.publisher();
        let reader = publisher.reader();
        let packets = trace(base, Draw::Uniform, TRACE, 9);
        let (stop, looked) = (AtomicBool::new(false), AtomicU64::new(0));
        let (mut later, mut secs) = (0u32, 0.0);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let scope = Scope::default();
                for burst in packets.chunks(32).cycle() {
                    let view = reader.load();
                    for p in burst {
                        black_box(view.lookup(Direction::Outbound, p, &scope).is_some());
                    }
                    looked.fetch_add(burst.len() as u64, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            let fresh: Vec<_> = (0..rounds).map(|n| (base[n % base.len()].clone(), n)).collect();
            let start = Instant::now();
            for (mut p, n) in fresh {
                p.name = format!("again{n}");
                let at = rng.below(ids.len() as u64) as usize;
                black_box(spd.remove(ids[at]));
                ids[at] = spd.add(p).unwrap();
                if n % 32 == 31 && publisher.publish(&mut spd) == Published::Later {
                    later += 1;
                }
            }
            while publisher.publish(&mut spd) == Published::Later {
                std::thread::yield_now();
            }
            secs = start.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
        });
        println!(
            "{name:<10} {alone:>12.0} {:>14.0} {:>16.0} {later:>14}",
            2.0 * rounds as f64 / secs,
            looked.load(Ordering::Relaxed) as f64 / secs
        );
    }
}

/// The flow cache over 1,000 flows.
pub(crate) fn cache() {
    println!("\nFlow cache in front of 100,000 policies: million lookups per second by number of flows");
    for (set, name) in [(Set::Hosts, "hosts"), (Set::Mixed, "mixed")] {
        let policies = set.policies(100_000, seed());
        let (spd, _) = build(&policies);
        for flows in [100, 1_000, 10_000] {
            let few = trace(&policies, Draw::Uniform, flows, 4);
            let mut rng = Rng(6);
            let packets: Vec<_> = (0..TRACE).map(|_| few[rng.below(flows as u64) as usize]).collect();
            let mut cache = FlowCache::new(Direction::Outbound, Scope::default(), flows);
            let ns = best(&packets, |packets| {
                for p in packets {
                    black_box(spd.lookup_cached(&mut cache, p).is_some());
                }
            });
            let (hits, misses) = cache.counts();
            let rate = hits as f64 / (hits + misses) as f64;
            println!(
                "{name:<10} {flows:>7} flows {:>8.1} M/s ({ns:.1} ns), {:.1}% from the cache",
                1e3 / ns,
                rate * 100.0
            );
        }
    }
}

fn spis(n: usize) -> Vec<Spi> {
    let mut rng = Rng(11);
    let mut seen = std::collections::HashSet::new();
    std::iter::repeat_with(|| rng.next() as u32).filter(|s| *s >= 256 && seen.insert(*s)).take(n).map(Spi).collect()
}

/// Insertion, lookup and removal by SPI.
pub(crate) fn sad(max: usize) {
    println!("\nSAD by SPI, nanoseconds each (lookup reads the entry's child id; find only says whether it is there)");
    println!("{:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "SAs", "insert", "find", "lookup", "miss", "remove", "B/SA");
    let object = Arc::new(());
    for n in [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|n| *n <= max) {
        let all = spis(2 * n);
        let (here, absent) = all.split_at(n);
        let mut sad: Sad<()> = Sad::new();
        let start = Instant::now();
        for (c, spi) in here.iter().enumerate() {
            sad.insert_inbound(InboundKey::spi(*spi), ChildId(c as u64), Arc::clone(&object)).unwrap();
        }
        let insert = start.elapsed().as_nanos() as f64 / n as f64;
        let mut rng = Rng(12);
        let hits: Vec<Spi> = (0..TRACE).map(|_| here[rng.below(n as u64) as usize]).collect();
        let misses: Vec<Spi> = (0..TRACE).map(|_| absent[rng.below(n as u64) as usize]).collect();
        let find = |list: &[Spi]| {
            best(list, |list| {
                let mut count = 0u32;
                for spi in list {
                    count += u32::from(sad.has_spi(*spi));
                }
                black_box(count);
            })
        };
        let lookup = best(&hits, |list| {
            let mut sum = 0u64;
            for spi in list {
                sum = sum.wrapping_add(sad.by_spi(*spi).map_or(0, |s| s.child.0));
            }
            black_box(sum);
        });
        let (hit, miss, memory) = (find(&hits), find(&misses), sad.lookup_memory());
        let start = Instant::now();
        for c in 0..n {
            black_box(sad.remove(ChildId(c as u64), Direction::Inbound).is_some());
        }
        let remove = start.elapsed().as_nanos() as f64 / n as f64;
        println!(
            "{n:>9} {insert:>8.1} {hit:>8.1} {lookup:>8.1} {miss:>8.1} {remove:>8.1} {:>8.0}",
            memory as f64 / n as f64
        );
    }
}

/// Eight readers on two cores while one writer rekeys 10,000 SAs per second.
pub(crate) fn readers() {
    const SAS: usize = 100_000;
    const SECONDS: u64 = 4;
    let all = spis(SAS + 200_000);
    let (here, fresh) = all.split_at(SAS);
    let object = Arc::new(());
    let mut sad: Sad<()> = Sad::new();
    let outbound = |n: usize, spi: Spi| OutboundSa {
        child: ChildId(n as u64),
        policy: PolicyId((n % SAS) as u32),
        spi,
        local_ts: vec!["0.0.0.0/0".parse().unwrap()],
        remote_ts: vec!["0.0.0.0/0".parse().unwrap()],
        resource: Vec::new(),
        active: true,
        sa: Arc::clone(&object),
    };
    for (n, spi) in here.iter().enumerate() {
        sad.insert_inbound(InboundKey::spi(*spi), ChildId(n as u64), Arc::clone(&object)).unwrap();
        sad.insert_outbound(outbound(n, *spi)).unwrap();
    }
    let mut publisher = SadPublisher::new(sad);
    let stop = AtomicBool::new(false);
    let mut histogram = vec![0u64; 40];
    let (mut rekeyed, mut later, mut secs) = (0usize, 0u64, 0.0);
    std::thread::scope(|threads| {
        let handles: Vec<_> = (0..8u64)
            .map(|n| {
                let (reader, stop) = (publisher.reader(), &stop);
                threads.spawn(move || {
                    let (mut histogram, mut rng) = (vec![0u64; 40], Rng(n));
                    while !stop.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        let view = reader.load();
                        let mut found = 0;
                        for _ in 0..32 {
                            found += u32::from(view.by_spi(here[rng.below(SAS as u64) as usize]).is_some());
                        }
                        drop(view);
                        black_box(found);
                        let ns = start.elapsed().as_nanos() as u64;
                        histogram[ns.max(1).ilog2() as usize] += 1;
                    }
                    histogram
                })
            })
            .collect();
        let start = Instant::now();
        let mut next = start;
        let end = start + Duration::from_secs(SECONDS);
        while Instant::now() < end {
            // One hundred rekeyings every 10 ms: inbound and outbound installed, switched, the old pair removed.
            for _ in 0..100 {
                let old = ChildId(rekeyed as u64);
                let new = SAS + rekeyed;
                let spi = fresh[rekeyed % fresh.len()];
                let (mut pair, child) = (outbound(new, spi), ChildId(new as u64));
                pair.active = false;
                publisher.apply(SadOp::Inbound(InboundKey::spi(spi), child, Arc::clone(&object))).unwrap();
                publisher.apply(SadOp::Outbound(pair)).unwrap();
                publisher.apply(SadOp::Switch(old, child)).unwrap();
                publisher.apply(SadOp::Remove(old, Direction::Outbound)).unwrap();
                publisher.apply(SadOp::Remove(old, Direction::Inbound)).unwrap();
                rekeyed += 1;
                later += u64::from(publisher.publish() == Published::Later);
            }
            next += Duration::from_millis(10);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        secs = start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        for h in handles {
            h.join().unwrap().iter().zip(&mut histogram).for_each(|(n, to)| *to += n);
        }
    });
    println!(
        "\n8 readers on {} cores, {:.0} rekeyings per second at {SAS} SAs, {later} publications put off to the next",
        std::thread::available_parallelism().unwrap(),
        rekeyed as f64 / secs
    );
    println!(
        "time for one burst of 32 lookups, all readers (what is above 1 ms is the scheduler taking the core away):"
    );
    let total: u64 = histogram.iter().sum();
    let mut sum = 0;
    for (n, count) in histogram.iter().enumerate().filter(|(_, c)| **c != 0) {
        sum += count;
        println!("  below {:>12} ns {count:>10} {:>10.5}%", 1u64 << (n + 1), sum as f64 * 100.0 / total as f64);
    }
}

/// Peers by identity and by address.
pub(crate) fn pad(max: usize) {
    use ravelin_sa_db::{AddrRange, IdPattern, Identity, Pad, Peer};
    println!("\nPAD, nanoseconds each");
    println!("{:>9} {:>10} {:>14} {:>14}", "peers", "add", "by identity", "by address");
    for n in [100, 10_000, 100_000].into_iter().filter(|n| *n <= max) {
        let mut pad = Pad::new();
        let peers: Vec<Peer> = (0..n)
            .map(|i| {
                let mut p = Peer::new(
                    format!("peer{i}"),
                    Identity::fqdn("gw"),
                    IdPattern::Exact(Identity::fqdn(&format!("p{i}.lab.test"))),
                );
                p.proposals = Vec::new();
                p.remote_addrs = vec![AddrRange::host(std::net::Ipv4Addr::from_bits(0x0A00_0000 + i as u32).into())];
                p
            })
            .collect();
        let start = Instant::now();
        for p in peers {
            pad.add(p).unwrap();
        }
        let add = start.elapsed().as_nanos() as f64 / n as f64;
        let mut rng = Rng(3);
        let asked: Vec<(Identity, std::net::IpAddr)> = (0..1 << 14)
            .map(|_| {
                let i = rng.below(n as u64);
                (
                    Identity::fqdn(&format!("p{i}.lab.test")),
                    std::net::Ipv4Addr::from_bits(0x0A00_0000 + i as u32).into(),
                )
            })
            .collect();
        let by_id =
            best(&asked, |l| l.iter().for_each(|(id, addr)| assert!(black_box(pad.find(None, id, *addr)).is_some())));
        let by_addr =
            best(&asked, |l| l.iter().for_each(|(_, addr)| assert!(black_box(pad.candidates(*addr).next()).is_some())));
        println!("{n:>9} {add:>10.0} {by_id:>14.0} {by_addr:>14.0}");
    }
}
