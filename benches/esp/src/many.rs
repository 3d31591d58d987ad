//! Many SAs: packets go to random ones of 1, 1,000, 100,000; one policy, a route per peer. One by one; in bursts, for
//! which the plane asks the memory ahead; in bursts with runs of one SA, as traffic has them. Sealing is measured while so
//! many outbound SAs are in use, opening while so many inbound ones are; "in turns" has both, 64 packets of each in turns,
//! that is twice as many SAs. The bare call with a key at random from as many says what of it is the provider's own memory,
//! "memory alone" what the least of an SA's memory takes to come, with nothing done: no plane can be below.
//!
//! The environment may name a part: `SAS="1 8 1000"`, `WAY=bursts` (a part of a row's name), `BY=ipsec-mb`, and more rounds: `TURNS=100`.

use crate::setup::{BATCH, FRONT, NOW, OUTER, POLICY, clock, headers, packet, path, planes, quartile, suite};
use ravelin_crypto::aead::AeadKey;
use ravelin_crypto::{EncrId, IntegId, Provider};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, Worker};
use ravelin_sa_db::Path;
use std::fmt::Write as _;
use std::sync::Arc;

/// Packets of one burst.
const BURST: usize = 32;
/// Packets of one SA one after the other, where there are runs.
const RUN: usize = 8;
/// Octets of an inner packet.
const LENGTHS: [usize; 2] = [64, 1400];
/// Batches of each way in one turn that count.
const ROUNDS: usize = 10;
/// The most packets that do not count, at the beginning of each way in a turn.
const WARM: usize = 4096;

/// The most other keys that are used before those of packets to be opened.
const OTHERS: usize = 40_000;

/// Cache lines that any ESP has to read of an SA for a packet: three of AES-128's round keys, which issue 6 wants made once,
/// one of the hash's powers, one of counters, one of the replay window or, to seal, of the outer header.
const LINES: usize = 6;

/// A cache line.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line([u64; 8]);

/// How packets are given to the plane.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Bare,
    Single,
    Burst,
    Runs,
    InTurns,
    Memory,
}

const WAYS: [(Way, &str); 6] = [
    (Way::Memory, "memory alone, 6 cache lines of each SA"),
    (Way::Bare, "bare call"),
    (Way::Single, "plane, one by one"),
    (Way::Burst, "plane, bursts"),
    (Way::Runs, "plane, bursts with runs of 8"),
    (Way::InTurns, "plane, bursts, both ways in turns"),
];

/// What the environment says of a part.
fn named(part: &str) -> Option<String> {
    std::env::var(part).ok()
}

pub fn run(rounds: usize, md: &mut String) {
    let fast = Arc::new(ravelin_crypto::awslc::provider());
    table("aws-lc-rs", &fast, rounds, md);
    if let Some(mb) = crate::ipsec_mb() {
        table("ipsec-mb", &mb, rounds, md);
    }
}

fn table(name: &str, provider: &Arc<Provider>, rounds: usize, md: &mut String) {
    if named("BY").is_some_and(|by| by != name) {
        return;
    }
    let _ = writeln!(
        md,
        "### Many SAs, {name}\n\nAES-128-GCM, nanoseconds per packet to a random SA; in brackets against one SA.\n"
    );
    let _ = writeln!(md, "| SAs | | seal 64 | open 64 | seal 1400 | open 1400 |");
    let _ = writeln!(md, "|---:|---|{}", "---:|".repeat(4));
    // All stand at once and take turns, so that a slow moment of the machine is everybody's. What is asked is the cost while
    // so many SAs are in use, not that of finding the others' data in the caches: each way begins with packets to about
    // all of its SAs, not counted.
    let counts = named("SAS").unwrap_or_else(|| "1 1000 100000".into());
    let counts = counts.split(' ').map(|n| n.parse().expect("SAS: numbers"));
    let mut all: Vec<(u32, Hosts)> = counts.map(|n| (n, Hosts::new(provider, n))).collect();
    let mut gauge = Gauge::new(provider);
    let turns = named("TURNS").map_or((rounds / 10).max(3), |n| n.parse().expect("TURNS: a number"));
    let chosen = |name: &str| named("WAY").is_none_or(|way| name.contains(&way));
    let ways: Vec<_> = WAYS.iter().enumerate().filter(|(_, (_, name))| chosen(name)).collect();
    for _ in 0..turns {
        for (_, hosts) in &mut all {
            for (n, (way, _)) in &ways {
                for (m, len) in LENGTHS.into_iter().enumerate() {
                    let [seal, open] = match way {
                        Way::Bare => hosts.bare(len, &mut gauge),
                        Way::InTurns => hosts.in_turns(len, &mut gauge),
                        Way::Memory => hosts.memory(&mut gauge),
                        _ => hosts.apart(*way, len, &mut gauge),
                    };
                    hosts.rows[*n][2 * m].extend(seal);
                    hosts.rows[*n][2 * m + 1].extend(open);
                }
            }
        }
    }
    let mut first = None;
    for (count, hosts) in &mut all {
        let quick = |(n, _): &(usize, _)| std::array::from_fn(|i| gauge.quick(&hosts.rows[*n][i]));
        let rows: Vec<[f64; 4]> = ways.iter().map(quick).collect();
        let base = first.get_or_insert_with(|| rows.clone());
        for (((_, (way, name)), row), base) in ways.iter().zip(&rows).zip(base.iter()) {
            let cell = |(v, b): (&f64, &f64)| match way {
                Way::Memory => format!("{v:.1}"),
                _ => format!("{v:.0} ({:.2} ×)", v / b),
            };
            let cells: Vec<_> = row.iter().zip(base).map(cell).collect();
            let _ = writeln!(md, "| {count} | {name} | {} |", cells.join(" | "));
        }
    }
    md.push('\n');
}

