//! Rules come and go: one path of the tree is touched; what has grown or shrunk too far is built anew.

use super::addr::Addr;
use super::arena::{Kind, MAX_LEAF, Ref};
use super::lanes::Plain;
use super::rule::{Rule, merit};
use super::table::Table;
use super::tree::{SMALL, Tree};
use super::vectors::{FIRST_GROUP, MAX_GROUP, Vectors};
use alloc::vec::Vec;

/// Rules that may come to a small group before it is built anew.
const FEW_FRESH: usize = 8;

impl<A: Addr> Tree<A> {
    /// Adds a rule below `at`; returns what stands in its place now.
    pub(super) fn insert(&mut self, at: Ref, rule: &Rule<A>) -> Ref {
        self.insert_at(at, rule, 0, 0)
    }

    pub(super) fn insert_at(&mut self, at: Ref, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        match at.kind() {
            Kind::Nothing => self.leaves.put(core::slice::from_ref(rule)),
            Kind::Leaf(class, i) => {
                let n = self.leaves.count(class, i);
                // Whether something better than a list exists is asked at a few sizes only.
                if !matches!(n, 11 | 22 | MAX_LEAF)
                    && let Some(new) = self.leaves.insert(class, i, rule)
                {
                    return new;
                }
                self.rebuild(at, Some(rule), depth, chain)
            }
            Kind::Table(i) => self.insert_into_table(at, i, rule, depth),
            Kind::Group(i) => self.insert_into_group(at, i, rule, depth, chain),
            Kind::Split(i) => self.insert_into_split(at, i, rule),
        }
    }

    fn insert_into_table(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8) -> Ref {
        let Some(t) = self.table_mut(i) else { return at };
        let accepted = t.shape.accepts(rule).then(|| hashes(t, rule));
        let more = accepted.map_or(0, |(_, n)| n);
        if t.total() > t.built.saturating_mul(2).saturating_add(32) || t.is_full(more) {
            let chain = t.chain;
            return self.rebuild(at, Some(rule), depth, chain);
        }
        if let Some((hashes, n)) = accepted {
            t.merit_own = t.merit_own.max(merit(rule.key));
            t.own = t.own.saturating_add(u32::try_from(n).unwrap_or(1));
            for hash in hashes.iter().take(n) {
                let (child, line) = self.table(i).map_or((Ref::NONE, 0), |t| (t.find(Plain, *hash).1, t.line(*hash)));
                let new = self.insert_at(child, rule, depth.saturating_add(1), 0);
                let new = self.leaves.draw_near(new, line);
                let now = self.merit(new);
                // Even when nothing changed: the rule may be the first of its hash in a bucket of several.
                self.table_mut(i).into_iter().for_each(|t| t.set(*hash, new, now));
            }
        } else {
            t.merit_rest = t.merit_rest.max(merit(rule.key));
            t.others = t.others.saturating_add(1);
            let (rest, chain) = (t.rest, t.chain.saturating_add(1));
            let new = self.insert_at(rest, rule, depth, chain);
            self.set_rest(i, new);
        }
        at
    }

    fn insert_into_group(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        let Some(g) = self.group_mut(i) else { return at };
        if g.total > g.built.saturating_mul(2) {
            return self.rebuild(at, Some(rule), depth, chain);
        }
        g.total = g.total.saturating_add(1);
        if g.rest != Ref::NONE && rule.key > g.vectors.last_key() {
            let rest = g.rest;
            g.merit_rest = g.merit_rest.max(merit(rule.key));
            let new = self.insert_at(rest, rule, depth, chain);
            if let Some(g) = self.group_mut(i) {
                g.rest = new;
            }
            return at;
        }
        // What most lookups walk over stays short.
        let few = if g.vectors.len() <= 3 * FIRST_GROUP { FEW_FRESH } else { MAX_LEAF };
        let fresh = match g.fresh.kind() {
            Kind::Leaf(class, f) if self.leaves.count(class, f) >= few => None,
            Kind::Leaf(class, f) => self.leaves.insert(class, f, rule),
            _ => Some(self.leaves.put(core::slice::from_ref(rule))),
        };
        match (fresh, self.group_mut(i)) {
            (Some(new), Some(g)) => {
                g.fresh = new;
                g.merit_fresh = g.merit_fresh.max(merit(rule.key));
            }
            _ => self.regroup(i, Some(rule)),
        }
        self.unsettled = true;
        at
    }

    /// Takes the fresh rules of so many groups into their vectors.
    pub(super) fn settle(&mut self, groups: usize) {
        if !core::mem::take(&mut self.unsettled) {
            return;
        }
        let mut left = groups;
        // What becomes of a group that is too long is new, and has no fresh rules.
        for i in 0..self.groups.len() {
            if !matches!(self.groups.get(i), Some(Some(g)) if g.fresh != Ref::NONE) {
                continue;
            }
            let Some(less) = left.checked_sub(1) else {
                self.unsettled = true;
                return;
            };
            left = less;
            self.regroup(u32::try_from(i).unwrap_or(u32::MAX), None);
        }
    }

