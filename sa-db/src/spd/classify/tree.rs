//! The tree over rules of one address family: tables that hash chosen bits of the fields, lists at the leaves, bit
//! vectors where no bits separate. `mod.rs` states the bounds, `update.rs` changes it, `build.rs` arranges it, `look.rs`
//! looks up a packet, `burst.rs` several together.

use super::addr::Addr;
use super::arena::{Kind, Leaves, Ref};
use super::lanes::Processor;
use super::split::Split;
use super::table::Table;
use super::vectors::Vectors;
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
/// Of fewer rules the caches hold what a lookup reads for the most part. In tests some hundred are many.
pub(super) const FAR: usize = if cfg!(test) { 200 } else { 200_000 };

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
    pub at: u32,
    /// The group; `u32::MAX`: the leaves.
    pub group: u32,
}

impl Best {
    /// Any rule is better.
    pub(super) const NONE: Self = Self { merit: 1, slot: u32::MAX, at: u32::MAX, group: u32::MAX };

    /// Takes another one on a hit, which is anybody's guess: no branch on it.
    #[inline(always)]
    pub(super) fn set(&mut self, hit: bool, other: &Self) {
        self.merit = select_unpredictable(hit, other.merit, self.merit);
        self.slot = select_unpredictable(hit, other.slot, self.slot);
        self.at = select_unpredictable(hit, other.at, self.at);
        self.group = select_unpredictable(hit, other.group, self.group);
    }
}

/// Places in a chain at most: tables, and what is behind.
pub(super) const PLACES: usize = MAX_CHAIN as usize + 1;

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
    /// Some chain has another table than its fronts say.
    pub(super) chain_changed: bool,
    /// What lookups are compiled for.
    pub(super) processor: Processor,
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
            chain_changed: false,
            processor: Processor::detect(),
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
}
