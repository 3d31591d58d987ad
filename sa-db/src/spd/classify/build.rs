//! What arrangement serves a set of rules best, and its construction; sizes and descriptions of what stands.

use super::arena::{Kind, MAX_LEAF, Ref};
use super::choose::{self, Shape};
use super::rule::{Addr, Rule};
use super::table::{Bundle, Table};
use super::tree::{Group, LONG_CHAIN, MAX_CHAIN, MAX_DEPTH, SMALL, Tree, store};
use super::vectors::{MAX_GROUP, Vectors};
use alloc::vec::Vec;

impl<A: Addr> Tree<A> {
    /// No rule below comes before this.
    pub(super) fn first_key(&self, at: Ref) -> u64 {
        match at.kind() {
            Kind::Nothing => u64::MAX,
            Kind::Leaf(class, i) => self.leaves.live(class, i).first().map_or(u64::MAX, |r| r.key),
            Kind::Table(i) => self.table(i).map_or(0, |t| t.min_own.min(t.min_rest)),
            Kind::Group(i) => {
                self.group(i).map_or(0, |g| g.vectors.first_key().min(g.min_rest).min(self.first_key(g.fresh)))
            }
        }
    }

    /// Rules below, copies counted.
    pub(super) fn size(&self, at: Ref) -> u32 {
        match at.kind() {
            Kind::Nothing => 0,
            Kind::Leaf(class, i) => u32::try_from(self.leaves.live(class, i).len()).unwrap_or(0),
            Kind::Table(i) => self.table(i).map_or(0, Table::total),
            Kind::Group(i) => self.group(i).map_or(0, |g| g.total),
        }
    }

    pub(super) fn make_group(&mut self, rules: Vec<Rule<A>>, rest: Ref) -> Ref {
        let min_rest = self.first_key(rest);
        let total = u32::try_from(rules.len()).unwrap_or(u32::MAX).saturating_add(self.size(rest));
        let group = Group { vectors: Vectors::new(rules), fresh: Ref::NONE, rest, min_rest, total, built: total };
        Ref::group(store(&mut self.groups, &mut self.free_groups, group))
    }

    /// The best arrangement for rules that are in order.
    pub(super) fn build(&mut self, rules: Vec<Rule<A>>, depth: u8, chain: u8) -> Ref {
        let n = rules.len();
        if n <= SMALL {
            return self.leaves.put(&rules);
        }
        let list = if n <= MAX_LEAF { choose::list_cost(n as f32) } else { f32::INFINITY };
        let vectors = choose::vector_cost(n);
        if depth < MAX_DEPTH
            && (chain < LONG_CHAIN || (chain < MAX_CHAIN && n > 4 * MAX_GROUP))
            && let Some((shape, cost)) = choose::best(&rules)
            && cost < list.min(vectors)
            && let Some(table) = self.build_table(&rules, shape, depth, chain)
        {
            return table;
        }
        if list <= vectors {
            return self.leaves.put(&rules);
        }
        let mut rest = Ref::NONE;
        for group in rules.rchunks(MAX_GROUP) {
            rest = self.make_group(group.to_vec(), rest);
        }
        rest
    }

    fn build_table(&mut self, rules: &[Rule<A>], shape: Shape, depth: u8, chain: u8) -> Option<Ref> {
        let (mut copies, mut rest): (Vec<(u32, u32)>, Vec<Rule<A>>) = (Vec::new(), Vec::new());
        for (n, rule) in (0u32..).zip(rules) {
            match shape.accepts(rule) {
                true => shape.buckets(rule, |hash| copies.push((hash, n))),
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
        let mut t = Table::new(shape, count, chain);
        t.own = u32::try_from(copies.len()).unwrap_or(u32::MAX);
        t.others = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        t.built = t.total();
        t.min_rest = rest.first().map_or(u64::MAX, |r| r.key);
        let first = rules.iter().find(|r| shape.accepts(r));
        t.min_own = first.map_or(u64::MAX, |r| r.key);
        for bucket in buckets {
            let members: Vec<Rule<A>> = bucket.iter().filter_map(|(_, n)| rules.get(*n as usize)).copied().collect();
            let child = self.build(members, depth.saturating_add(1), 0);
            bucket.first().into_iter().for_each(|(hash, _)| t.set(*hash, child));
        }
        t.rest = self.build(rest, depth, chain.saturating_add(1));
        Some(Ref::table(store(&mut self.tables, &mut self.free_tables, t)))
    }

    /// All rules below `at`, copies included, in no order.
    pub(super) fn collect(&self, at: Ref, out: &mut Vec<Rule<A>>) {
        match at.kind() {
            Kind::Nothing => {}
            Kind::Leaf(class, i) => out.extend_from_slice(self.leaves.live(class, i)),
            Kind::Table(i) => {
                if let Some(t) = self.table(i) {
                    t.bundles.iter().flat_map(Bundle::live).for_each(|(_, child)| self.collect(child, out));
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
                    t.bundles.iter().flat_map(Bundle::live).for_each(|(_, child)| self.discard(child));
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
        }
    }

    /// Octets in use.
    pub(super) fn memory(&self) -> usize {
        let slots: usize = self.tables.iter().flatten().map(|t| t.bundles.capacity().saturating_mul(64)).sum();
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
                    let _ = writeln!(out, "list of {}", self.leaves.live(class, i).len());
                    return;
                }
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    let live: Vec<Ref> = t.bundles.iter().flat_map(Bundle::live).map(|(_, child)| child).collect();
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
            };
        }
    }
}
