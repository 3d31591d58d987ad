//! Memory of the classifier: leaves are blocks of 1, 2, 4, ... 32 rules in one vector, so that a leaf is read in one
//! sweep, an update allocates nothing, and a copy of everything is one copy of memory. The rules' keys are beside it:
//! a lookup reads them only where two rules have the same merit. Some places belong to tables (`near.rs`).

use super::addr::Addr;
use super::near::Free;
use super::rule::{Hot, Rule};
use alloc::vec::Vec;

/// Largest block: 2^5 rules.
pub(super) const MAX_CLASS: u8 = 5;
/// Rules in the largest block.
pub(super) const MAX_LEAF: usize = 1 << MAX_CLASS;

/// Where a part of the tree is: three bits say what, the rest where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ref(pub(super) u32);

/// What a [`Ref`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A block of 2^class rules at this offset.
    Leaf(u8, u32),
    /// A table of the tree.
    Table(u32),
    /// A group of rules behind bit vectors.
    Group(u32),
    /// Rules in two parts by rank.
    Split(u32),
    Nothing,
}

const INDEX: u32 = (1 << 29) - 1;
/// Tells a split from a group.
const SPLIT: u32 = 1 << 28;

impl Ref {
    /// Nothing there: the first block, which holds one dead rule for ever, so that it can be read like a leaf.
    pub(super) const NONE: Self = Self(0);
    /// Nothing there any more; a table's place that may be used again.
    pub(super) const DEAD: Self = Self(u32::MAX);

    pub(super) fn leaf(class: u8, at: u32) -> Self {
        Self((u32::from(class) << 29) | (at & INDEX))
    }
    pub(super) fn table(at: u32) -> Self {
        Self((6 << 29) | (at & INDEX))
    }
    pub(super) fn group(at: u32) -> Self {
        Self((7 << 29) | (at & (SPLIT - 1)))
    }
    pub(super) fn split(at: u32) -> Self {
        Self((7 << 29) | SPLIT | (at & (SPLIT - 1)))
    }

    /// True for a leaf and for [`Ref::NONE`].
    #[inline(always)]
    pub(super) fn is_leaf(self) -> bool {
        self.0 < 6 << 29
    }

    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        match self.0 >> 29 {
            6 => Kind::Table(self.0 & INDEX),
            7 if self.0 == Self::DEAD.0 => Kind::Nothing,
            7 if self.0 & SPLIT != 0 => Kind::Split(self.0 & (SPLIT - 1)),
            7 => Kind::Group(self.0 & INDEX),
            0 if self.0 == 0 => Kind::Nothing,
            class => Kind::Leaf(class as u8, self.0 & INDEX),
        }
    }
}

/// The smallest class that holds `n` rules, at most [`MAX_LEAF`].
fn class_of(n: usize) -> u8 {
    (0..MAX_CLASS).find(|c| n <= 1 << c).unwrap_or(MAX_CLASS)
}

/// The vector of leaves with its free blocks.
#[derive(Clone)]
pub(super) struct Leaves<A: Addr> {
    rules: Vec<Hot<A>>,
    keys: Vec<u64>,
    free: [Vec<u32>; MAX_CLASS as usize + 1],
    /// Places that belonged to tables.
    pub(super) free_runs: Free,
    /// Blocks and runs that are not free.
    taken: usize,
}

impl<A: Addr> Default for Leaves<A> {
    fn default() -> Self {
        let (rules, keys) = (alloc::vec![Hot::new(&Rule::dead())], alloc::vec![u64::MAX]);
        Self { rules, keys, free: Default::default(), free_runs: Free::default(), taken: 0 }
    }
}

impl<A: Addr> Leaves<A> {
    /// Where the block behind a reference that is a leaf or nothing begins, and what is in it: unused places come last.
    #[inline(always)]
    pub(super) fn block(&self, leaf: Ref) -> (u32, &[Hot<A>]) {
        let at = leaf.0 & INDEX;
        let end = (at as usize).wrapping_add(1 << ((leaf.0 >> 29) & 7));
        (at, self.rules.get(at as usize..end).unwrap_or_default())
    }

