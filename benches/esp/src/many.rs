//! Many SAs: packets go to random ones of 1, 1,000, 100,000; one policy, a route per peer. One by one, and in bursts, for
//! which the plane asks the memory ahead.

use crate::setup::{BATCH, Batch, FRONT, NOW, OUTER, POLICY, clock, path, planes, quartile, suite};
use ravelin_crypto::{EncrId, IntegId, Provider};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, Worker};
use ravelin_sa_db::Path;
use std::fmt::Write as _;
use std::sync::Arc;

/// Packets of one burst.
const BURST: usize = 32;

pub fn run(rounds: usize, md: &mut String) {
    let fast = Arc::new(ravelin_crypto::awslc::provider());
    table("aws-lc-rs", &fast, rounds, md);
    if let Some(mb) = crate::ipsec_mb() {
        table("ipsec-mb", &mb, rounds, md);
    }
}

fn table(name: &str, provider: &Arc<Provider>, rounds: usize, md: &mut String) {
    let _ = writeln!(md, "### Many SAs, {name}\n\nAES-128-GCM, nanoseconds per packet to a random SA; in brackets against one SA.\n");
    let _ = writeln!(md, "| SAs | seal 64 | open 64 | seal 1400 | open 1400 | seal 64, bursts | open 64, bursts | seal 1400, bursts | open 1400, bursts |");
    let _ = writeln!(md, "|---:|{}", "---:|".repeat(8));
    let mut first = None;
    for count in [1u32, 1000, 100_000] {
        let row = measure(provider, count, rounds);
        let base = first.get_or_insert_with(|| row.clone());
        let cells: Vec<_> = row.iter().zip(base).map(|(v, b)| format!("{v:.0} ({:.2} ×)", v / *b)).collect();
        let _ = writeln!(md, "| {count} | {} |", cells.join(" | "));
    }
    md.push('\n');
}

fn measure(provider: &Arc<Provider>, count: u32, rounds: usize) -> Vec<f64> {
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    let (a, b) = planes(provider, count, |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n));
    let (mut out, mut inn) = (Worker::with_memory(Arc::clone(&a), 1 << 18), Worker::with_memory(Arc::clone(&b), 1 << 18));
    let mut random = 88172645463325252u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % u64::from(count)) as u32
    };
    let mut row = vec![Vec::new(); 8];
    // A worker learns its SAs once; that is not what is asked here.
    let mut all: Vec<u32> = (0..count).collect();
    all.resize(all.len().next_multiple_of(BATCH), 0);
    for chosen in all.chunks(BATCH) {
        let mut batch = Batch::new(64, |i| chosen[i]);
        batch.refill();
        for buf in &mut batch.bufs {
            let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + 64).unwrap();
            assert!(matches!(inn.ingress(NOW, back, OuterInfo::default(), &mut buf[r], OUTER), Ingress::Deliver { .. }));
        }
    }
    for round in 0..rounds * 4 {
        let (burst, len) = (round % 2 == 1, if round / 2 % 2 == 0 { 64 } else { 1400 });
        let column = usize::from(len == 1400) * 2 + usize::from(burst) * 4;
        let chosen: Vec<u32> = (0..BATCH).map(|_| next()).collect();
        let mut batch = Batch::new(len, |i| chosen[i]);
        batch.refill();
        let mut sealed = vec![(0, 0); BATCH];
        if !burst {
            row[column].push(clock(|| {
                for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
                    let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + len).unwrap();
                    *s = (r.start, r.end);
                }
            }));
            row[column + 1].push(clock(|| {
                for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
                    let r = inn.ingress(NOW, back, OuterInfo::default(), &mut buf[s.0..s.1], OUTER);
                    assert!(matches!(r, Ingress::Deliver { .. }));
                }
            }));
            continue;
        }
        let mut jobs: Vec<_> = batch.bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + len)).collect();
        row[column].push(clock(|| for burst in jobs.chunks_mut(BURST) { out.seal_burst(NOW, burst) }));
        for (j, s) in jobs.iter().zip(&mut sealed) {
            let (r, _) = j.result.clone().unwrap();
            *s = (r.start, r.end);
        }
        drop(jobs);
        let mut jobs: Vec<_> = batch.bufs.iter_mut().zip(&sealed).map(|(b, s)| OpenJob::new(back, OuterInfo::default(), &mut b[s.0..s.1], OUTER)).collect();
        row[column + 1].push(clock(|| for burst in jobs.chunks_mut(BURST) { inn.open_burst(NOW, burst) }));
        assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));
    }
    row.iter_mut().map(|samples| quartile(samples)).collect()
}
