//! Many SAs: packets go to random ones of 1, 1,000, 100,000; one policy, a route per peer.

use crate::setup::{Batch, BATCH, FRONT, NOW, OUTER, POLICY, clock, path, planes, quartile, suite};
use ravelin_crypto::{EncrId, IntegId};
use ravelin_esp::{Ingress, OuterInfo, Worker};
use ravelin_sa_db::Path;
use std::fmt::Write as _;
use std::sync::Arc;

pub fn run(rounds: usize, md: &mut String) {
    let provider = Arc::new(ravelin_crypto::awslc::provider());
    let _ = writeln!(md, "### Many SAs\n\nAES-128-GCM, aws-lc-rs, nanoseconds per packet to a random SA; in brackets against one SA.\n");
    let _ = writeln!(md, "| SAs | seal 64 | open 64 | seal 1400 | open 1400 |\n|---:|---:|---:|---:|---:|");
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    let mut first = None;
    for count in [1u32, 1000, 100_000] {
        let (a, b) = planes(&provider, count, |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n));
        let (mut out, mut inn) = (Worker::with_memory(Arc::clone(&a), 1 << 17), Worker::with_memory(Arc::clone(&b), 1 << 17));
        let mut row = Vec::new();
        for len in [64, 1400] {
            let mut random = 88172645463325252u64;
            let mut next = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random % u64::from(count)) as u32
            };
            let (mut seal, mut open) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let chosen: Vec<u32> = (0..BATCH).map(|_| next()).collect();
                let mut batch = Batch::new(len, |i| chosen[i]);
                batch.refill();
                let mut sealed = vec![(0, 0); BATCH];
                seal.push(clock(|| {
                    for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
                        let (r, _) = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + len).unwrap();
                        *s = (r.start, r.end);
                    }
                }));
                open.push(clock(|| {
                    for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
                        let r = inn.ingress(NOW, back, OuterInfo::default(), &mut buf[s.0..s.1], OUTER);
                        assert!(matches!(r, Ingress::Deliver { .. }));
                    }
                }));
            }
            row.extend([quartile(&mut seal), quartile(&mut open)]);
        }
        let base = first.get_or_insert_with(|| row.clone());
        let cells: Vec<_> = row.iter().zip(base).map(|(v, b)| format!("{v:.0} ({:.2} ×)", v / *b)).collect();
        let _ = writeln!(md, "| {count} | {} |", cells.join(" | "));
    }
    md.push('\n');
}
