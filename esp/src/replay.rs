//! The anti-replay window (RFC 4303 §3.4.3) and the high half of extended sequence numbers (RFC 4303 §2.2.1 and
//! appendix A2.2), exact for any number of threads without a lock.
//!
//! The window is a ring of 64-bit words; each holds 32 bits of the bitmap and, above them, the generation of the
//! ring that those bits belong to. Setting a bit and moving a word to a newer generation are each one compare-and-swap,
//! so of two equal numbers exactly one is accepted, in every interleaving. `top`, the highest accepted number, is not
//! kept: `near` is an accepted number that lies in the same word, and the highest bit there is `top`. Numbers in order
//! so cost one atomic step each, and a second one only when a word is full; those of a burst that lie in that word cost
//! one together (`Gathered`). `top` only grows. A number at or below
//! `top - size` is too old. The ring is larger than the window, so that no word serves two numbers that are both inside it.

use crate::DropReason;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bits of the bitmap in one word; the generation has the other 32.
const BITS: u64 = 32;
/// The half of the number space behind `top` that an SA without replay protection takes for the past when it has
/// to guess the high half of an extended sequence number.
const NOTIONAL: u32 = 1 << 31;

/// What the window asks of an atomic word. The model checker brings its own.
#[doc(hidden)]
pub trait Word {
    /// A word with this value.
    fn make(value: u64) -> Self;
    /// Reads.
    fn read(&self) -> u64;
    /// Writes `new` when the value is `old`; else gives the value. May fail for no reason.
    ///
    /// # Errors
    /// The value that was there.
    fn swap(&self, old: u64, new: u64) -> Result<(), u64>;
    /// Raises the value to at least `value`.
    fn raise(&self, value: u64);
}

impl Word for AtomicU64 {
    fn make(value: u64) -> Self {
        Self::new(value)
    }
    #[inline(always)]
    fn read(&self) -> u64 {
        self.load(Ordering::Acquire)
    }
    #[inline(always)]
    fn swap(&self, old: u64, new: u64) -> Result<(), u64> {
        self.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }
    #[inline(always)]
    fn raise(&self, value: u64) {
        self.fetch_max(value, Ordering::AcqRel);
    }
}

/// The window of one inbound SA. All numbers are full 64-bit ones; without ESN their high half is zero.
#[derive(Debug)]
#[repr(C)]
pub struct ReplayWindow<W = AtomicU64> {
    /// Without a window: the highest number.
    near: W,
    ring: Box<[W]>,
    size: u32,
    /// log2 of the words in the ring.
    shift: u8,
    esn: bool,
}

/// A number that was new before the ICV was computed.
pub(crate) struct Begun<'a, W = AtomicU64> {
    /// The full number.
    pub(crate) number: u64,
    near: u64,
    /// Its word with what was there and what is to be, when it is that of `near`.
    place: Option<(&'a W, u64, u64)>,
}

/// Where the word of a `near` lies, for one who asks again and again.
pub(crate) struct Spot {
    near: u64,
    at: usize,
    /// Its generation, as the word has it.
    generation: u64,
}

/// Of none: no ring has such a place.
impl Default for Spot {
    fn default() -> Self {
        Self { near: 0, at: usize::MAX, generation: 0 }
    }
}

/// Numbers of several packets that lie in the word of `top`: looked at before their ICVs are, and set all in one step.
pub(crate) struct Gathered<'a, W = AtomicU64> {
    near: u64,
    word: &'a W,
    /// What was there.
    seen: u64,
    /// The bits of packets that were begun.
    begun: u64,
    /// Those of packets whose ICV was good.
    good: u64,
}

