//! Many SAs: packets go to random ones of 1, 1,000, 100,000; one policy, a route per peer. One by one; in bursts, for
//! which the plane asks the memory ahead; in bursts with runs of one SA, as traffic has them. The bare call with a key
//! at random from as many says what of it is the provider's own memory.

use crate::setup::{BATCH, Batch, FRONT, NOW, OUTER, POLICY, clock, path, planes, quartile, suite};
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
const WAYS: [&str; 4] = ["bare call", "plane, one by one", "plane, bursts", "plane, bursts with runs of 8"];

pub fn run(rounds: usize, md: &mut String) {
    let fast = Arc::new(ravelin_crypto::awslc::provider());
    table("aws-lc-rs", &fast, rounds, md);
    if let Some(mb) = crate::ipsec_mb() {
        table("ipsec-mb", &mb, rounds, md);
    }
}

fn table(name: &str, provider: &Arc<Provider>, rounds: usize, md: &mut String) {
    let _ = writeln!(
        md,
        "### Many SAs, {name}\n\nAES-128-GCM, nanoseconds per packet to a random SA; in brackets against one SA.\n"
    );
    let _ = writeln!(md, "| SAs | | seal 64 | open 64 | seal 1400 | open 1400 |");
    let _ = writeln!(md, "|---:|---|{}", "---:|".repeat(4));
    // All stand at once and take turns, so that a slow moment of the machine is everybody's. What is asked is the cost while
    // so many SAs are in use, not that of finding the others' data in the caches: each turn begins with packets to about
    // all of its SAs, not counted. Bare keys are used apart from the planes, or each would push the other out.
    let mut all: Vec<(u32, Hosts)> = [1u32, 1000, 100_000].map(|n| (n, Hosts::new(provider, n))).into();
    let mut gauge = Gauge::new(provider);
    let turns = (rounds / 10).max(3);
    for _ in 0..turns {
        for (count, hosts) in &mut all {
            let warm = (*count as usize * 3).min(WARM).div_ceil(BATCH);
            for ways in [0..1, 1..WAYS.len()] {
                for round in 0..warm + ROUNDS * ways.len() {
                    let (way, len) = (ways.start + round % ways.len(), [64, 1400][round / ways.len() % 2]);
                    let pace = gauge.pace();
                    hosts.round(way, len, (round >= warm).then_some(pace));
                }
            }
        }
    }
    let mut first = None;
    for (count, hosts) in &mut all {
        let rows: Vec<[f64; 4]> = hosts.rows.iter().map(|row| std::array::from_fn(|i| gauge.quick(&row[i]))).collect();
        let base = first.get_or_insert_with(|| rows.clone());
        for ((way, row), base) in WAYS.iter().zip(&rows).zip(base.iter()) {
            let cells: Vec<_> = row.iter().zip(base).map(|(v, b)| format!("{v:.0} ({:.2} ×)", v / *b)).collect();
            let _ = writeln!(md, "| {count} | {way} | {} |", cells.join(" | "));
        }
    }
    md.push('\n');
}

/// Rounds of each way in one turn.
const ROUNDS: usize = 10;
/// The most packets that are not counted at the beginning of a turn.
const WARM: usize = 4096;

/// Two planes with so many SAs, and as many bare keys.
struct Hosts {
    count: u32,
    out: Worker,
    inn: Worker,
    keys: Vec<Box<dyn AeadKey>>,
    random: u64,
    /// What the gauge said, and nanoseconds, by way and column.
    rows: Vec<[Vec<(f64, f64)>; 4]>,
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

/// The next random SA.
fn next(random: &mut u64, count: u32) -> u32 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random % u64::from(count)) as u32
}

