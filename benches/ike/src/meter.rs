//! Measuring: processor time of this thread (so that other programs on the machine disturb by caches and clock rate
//! only), octets that the heap holds, and allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Processor time that this thread has used, in the program and in the kernel.
#[must_use]
pub fn cpu() -> Duration {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// Seconds of processor time that `f` takes.
pub fn time<R>(f: impl FnOnce() -> R) -> (f64, R) {
    let begin = cpu();
    let result = f();
    ((cpu() - begin).as_secs_f64(), result)
}

/// Octets of the C heap in use, the allocator's own overhead included. Rust's allocations and those of aws-lc are both
/// in there.
#[must_use]
pub fn heap() -> u64 {
    // SAFETY: no preconditions.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Resident memory of this process in octets.
#[must_use]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|p| p.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Counts allocations, and is the system's allocator else.
#[derive(Debug)]
pub struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: [AtomicU64; 2048] = [const { AtomicU64::new(0) }; 2048];

/// Counts from now on, or not: it costs time, which no contender shall pay while the clock runs.
pub fn counting(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// Allocations so far (Rust's; reallocations count).
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Blocks that are allocated now, by size in octets (those below 2,048).
#[must_use]
pub fn blocks() -> Vec<u64> {
    LIVE.iter().map(|n| n.load(Ordering::Relaxed)).collect()
}

/// One thread does all the work: no read-modify-write is needed, and a lost count does not matter.
fn count(size: usize, by: u64) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    if let Some(n) = LIVE.get(size) {
        n.store(n.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }
    if by == 1 {
        ALLOCATIONS.store(ALLOCATIONS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        count(layout.size(), u64::MAX);
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), u64::MAX);
        count(size, 1);
        unsafe { System.realloc(p, layout, size) }
    }
}

/// The middle one.
#[must_use]
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