    /// Asks for the memory of a leaf before it is worked on, the first and the last cache line of it.
    #[inline(always)]
    pub(super) fn prefetch(&self, leaf: Ref) {
        let at = (leaf.0 & INDEX) as usize;
        let more = (1usize << ((leaf.0 >> 29) & 3)).wrapping_sub(1);
        // What is no leaf is asked for at some place or none, which does no harm.
        for at in [at, at.wrapping_add(more)] {
            self.rules.get(at).into_iter().for_each(ravelin_prefetch::read);
        }
    }

    /// Places of rules.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The order of the rule in a place.
    #[inline(always)]
    pub(super) fn key(&self, at: u32) -> u64 {
        self.keys.get(at as usize).copied().unwrap_or(u64::MAX)
    }

    /// The highest merit in a leaf; 0 without rules.
    pub(super) fn merit(&self, leaf: Ref) -> u16 {
        self.block(leaf).1.first().map_or(0, |r| r.merit)
    }

    /// A new block with these rules, which are in order and at most [`MAX_LEAF`].
    pub(super) fn put(&mut self, rules: &[Rule<A>]) -> Ref {
        if rules.is_empty() {
            return Ref::NONE;
        }
        let class = class_of(rules.len());
        let at = self.free.get_mut(usize::from(class)).and_then(Vec::pop).unwrap_or_else(|| {
            let at = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
            self.grow(1 << class, Hot::new(&Rule::dead()));
            at
        });
        self.count_taken();
        let with_dead = rules.iter().copied().chain(core::iter::repeat(Rule::dead()));
        (at..at.saturating_add(1 << class)).zip(with_dead).for_each(|(at, rule)| self.write(at, &rule));
        Ref::leaf(class, at)
    }

    fn write(&mut self, at: u32, rule: &Rule<A>) {
        if let (Some(hot), Some(key)) = (self.rules.get_mut(at as usize), self.keys.get_mut(at as usize)) {
            (*hot, *key) = (Hot::new(rule).in_place_of(hot), rule.key);
        }
    }

    /// So many more places at the end that belong to a table; the first is a multiple of `even`.
    pub(super) fn grow_near(&mut self, len: u32, even: u32) -> u32 {
        let start = self.rules.len().next_multiple_of(even as usize);
        self.grow(start.saturating_sub(self.rules.len()), Hot::new(&Rule::dead()));
        self.grow(len as usize, Hot::new(&Rule::dead()).near());
        u32::try_from(start).unwrap_or(u32::MAX)
    }

    /// So many more places at the end. Large vectors do not double.
    fn grow(&mut self, places: usize, with: Hot<A>) {
        let len = self.rules.len().saturating_add(places);
        if len > self.rules.capacity() {
            let more = places.saturating_add(self.rules.len() / 8).saturating_add(64);
            self.rules.reserve_exact(more);
            self.keys.reserve_exact(more);
        }
        self.rules.resize(len, with);
        self.keys.resize(len, u64::MAX);
    }

    /// One more block or run was taken.
    pub(super) fn count_taken(&mut self) {
        self.taken = self.taken.saturating_add(1);
    }

    /// One fewer; after the last everything begins anew.
    pub(super) fn count_given(&mut self) {
        self.taken = self.taken.saturating_sub(1);
        if self.taken == 0 {
            self.rules.truncate(1);
            self.keys.truncate(1);
            self.free.iter_mut().for_each(Vec::clear);
            self.free_runs = Free::default();
        }
    }

    /// What is in a place.
    #[inline(always)]
    pub(super) fn rule_at(&self, at: usize) -> Option<&Hot<A>> {
        self.rules.get(at)
    }

    /// True for a place that belongs to a table and has no rule.
    pub(super) fn is_free_near(&self, at: u32) -> bool {
        self.rule_at(at as usize).is_some_and(|r| r.is_near() && r.slot == u32::MAX)
    }

