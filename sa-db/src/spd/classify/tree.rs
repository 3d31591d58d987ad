//! The tree over rules of one address family: tables that hash chosen bits of the fields, lists at the leaves, bit
//! vectors where no bits separate; and the lookup. `mod.rs` states the bounds, `update.rs` changes it, `build.rs`
//! arranges it, `burst.rs` looks up several packets together.

use super::arena::{Kind, Leaves, Ref};
use super::rule::{Addr, Hot, MARKED, Point};
use super::split::Split;
use super::table::Table;
use super::vectors::{Places, Vectors};
use alloc::vec::Vec;
use core::hint::select_unpredictable;

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
    /// No fresh rule has more; 0 without one.
    pub(super) merit_fresh: u16,
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
    /// Where in the group or in the leaves the rule is.
    at: u32,
    /// The group; `u32::MAX`: the leaves.
    group: u32,
}

impl Best {
    /// Any rule is better.
    pub(super) const NONE: Self = Self { merit: 1, slot: u32::MAX, at: u32::MAX, group: u32::MAX };
}

pub(super) const PLACES: usize = MAX_CHAIN as usize + 1;

/// Where in a chain of tables something better may be, to be looked into by merit.
struct Found {
    /// The merit, and under it the place's number turned over, so that of equal ones the first is the highest.
    keys: [i32; EIGHTS * 8],
    /// Tables, and what is behind the last one.
    places: [Ref; PLACES],
    n: usize,
    top: i32,
}

const EIGHTS: usize = PLACES.div_ceil(8);

impl Found {
    const NONE: Self = Self { keys: [0; EIGHTS * 8], places: [Ref::NONE; PLACES], n: 0, top: 0 };

    /// Keeps a place; returns the highest key.
    #[inline(always)]
    fn push(&mut self, merit: u16, place: Ref, top: i32) -> i32 {
        let key = (i32::from(merit) << 8) | (self.n as i32 ^ 0xFF);
        if let (Some(k), Some(p)) = (self.keys.get_mut(self.n), self.places.get_mut(self.n)) {
            (*k, *p) = (key, place);
            self.n = self.n.wrapping_add(1);
        }
        select_unpredictable(key > top, key, top)
    }