/// What the gauge said, and nanoseconds.
type Samples = Vec<(f64, f64)>;

/// Two planes with so many SAs, and as many bare keys.
struct Hosts {
    count: u32,
    out: Worker,
    inn: Worker,
    keys: Vec<Box<dyn AeadKey>>,
    lines: Vec<[Line; LINES]>,
    random: u64,
    /// By way and column.
    rows: Vec<[Samples; 4]>,
}

/// How fast the machine is at the moment. Its clock falls to some 70 % for seconds, and turns are longer than that of one
/// contender: what was measured in slow moments is left out.
struct Gauge {
    key: Box<dyn AeadKey>,
    data: Vec<u8>,
    best: f64,
}

impl Gauge {
    fn new(provider: &Provider) -> Self {
        let key = provider.aead(EncrId::AES_GCM_16, Some(128)).unwrap().key(&[7; 16]).unwrap();
        Self { key, data: vec![0; 1400], best: f64::MAX }
    }

    /// Nanoseconds of a fixed piece of work.
    fn pace(&mut self) -> f64 {
        let Self { key, data, best } = self;
        let mut tag = [0; 16];
        let mut run = || (0..8).for_each(|_| key.seal(&[3; 12], &[], data, &mut tag).unwrap());
        run();
        let took = clock(run);
        *best = best.min(took);
        took
    }

    /// The lower quartile of what was measured in quick moments; where there were few, in the quickest ones.
    fn quick(&self, samples: &[(f64, f64)]) -> f64 {
        let mut all = samples.to_vec();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quick = all.iter().filter(|s| s.0 <= self.best * 1.15).count();
        let mut kept: Vec<f64> = all.iter().take(quick.max(8)).map(|s| s.1).collect();
        quartile(&mut kept)
    }
}

fn back() -> Path {
    let p = path();
    Path { local: p.remote, remote: p.local }
}

/// One batch of buffers, used again and again: of more packets than the caches hold every second line would be theirs.
struct Buffers {
    bufs: Vec<Vec<u8>>,
    len: usize,
    /// Where a sealed packet is.
    sealed: (usize, usize),
}

impl Buffers {
    fn new(len: usize) -> Self {
        let mut buf = vec![0; FRONT + len + crate::setup::BACK];
        buf[FRONT..FRONT + len].copy_from_slice(&packet(len, 0));
        Self { bufs: vec![buf; BATCH], len, sealed: (0, 0) }
    }

    /// Packets to these SAs. The headers are needed again, the rest may be what it is.
    fn aim(&mut self, chosen: &[u32]) {
        for (buf, n) in self.bufs.iter_mut().zip(chosen) {
            buf[FRONT..FRONT + 28].copy_from_slice(&headers(self.len, *n));
        }
    }

