//! The tree over rules of one address family: tables that hash chosen bits of the fields, lists at the leaves, bit
//! vectors where no bits separate; and the lookup. `mod.rs` states the bounds, `update.rs` changes it, `build.rs`
//! arranges it.

use super::arena::{Kind, Leaves, Ref};
use super::rule::{Addr, MARKED, Point, Rule};
use super::table::Table;
use super::vectors::Vectors;
use alloc::vec::Vec;

/// Tables below each other at most.
pub(super) const MAX_DEPTH: u8 = 6;
/// Tables after each other at most.
pub(super) const MAX_CHAIN: u8 = 24;
/// From here on a table must spare a lookup several groups of vectors.
pub(super) const LONG_CHAIN: u8 = 8;
/// Up to here a list is not worth a thought.
pub(super) const SMALL: usize = 8;

/// Rules behind vectors, the few that came since, and those that come after.
#[derive(Clone, Debug)]
pub(super) struct Group<A> {
    pub(super) vectors: Vectors<A>,
    pub(super) fresh: Ref,
    pub(super) rest: Ref,
    pub(super) min_rest: u64,
    pub(super) total: u32,
    pub(super) built: u32,
}

/// The best answer so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    pub key: u64,
    pub slot: u32,
}

impl Best {
    pub(super) const NONE: Self = Self { key: u64::MAX, slot: u32::MAX };
}

/// The tree's memory. Roots are kept by the owner, so that many small trees can share one.
#[derive(Clone)]
pub(super) struct Tree<A> {
    pub(super) leaves: Leaves<A>,
    pub(super) tables: Vec<Option<Table>>,
    pub(super) free_tables: Vec<u32>,
    pub(super) groups: Vec<Option<Group<A>>>,
    pub(super) free_groups: Vec<u32>,
}

impl<A: Addr> Default for Tree<A> {
    fn default() -> Self {
        Self {
            leaves: Leaves::default(),
            tables: Vec::new(),
            free_tables: Vec::new(),
            groups: Vec::new(),
            free_groups: Vec::new(),
        }
    }
}

pub(super) fn store<T>(list: &mut Vec<Option<T>>, free: &mut Vec<u32>, item: T) -> u32 {
    if let Some(at) = free.pop() {
        if let Some(place) = list.get_mut(at as usize) {
            *place = Some(item);
        }
        return at;
    }
    list.push(Some(item));
    u32::try_from(list.len().saturating_sub(1)).unwrap_or(u32::MAX)
}

impl<A: Addr> Tree<A> {
    #[inline(always)]
    pub(super) fn table(&self, at: u32) -> Option<&Table> {
        self.tables.get(at as usize)?.as_ref()
    }

    pub(super) fn table_mut(&mut self, at: u32) -> Option<&mut Table> {
        self.tables.get_mut(at as usize)?.as_mut()
    }

    pub(super) fn group(&self, at: u32) -> Option<&Group<A>> {
        self.groups.get(at as usize)?.as_ref()
    }

    pub(super) fn group_mut(&mut self, at: u32) -> Option<&mut Group<A>> {
        self.groups.get_mut(at as usize)?.as_mut()
    }

    #[inline(always)]
    fn scan(&self, class: u8, at: u32, p: &Point<A>, best: &mut Best, agree: &impl Fn(&Rule<A>) -> bool) {
        self.scan_block(self.leaves.block(class, at), p, best, agree);
    }

    #[inline(always)]
    fn scan_block(&self, block: &[Rule<A>], p: &Point<A>, best: &mut Best, agree: &impl Fn(&Rule<A>) -> bool) {
        let Some((first, more)) = block.split_first() else { return };
        // Most leaves have one rule, and whether it matches is anybody's guess: no branch on it.
        let hit = (first.key < best.key) & first.matches(p) & ((first.flags & MARKED == 0) || agree(first));
        best.key = core::hint::select_unpredictable(hit, first.key, best.key);
        best.slot = core::hint::select_unpredictable(hit, first.slot, best.slot);
        for rule in more {
            if rule.key >= best.key {
                return;
            }
            if rule.matches(p) && agree(rule) {
                *best = Best { key: rule.key, slot: rule.slot };
                return;
            }
        }
    }

    /// Improves `best` by what is found below `at`.
    pub(super) fn lookup(&self, at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(&Rule<A>) -> bool) {
        let mut at = at;
        loop {
            match at.kind() {
                Kind::Nothing => return,
                Kind::Leaf(class, i) => return self.scan(class, i, p, best, agree),
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    if t.min_own < best.key {
                        let child = t.find(t.shape.bucket(p));
                        if child.is_leaf() {
                            self.scan_block(self.leaves.block_of(child), p, best, agree);
                        } else {
                            self.lookup(child, p, best, agree);
                        }
                    }
                    if t.min_rest >= best.key {
                        return;
                    }
                    at = t.rest;
                }
                Kind::Group(i) => {
                    let Some(g) = self.group(i) else { return };
                    if let Some(rule) = g.vectors.lookup(p, best.key, agree) {
                        *best = Best { key: rule.key, slot: rule.slot };
                    }
                    if let Kind::Leaf(class, i) = g.fresh.kind() {
                        self.scan(class, i, p, best, agree);
                    }
                    if g.min_rest >= best.key {
                        return;
                    }
                    at = g.rest;
                }
            }
        }
    }

    /// As [`Tree::lookup`] for several packets at once: the memory that one packet waits for is asked for before
    /// the others are looked at.
    pub(super) fn lookup_burst<const N: usize>(
        &self,
        root: Ref,
        points: &[Point<A>; N],
        best: &mut [Best; N],
        agree: &impl Fn(&Rule<A>) -> bool,
    ) {
        let mut at = root;
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i) else { return };
            let mask = t.bundles.len().wrapping_sub(1);
            // One word of every bundle and of every leaf is read before any is worked on.
            let mut hashes = [0u32; N];
            let mut touched = 0u32;
            for (hash, p) in hashes.iter_mut().zip(points) {
                *hash = t.shape.bucket(p);
                touched ^= self.tables_touch(t, *hash, mask);
            }
            let mut found = [Ref::NONE; N];
            for (hash, to) in hashes.iter().zip(&mut found) {
                *to = t.find(*hash);
                touched ^= self.leaves.touch(*to);
            }
            core::hint::black_box(touched);
            for ((child, p), best) in found.iter().zip(points).zip(best.iter_mut()) {
                if child.is_leaf() {
                    self.scan_block(self.leaves.block_of(*child), p, best, agree);
                } else {
                    self.lookup(*child, p, best, agree);
                }
            }
            if best.iter().all(|b| t.min_rest >= b.key) {
                return;
            }
            at = t.rest;
        }
        if at != Ref::NONE {
            points.iter().zip(best).for_each(|(p, b)| self.lookup(at, p, b, agree));
        }
    }

    #[inline(always)]
    fn tables_touch(&self, t: &Table, hash: u32, mask: usize) -> u32 {
        t.bundles.get(t.home(hash) & mask).map_or(0, |b| b.hashes[0])
    }
}
