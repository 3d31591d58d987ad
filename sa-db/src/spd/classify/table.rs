//! One table of the tree: buckets of rules that agree in some bits, eight to a cache line, and what does not fit.

use super::arena::Ref;
use super::choose::Shape;
use alloc::vec::Vec;

/// Eight places of a table in one cache line: the buckets' hashes and what is in the buckets. All eight are compared
/// at once, so that neither the position nor a miss costs a mispredicted branch. Places are taken from the front; a
/// bundle whose last place was ever taken sends searches on to the next one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Bundle {
    pub(super) hashes: [u32; 8],
    pub(super) children: [Ref; 8],
}

pub(super) const EMPTY: Bundle = Bundle { hashes: [0; 8], children: [Ref::NONE; 8] };

impl Bundle {
    pub(super) fn was_full(&self) -> bool {
        self.children[7] != Ref::NONE
    }

    /// What is in the bucket with this hash, [`Ref::NONE`] without one.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32) -> Ref {
        let mut found = 0;
        for (h, child) in self.hashes.iter().zip(&self.children) {
            // A mask, not a choice: the compiler makes branches of choices.
            found |= child.0 & u32::from(*h == hash).wrapping_neg();
        }
        Ref(found)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (u32, Ref)> {
        let both = self.hashes.iter().copied().zip(self.children.iter().copied());
        both.filter(|(_, c)| *c != Ref::NONE && *c != Ref::DEAD)
    }
}

/// Buckets of rules that agree in the bits of `shape`, and the rules that are too wide for it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) shape: Shape,
    /// Position of a hash is its top bits.
    pub(super) shift: u8,
    pub(super) chain: u8,
    /// Places that are not empty, dead ones included.
    pub(super) used: u32,
    /// Rules in buckets, copies counted.
    pub(super) own: u32,
    /// Rules in the rest.
    pub(super) others: u32,
    /// Rules when it was built.
    pub(super) built: u32,
    pub(super) rest: Ref,
    /// No rule in a bucket comes before this.
    pub(super) min_own: u64,
    /// No rule in the rest comes before this.
    pub(super) min_rest: u64,
    pub(super) bundles: Vec<Bundle>,
}

impl Table {
    pub(super) fn new(shape: Shape, buckets: usize, chain: u8) -> Self {
        let mut t = Self {
            shape,
            shift: 0,
            chain,
            used: 0,
            own: 0,
            others: 0,
            built: 0,
            rest: Ref::NONE,
            min_own: u64::MAX,
            min_rest: u64::MAX,
            bundles: Vec::new(),
        };
        t.resize(buckets);
        t
    }

    pub(super) fn resize(&mut self, buckets: usize) {
        let len = buckets.div_ceil(4).next_power_of_two();
        self.shift = u8::try_from(32u32.saturating_sub(len.ilog2())).unwrap_or(0);
        let old = core::mem::replace(&mut self.bundles, alloc::vec![EMPTY; len]);
        self.used = 0;
        for (hash, child) in old.iter().flat_map(Bundle::live) {
            self.put(hash, child);
        }
    }

    #[inline(always)]
    pub(super) fn home(&self, hash: u32) -> usize {
        (u64::from(hash) >> (self.shift & 63)) as usize
    }

    /// What is in the bucket with this hash.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32) -> Ref {
        let mask = self.bundles.len().wrapping_sub(1);
        let mut at = self.home(hash);
        // Never all full, so every search ends.
        while let Some(bundle) = self.bundles.get(at & mask) {
            let found = bundle.find(hash);
            if (found != Ref::NONE) | !bundle.was_full() {
                return found;
            }
            at = at.wrapping_add(1);
        }
        Ref::NONE
    }

    /// Puts a bucket into the first free place from its home on.
    pub(super) fn put(&mut self, hash: u32, child: Ref) {
        let mask = self.bundles.len().wrapping_sub(1);
        let mut at = self.home(hash);
        while let Some(bundle) = self.bundles.get_mut(at & mask) {
            let free = bundle.children.iter().position(|c| *c == Ref::NONE || *c == Ref::DEAD);
            if let Some(free) = free {
                bundle.hashes.get_mut(free).into_iter().for_each(|h| *h = hash);
                bundle.children.get_mut(free).into_iter().for_each(|c| *c = child);
                self.used = self.used.saturating_add(1);
                return;
            }
            at = at.wrapping_add(1);
        }
    }

    /// Sets what is in a bucket; [`Ref::NONE`] empties it.
    pub(super) fn set(&mut self, hash: u32, child: Ref) {
        let mask = self.bundles.len().wrapping_sub(1);
        let mut at = self.home(hash);
        while let Some(bundle) = self.bundles.get_mut(at & mask) {
            let was_full = bundle.was_full();
            let there = |(n, (h, c)): (usize, (&u32, &Ref))| (*h == hash && *c != Ref::NONE).then_some(n);
            if let Some(n) = bundle.hashes.iter().zip(&bundle.children).enumerate().find_map(there) {
                let emptied = if was_full { Ref::DEAD } else { Ref::NONE };
                if let Some(place) = bundle.children.get_mut(n) {
                    self.used = match (*place == Ref::DEAD, child == Ref::NONE) {
                        (true, false) => self.used.saturating_add(1),
                        (false, true) => self.used.saturating_sub(1),
                        _ => self.used,
                    };
                    *place = if child == Ref::NONE { emptied } else { child };
                }
                return;
            }
            if !was_full {
                break;
            }
            at = at.wrapping_add(1);
        }
        if child == Ref::NONE {
            return;
        }
        if (self.used as usize).saturating_mul(2) >= self.bundles.len().saturating_mul(8) {
            self.resize((self.used as usize).saturating_mul(2));
        }
        self.put(hash, child);
    }

    pub(super) fn total(&self) -> u32 {
        self.own.saturating_add(self.others)
    }
}
