//! ipsec-mb where the caches are no matter: the same few buffers again and again, as a driver with a small pool has them. What
//! is sealed is opened where it lies, so nothing is copied and no buffer is filled between the measurements; the tables of
//! `single.rs` go over 64 packets that were just copied from 64 others, twice as much as the first cache holds or more.

use crate::setup::{BACK, FRONT, NOW, OUTER, POLICY, packet, path, planes, quartile, suite};
use ravelin_crypto::{EncrId, IntegId};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, Worker};
use ravelin_sa_db::Path;
use std::fmt::Write as _;

/// Buffers in use.
const POOLS: [usize; 4] = [8, 16, 32, 64];

pub fn run(rounds: usize, md: &mut String) {
    let Some(provider) = crate::ipsec_mb() else { return };
    let _ = writeln!(md, "### Hot buffers, ipsec-mb\n\nAES-128-GCM, nanoseconds per packet: bare call → plane in bursts of as many packets, 32 at most.\n");
    let _ = writeln!(md, "| buffers | seal 64 | open 64 | seal 1400 | open 1400 |\n|---:|---:|---:|---:|---:|");
    let gcm = |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n);
    let key = provider.aead(EncrId::AES_GCM_16, Some(128)).unwrap().key(&gcm(0).encr_key.expose()[..16]).unwrap();
    let (a, b) = planes(&provider, 1, gcm);
    let (mut out, mut inn) = (Worker::new(a), Worker::new(b));
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    for pool in POOLS {
        let mut cells = Vec::new();
        for len in [64, 1400] {
            let mut bufs = vec![vec![0; FRONT + len + BACK]; pool];
            bufs.iter_mut().for_each(|b| b[FRONT..FRONT + len].copy_from_slice(&packet(len, 0)));
            let mut samples: [Vec<f64>; 4] = Default::default();
            for _ in 0..rounds {
                let mut timed = |i: usize, run: &mut dyn FnMut()| {
                    let t = std::time::Instant::now();
                    run();
                    samples[i].push(t.elapsed().as_nanos() as f64 / pool as f64);
                };
                let (nonce, aad) = ([1; 12], [1; 12]);
                timed(0, &mut || for b in &mut bufs {
                    let (data, tag) = b[FRONT..FRONT + len + 16].split_at_mut(len);
                    key.seal(&nonce, &aad, data, tag).unwrap();
                });
                timed(1, &mut || for b in &mut bufs {
                    let (data, tag) = b[FRONT..FRONT + len + 16].split_at_mut(len);
                    key.open(&nonce, &aad, data, tag).unwrap();
                });
                let mut jobs: Vec<_> = bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + len)).collect();
                timed(2, &mut || for burst in jobs.chunks_mut(32) { out.seal_burst(NOW, burst) });
                let mut jobs: Vec<_> = jobs.iter_mut().map(|j| {
                    let r = j.result.as_ref().unwrap().0.clone();
                    OpenJob::new(back, OuterInfo::default(), &mut j.buf[r], OUTER)
                }).collect();
                timed(3, &mut || for burst in jobs.chunks_mut(32) { inn.open_burst(NOW, burst) });
                assert!(jobs.iter().all(|j| matches!(j.result, Ingress::Deliver { .. })));
            }
            let [bare_seal, bare_open, seal, open] = samples.map(|mut s| quartile(&mut s));
            cells.push(format!("{bare_seal:.0} → {seal:.0} | {bare_open:.0} → {open:.0}"));
        }
        let _ = writeln!(md, "| {pool} | {} |", cells.join(" | "));
    }
    md.push('\n');
}