impl<W: Word> Gathered<'_, W> {
    /// The full number of a packet with these low 32 bits, when it lies in the word, is new, and no other packet was begun
    /// with it. `None` says nothing against the packet: it has to be asked for again after [`Gathered::finish`].
    #[inline(always)]
    pub(crate) fn begin(&mut self, low: u32) -> Option<u64> {
        let number = (self.near & !0xffff_ffff) | u64::from(low);
        let bit = 1 << (number % BITS);
        let new = number / BITS == self.near / BITS && number != 0 && (self.seen | self.begun) & bit == 0;
        self.begun |= if new { bit } else { 0 };
        new.then_some(number)
    }

    /// The ICV of the packet that was begun with this number was good.
    #[inline(always)]
    pub(crate) fn good(&mut self, number: u64) {
        self.good |= 1 << (number % BITS);
    }

    /// True when all numbers with a good ICV are accepted now. Else none was by this: each has to be asked for with
    /// [`ReplayWindow::commit`].
    #[inline(always)]
    pub(crate) fn finish(self, window: &ReplayWindow<W>) -> bool {
        self.good == 0 || window.near.read() == self.near && self.word.swap(self.seen, self.seen | self.good).is_ok()
    }
}

/// The largest window.
const MAX: u32 = 1 << 20;

impl ReplayWindow {
    /// The largest window.
    pub const MAX: u32 = MAX;

    /// True for the sizes that can be had: 0 (off) to 4096, and powers of two up to 2^20.
    #[must_use]
    pub fn size_is_valid(size: u32) -> bool {
        size <= 4096 || (size.is_power_of_two() && size <= MAX)
    }

    /// A window of `size` packets, 0 for none. Larger values than [`ReplayWindow::MAX`] count as that.
    #[must_use]
    pub fn new(size: u32, esn: bool) -> Self {
        Self::with_words(size, esn)
    }
}

impl<W: Word> ReplayWindow<W> {
    fn with_words(size: u32, esn: bool) -> Self {
        let size = size.min(MAX);
        let words = if size == 0 { 0 } else { (u64::from(size) / BITS).saturating_add(2).next_power_of_two() };
        let shift = u8::try_from(words.max(1).trailing_zeros()).unwrap_or(0);
        Self { near: W::make(0), ring: (0..words).map(|_| W::make(0)).collect(), size, shift, esn }
    }

    /// Highest number accepted so far; 0 before the first.
    #[must_use]
    #[inline(always)]
    pub fn top(&self) -> u64 {
        self.top_from(self.near.read())
    }

    /// `near` was just read.
    #[inline(always)]
    fn top_from(&self, near: u64) -> u64 {
        let Ok((word, generation, _)) = self.place(near) else { return near };
        let seen = word.read();
        // Another thread may have moved the word to a newer generation, and raises `near` next: what it accepted counts.
        let ahead = (seen >> BITS).wrapping_sub(generation) & 0xffff_ffff;
        let bits = seen & 0xffff_ffff;
        if bits == 0 || ahead >= 0x8000_0000 {
            return near;
        }
        let block = (near / BITS).wrapping_add(ahead.wrapping_shl(u32::from(self.shift)));
        block.wrapping_mul(BITS) | u64::from(bits.ilog2())
    }

    /// Asks the memory for what the next number will need of the ring.
    #[inline]
    pub(crate) fn warm(&self) {
        if let Ok((word, ..)) = self.place(self.near.read()) {
            ravelin_prefetch::read(word);
        }
    }