    fn seal(&mut self, way: Way, out: &mut Worker) -> f64 {
        let plain = FRONT..FRONT + self.len;
        if way == Way::Single {
            return clock(|| {
                for buf in &mut self.bufs {
                    let (r, _) = out.seal_in_place(NOW, POLICY, buf, plain.clone()).unwrap();
                    self.sealed = (r.start, r.end);
                }
            });
        }
        let mut jobs: Vec<_> = self.bufs.iter_mut().map(|b| SealJob::new(POLICY, b, plain.clone())).collect();
        let took = clock(|| jobs.chunks_mut(BURST).for_each(|burst| out.seal_burst(NOW, burst)));
        for j in &jobs {
            let (r, _) = j.result.clone().unwrap();
            self.sealed = (r.start, r.end);
        }
        took
    }

    fn open(&mut self, way: Way, inn: &mut Worker) -> f64 {
        let (back, (start, end)) = (back(), self.sealed);
        if way == Way::Single {
            return clock(|| {
                for buf in &mut self.bufs {
                    let r = inn.ingress(NOW, back, OuterInfo::default(), &mut buf[start..end], OUTER);
                    assert!(matches!(r, Ingress::Deliver { .. }));
                }
            });
        }
        let job = |b| OpenJob::new(back, OuterInfo::default(), b, OUTER);
        let mut jobs: Vec<_> = self.bufs.iter_mut().map(|b| job(&mut b[start..end])).collect();
        let took = clock(|| jobs.chunks_mut(BURST).for_each(|burst| inn.open_burst(NOW, burst)));
        assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));
        took
    }

    /// What is sealed, one after the other.
    fn keep(&self, to: &mut Vec<u8>) {
        let (start, end) = self.sealed;
        self.bufs.iter().for_each(|b| to.extend_from_slice(&b[start..end]));
    }

    /// Packets that [`Buffers::keep`] kept.
    fn fill(&mut self, from: &[u8]) {
        let (start, end) = self.sealed;
        for (buf, packet) in self.bufs.iter_mut().zip(from.chunks_exact(end - start)) {
            buf[start..end].copy_from_slice(packet);
        }
    }
}