    /// Takes the fresh rules of a group, and one more if there is one, into its vectors; a group that gets too long
    /// becomes two.
    fn regroup(&mut self, i: u32, more: Option<&Rule<A>>) {
        let Some(g) = self.group_mut(i) else { return };
        let (fresh, rest) = (g.fresh, g.rest);
        let mut rules: Vec<Rule<A>> = g.vectors.live().copied().collect();
        self.collect(fresh, &mut rules);
        self.discard(fresh);
        rules.extend(more);
        // The old ones are in order, and the others few: runs, which this sort merges, and the unstable one does not.
        rules.sort();
        rules.dedup();
        let mut rest = rest;
        if rules.len() > MAX_GROUP {
            let tail = rules.split_off(rules.len() / 2);
            rest = self.make_group(tail, rest);
        }
        let merit_rest = self.merit(rest);
        if let Some(g) = self.group_mut(i) {
            g.merit_rest = g.merit_rest.max(merit_rest);
            g.vectors = Vectors::new(rules);
            (g.fresh, g.merit_fresh) = (Ref::NONE, 0);
            g.rest = rest;
        }
    }

    /// Removes a rule below `at`; returns what stands in its place now.
    pub(super) fn remove(&mut self, at: Ref, rule: &Rule<A>) -> Ref {
        self.remove_at(at, rule, 0, 0)
    }

    pub(super) fn remove_at(&mut self, at: Ref, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        match at.kind() {
            Kind::Nothing => Ref::NONE,
            Kind::Leaf(class, i) => self.leaves.remove(class, i, rule),
            Kind::Table(i) => self.remove_from_table(at, i, rule, depth),
            Kind::Group(i) => self.remove_from_group(at, i, rule, depth, chain),
            Kind::Split(i) => self.remove_from_split(at, i, rule),
        }
    }

    fn remove_from_table(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8) -> Ref {
        let Some(t) = self.table_mut(i) else { return at };
        let chain = t.chain;
        if t.shape.accepts(rule) {
            let (hashes, n) = hashes(t, rule);
            t.own = t.own.saturating_sub(u32::try_from(n).unwrap_or(1));
            for hash in hashes.iter().take(n) {
                let (before, child) = self.table(i).map_or((0, Ref::NONE), |t| t.find(Plain, *hash));
                let line = self.table(i).map_or(0, |t| t.line(*hash));
                let new = self.remove_at(child, rule, depth.saturating_add(1), 0);
                let new = self.leaves.draw_near(new, line);
                let now = self.merit(new);
                if let Some(t) = self.table_mut(i).filter(|_| new != child || now != before) {
                    t.set(*hash, new, now);
                }
            }
        } else {
            t.others = t.others.saturating_sub(1);
            let rest = t.rest;
            let new = self.remove_at(rest, rule, depth, chain.saturating_add(1));
            self.set_rest(i, new);
        }
        let shrunk = self.table(i).is_some_and(|t| t.total() <= SMALL as u32 || t.total() < t.built / 4);
        if shrunk { self.rebuild(at, None, depth, chain) } else { at }
    }

    fn remove_from_group(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        let Some(g) = self.group_mut(i) else { return at };
        g.total = g.total.saturating_sub(1);
        if !g.vectors.remove(rule) {
            let (fresh, rest) = (g.fresh, g.rest);
            let in_fresh = matches!(fresh.kind(), Kind::Leaf(c, f) if self.leaves.live(c, f).any(|r| r == *rule));
            if in_fresh {
                let new = self.remove_at(fresh, rule, depth, chain);
                let now = self.merit(new);
                self.group_mut(i).into_iter().for_each(|g| (g.fresh, g.merit_fresh) = (new, now));
            } else {
                let new = self.remove_at(rest, rule, depth, chain);
                self.group_mut(i).into_iter().for_each(|g| g.rest = new);
            }
        }
        let shrunk =
            self.group(i).is_some_and(|g| g.vectors.len() == 0 || g.total <= SMALL as u32 || g.total < g.built / 4);
        if shrunk { self.rebuild(at, None, depth, chain) } else { at }
    }

    /// Builds what is below `at` anew, with one more rule if there is one.
    pub(super) fn rebuild(&mut self, at: Ref, more: Option<&Rule<A>>, depth: u8, chain: u8) -> Ref {
        let mut rules = Vec::new();
        self.collect(at, &mut rules);
        self.discard(at);
        rules.extend(more);
        rules.sort_unstable();
        rules.dedup();
        self.build(rules, depth, chain)
    }
}

fn hashes<A: Addr>(t: &Table, rule: &Rule<A>) -> ([u32; 16], usize) {
    let (mut all, mut n) = ([0u32; 16], 0usize);
    t.shape.buckets(&t.masks, rule, |hash| {
        if let Some(place) = all.get_mut(n) {
            *place = hash;
        }
        n = n.saturating_add(1);
    });
    (all, n)
}
