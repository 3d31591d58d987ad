//! Asks the processor for memory that will be read or written soon, without waiting for it.
//!
//! Work on many packets at once goes in stages: first every packet's memory is asked for, then every packet is worked
//! on. A plain read would do as a request, but it keeps its place among the instructions in flight until the memory has
//! answered, so that some ten reads from far away fill the processor; a prefetch does not. Hosts at a million policies:
//! 37 instead of 80 ns for a lookup in bursts (`docs/spd.md`).
//!
//! What several cores write, as the sequence number of an SA that two threads use, is asked for to be written as soon as it
//! is known that it will be: that takes the time in which the other core hands it over out of the packet's
//! (`docs/performance.md`).
//!
//! Nothing is read, so nothing can be observed but time: what is asked for stays the caller's business, and on
//! processors without such an instruction, or under Miri, nothing happens.
#![no_std]

/// Asks for the cache line that `t` begins in.
#[inline(always)]
pub fn read<T: ?Sized>(t: &T) {
    line(core::ptr::from_ref(t).cast());
}

/// Asks for the cache line that `t` begins in, to be written: where another core has it, it is to be ours alone when the
/// write comes, and not only then asked for. Too early is worse than not at all, as the other core may want it back first.
#[inline(always)]
pub fn write<T: ?Sized>(t: &T) {
    let at: *const u8 = core::ptr::from_ref(t).cast();
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: PREFETCHW is a hint: it reads nothing, changes nothing and faults at no address. AMD's 64-bit processors all have
    // it; Intel's before it did (CPUID 8000_0001h, ECX bit 8) take it for no operation, of the very first, of 2004, this was not
    // tried. As `_mm_prefetch` it would become PREFETCHT0, a request to read, unless the build is for processors that have it.
    unsafe {
        core::arch::asm!("prefetchw [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: PRFM is a hint: it reads nothing, changes nothing and faults at no address; no register but `at` is used.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = at;
}

/// Asks for the cache lines of `t`, at most `lines` of 64 octets.
#[inline(always)]
pub fn lines<T>(t: &T, lines: usize) {
    let start: *const u8 = core::ptr::from_ref(t).cast();
    for n in 0..size_of::<T>().div_ceil(64).min(lines) {
        // A hint may point anywhere.
        line(start.wrapping_add(n.wrapping_mul(64)));
    }
}

#[inline(always)]
fn line(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: PREFETCHT0 is a hint: it reads nothing, changes nothing and faults at no address; every x86-64 has it.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: PRFM is a hint: it reads nothing, changes nothing and faults at no address; no register but `at` is used.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_for_stays_as_it_is() {
        let many = [7u8; 1000];
        many.iter().for_each(read);
        many.iter().for_each(write);
        lines(&many, 3);
        lines(&many, usize::MAX);
        assert_eq!(many, [7; 1000]);
    }

    #[test]
    fn what_has_no_memory_can_be_asked_for() {
        let nothing: &[u64] = &[];
        read(nothing);
        read("");
        read(&());
        write(nothing);
        write("");
        write(&());
        lines(&[0u64; 0], 4);
        // Dangling by design, and a hint may point to it.
        line(core::ptr::without_provenance(usize::MAX));
        line(core::ptr::null());
        assert!(nothing.is_empty());
    }
}
