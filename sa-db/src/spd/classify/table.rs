//! One table of the tree: buckets of rules that agree in some bits, eight to a cache line, and what does not fit.
//!
//! A lookup learns three things from one cache line: whether there is a bucket, how early its best rule goes, and where
//! it is. Before that it asks the *sieve*, half of the size: for each sixteenth of a bundle the merit of the best rule in
//! it, and in place of the merit's rough bits which sixths of the sixteenth have buckets at all. So buckets that cannot
//! win, or are not there, are not even looked for. With eighths access lists took 6 % longer, with parts of a
//! thirty-second everything else.

use super::arena::Ref;
use super::choose::{Masks, Shape};
use super::front::Front;
use super::lanes::Lanes;
use super::near::Run;
use super::rule::ROUGH;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::select_unpredictable;
use ravelin_wide::Wide;

/// Parts of a bundle that a sieve tells apart.
const PARTS: u16 = 16;
/// What a sieve says of a bundle.
type Parts = [u16; PARTS as usize];

/// A sieve of more cache lines of buckets, 32 octets each, is asked for before it is read: elsewhere that costs more than
/// it spares. In tests few, so that they take that way as well.
const FAR: usize = if cfg!(test) { 16 } else { 1 << 12 };

/// Set in the tag of every bucket.
const LIVE: u16 = 1 << 15;
/// The tag of a place whose bucket is gone.
const DEAD: u16 = 1;

/// Eight places of a table in one cache line: part of the buckets' hashes, the merit of their best rules, and where
/// they are. All eight are compared at once, so that neither the position nor a miss costs a mispredicted branch.
/// Places are taken from the front; a bundle whose last place was ever taken sends searches on to the next one. Two
/// buckets that have the same tag and meet in one bundle are one bucket.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Bundle {
    tags: [u16; 8],
    merits: [u16; 8],
    children: [u32; 8],
}

pub(super) const EMPTY: Bundle = Bundle { tags: [0; 8], merits: [0; 8], children: [Ref::NONE.0; 8] };

impl Bundle {
    #[inline(always)]
    fn was_full(&self) -> bool {
        self.tags[7] != 0
    }

    /// The merit and the bucket with this tag; nothing without one.
    #[inline(always)]
    fn find<L: Lanes>(&self, lanes: L, tag: u16) -> (u16, Ref) {
        if let Some(wide) = lanes.wide() {
            let (merit, child) = wide.pick(&self.tags, tag, &self.merits, &self.children);
            return (merit, Ref(child));
        }
        let (mut merit, mut child) = (0, 0);
        // Masks, not choices: the compiler makes branches of choices.
        for (t, m) in self.tags.iter().zip(&self.merits) {
            merit |= m & u16::from(*t == tag).wrapping_neg();
        }
        for (t, c) in self.tags.iter().zip(&self.children) {
            child |= c & u32::from(*t == tag).wrapping_neg();
        }
        (merit, Ref(child))
    }

    pub(super) fn live(&self) -> impl Iterator<Item = Ref> {
        self.tags.iter().zip(self.children).filter(|(t, _)| **t >= LIVE).map(|(_, c)| Ref(c))
    }
}

#[inline(always)]
fn tag(hash: u32) -> u16 {
    hash as u16 | LIVE
}

/// In which part of a bundle a hash, or a tag, is.
#[inline(always)]
fn part(hash: u32) -> u16 {
    hash as u16 % PARTS
}

/// Which of the rough bits of a merit stands for a hash, or a tag, in its part.
#[inline(always)]
fn sixth(hash: u32) -> u32 {
    ((hash / u32::from(PARTS)) & 255).wrapping_mul(6) >> 8
}

