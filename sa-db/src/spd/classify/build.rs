//! What arrangement serves a set of rules best, and its construction; sizes and descriptions of what stands.

use super::addr::Addr;
use super::arena::{Kind, MAX_LEAF, Ref};
use super::choose::{self, Shape};
use super::rule::Rule;
use super::table::{Bundle, Table};
use super::tree::{Group, LONG_CHAIN, LONGER_CHAIN, MAX_CHAIN, MAX_DEPTH, SMALL, Tree, store};
use super::vectors::{FIRST_GROUP, MAX_GROUP, Vectors};
use alloc::vec::Vec;

/// How many tables may stand after each other before these rules go behind vectors. Where ranks do not follow width,
/// the first group of vectors is asked early and answers most lookups, however many groups come after it; where they do,
/// it is asked last and seldom has the answer, so that more tables are worth their probes.
fn longest_chain<A: Addr>(rules: &[Rule<A>]) -> u8 {
    let width = |r: Option<&Rule<A>>| r.is_some_and(|r| (r.key >> 32).wrapping_sub(1 << 31) < 1 << 11);
    let by_width = width(rules.first()) && width(rules.last());
    let many = if by_width { 4 * MAX_GROUP } else { 8 * MAX_GROUP };
    match rules.len() {
        n if n > many => MAX_CHAIN,
        n if n > MAX_GROUP / 4 && by_width => LONGER_CHAIN,
        _ => LONG_CHAIN,
    }
}

impl<A: Addr> Tree<A> {
    /// No rule below has more.
    pub(super) fn merit(&self, at: Ref) -> u16 {
        match at.kind() {
            Kind::Nothing => 0,
            Kind::Leaf(..) => self.leaves.merit(at),
            Kind::Table(i) => self.table(i).map_or(u16::MAX, Table::merit),
            Kind::Group(i) => self
                .group(i)
                .map_or(u16::MAX, |g| super::rule::merit(g.vectors.first_key()).max(g.merit_rest).max(g.merit_fresh)),
            Kind::Split(i) => self.merit_of_split(i),
        }
    }

    /// Rules below, copies counted.
    pub(super) fn size(&self, at: Ref) -> u32 {
        match at.kind() {
            Kind::Nothing => 0,
            Kind::Leaf(class, i) => u32::try_from(self.leaves.count(class, i)).unwrap_or(0),
            Kind::Table(i) => self.table(i).map_or(0, Table::total),
            Kind::Group(i) => self.group(i).map_or(0, |g| g.total),
            Kind::Split(i) => self.split(i).map_or(0, |s| s.total),
        }
    }

    pub(super) fn make_group(&mut self, rules: Vec<Rule<A>>, rest: Ref) -> Ref {
        let merit_rest = self.merit(rest);
        let total = u32::try_from(rules.len()).unwrap_or(u32::MAX).saturating_add(self.size(rest));
        let vectors = Vectors::new(rules);
        let group = Group { vectors, fresh: Ref::NONE, merit_fresh: 0, rest, merit_rest, total, built: total };
        Ref::group(store(&mut self.groups, &mut self.free_groups, group))
    }

    /// The best arrangement for rules that are in order.
    pub(super) fn build(&mut self, rules: Vec<Rule<A>>, depth: u8, chain: u8) -> Ref {
        let n = rules.len();
        if n <= SMALL {
            return self.leaves.put(&rules);
        }
        if (depth, chain) == (0, 0)
            && let Some(split) = self.build_split(&rules)
        {
            return split;
        }
        let list = if n <= MAX_LEAF { choose::list_cost(n as f32) } else { f32::INFINITY };
        let vectors = choose::vector_cost(n);
        if depth < MAX_DEPTH
            && chain < longest_chain(&rules)
            && let Some((shape, cost)) = choose::best(&rules)
            && cost < list.min(vectors)
            && let Some(table) = self.build_table(&rules, shape, depth, chain)
        {
            return table;
        }
        if list <= vectors {
            return self.leaves.put(&rules);
        }
        self.build_groups(&rules)
    }

