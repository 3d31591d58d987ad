//! Memory of the classifier: leaves are blocks of 1, 2, 4, ... 32 rules in one vector, so that a leaf is read in one
//! sweep, an update allocates nothing, and a copy of everything is one copy of memory.

use super::rule::{Addr, Rule};
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
    Nothing,
}

const INDEX: u32 = (1 << 29) - 1;

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
        Self((7 << 29) | (at & INDEX))
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
pub(super) struct Leaves<A> {
    rules: Vec<Rule<A>>,
    free: [Vec<u32>; MAX_CLASS as usize + 1],
}

impl<A: Addr> Default for Leaves<A> {
    fn default() -> Self {
        Self { rules: alloc::vec![Rule::dead()], free: Default::default() }
    }
}

impl<A: Addr> Leaves<A> {
    /// The block behind a reference that is a leaf or nothing.
    #[inline(always)]
    pub(super) fn block_of(&self, leaf: Ref) -> &[Rule<A>] {
        self.block((leaf.0 >> 29) as u8, leaf.0 & INDEX)
    }

    /// Asks for the memory of a leaf before it is worked on: what the first and the last rule say is in it.
    #[inline(always)]
    pub(super) fn touch(&self, leaf: Ref) -> u32 {
        let at = (leaf.0 & INDEX) as usize;
        let more = (1usize << ((leaf.0 >> 29) & 3)).wrapping_sub(1);
        let word = |at: usize| self.rules.get(at).map_or(0, |r| r.slot);
        word(at) ^ word(at.wrapping_add(more))
    }

    /// The rules of a block, unused places at the end included.
    #[inline(always)]
    pub(super) fn block(&self, class: u8, at: u32) -> &[Rule<A>] {
        let at = at as usize;
        self.rules.get(at..at.wrapping_add(1 << class)).unwrap_or_default()
    }

    /// A new block with these rules, which are in order and at most [`MAX_LEAF`].
    pub(super) fn put(&mut self, rules: &[Rule<A>]) -> Ref {
        if rules.is_empty() {
            return Ref::NONE;
        }
        let class = class_of(rules.len());
        let at = self.free.get_mut(usize::from(class)).and_then(Vec::pop).unwrap_or_else(|| {
            let at = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
            self.rules.resize(self.rules.len().saturating_add(1 << class), Rule::dead());
            at
        });
        let start = at as usize;
        if let Some(block) = self.rules.get_mut(start..start.saturating_add(1 << class)) {
            block.fill(Rule::dead());
            block.iter_mut().zip(rules).for_each(|(to, from)| *to = *from);
        }
        Ref::leaf(class, at)
    }

    /// Gives a block back.
    pub(super) fn release(&mut self, class: u8, at: u32) {
        if let Some(list) = self.free.get_mut(usize::from(class)) {
            list.push(at);
        }
    }

    /// The live rules of a block, in order.
    pub(super) fn live(&self, class: u8, at: u32) -> &[Rule<A>] {
        let block = self.block(class, at);
        let n = block.partition_point(|r| r.slot != u32::MAX);
        block.get(..n).unwrap_or_default()
    }

    /// Adds a rule in its order; `None` when the largest block is full.
    pub(super) fn insert(&mut self, class: u8, at: u32, rule: &Rule<A>) -> Option<Ref> {
        let live = self.live(class, at);
        let n = live.len();
        let place = match live.binary_search(rule) {
            Ok(_) => return Some(Ref::leaf(class, at)),
            Err(place) => place,
        };
        if n == MAX_LEAF {
            return None;
        }
        if n < 1 << class {
            let start = at as usize;
            let used = self.rules.get_mut(start..=start.saturating_add(n))?.get_mut(place..)?;
            used.rotate_right(1);
            *used.first_mut()? = *rule;
            return Some(Ref::leaf(class, at));
        }
        let mut all = [Rule::dead(); MAX_LEAF];
        let (head, tail) = live.split_at_checked(place)?;
        all.iter_mut().zip(head.iter().chain([rule]).chain(tail)).for_each(|(to, from)| *to = *from);
        self.release(class, at);
        Some(self.put(all.get(..=n)?))
    }

    /// Removes a rule; the block shrinks when it is half empty.
    pub(super) fn remove(&mut self, class: u8, at: u32, rule: &Rule<A>) -> Ref {
        let live = self.live(class, at);
        let (n, place) = (live.len(), live.binary_search(rule));
        let Ok(place) = place else { return Ref::leaf(class, at) };
        let start = at as usize;
        if let Some(used) = self.rules.get_mut(start..start.saturating_add(n)).and_then(|u| u.get_mut(place..)) {
            used.rotate_left(1);
            if let Some(last) = used.last_mut() {
                *last = Rule::dead();
            }
        }
        let left = n.saturating_sub(1);
        if left > 0 && class_of(left) == class {
            return Ref::leaf(class, at);
        }
        let mut all = [Rule::dead(); MAX_LEAF];
        all.iter_mut().zip(self.live(class, at)).for_each(|(to, from)| *to = *from);
        self.release(class, at);
        self.put(all.get(..left).unwrap_or_default())
    }

    /// Octets in use, free blocks included.
    pub(super) fn memory(&self) -> usize {
        self.rules.capacity().saturating_mul(size_of::<Rule<A>>())
    }
}
