//! The tree over rules of one address family: tables that hash chosen bits of the fields, lists at the leaves, bit
//! vectors where no bits separate; and the lookup. `mod.rs` states the bounds, `update.rs` changes it, `build.rs`
//! arranges it, `burst.rs` looks up several packets together.

use super::arena::{Kind, Leaves, Ref};
use super::rule::{Addr, Hot, MARKED, Point};
use super::table::Table;
use super::vectors::Vectors;
use alloc::vec::Vec;

/// Tables below each other at most.
pub(super) const MAX_DEPTH: u8 = 6;
/// Tables after each other at most.
pub(super) const MAX_CHAIN: u8 = 24;
/// From here on a table must spare a lookup several groups of vectors, or large ones where ranks follow width.
pub(super) const LONG_CHAIN: u8 = 8;
/// From here on only several groups count.
pub(super) const LONGER_CHAIN: u8 = 12;
/// Up to here a list is not worth a thought.
pub(super) const SMALL: usize = 8;

/// Rules behind vectors, the few that came since, and those that come after.
#[derive(Clone, Debug)]
pub(super) struct Group<A: Addr> {
    pub(super) vectors: Vectors<A>,
    pub(super) fresh: Ref,
    pub(super) rest: Ref,
    /// No rule in the rest has more.
    pub(super) merit_rest: u16,
    pub(super) total: u32,
    pub(super) built: u32,
}

/// The best answer so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// The rule's.
    pub merit: u16,
    /// Index of the policy.
    pub slot: u32,
    /// Where in the leaves the rule is; `u32::MAX`: not there.
    at: u32,
    /// The rule's key when it is not in the leaves.
    key: u64,
}

impl Best {
    /// Any rule is better.
    pub(super) const NONE: Self = Self { merit: 1, slot: u32::MAX, at: u32::MAX, key: u64::MAX };
}

/// Where something better may be: in a bucket, or behind the last table.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// A table, or what is behind the last one.
    pub at: Ref,
    /// The bucket's.
    pub hash: u32,
}

impl Place {
    pub(super) const NONE: Self = Self { at: Ref::NONE, hash: 0 };
}

pub(super) const PLACES: usize = MAX_CHAIN as usize + 1;

/// What of a chain of tables may hold something better, to be looked into by merit.
#[derive(Clone, Copy)]
pub(super) struct Found {
    merits: [u16; PLACES],
    places: [Place; PLACES],
    n: usize,
}

impl Found {
    pub(super) const NONE: Self = Self { merits: [0; PLACES], places: [Place::NONE; PLACES], n: 0 };

    /// Keeps a place if it may hold something better; no branch, as nobody can foretell it.
    #[inline(always)]
    pub(super) fn push(&mut self, merit: u16, place: Place, best: &Best) {
        self.merits.get_mut(self.n).into_iter().for_each(|m| *m = merit);
        self.places.get_mut(self.n).into_iter().for_each(|p| *p = place);
        self.n = self.n.wrapping_add(usize::from(merit >= best.merit));
    }

    /// The place of highest merit, once; `None` when none may hold something better.
    #[inline(always)]
    pub(super) fn take(&mut self, best: &Best) -> Option<Place> {
        let merits = self.merits.get(..self.n)?;
        let (mut top, mut at) = (0u16, 0usize);
        for (n, m) in merits.iter().enumerate() {
            at = core::hint::select_unpredictable(*m > top, n, at);
            top = top.max(*m);
        }
        if top < best.merit {
            return None;
        }
        *self.merits.get_mut(at)? = 0;
        self.places.get(at).copied()
    }
}

/// The tree's memory. Roots are kept by the owner, so that many small trees can share one.
#[derive(Clone)]
pub(super) struct Tree<A: Addr> {
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

    /// The table at the end of a chain, which needs no choice among several.
    #[inline(always)]
    pub(super) fn alone(&self, at: Ref) -> Option<&Table> {
        match at.kind() {
            Kind::Table(i) => self.table(i).filter(|t| t.rest == Ref::NONE),
            _ => None,
        }
    }

    /// What of a chain is to be looked into before its tables, if anything; `None` where there is no chain.
    #[inline(always)]
    pub(super) fn early(&self, at: Ref, best: &Best) -> Option<Ref> {
        let Kind::Table(i) = at.kind() else { return None };
        let t = self.table(i)?;
        Some(if t.early & (t.merit_behind >= best.merit) { t.behind } else { Ref::NONE })
    }

    pub(super) fn group(&self, at: u32) -> Option<&Group<A>> {
        self.groups.get(at as usize)?.as_ref()
    }