impl Hosts {
    fn new(provider: &Arc<Provider>, count: u32) -> Self {
        let back = back();
        let gcm = |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n);
        let (a, b) = planes(provider, count, gcm);
        let aead = provider.aead(EncrId::AES_GCM_16, Some(128)).unwrap();
        let keys: Vec<Box<dyn AeadKey>> =
            (0..count).map(|n| aead.key(&gcm(n).encr_key.expose()[..16]).unwrap()).collect();
        // As `Worker::with_memory` advises.
        let slots = (count as usize * 2).max(4096);
        let (mut out, mut inn) =
            (Worker::with_memory(Arc::clone(&a), slots), Worker::with_memory(Arc::clone(&b), slots));
        // A worker learns its SAs once; that is not what is asked here.
        let mut all: Vec<u32> = (0..count).collect();
        all.resize(all.len().next_multiple_of(BATCH), 0);
        for chosen in all.chunks(BATCH) {
            let mut batch = Batch::new(64, |i| chosen[i]);
            batch.refill();
            for buf in &mut batch.bufs {
                let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + 64).unwrap();
                assert!(matches!(
                    inn.ingress(NOW, back, OuterInfo::default(), &mut buf[r], OUTER),
                    Ingress::Deliver { .. }
                ));
            }
        }
        Self { count, out, inn, keys, random: 88172645463325252, rows: vec![Default::default(); WAYS.len()] }
    }

    fn round(&mut self, way: usize, len: usize, pace: Option<f64>) {
        let Self { count, out, inn, keys, random, rows } = self;
        let back = back();
        let mut next = || next(random, *count);
        let mut ignored = Default::default();
        {
            let column = usize::from(len == 1400) * 2;
            let run = if way == 3 { RUN } else { 1 };
            let chosen: Vec<u32> = (0..BATCH / run).flat_map(|_| std::iter::repeat_n(next(), run)).collect();
            let mut batch = Batch::new(len, |i| chosen[i]);
            batch.refill();
            let mut sealed = vec![(0, 0); BATCH];
            let row = if pace.is_some() { &mut rows[way] } else { &mut ignored };
            let pace = pace.unwrap_or(0.0);
            if way == 0 {
                let (nonce, aad) = ([1u8; 12], [1u8; 12]);
                row[column].push((
                    pace,
                    clock(|| {
                        for (buf, n) in batch.bufs.iter_mut().zip(&chosen) {
                            let (data, tag) = buf[FRONT..FRONT + len + 16].split_at_mut(len);
                            keys[*n as usize].seal(&nonce, &aad, data, tag).unwrap();
                        }
                    }),
                ));
                // Other keys, which the caches have no more than these.
                let other: Vec<u32> = (0..BATCH).map(|_| next()).collect();
                for (buf, n) in batch.bufs.iter_mut().zip(&other) {
                    let (data, tag) = buf[FRONT..FRONT + len + 16].split_at_mut(len);
                    keys[*n as usize].seal(&nonce, &aad, data, tag).unwrap();
                }
                sweep(keys, &mut next);
                row[column + 1].push((
                    pace,
                    clock(|| {
                        for (buf, n) in batch.bufs.iter_mut().zip(&other) {
                            let (data, tag) = buf[FRONT..FRONT + len + 16].split_at_mut(len);
                            keys[*n as usize].open(&nonce, &aad, data, tag).unwrap();
                        }
                    }),
                ));
                return;
            }
            if way == 1 {
                row[column].push((
                    pace,
                    clock(|| {
                        for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
                            let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + len).unwrap();
                            *s = (r.start, r.end);
                        }
                    }),
                ));
                row[column + 1].push((
                    pace,
                    clock(|| {
                        for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
                            let r = inn.ingress(NOW, back, OuterInfo::default(), &mut buf[s.0..s.1], OUTER);
                            assert!(matches!(r, Ingress::Deliver { .. }));
                        }
                    }),
                ));
                return;
            }
            let mut jobs: Vec<_> = batch.bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + len)).collect();
            row[column].push((
                pace,
                clock(|| {
                    for burst in jobs.chunks_mut(BURST) {
                        out.seal_burst(NOW, burst)
                    }
                }),
            ));
            for (j, s) in jobs.iter().zip(&mut sealed) {
                let (r, _) = j.result.clone().unwrap();
                *s = (r.start, r.end);
            }
            drop(jobs);
            let mut jobs: Vec<_> = batch
                .bufs
                .iter_mut()
                .zip(&sealed)
                .map(|(b, s)| OpenJob::new(back, OuterInfo::default(), &mut b[s.0..s.1], OUTER))
                .collect();
            row[column + 1].push((
                pace,
                clock(|| {
                    for burst in jobs.chunks_mut(BURST) {
                        inn.open_burst(NOW, burst)
                    }
                }),
            ));
            assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));
        }
    }
}

/// Uses so many other keys that those used before are not in the nearer caches any more.
fn sweep(keys: &[Box<dyn AeadKey>], next: &mut impl FnMut() -> u32) {
    let mut tag = [0; 16];
    for _ in 0..keys.len().min(2000) {
        keys[next() as usize].seal(&[2; 12], &[], &mut [0; 128], &mut tag).unwrap();
    }
}