    /// Groups of rising size: the first ones are small, so that what decides most lookups lies close together.
    fn build_groups(&mut self, rules: &[Rule<A>]) -> Ref {
        // Of many wide rules more have to be at hand before most lookups end here.
        let first = (rules.len() / 8).clamp(FIRST_GROUP, 2 * FIRST_GROUP);
        let (mut left, mut parts, mut size) = (rules, Vec::new(), first);
        while let Some((part, more)) = left.split_at_checked(size.min(left.len())).filter(|(p, _)| !p.is_empty()) {
            parts.push(part);
            left = more;
            size = size.saturating_mul(2).min(MAX_GROUP);
        }
        parts.iter().rev().fold(Ref::NONE, |rest, part| self.make_group(part.to_vec(), rest))
    }

    fn build_table(&mut self, rules: &[Rule<A>], shape: Shape, depth: u8, chain: u8) -> Option<Ref> {
        let (mut copies, mut rest): (Vec<(u32, u32)>, Vec<Rule<A>>) = (Vec::new(), Vec::new());
        let masks = shape.masks();
        for (n, rule) in (0u32..).zip(rules) {
            match shape.accepts(rule) {
                true => shape.buckets(&masks, rule, |hash| copies.push((hash, n))),
                false => rest.push(*rule),
            }
        }
        copies.sort_unstable();
        let buckets = copies.chunk_by(|a, b| a.0 == b.0);
        let (count, longest) =
            buckets.clone().fold((0usize, 0usize), |(n, m), b| (n.saturating_add(1), m.max(b.len())));
        // A table that leaves everything together is no progress.
        if longest == rules.len() || rest.len() == rules.len() {
            return None;
        }
        let mut t = Table::new(shape, count, chain, chain == 0 && rest.is_empty());
        t.near = self.leaves.take_run(t.bundles.len());
        t.own = u32::try_from(copies.len()).unwrap_or(u32::MAX);
        t.others = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        t.built = t.total();
        let first = |r: Option<&Rule<A>>| r.map_or(0, |r| super::rule::merit(r.key));
        t.merit_rest = first(rest.first());
        t.merit_own = first(rules.iter().find(|r| shape.accepts(r)));
        for bucket in buckets {
            let Some((hash, _)) = bucket.first() else { continue };
            let mut members: Vec<Rule<A>> =
                bucket.iter().filter_map(|(_, n)| rules.get(*n as usize)).copied().collect();
            let (_, there) = t.find(super::lanes::Plain, *hash);
            if there != Ref::NONE {
                // Another bucket whose place and tag are the same: they become one.
                self.collect(there, &mut members);
                self.discard(there);
                members.sort_unstable();
                members.dedup();
            }
            let child = self.build(members, depth.saturating_add(1), 0);
            let child = self.leaves.draw_near(child, t.line(*hash));
            t.set(*hash, child, self.merit(child));
        }
        let rest = self.build(rest, depth, chain.saturating_add(1));
        (t.rest, (t.behind, t.merit_behind)) = (rest, self.behind(rest));
        // Where ranks do not follow width, wide rules of high merit spare most of the narrow ones.
        let sixteenth = rules.get(rules.len() / 16).map_or(0, |r| super::rule::merit(r.key));
        t.early = chain == 0 && t.merit_behind > sixteenth;
        let at = store(&mut self.tables, &mut self.free_tables, t);
        if chain == 0 {
            self.set_fronts(at);
        } else {
            self.chain_changed = true;
        }
        Some(Ref::table(at))
    }

    /// What is behind the last table of a chain, or of the rest of one, and its merit.
    fn behind(&self, rest: Ref) -> (Ref, u16) {
        match rest.kind() {
            Kind::Table(i) => self.table(i).map_or((Ref::NONE, 0), |next| (next.behind, next.merit_behind)),
            _ => (rest, self.merit(rest)),
        }
    }