    pub(super) fn group_mut(&mut self, at: u32) -> Option<&mut Group<A>> {
        self.groups.get_mut(at as usize)?.as_mut()
    }

    fn key_of(&self, best: &Best) -> u64 {
        if best.at == u32::MAX { best.key } else { self.leaves.key(best.at) }
    }

    /// A rule that matches and has the merit of the best so far or asks for the mark: does it go before?
    #[cold]
    fn goes_before(&self, rule: &Hot<A>, at: u32, best: &Best, agree: &impl Fn(u32) -> bool) -> bool {
        (rule.merit > best.merit || self.leaves.key(at) < self.key_of(best))
            && (rule.flags & MARKED == 0 || agree(rule.slot))
    }

    /// Improves `best` by what is in a leaf.
    #[inline(always)]
    pub(super) fn scan(&self, leaf: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        let (start, block) = self.leaves.block(leaf);
        let Some((first, more)) = block.split_first() else { return };
        // Most leaves have one rule, and whether it matches is anybody's guess: no branch on it.
        let matches = (first.merit >= best.merit) & first.matches(p);
        let seldom = (first.merit == best.merit) | (first.flags & MARKED != 0);
        let mut hit = matches & !seldom;
        if matches & seldom {
            hit = self.goes_before(first, start, best, agree);
        }
        best.merit = core::hint::select_unpredictable(hit, first.merit, best.merit);
        best.slot = core::hint::select_unpredictable(hit, first.slot, best.slot);
        best.at = core::hint::select_unpredictable(hit, start, best.at);
        for (at, rule) in (start.wrapping_add(1)..).zip(more) {
            if rule.merit < best.merit {
                return;
            }
            if rule.matches(p) {
                let seldom = (rule.merit == best.merit) | (rule.flags & MARKED != 0);
                if !seldom || self.goes_before(rule, at, best, agree) {
                    *best = Best { merit: rule.merit, slot: rule.slot, at, key: 0 };
                    return;
                }
            }
        }
    }

    /// Improves `best` by what is found below `at`.
    pub(super) fn lookup(&self, at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        let mut at = at;
        loop {
            match at.kind() {
                Kind::Nothing => return,
                Kind::Leaf(..) => return self.scan(at, p, best, agree),
                Kind::Table(_) => return self.chain(at, p, best, agree),
                Kind::Group(i) => {
                    let Some(g) = self.group(i) else { return };
                    self.look_behind(&g.vectors, p, best, agree);
                    self.scan(g.fresh, p, best, agree);
                    if g.merit_rest < best.merit {
                        return;
                    }
                    at = g.rest;
                }
            }
        }
    }

    fn look_behind(&self, vectors: &Vectors<A>, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        let Some((merit, slot, at)) = vectors.lookup(p, best.merit, agree) else { return };
        if merit == best.merit && vectors.key(at) >= self.key_of(best) {
            return;
        }
        *best = Best { merit, slot, at: u32::MAX, key: vectors.key(at) };
    }

    /// Improves `best` by what is in a bucket.
    #[inline(always)]
    pub(super) fn descend(
        &self,
        (merit, child): (u16, Ref),
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        if merit < best.merit {
            return;
        }
        if child.is_leaf() {
            self.scan(child, p, best, agree);
        } else {
            self.lookup(child, p, best, agree);
        }
    }

    /// Improves `best` by the tables from `at` on and what is behind them.
    #[inline(always)]
    fn chain(&self, mut at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        if let Some(t) = self.alone(at) {
            return self.descend(t.find(t.masks.bucket(p)), p, best, agree);
        }
        let Some(early) = self.early(at, best) else { return };
        if early != Ref::NONE {
            self.lookup(early, p, best, agree);
        }
        let mut found = Found::NONE;
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i) else { return };
            if t.merit_own >= best.merit {
                let place = Place { at, hash: t.masks.bucket(p) };
                let merit = t.bound(place.hash);
                // What may end the search is looked into at once; the others by merit, when all are known.
                if merit > t.merit_rest {
                    self.descend(t.find(place.hash), p, best, agree);
                } else {
                    found.push(merit, place, best);
                }
            }
            if t.merit_rest < best.merit {
                break;
            }
            at = t.rest;
            if early == Ref::NONE && !matches!(at.kind(), Kind::Table(_)) {
                found.push(t.merit_rest, Place { at, hash: 0 }, best);
            }
        }
        while let Some(place) = found.take(best) {
            match place.at.kind() {
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    self.descend(t.find(place.hash), p, best, agree);
                }
                _ => self.lookup(place.at, p, best, agree),
            }
        }
    }
}
