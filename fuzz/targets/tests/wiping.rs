//! Secrets are wiped before their memory is given back. The allocator of this program looks into every block that is
//! freed: a conversation is run once to learn its keys (same seed, same keys), then again while they are looked for.

use ravelin::Secret;
use ravelin_fuzz_targets::conversation_told;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};

struct Witness;

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static NEEDLES: RefCell<Vec<[u8; 12]>> = const { RefCell::new(Vec::new()) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
    static WHERE: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Looks for the first octets of every needle in a block that is about to be freed.
fn look(block: &[u8]) {
    if !WATCHING.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    WATCHING.with(|w| w.set(false));
    NEEDLES.with(|needles| {
        for (n, needle) in needles.borrow().iter().enumerate() {
            if block.len() >= 12 && block.windows(12).any(|w| w == needle) {
                FOUND.with(|f| f.set(f.get() + 1));
                WHERE.with(|w| w.borrow_mut().push((n, block.len())));
                if std::env::var_os("RAVELIN_WIPING_TRACE").is_some() {
                    eprintln!(
                        "needle {n} in a block of {}:\n{}",
                        block.len(),
                        std::backtrace::Backtrace::force_capture()
                    );
                }
            }
        }
    });
    WATCHING.with(|w| w.set(true));
}

// SAFETY: every call is handed on unchanged; a block is only read, before it is freed, within its layout. What it holds
// was initialised or not, as octets it can be read: the system's allocator gave it out as plain memory.
unsafe impl GlobalAlloc for Witness {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator. Zeroed, so that nothing old is seen.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the block is live until the next line.
        look(unsafe { std::slice::from_raw_parts(p, layout.size()) });
        // SAFETY: as above.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Layout::from_size_align(size, layout.align()).expect("a layout of the caller");
        // SAFETY: a new block, a copy of what fits, and the old one is freed through `dealloc`, which looks at it.
        unsafe {
            let to = self.alloc(new);
            if !to.is_null() {
                std::ptr::copy_nonoverlapping(p, to, layout.size().min(size));
                self.dealloc(p, layout);
            }
            to
        }
    }
}

#[global_allocator]
static ALLOCATOR: Witness = Witness;

fn watch(needles: &[Vec<u8>], f: impl FnOnce()) -> (usize, Vec<(usize, usize)>) {
    NEEDLES.with(|n| *n.borrow_mut() = needles.iter().filter_map(|s| s.first_chunk::<12>().copied()).collect());
    FOUND.with(|f| f.set(0));
    WATCHING.with(|w| w.set(true));
    f();
    WATCHING.with(|w| w.set(false));
    (FOUND.with(Cell::get), WHERE.with(|w| w.take()))
}

#[test]
fn a_secret_is_wiped_and_a_plain_vector_is_not() {
    let needle: Vec<u8> = (100..132).collect();
    let (found, _) = watch(std::slice::from_ref(&needle), || {
        let secret = Secret::new((100u8..132).collect());
        let copy = secret.clone();
        assert_eq!(secret, copy);
        drop((secret, copy));
    });
    assert_eq!(found, 0, "a Secret left its octets behind");
    let (found, _) = watch(std::slice::from_ref(&needle), || drop(needle.to_vec()));
    assert!(found > 0, "the witness is blind");
}

#[test]
fn a_whole_conversation_leaves_no_key_behind() {
    let script: Vec<u8> = (0..=255).chain(0..=255).collect();
    let (_, keys) = conversation_told(&script);
    assert!(keys.len() >= 3);
    let (found, at) = watch(&keys, || ravelin_fuzz_targets::conversation_run(&script));
    assert_eq!(found, 0, "keys (by number: {:?}) lie in freed blocks (of these sizes): {at:?}", 0..keys.len());
}