    /// Sets what comes after a table, or tells it that this has changed.
    pub(super) fn set_rest(&mut self, table: u32, rest: Ref) {
        let (behind, merit) = self.behind(rest);
        let Some(t) = self.table_mut(table) else { return };
        let (is_head, is_new) = (t.chain == 0, rest != t.rest);
        (t.rest, t.behind, t.merit_behind) = (rest, behind, merit);
        if rest != Ref::NONE {
            t.open();
        }
        // What is done to a chain comes up to its head, table by table.
        self.chain_changed |= is_new;
        if is_head && core::mem::take(&mut self.chain_changed) {
            self.set_fronts(table);
        }
    }

    /// All rules below `at`, copies included, in no order.
    pub(super) fn collect(&self, at: Ref, out: &mut Vec<Rule<A>>) {
        match at.kind() {
            Kind::Nothing => {}
            Kind::Leaf(class, i) => out.extend(self.leaves.live(class, i)),
            Kind::Table(i) => {
                if let Some(t) = self.table(i) {
                    t.bundles.iter().flat_map(Bundle::live).for_each(|child| self.collect(child, out));
                    self.collect(t.rest, out);
                }
            }
            Kind::Group(i) => {
                if let Some(g) = self.group(i) {
                    out.extend(g.vectors.live());
                    self.collect(g.fresh, out);
                    self.collect(g.rest, out);
                }
            }
            Kind::Split(i) => {
                if let Some(s) = self.split(i) {
                    self.collect(s.head, out);
                    self.collect(s.rest, out);
                }
            }
        }
    }

    /// Frees everything below `at`.
    pub(super) fn discard(&mut self, at: Ref) {
        match at.kind() {
            Kind::Nothing => {}
            Kind::Leaf(class, i) => self.leaves.release(class, i),
            Kind::Table(i) => {
                if let Some(t) = self.tables.get_mut(i as usize).and_then(Option::take) {
                    self.free_tables.push(i);
                    t.bundles.iter().flat_map(Bundle::live).for_each(|child| self.discard(child));
                    self.leaves.give_run(t.near);
                    self.discard(t.rest);
                }
            }
            Kind::Group(i) => {
                if let Some(g) = self.groups.get_mut(i as usize).and_then(Option::take) {
                    self.free_groups.push(i);
                    self.discard(g.fresh);
                    self.discard(g.rest);
                }
            }
            Kind::Split(i) => self.discard_split(i),
        }
    }

    /// Octets in use.
    pub(super) fn memory(&self) -> usize {
        let slots: usize = self.tables.iter().flatten().map(Table::memory).sum();
        let groups: usize = self.groups.iter().flatten().map(|g| g.vectors.memory()).sum();
        let tables = self.tables.capacity().saturating_mul(size_of::<Option<Table>>());
        self.leaves.memory().saturating_add(slots).saturating_add(groups).saturating_add(tables)
    }

    /// For people: what stands below `at`, one line per table of the chain.
    pub(super) fn describe(&self, at: Ref, out: &mut alloc::string::String) {
        use core::fmt::Write;
        let mut at = at;
        loop {
            let _ = match at.kind() {
                Kind::Nothing => return,
                Kind::Leaf(class, i) => {
                    let _ = writeln!(out, "list of {}", self.leaves.count(class, i));
                    return;
                }
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    let live: Vec<Ref> = t.bundles.iter().flat_map(Bundle::live).collect();
                    let nested = live.iter().filter(|c| !matches!(c.kind(), Kind::Leaf(..))).count();
                    at = t.rest;
                    writeln!(
                        out,
                        "table {:?}: {} copies in {} buckets, {nested} of them with trees, {} others",
                        t.shape,
                        t.own,
                        live.len(),
                        t.others
                    )
                }
                Kind::Group(i) => {
                    let Some(g) = self.group(i) else { return };
                    at = g.rest;
                    writeln!(out, "vectors over {}", g.vectors.len())
                }
                Kind::Split(i) => {
                    let Some(s) = self.split(i) else { return };
                    at = s.rest;
                    let _ = writeln!(out, "the first {} by rank:", self.size(s.head));
                    self.describe(s.head, out);
                    writeln!(out, "the others:")
                }
            };
        }
    }
}