    /// The window size in packets.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// [`ReplayWindow::infer`], then [`ReplayWindow::check`].
    ///
    /// # Errors
    /// Theirs.
    #[inline(always)]
    pub(crate) fn begin(&self, low: u32) -> Result<Begun<'_, W>, DropReason> {
        let near = self.near.read();
        let number = (near & !0xffff_ffff) | u64::from(low);
        if self.beside(near, number) {
            let (word, generation, bit) = self.place(number)?;
            let seen = word.read();
            if seen >> BITS == generation && seen & bit == 0 {
                return Ok(Begun { number, near, place: Some((word, seen, bit | seen)) });
            }
        }
        let number = self.begin_apart(near, low)?;
        Ok(Begun { number, near, place: None })
    }

    /// [`ReplayWindow::begin`] for a number that lies in the word of `top`, where that was found the last time. `None` says
    /// nothing against any other number.
    #[inline(always)]
    pub(crate) fn begin_again(&self, spot: &mut Spot, low: u32) -> Option<Begun<'_, W>> {
        let near = self.near.read();
        if near != spot.near {
            self.find(spot, near)?;
        }
        #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let apart = u64::from(low ^ near as u32);
        if apart >= BITS {
            return None;
        }
        let (number, word) = (near ^ apart, self.ring.get(spot.at)?);
        let (seen, bit) = (word.read(), 1 << (number % BITS));
        let open = (seen ^ spot.generation) & (bit | !0xffff_ffff) == 0;
        open.then_some(Begun { number, near, place: Some((word, seen, bit | seen)) })
    }

    #[inline(never)]
    fn find(&self, spot: &mut Spot, near: u64) -> Option<()> {
        // A smaller window ends inside the word, and the number 0 is not one.
        if u64::from(self.size) < BITS || near < BITS {
            return None;
        }
        let (_, generation, _) = self.place(near).ok()?;
        let at = usize::try_from(near / BITS).unwrap_or(0) & self.ring.len().wrapping_sub(1);
        *spot = Spot { near, at, generation: generation << BITS };
        Some(())
    }

    #[inline(never)]
    fn begin_apart(&self, near: u64, low: u32) -> Result<u64, DropReason> {
        let top = self.top_from(near);
        let number = self.infer_from(top, low)?;
        self.check_from(top, number)?;
        Ok(number)
    }

    /// [`ReplayWindow::commit`] of what was begun: when nothing happened to its word since, what was found out holds.
    ///
    /// # Errors
    /// Those of [`ReplayWindow::commit`].
    #[inline(always)]
    pub(crate) fn finish(&self, begun: &Begun<'_, W>) -> Result<(), DropReason> {
        if let Some((word, seen, new)) = begun.place
            && self.near.read() == begun.near
            && word.swap(seen, new).is_ok()
        {
            return Ok(());
        }
        self.commit_apart(begun.number)
    }

    #[inline(never)]
    fn commit_apart(&self, number: u64) -> Result<(), DropReason> {
        self.commit(number)
    }

    /// Begins with several packets at once. `None` when they have to go one by one: without a window, with a small one,
    /// and while another thread moves the word to a newer generation.
    #[inline(always)]
    pub(crate) fn gather(&self) -> Option<Gathered<'_, W>> {
        let near = self.near.read();
        let (word, generation, _) = self.place(near).ok()?;
        let seen = word.read();
        let usual = u64::from(self.size) >= BITS && seen >> BITS == generation;
        usual.then_some(Gathered { near, word, seen, begun: 0, good: 0 })
    }

    /// True when `number` lies in the word of `near`, and therefore of `top`: less than a word away from it, so inside
    /// the window unless that is smaller. The case of nearly all packets.
    #[inline(always)]
    fn beside(&self, near: u64, number: u64) -> bool {
        near / BITS == number / BITS && u64::from(self.size) >= BITS && number != 0
    }

    /// The full number that a packet with these low 32 bits most probably has (RFC 4303 appendix A2.2).
    ///
    /// # Errors
    /// [`DropReason::TooOld`] when the number would lie before the first subspace.
    #[inline(always)]
    pub fn infer(&self, low: u32) -> Result<u64, DropReason> {
        self.infer_from(self.top(), low)
    }

    #[inline(always)]
    fn infer_from(&self, top: u64, low: u32) -> Result<u64, DropReason> {
        if !self.esn {
            return Ok(u64::from(low));
        }
        infer(top, if self.size == 0 { NOTIONAL } else { self.size }, low)
    }

    /// Would `number` be accepted? Nothing changes: to be asked before the ICV is computed.
    ///
    /// # Errors
    /// [`DropReason::TooOld`] or [`DropReason::Replay`].
    #[inline(always)]
    pub fn check(&self, number: u64) -> Result<(), DropReason> {
        self.check_from(self.top(), number)
    }

    #[inline(always)]
    fn check_from(&self, top: u64, number: u64) -> Result<(), DropReason> {
        if self.size == 0 || number > top {
            return Ok(());
        }
        self.in_window(number, top)?;
        self.unseen(number)
    }

    /// Has a number inside the window not been accepted?
    #[inline(always)]
    fn unseen(&self, number: u64) -> Result<(), DropReason> {
        let (word, generation, bit) = self.place(number)?;
        let seen = word.read();
        match seen >> BITS {
            g if g == generation && seen & bit != 0 => Err(DropReason::Replay),
            g if newer(g, generation) => Err(DropReason::TooOld),
            _ => Ok(()),
        }
    }

    /// Accepts `number` once: to be called after the ICV was good.
    ///
    /// # Errors
    /// [`DropReason::TooOld`] or [`DropReason::Replay`] when another thread was faster.
    #[inline(always)]
    pub fn commit(&self, number: u64) -> Result<(), DropReason> {
        if self.size == 0 {
            if self.esn {
                self.near.raise(number);
            }
            return Ok(());
        }
        let near = self.near.read();
        if !self.beside(near, number) {
            let top = self.top_from(near);
            if number <= top {
                self.in_window(number, top)?;
            }
        }
        let (word, generation, bit) = self.place(number)?;
        let mut seen = word.read();
        loop {
            let there = seen >> BITS;
            let new = if there == generation {
                if seen & bit != 0 {
                    return Err(DropReason::Replay);
                }
                seen | bit
            } else if newer(there, generation) {
                return Err(DropReason::TooOld);
            } else {
                (generation << BITS) | bit
            };
            match word.swap(seen, new) {
                Ok(()) => break,
                Err(now) => seen = now,
            }
        }
        if number / BITS > near / BITS {
            self.near.raise(number);
        }
        Ok(())
    }

    /// The first number of an SA is 1 (RFC 4303 §3.3.3), so 0 is always too old.
    #[inline(always)]
    fn in_window(&self, number: u64, top: u64) -> Result<(), DropReason> {
        if number == 0 || top.wrapping_sub(number) >= u64::from(self.size) { Err(DropReason::TooOld) } else { Ok(()) }
    }

    #[inline(always)]
    fn place(&self, number: u64) -> Result<(&W, u64, u64), DropReason> {
        let block = number / BITS;
        let mask = (self.ring.len() as u64).wrapping_sub(1);
        let word = usize::try_from(block & mask).ok().and_then(|i| self.ring.get(i)).ok_or(DropReason::TooOld)?;
        // 32 bits of generation: ambiguous only after 2^32 turns of the ring without a packet in this word.
        let generation = block.wrapping_shr(u32::from(self.shift)) & 0xffff_ffff;
        Ok((word, generation, 1 << (number % BITS)))
    }
}

/// True when generation `a` comes after `b`, as 32-bit serial numbers.
#[inline]
fn newer(a: u64, b: u64) -> bool {
    let ahead = a.wrapping_sub(b) & 0xffff_ffff;
    ahead != 0 && ahead < 0x8000_0000
}

/// RFC 4303 appendix A2.2 as a function of the highest number, the window and the low half.
#[inline(always)]
fn infer(top: u64, window: u32, low: u32) -> Result<u64, DropReason> {
    #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let top_low = top as u32;
    let high = top >> 32;
    let bottom = top_low.wrapping_sub(window).wrapping_add(1);
    let high = if top_low >= window.saturating_sub(1) {
        // Case A: the window lies within one subspace.
        if low >= bottom { high } else { high.wrapping_add(1) }
    } else {
        // Case B: the window spans two subspaces; before the first one there is nothing.
        if low >= bottom { high.checked_sub(1).ok_or(DropReason::TooOld)? } else { high }
    };
    Ok((high << 32) | u64::from(low))
}

#[cfg(test)]
mod tests;