/// Buckets of rules that agree in the bits of `shape`, and the rules that are too wide for it. What a lookup reads is in
/// the first cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Table {
    pub(super) masks: Masks,
    pub(super) bundles: Box<[Bundle]>,
    /// By home and the last bits of the tag: no bucket there has more merit. Empty for tables that stand alone, where it
    /// spares nothing.
    sieve: Box<[Parts]>,
    pub(super) rest: Ref,
    /// No rule in a bucket has more.
    pub(super) merit_own: u16,
    /// No rule in the rest has more.
    pub(super) merit_rest: u16,
    /// What is behind the last table of the chain.
    pub(super) behind: Ref,
    /// Places for the rules of small buckets.
    pub(super) near: Run,
    /// No rule there has more.
    pub(super) merit_behind: u16,
    /// What is behind the tables is looked into first: it has rules that go before nearly all others.
    pub(super) early: bool,
    pub(super) shape: Shape,
    pub(super) chain: u8,
    /// Places that are not empty, dead ones included.
    used: u32,
    /// Rules in buckets, copies counted.
    pub(super) own: u32,
    /// Rules in the rest.
    pub(super) others: u32,
    /// Rules when it was built.
    pub(super) built: u32,
    /// Of the first table of a chain, where the processor can: all tables of the chain side by side.
    pub(super) fronts: Vec<Front>,
}

impl Table {
    /// A table for so many buckets, half of its places or fewer; it is built anew when seven in eight are taken.
    pub(super) fn new(shape: Shape, buckets: usize, chain: u8, alone: bool) -> Self {
        let len = (buckets / 4).saturating_add(1);
        let sieve = if alone { 0 } else { len };
        Self {
            masks: shape.masks(),
            bundles: alloc::vec![EMPTY; len].into(),
            sieve: alloc::vec![[0; PARTS as usize]; sieve].into(),
            rest: Ref::NONE,
            merit_own: 0,
            merit_rest: 0,
            behind: Ref::NONE,
            near: Run::NONE,
            merit_behind: 0,
            early: false,
            shape,
            chain,
            used: 0,
            own: 0,
            others: 0,
            built: 0,
            fronts: Vec::new(),
        }
    }

