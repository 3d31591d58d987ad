//! A counting allocator: what one input may allocate is bounded, and measured. Counts are of the calling thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Hands everything on to the system's allocator, and counts.
pub struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static OCTETS: Cell<u64> = const { Cell::new(0) };
}

fn count(octets: usize) {
    // A thread that ends allocates without being counted.
    let _ = CALLS.try_with(|c| c.set(c.get() + 1));
    let _ = OCTETS.try_with(|c| c.set(c.get() + octets as u64));
}

// SAFETY: every call is handed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(p, layout, size) }
    }
}

/// Allocations and octets that `f` asked for, if [`Counting`] is the program's allocator.
pub fn spent<R>(f: impl FnOnce() -> R) -> (R, u64, u64) {
    let read = || (CALLS.with(Cell::get), OCTETS.with(Cell::get));
    let before = read();
    let result = f();
    let after = read();
    (result, after.0 - before.0, after.1 - before.1)
}