impl Hosts {
    fn new(provider: &Arc<Provider>, count: u32) -> Self {
        let gcm = |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n);
        let (a, b) = planes(provider, count, gcm);
        let aead = provider.aead(EncrId::AES_GCM_16, Some(128)).unwrap();
        let keys: Vec<Box<dyn AeadKey>> =
            (0..count).map(|n| aead.key(&gcm(n).encr_key.expose()[..16]).unwrap()).collect();
        // As `Worker::with_memory` advises.
        let slots = (count as usize * 2).max(4096);
        let (out, inn) = (Worker::with_memory(Arc::clone(&a), slots), Worker::with_memory(Arc::clone(&b), slots));
        let rows = vec![Default::default(); WAYS.len()];
        let lines = vec![[Line([1; 8]); LINES]; count as usize];
        let mut all = Self { count, out, inn, keys, lines, random: 88172645463325252, rows };
        // A worker learns its SAs once; that is not what is asked here.
        let mut known: Vec<u32> = (0..count).collect();
        known.resize(known.len().next_multiple_of(BATCH), 0);
        let mut batch = Buffers::new(64);
        for chosen in known.chunks(BATCH) {
            batch.aim(chosen);
            batch.seal(Way::Single, &mut all.out);
            batch.open(Way::Single, &mut all.inn);
        }
        all
    }

    /// Batches at the beginning that do not count.
    fn warm(&self) -> usize {
        (self.count as usize * 3).min(WARM).div_ceil(BATCH)
    }

    /// Random SAs for a batch.
    fn choose(&mut self, way: Way) -> Vec<u32> {
        let run = if way == Way::Runs { RUN } else { 1 };
        let next = |_| {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            (self.random % u64::from(self.count)) as u32
        };
        (0..BATCH / run).map(next).flat_map(|n| std::iter::repeat_n(n, run)).collect()
    }

    /// First only sealing, then only opening.
    fn apart(&mut self, way: Way, len: usize, gauge: &mut Gauge) -> [Samples; 2] {
        let warm = self.warm();
        let (mut batch, mut times) = (Buffers::new(len), [const { Vec::new() }; 2]);
        for round in 0..warm + ROUNDS {
            batch.aim(&self.choose(way));
            let pace = gauge.pace();
            let took = batch.seal(way, &mut self.out);
            times[0].extend((round >= warm).then_some((pace, took)));
        }
        let mut kept = Vec::new();
        for _ in 0..warm + ROUNDS {
            batch.aim(&self.choose(way));
            batch.seal(way, &mut self.out);
            batch.keep(&mut kept);
        }
        for (round, packets) in kept.chunks_exact(kept.len() / (warm + ROUNDS)).enumerate() {
            batch.fill(packets);
            let pace = gauge.pace();
            let took = batch.open(way, &mut self.inn);
            times[1].extend((round >= warm).then_some((pace, took)));
        }
        times
    }

    /// What is sealed is opened, batch by batch.
    fn in_turns(&mut self, len: usize, gauge: &mut Gauge) -> [Samples; 2] {
        let warm = self.warm();
        let (mut batch, mut times) = (Buffers::new(len), [const { Vec::new() }; 2]);
        for round in 0..warm + ROUNDS {
            batch.aim(&self.choose(Way::InTurns));
            let pace = gauge.pace();
            let took = [batch.seal(Way::InTurns, &mut self.out), batch.open(Way::InTurns, &mut self.inn)];
            if round >= warm {
                times.iter_mut().zip(took).for_each(|(t, took)| t.push((pace, took)));
            }
        }
        times
    }

    /// Reads the lines of each packet's SA, all of them asked for a burst ahead, and counts the packet in one.
    fn memory(&mut self, gauge: &mut Gauge) -> [Samples; 2] {
        let warm = self.warm();
        let mut times = [const { Vec::new() }; 2];
        for round in 0..warm + ROUNDS {
            let chosen = self.choose(Way::Memory);
            let pace = gauge.pace();
            let lines = &mut self.lines;
            let mut sum = 0u64;
            let took = clock(|| {
                for burst in chosen.chunks(BURST) {
                    burst.iter().flat_map(|n| &lines[*n as usize]).for_each(ravelin_prefetch::read);
                    for n in burst {
                        let [counters, rest @ ..] = &mut lines[*n as usize];
                        counters.0[0] += 1;
                        sum = rest.iter().fold(sum, |sum, line| sum.wrapping_add(line.0[0]));
                    }
                }
            });
            std::hint::black_box(sum);
            times.iter_mut().for_each(|t| t.extend((round >= warm).then_some((pace, took))));
        }
        times
    }

    /// As [`Hosts::apart`], by the bare keys.
    fn bare(&mut self, len: usize, gauge: &mut Gauge) -> [Samples; 2] {
        let warm = self.warm();
        let (mut batch, mut times) = (Buffers::new(len), [const { Vec::new() }; 2]);
        batch.sealed = (FRONT, FRONT + len + 16);
        let (nonce, aad) = ([1u8; 12], [1u8; 12]);
        let seal = |keys: &[Box<dyn AeadKey>], batch: &mut Buffers, chosen: &[u32]| {
            for (buf, n) in batch.bufs.iter_mut().zip(chosen) {
                let (data, tag) = buf[FRONT..FRONT + len + 16].split_at_mut(len);
                keys[*n as usize].seal(&nonce, &aad, data, tag).unwrap();
            }
        };
        for round in 0..warm + ROUNDS {
            let chosen = self.choose(Way::Bare);
            let pace = gauge.pace();
            let took = clock(|| seal(&self.keys, &mut batch, &chosen));
            times[0].extend((round >= warm).then_some((pace, took)));
        }
        let (mut kept, mut keys) = (Vec::new(), Vec::new());
        for _ in 0..warm + ROUNDS {
            let chosen = self.choose(Way::Bare);
            seal(&self.keys, &mut batch, &chosen);
            batch.keep(&mut kept);
            keys.push(chosen);
        }
        // As many other keys, or those just used would be the only ones in use.
        for _ in 0..(self.count as usize).min(OTHERS).div_ceil(BATCH) {
            let chosen = self.choose(Way::Bare);
            seal(&self.keys, &mut batch, &chosen);
        }
        for ((round, chosen), packets) in keys.iter().enumerate().zip(kept.chunks_exact(BATCH * (len + 16))) {
            batch.fill(packets);
            let pace = gauge.pace();
            let took = clock(|| {
                for (buf, n) in batch.bufs.iter_mut().zip(chosen) {
                    let (data, tag) = buf[FRONT..FRONT + len + 16].split_at_mut(len);
                    self.keys[*n as usize].open(&nonce, &aad, data, tag).unwrap();
                }
            });
            times[1].extend((round >= warm).then_some((pace, took)));
        }
        times
    }
}
