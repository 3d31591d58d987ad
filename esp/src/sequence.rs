//! Outbound sequence numbers (RFC 4303 §2.2, §2.2.1, §3.3.3): one atomic counter, so that any number of threads
//! send on one SA and no number is used twice. The same number is the IV of counter-mode ciphers, which is why it
//! never wraps, not even when the peer has replay protection off.

use crate::DropReason;
use core::sync::atomic::{AtomicU64, Ordering};

/// From here on a rekey is due without ESN.
const LOW: u64 = 0xf000_0000;
/// More numbers than anyone takes at once.
const MANY: u64 = 0x1_0000;

/// The counter of one outbound SA. It is not `Clone`: a copy would repeat nonces.
// Not on a cache line of its own: hundreds of thousands of SAs cost lines, and threads that share one SA hand that of
// `Usage` to each other anyway. As small as it can be for the same reason.
#[derive(Debug)]
pub struct Sequence {
    next: AtomicU64,
    esn: bool,
}

impl Sequence {
    /// Starts at 1. With `esn` the numbers have 64 bits, else 32.
    #[must_use]
    pub fn new(esn: bool) -> Self {
        Self::starting_after(esn, 0)
    }

    /// Starts after `used`: for an SA taken over from elsewhere, whose last used number is at most `used`.
    #[must_use]
    pub fn starting_after(esn: bool, used: u64) -> Self {
        Self { next: AtomicU64::new(used.saturating_add(1)), esn }
    }

    /// The last number there is.
    #[inline(always)]
    fn last(&self) -> u64 {
        if self.esn { u64::MAX >> 1 } else { u64::from(u32::MAX) }
    }

    /// Takes the next number.
    ///
    /// # Errors
    /// [`DropReason::SequenceExhausted`] when it would wrap.
    #[inline(always)]
    pub fn take(&self) -> Result<u64, DropReason> {
        self.take_many(1)
    }

    /// Takes `count` consecutive numbers and returns the first.
    ///
    /// # Errors
    /// [`DropReason::SequenceExhausted`] when the last of them would wrap; none is used then.
    #[inline(always)]
    pub fn take_many(&self, count: u32) -> Result<u64, DropReason> {
        match self.take_up_to(count)? {
            (first, n) if n == count => Ok(first),
            _ => Err(DropReason::SequenceExhausted),
        }
    }

    /// Takes `count` consecutive numbers, or as many as there still are; gives the first, and how many.
    ///
    /// # Errors
    /// [`DropReason::SequenceExhausted`] when there are none.
    #[inline(always)]
    pub(crate) fn take_up_to(&self, count: u32) -> Result<(u64, u32), DropReason> {
        let first = self.next.fetch_add(u64::from(count), Ordering::Relaxed);
        // Far from the end of 32 bits, which is one comparison for nearly all packets.
        if first < LOW.wrapping_sub(MANY) && u64::from(count) <= MANY {
            return Ok((first, count));
        }
        // The counter itself cannot wrap: refused callers put it back below.
        match first.checked_add(u64::from(count)) {
            Some(end) if end.wrapping_sub(1) <= self.last() => Ok((first, count)),
            _ => {
                let end = self.last().saturating_add(1);
                self.next.store(end, Ordering::Relaxed);
                match end.checked_sub(first).and_then(|n| u32::try_from(n).ok()) {
                    Some(n) if n != 0 => Ok((first, n)),
                    _ => Err(DropReason::SequenceExhausted),
                }
            }
        }
    }

    /// True when `number` is so far that a rekey is due.
    #[must_use]
    #[inline(always)]
    pub fn is_low(&self, number: u64) -> bool {
        // A sixteenth of the 32-bit space, and half of the 63 bits, is long before the end.
        number >= LOW && (!self.esn || number >= u64::MAX >> 2)
    }

    /// The last number taken; 0 before the first.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.next.load(Ordering::Relaxed).saturating_sub(1).min(self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_wraps() {
        let s = Sequence::starting_after(false, 0xffff_fffe);
        assert_eq!(s.take_up_to(1), Ok((0xffff_ffff, 1)));
        for _ in 0..3 {
            assert_eq!(s.take(), Err(DropReason::SequenceExhausted));
        }
        let s = Sequence::starting_after(true, 0xffff_ffff);
        assert_eq!(s.take(), Ok(0x1_0000_0000));
        assert!(Sequence::new(false).is_low(0xf000_0000) && !Sequence::new(false).is_low(0xefff_ffff));
    }

    #[test]
    fn the_last_numbers_are_given_out() {
        for (esn, last) in [(false, u64::from(u32::MAX)), (true, u64::MAX >> 1)] {
            for left in 1..40 {
                let s = Sequence::starting_after(esn, last - left);
                let got = s.take_up_to(32);
                assert_eq!(got, Ok((last - left + 1, left.min(32) as u32)));
                let rest = s.take_up_to(32).map(|(first, n)| first + u64::from(n) - 1);
                assert_eq!(rest, if left > 32 { Ok(last) } else { Err(DropReason::SequenceExhausted) });
                assert_eq!(s.take(), Err(DropReason::SequenceExhausted));
                assert_eq!(s.used(), last);
            }
        }
    }

    #[test]
    fn the_short_way_ends_before_the_end() {
        for esn in [false, true] {
            for used in [0, LOW - MANY - 2, LOW - MANY, LOW - 1, u64::from(u32::MAX) - 40_000] {
                for count in [1, 7, 40_000, 0x1_0001, u32::MAX] {
                    let s = Sequence::starting_after(esn, used);
                    let last = used + u64::from(count);
                    let fits = esn || last <= u64::from(u32::MAX);
                    assert_eq!(
                        s.take_many(count),
                        if fits { Ok(used + 1) } else { Err(DropReason::SequenceExhausted) }
                    );
                    assert_eq!(s.used(), if fits { last } else { u64::from(u32::MAX) });
                    assert_eq!(s.is_low(last), last >= if esn { u64::MAX >> 2 } else { 0xf000_0000 });
                }
            }
        }
    }

    #[test]
    fn threads_never_share_a_number() {
        let s = Sequence::new(true);
        let mut all: std::vec::Vec<u64> = std::thread::scope(|t| {
            let hs: std::vec::Vec<_> = (0..4)
                .map(|_| t.spawn(|| (0..5000).map(|_| s.take().unwrap()).collect::<std::vec::Vec<_>>()))
                .collect();
            hs.into_iter().flat_map(|h| h.join().unwrap()).collect()
        });
        all.sort_unstable();
        assert!(all.iter().copied().eq(1..=20000));
    }
}