    /// Copies the rules of a block to another of the same size.
    pub(super) fn copy(&mut self, class: u8, from: u32, to: u32) {
        for n in 0..1u32 << class {
            let (from, to) = (from.saturating_add(n) as usize, to.saturating_add(n) as usize);
            if let (Some(rule), Some(key)) = (self.rules.get(from).copied(), self.keys.get(from).copied())
                && let (Some(to_rule), Some(to_key)) = (self.rules.get_mut(to), self.keys.get_mut(to))
            {
                (*to_rule, *to_key) = (rule.in_place_of(to_rule), key);
            }
        }
    }

    /// Gives a block back: to the table whose it is, or for others.
    pub(super) fn release(&mut self, class: u8, at: u32) {
        if self.rule_at(at as usize).is_some_and(Hot::is_near) {
            (at..at.saturating_add(1 << class)).for_each(|at| self.write(at, &Rule::dead()));
        } else if let Some(list) = self.free.get_mut(usize::from(class)) {
            list.push(at);
        }
        self.count_given();
    }

    /// The live rules of a block, in order.
    pub(super) fn live(&self, class: u8, at: u32) -> impl Iterator<Item = Rule<A>> {
        let (start, block) = self.block(Ref::leaf(class, at));
        let live = block.iter().take_while(|r| r.slot != u32::MAX);
        (start..).zip(live).map(|(at, hot)| hot.rule(self.key(at)))
    }

    /// How many rules a block holds.
    pub(super) fn count(&self, class: u8, at: u32) -> usize {
        self.block(Ref::leaf(class, at)).1.partition_point(|r| r.slot != u32::MAX)
    }

    /// Adds a rule in its order; `None` when the largest block is full.
    pub(super) fn insert(&mut self, class: u8, at: u32, rule: &Rule<A>) -> Option<Ref> {
        let n = self.count(class, at);
        let place = self.live(class, at).take_while(|r| r < rule).count();
        if self.live(class, at).nth(place).is_some_and(|r| r == *rule) {
            return Some(Ref::leaf(class, at));
        }
        if n == MAX_LEAF {
            return None;
        }
        if n < 1 << class {
            let start = at as usize;
            let used = start.saturating_add(place)..=start.saturating_add(n);
            self.rules.get_mut(used.clone())?.rotate_right(1);
            self.keys.get_mut(used)?.rotate_right(1);
            self.write(at.saturating_add(u32::try_from(place).ok()?), rule);
            return Some(Ref::leaf(class, at));
        }
        let mut all = [Rule::dead(); MAX_LEAF];
        let live = self.live(class, at);
        let mut slots = all.iter_mut();
        let mut left = Some(*rule);
        for old in live {
            if let Some(new) = left.take_if(|r| *r < old) {
                *slots.next()? = new;
            }
            *slots.next()? = old;
        }
        if let Some(new) = left {
            *slots.next()? = new;
        }
        self.release(class, at);
        Some(self.put(all.get(..=n)?))
    }

    /// Removes a rule; the block shrinks when it is half empty.
    pub(super) fn remove(&mut self, class: u8, at: u32, rule: &Rule<A>) -> Ref {
        let n = self.count(class, at);
        let Some(place) = self.live(class, at).position(|r| r == *rule) else { return Ref::leaf(class, at) };
        let start = at as usize;
        let used = start.saturating_add(place)..start.saturating_add(n);
        self.rules.get_mut(used.clone()).into_iter().for_each(|u| u.rotate_left(1));
        self.keys.get_mut(used).into_iter().for_each(|u| u.rotate_left(1));
        let left = n.saturating_sub(1);
        self.write(at.saturating_add(u32::try_from(left).unwrap_or(0)), &Rule::dead());
        if left > 0 && class_of(left) == class {
            return Ref::leaf(class, at);
        }
        let mut all = [Rule::dead(); MAX_LEAF];
        all.iter_mut().zip(self.live(class, at)).for_each(|(to, from)| *to = from);
        self.release(class, at);
        self.put(all.get(..left).unwrap_or_default())
    }

    /// Octets in use, free blocks included.
    pub(super) fn memory(&self) -> usize {
        self.rules.capacity().saturating_mul(size_of::<Hot<A>>()).saturating_add(self.keys.capacity().saturating_mul(8))
    }
}
