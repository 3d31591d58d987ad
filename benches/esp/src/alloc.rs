//! A counting allocator: sealing and opening allocate nothing per packet.

use crate::setup::{Batch, FRONT, NOW, OUTER, POLICY, path, planes, suite};
use ravelin_crypto::{EncrId, IntegId};
use ravelin_esp::plane::{OpenJob, SealJob};
use ravelin_esp::{Ingress, OuterInfo, Worker};
use ravelin_sa_db::Path;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;
static COUNT: AtomicU64 = AtomicU64::new(0);
#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        unsafe { System.dealloc(p, layout) }
    }
}

pub fn check(md: &mut String) {
    let provider = Arc::new(ravelin_crypto::awslc::provider());
    let (a, b) = planes(&provider, 1, |n| suite(EncrId::AES_GCM_16, Some(128), IntegId::NONE, n));
    let (mut out, mut inn) = (Worker::new(Arc::clone(&a)), Worker::new(Arc::clone(&b)));
    let p = path();
    let back = Path { local: p.remote, remote: p.local };
    let mut batch = Batch::new(1400, |_| 0);
    let mut packets = 0u64;
    let mut spent = 0u64;
    for _ in 0..50 {
        batch.refill();
        let mut sealed = vec![0..0; batch.bufs.len()];
        let before = COUNT.load(Ordering::Relaxed);
        for (buf, s) in batch.bufs.iter_mut().zip(&mut sealed) {
            *s = out.seal_in_place(NOW, POLICY, buf, FRONT..FRONT + 1400).unwrap().0;
        }
        for (buf, s) in batch.bufs.iter_mut().zip(&sealed) {
            assert!(matches!(inn.ingress(NOW, back, OuterInfo::default(), &mut buf[s.clone()], OUTER), Ingress::Deliver { .. }));
        }
        spent += COUNT.load(Ordering::Relaxed) - before;
        batch.refill();
        let mut jobs: Vec<_> = batch.bufs.iter_mut().map(|b| SealJob::new(POLICY, b, FRONT..FRONT + 1400)).collect();
        let before = COUNT.load(Ordering::Relaxed);
        out.seal_burst(NOW, &mut jobs);
        spent += COUNT.load(Ordering::Relaxed) - before;
        let sealed: Vec<_> = jobs.iter().map(|j| j.result.clone().unwrap().0).collect();
        drop(jobs);
        let mut jobs: Vec<_> = batch.bufs.iter_mut().zip(sealed).map(|(b, s)| OpenJob::new(back, OuterInfo::default(), &mut b[s], OUTER)).collect();
        let before = COUNT.load(Ordering::Relaxed);
        inn.open_burst(NOW, &mut jobs);
        spent += COUNT.load(Ordering::Relaxed) - before;
        packets += 4 * jobs.len() as u64;
    }
    assert_eq!(spent, 0, "allocations on the packet path");
    let _ = writeln!(md, "Allocations in {packets} packets sealed and opened, one by one and in bursts: {spent}.\n");
}
