//! What the plane tells the control side: a bounded queue that is touched only when something new happened.
//! Each report is said once per SA (flags in `lifetime.rs`); a new path at most ten times a second per SA, an unknown
//! SPI at most ten times a second in all. A report that finds the queue full is tried again with the next packet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ravelin_sa_db::{ChildId, Instant, Report};
use spin::Mutex;

/// The longest the queue gets.
const CAPACITY: usize = 1024;
/// Least distance of repeated hints, in microseconds.
pub(crate) const HINT_INTERVAL: u64 = 100_000;

pub(crate) struct Reports {
    queue: Mutex<VecDeque<Report>>,
    waiting: AtomicBool,
    /// Child SAs that were idle and carry traffic again, for the idle watch.
    woken: Mutex<Vec<ChildId>>,
    unknown_after: AtomicU64,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            waiting: AtomicBool::new(false),
            woken: Mutex::new(Vec::new()),
            unknown_after: AtomicU64::new(0),
        }
    }

    /// False when the queue is full.
    #[cold]
    pub(crate) fn push(&self, report: Report) -> bool {
        let mut queue = self.queue.lock();
        if let Report::PathSeen { child, path } = report {
            let same = |r: &&mut Report| matches!(r, Report::PathSeen { child: c, .. } if *c == child);
            if let Some(Report::PathSeen { path: p, .. }) = queue.iter_mut().find(same) {
                *p = path;
                return true;
            }
        }
        if queue.len() >= CAPACITY {
            return false;
        }
        queue.push_back(report);
        self.waiting.store(true, Ordering::Release);
        true
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    pub(crate) fn pop(&self) -> Option<Report> {
        if !self.is_waiting() {
            return None;
        }
        let mut queue = self.queue.lock();
        let report = queue.pop_front();
        if queue.is_empty() {
            self.waiting.store(false, Ordering::Release);
        }
        report
    }

    /// A Child SA that was reported as idle carries traffic again: once per report.
    #[cold]
    pub(crate) fn woke(&self, child: ChildId) {
        self.woken.lock().push(child);
    }

    /// Takes them.
    pub(crate) fn take_woken(&self) -> Vec<ChildId> {
        core::mem::take(&mut *self.woken.lock())
    }

    /// True when another unknown SPI may be reported now.
    pub(crate) fn may_hint_unknown(&self, now: Instant) -> bool {
        let after = self.unknown_after.load(Ordering::Relaxed);
        let next = now.micros().saturating_add(HINT_INTERVAL);
        now.micros() >= after
            && self.unknown_after.compare_exchange(after, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