    /// True when so many more buckets would make searches long.
    pub(super) fn is_full(&self, more: usize) -> bool {
        (self.used as usize).saturating_add(more) > self.bundles.len().saturating_mul(7)
    }

    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash).wrapping_mul(self.bundles.len() as u64)) >> 32) as usize
    }

    #[inline(always)]
    fn after(&self, at: usize) -> usize {
        let next = at.wrapping_add(1);
        if next < self.bundles.len() { next } else { 0 }
    }

    /// Asks for the memory of a bucket's place before it is worked on.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u32) {
        self.bundles.get(self.home(hash)).into_iter().for_each(ravelin_prefetch::read);
    }

    /// The line for the rules of a small bucket.
    #[inline(always)]
    pub(super) fn line(&self, hash: u32) -> u32 {
        self.near.line(self.home(hash), hash)
    }

    /// What is in the bucket with this hash, and the merit of its best rule.
    #[inline(always)]
    pub(super) fn find<L: Lanes>(&self, lanes: L, hash: u32) -> (u16, Ref) {
        let mut at = self.home(hash);
        // Never all full, so every search ends.
        while let Some(bundle) = self.bundles.get(at) {
            let found = bundle.find(lanes, tag(hash));
            if (found.0 != 0) | !bundle.was_full() {
                return found;
            }
            at = self.after(at);
        }
        (0, Ref::NONE)
    }

    /// True for a sieve that is hardly in the caches next to the processor.
    #[inline(always)]
    pub(super) fn is_far(&self) -> bool {
        self.sieve.len() > FAR
    }

    /// Asks for what [`Table::bound`] will read.
    #[inline(always)]
    pub(super) fn prefetch_bound(&self, hash: u32) {
        self.sieve.get(self.home(hash)).into_iter().for_each(ravelin_prefetch::read);
    }

    /// No rule in the bucket with this hash has more merit; 0 when there is nothing.
    #[inline(always)]
    pub(super) fn bound(&self, hash: u32) -> u16 {
        let all = match self.sieve.get(self.home(hash)) {
            Some(parts) => parts.get(usize::from(part(hash))).copied().unwrap_or(0),
            None => self.merit_own | ROUGH,
        };
        // Whether there is a bucket is anybody's guess: no branch on it.
        let there = u32::from(all) & (1 << sixth(hash)) != 0;
        select_unpredictable(there, all | ROUGH, 0)
    }

    /// A part of the sieve, by its number.
    #[inline(always)]
    pub(super) fn part_at(&self, place: usize) -> u16 {
        self.sieve.as_flattened().get(place).copied().unwrap_or(self.merit_own | ROUGH)
    }

    /// Asks for what [`Table::part_at`] will read.
    #[inline(always)]
    pub(super) fn prefetch_part(&self, place: usize) {
        self.sieve.as_flattened().get(place).into_iter().for_each(ravelin_prefetch::read);
    }

    /// A table that stood alone and does not any more gets its sieve.
    pub(super) fn open(&mut self) {
        if self.sieve.is_empty() {
            self.sieve = alloc::vec![[0; PARTS as usize]; self.bundles.len()].into();
            (0..self.bundles.len()).for_each(|home| (0..PARTS).for_each(|part| self.sift(home, part)));
        }
    }

    /// Octets in use.
    pub(super) fn memory(&self) -> usize {
        let (bundles, sieve) = (self.bundles.len(), self.sieve.len());
        let fronts = self.fronts.capacity().saturating_mul(size_of::<Front>());
        bundles
            .saturating_mul(size_of::<Bundle>())
            .saturating_add(sieve.saturating_mul(size_of::<Parts>()))
            .saturating_add(fronts)
    }

    /// Says in the sieve what is in the bundles.
    fn sift(&mut self, home: usize, wanted: u16) {
        let mut at = home;
        let (mut top, mut sixths) = (0, 0);
        for _ in 0..self.bundles.len() {
            let Some(bundle) = self.bundles.get(at) else { return };
            let here =
                bundle.tags.iter().zip(bundle.merits).filter(|(t, _)| **t >= LIVE && part(u32::from(**t)) == wanted);
            (top, sixths) = here.fold((top, sixths), |(top, s), (t, m)| (m.max(top), s | 1 << sixth(u32::from(*t))));
            if !bundle.was_full() {
                break;
            }
            at = self.after(at);
        }
        let place = self.sieve.get_mut(home).and_then(|s| s.get_mut(usize::from(wanted)));
        place.into_iter().for_each(|m| *m = (top & !ROUGH) | sixths);
    }

    /// Sets what is in a bucket; [`Ref::NONE`] empties it. A new bucket needs a table that is not full.
    pub(super) fn set(&mut self, hash: u32, child: Ref, merit: u16) {
        self.set_place(hash, child, merit);
        if !self.sieve.is_empty() {
            self.sift(self.home(hash), part(hash));
        }
    }

    fn set_place(&mut self, hash: u32, child: Ref, merit: u16) {
        let (mut at, tag) = (self.home(hash), tag(hash));
        // The first place where it could go.
        let mut free = None;
        for _ in 0..self.bundles.len() {
            let Some(bundle) = self.bundles.get(at) else { return };
            if let Some(n) = bundle.tags.iter().position(|t| *t == tag) {
                let gone = if bundle.was_full() { DEAD } else { 0 };
                let tag = if child == Ref::NONE { gone } else { tag };
                if tag == 0 {
                    self.used = self.used.saturating_sub(1);
                }
                return self.write(at, n, tag, child, merit);
            }
            free = free.or_else(|| bundle.tags.iter().position(|t| *t < LIVE).map(|n| (at, n, bundle.tags)));
            if !bundle.was_full() {
                break;
            }
            at = self.after(at);
        }
        if let (Some((at, n, tags)), true) = (free, child != Ref::NONE) {
            self.used = self.used.saturating_add(u32::from(tags.get(n) == Some(&0)));
            self.write(at, n, tag, child, merit);
        }
    }

    fn write(&mut self, at: usize, n: usize, tag: u16, child: Ref, merit: u16) {
        let Some(bundle) = self.bundles.get_mut(at) else { return };
        let places = (bundle.tags.get_mut(n), bundle.merits.get_mut(n), bundle.children.get_mut(n));
        if let (Some(t), Some(m), Some(c)) = places {
            (*t, *m, *c) = (tag, if child == Ref::NONE { 0 } else { merit }, child.0);
        }
    }

    pub(super) fn total(&self) -> u32 {
        self.own.saturating_add(self.others)
    }

    /// No rule in it has more.
    pub(super) fn merit(&self) -> u16 {
        self.merit_own.max(self.merit_rest)
    }
}