    /// The place of highest merit, once; `None` when none may hold something better. No branches but this one, as nobody
    /// can foretell them.
    #[inline(always)]
    fn take(&mut self, best: &Best) -> Option<Ref> {
        let top = self.top;
        if top >> 8 < i32::from(best.merit) {
            return None;
        }
        let mut next = [0i32; 8];
        for eight in self.keys.as_chunks::<8>().0.iter().take(self.n.div_ceil(8)) {
            for (key, next) in eight.iter().zip(&mut next) {
                // Masks, so that several go together.
                let below = *key & i32::from(*key < top).wrapping_neg();
                *next = below.max(*next);
            }
        }
        self.top = next.into_iter().fold(0, i32::max);
        self.places.get((top as usize & 0xFF) ^ 0xFF).copied()
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
    pub(super) splits: Vec<Option<Split>>,
    pub(super) free_splits: Vec<u32>,
    /// Some group has fresh rules.
    pub(super) unsettled: bool,
}

impl<A: Addr> Default for Tree<A> {
    fn default() -> Self {
        Self {
            leaves: Leaves::default(),
            tables: Vec::new(),
            free_tables: Vec::new(),
            groups: Vec::new(),
            free_groups: Vec::new(),
            splits: Vec::new(),
            free_splits: Vec::new(),
            unsettled: false,
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

    pub(super) fn group(&self, at: u32) -> Option<&Group<A>> {
        self.groups.get(at as usize)?.as_ref()
    }

    pub(super) fn group_mut(&mut self, at: u32) -> Option<&mut Group<A>> {
        self.groups.get_mut(at as usize)?.as_mut()
    }

    fn key_of(&self, best: &Best) -> u64 {
        match self.group(best.group) {
            Some(g) => g.vectors.key(best.at),
            None => self.leaves.key(best.at),
        }
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
        best.merit = select_unpredictable(hit, first.merit, best.merit);
        best.slot = select_unpredictable(hit, first.slot, best.slot);
        best.at = select_unpredictable(hit, start, best.at);
        best.group = select_unpredictable(hit, u32::MAX, best.group);
        for (at, rule) in (start.wrapping_add(1)..).zip(more) {
            if rule.merit < best.merit {
                return;
            }
            if rule.matches(p) {
                let seldom = (rule.merit == best.merit) | (rule.flags & MARKED != 0);
                if !seldom || self.goes_before(rule, at, best, agree) {
                    *best = Best { merit: rule.merit, slot: rule.slot, at, group: u32::MAX };
                    return;
                }
            }
        }
    }

    /// Improves `best` by what is found below `at`.
    #[inline(always)]
    pub(super) fn lookup(&self, at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        let mut at = at;
        // A table that stands alone needs no choice among several.
        while let Some(t) = self.alone(at) {
            let (merit, child) = t.find(t.masks.bucket(p));
            at = select_unpredictable(merit >= best.merit, child, Ref::NONE);
        }
        if at.is_leaf() {
            self.scan(at, p, best, agree);
        } else {
            self.lookup_wide(at, p, best, agree);
        }
    }

    /// The rest of [`Tree::lookup`].
    #[inline(never)]
    fn lookup_wide(&self, at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        match at.kind() {
            Kind::Table(_) => self.chain(at, p, best, agree),
            Kind::Group(_) => self.look_behind(at, p, best, agree),
            Kind::Split(i) => {
                let Some(s) = self.split(i) else { return };
                let before = best.slot;
                self.lookup(s.head, p, best, agree);
                if best.slot == before {
                    self.lookup(s.rest, p, best, agree);
                }
            }
            Kind::Leaf(..) | Kind::Nothing => {}
        }
    }

    /// Improves `best` by a group of vectors and what comes after it.
    #[inline(never)]
    pub(super) fn look_behind(&self, mut at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        while let Kind::Group(i) = at.kind() {
            let Some(g) = self.group(i) else { return };
            if g.vectors.merit() >= best.merit {
                let [places] = g.vectors.locate(core::array::from_ref(p));
                self.look_into_group(i, g, &places, best, agree);
            }
            if g.merit_fresh >= best.merit {
                self.scan(g.fresh, p, best, agree);
            }
            if g.merit_rest < best.merit {
                return;
            }
            at = g.rest;
        }
        self.lookup(at, p, best, agree);
    }

    #[inline(always)]
    pub(super) fn look_into_group(
        &self,
        group: u32,
        g: &Group<A>,
        places: &Places,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        let Some((merit, slot, at)) = g.vectors.first(places, best.merit, agree) else { return };
        if merit > best.merit || g.vectors.key(at) < self.key_of(best) {
            *best = Best { merit, slot, at, group };
        }
    }

    /// Improves `best` by the bucket of a table.
    #[inline(always)]
    pub(super) fn descend(&self, t: &Table, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        let (merit, child) = t.find(t.masks.bucket(p));
        self.lookup(select_unpredictable(merit >= best.merit, child, Ref::NONE), p, best, agree);
    }

    /// Improves `best` by the tables from `at` on and what is behind them.
    #[inline(never)]
    fn chain(&self, mut at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        let Kind::Table(first) = at.kind() else { return };
        let Some(first) = self.table(first) else { return };
        let early = first.early & (first.merit_behind >= best.merit);
        if !early && first.others < first.own / 8 {
            // Most answers are in this table: no need to ask.
            self.descend(first, p, best, agree);
            if first.merit_rest < best.merit {
                return;
            }
            at = first.rest;
        }
        // What is behind is searched while the sieves answer: while those that are far come, or, where none is, while the
        // first of them are read.
        let far = early & first.is_far();
        if far {
            self.look_behind_first(at, first.behind, p, best, agree);
        }
        // All sieves are asked before anything is looked into: no branch depends on their answers.
        let mut found = Found::NONE;
        self.ask(at, p, &mut found, !early);
        if early & !far {
            self.lookup(first.behind, p, best, agree);
        }
        while let Some(place) = found.take(best) {
            match place.kind() {
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    self.descend(t, p, best, agree);
                }
                _ => self.lookup(place, p, best, agree),
            }
        }
    }

    /// Asks the memory for the sieves at the front of a chain that are far, and improves `best` by what is behind.
    #[inline(never)]
    fn look_behind_first(&self, mut at: Ref, behind: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i).filter(|t| t.is_far()) else { break };
            t.prefetch_bound(t.masks.bucket(p));
            at = t.rest;
        }
        self.look_behind(behind, p, best, agree);
    }

    /// Asks the sieves of all tables of a chain.
    #[inline(always)]
    fn ask(&self, mut at: Ref, p: &Point<A>, found: &mut Found, behind: bool) {
        let (mut top, mut rest) = (0, u16::MAX);
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i) else { break };
            top = found.push(t.bound(t.masks.bucket(p)), at, top);
            (at, rest) = (t.rest, t.merit_rest);
        }
        if behind {
            top = found.push(rest, at, top);
        }
        found.top = top;
    }
}
