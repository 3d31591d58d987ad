//! Two threads: on one SA and on two, against one thread, by single calls and in bursts; and the bare cipher as the
//! measure of what the machine itself gives two threads, once with nothing shared and once with one counter, which is the
//! least that two threads on one SA share.

use crate::setup::{BACK, FRONT, NOW, OUTER, POLICY, circle, packet, path, suite};
use ravelin_crypto::{EncrId, IntegId};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, Plane, Worker};
use ravelin_sa_db::Path;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const SLICE: Duration = Duration::from_millis(300);

/// Runs `work` on each of `threads`, which counts what it did until told to stop; gives packets per second in all.
fn throughput(threads: usize, work: impl Fn(usize, &AtomicBool) -> u64 + Sync) -> f64 {
    let stop = AtomicBool::new(false);
    let start = Barrier::new(threads + 1);
    std::thread::scope(|t| {
        let hs: Vec<_> = (0..threads)
            .map(|i| {
                let (stop, start, work) = (&stop, &start, &work);
                t.spawn(move || {
                    start.wait();
                    work(i, stop)
                })
            })
            .collect();
        start.wait();
        let t0 = Instant::now();
        std::thread::sleep(SLICE);
        stop.store(true, Ordering::Relaxed);
        let total: u64 = hs.into_iter().map(|h| h.join().unwrap()).sum();
        total as f64 / t0.elapsed().as_secs_f64()
    })
}

fn sealing(plane: &Arc<Plane>, len: usize, sa: u32, stop: &AtomicBool) -> u64 {
    let mut w = Worker::new(Arc::clone(plane));
    let plain = packet(len, sa);
    let mut buf = vec![0; FRONT + len + BACK];
    buf[FRONT..FRONT + len].copy_from_slice(&plain);
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..16 {
            // The headers are needed again, the rest may be what it is.
            buf[FRONT..FRONT + 28].copy_from_slice(&plain[..28]);
            w.seal_in_place(NOW, POLICY, &mut buf, FRONT..FRONT + len).unwrap();
        }
        n += 16;
    }
    n
}

/// Seals and opens by turns, as the worker of a gateway does, so that both shared objects are hit.
fn both(plane: &Arc<Plane>, len: usize, sa: u32, stop: &AtomicBool) -> u64 {
    let mut w = Worker::new(Arc::clone(plane));
    let plain = packet(len, sa);
    let mut buf = vec![0; FRONT + len + BACK];
    buf[FRONT..FRONT + len].copy_from_slice(&plain);
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..16 {
            buf[FRONT..FRONT + 28].copy_from_slice(&plain[..28]);
            let (r, _) = w.seal_in_place(NOW, POLICY, &mut buf, FRONT..FRONT + len).unwrap();
            // A thread that was asleep for more than a window finds its packet too old: that is the window's work.
            let _: Ingress = w.ingress(NOW, back, OuterInfo::default(), &mut buf[r], OUTER);
        }
        n += 16;
    }
    n
}

/// Packets of one burst.
const BURST: usize = 32;

/// [`sealing`] in bursts, and [`both`] when what is sealed is to be opened.
fn bursts(plane: &Arc<Plane>, open: bool, len: usize, sa: u32, stop: &AtomicBool) -> u64 {
    let mut w = Worker::new(Arc::clone(plane));
    let plain = packet(len, sa);
    let mut bufs = vec![vec![0; FRONT + len + BACK]; BURST];
    bufs.iter_mut().for_each(|b| b[FRONT..FRONT + len].copy_from_slice(&plain));
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    let mut jobs: Vec<_> = bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + len)).collect();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        for j in &mut jobs {
            j.buf[FRONT..FRONT + 28].copy_from_slice(&plain[..28]);
        }
        w.seal_burst(NOW, &mut jobs);
        if open {
            let mut sealed = jobs.iter_mut();
            let mut opening: [_; BURST] = std::array::from_fn(|_| {
                let j = sealed.next().unwrap();
                let r = j.result.as_ref().unwrap().0.clone();
                OpenJob::new(back, OuterInfo::default(), &mut j.buf[r], OUTER)
            });
            w.open_burst(NOW, &mut opening);
        }
        n += BURST as u64;
    }
    assert!(n == 0 || jobs.iter().all(|j| j.result.is_ok()));
    n
}

/// A counter on a line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Shared(AtomicU64);

pub fn run(tries: usize, md: &mut String) {
    let provider = Arc::new(ravelin_crypto::awslc::provider());
    let key = provider.aead(EncrId::AES_GCM_16, Some(128)).unwrap().key(&[1; 16]).unwrap();
    let _ = writeln!(
        md,
        "### Two threads\n\nAES-128-GCM, aws-lc-rs. Throughput of two threads over one, the best of {tries} slices of each in turns; bursts are of {BURST} packets, against one thread in bursts.\n"
    );
    let _ = writeln!(
        md,
        "| octets | bare cipher, nothing shared | one counter shared | seal, one SA | seal, two SAs | seal and open, one SA | seal and open, two SAs | bursts: seal, one SA | seal, two SAs | seal and open, one SA | seal and open, two SAs | one thread seals: bare, single calls, bursts |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for len in [64usize, 1400] {
        let bare = |shared: &[Shared; 2], at: usize, stop: &AtomicBool| {
            let (mut data, mut tag, mut nonce) = (vec![0; len], [0; 16], [0; 12]);
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..16 {
                    let number = shared[at].0.fetch_add(1, Ordering::Relaxed);
                    nonce[4..].copy_from_slice(&number.to_be_bytes());
                    key.seal(&nonce, &[0; 12], &mut data, &mut tag).unwrap();
                }
                n += 16;
            }
            n
        };
        let mut best = [0.0f64; 15];
        let counters = <[Shared; 2]>::default();
        for _ in 0..tries {
            let a = circle(&provider, 2, |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n));
            let got = [
                throughput(1, |_, s| bare(&counters, 0, s)),
                throughput(2, |i, s| bare(&counters, i, s)),
                throughput(1, |_, s| sealing(&a, len, 0, s)),
                throughput(2, |_, s| sealing(&a, len, 0, s)),
                throughput(2, |i, s| sealing(&a, len, i as u32, s)),
                throughput(1, |_, s| both(&a, len, 0, s)),
                throughput(2, |_, s| both(&a, len, 0, s)),
                throughput(2, |i, s| both(&a, len, i as u32, s)),
                throughput(1, |_, s| bursts(&a, false, len, 0, s)),
                throughput(2, |_, s| bursts(&a, false, len, 0, s)),
                throughput(2, |i, s| bursts(&a, false, len, i as u32, s)),
                throughput(1, |_, s| bursts(&a, true, len, 0, s)),
                throughput(2, |_, s| bursts(&a, true, len, 0, s)),
                throughput(2, |i, s| bursts(&a, true, len, i as u32, s)),
                throughput(2, |_, s| bare(&counters, 0, s)),
            ];
            for (b, g) in best.iter_mut().zip(got) {
                *b = b.max(g);
            }
        }
        let r = |(two, one): (usize, usize)| format!("{:.2} ×", best[two] / best[one]);
        let pairs =
            [(1, 0), (14, 0), (3, 2), (4, 2), (6, 5), (7, 5), (9, 8), (10, 8), (12, 11), (13, 11)].map(r).join(" | ");
        let _ = writeln!(
            md,
            "| {len} | {pairs} | {:.0} ns, {:.0} ns, {:.0} ns |",
            1e9 / best[0],
            1e9 / best[2],
            1e9 / best[8]
        );
    }
    md.push('\n');
}
