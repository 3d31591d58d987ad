//! The tree over rules of one address family: tables that hash chosen bits of the fields, lists at the leaves, bit
//! vectors where no bits separate. `mod.rs` states the bounds.

use super::arena::{Kind, Leaves, MAX_LEAF, Ref};
use super::choose::{self, Shape};
use super::rule::{Addr, MARKED, Point, Rule};
use super::vectors::{MAX_GROUP, Vectors};
use alloc::vec::Vec;

/// Tables below each other at most.
const MAX_DEPTH: u8 = 6;
/// Tables after each other at most.
const MAX_CHAIN: u8 = 8;
/// Up to here a list is not worth a thought.
const SMALL: usize = 8;

/// Eight places of a table in one cache line: the buckets' hashes and what is in the buckets. All eight are compared
/// at once, so that neither the position nor a miss costs a mispredicted branch. Places are taken from the front; a
/// bundle whose last place was ever taken sends searches on to the next one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bundle {
    hashes: [u32; 8],
    children: [Ref; 8],
}

const EMPTY: Bundle = Bundle { hashes: [0; 8], children: [Ref::NONE; 8] };

impl Bundle {
    fn was_full(&self) -> bool {
        self.children[7] != Ref::NONE
    }

    /// What is in the bucket with this hash, [`Ref::NONE`] without one.
    #[inline(always)]
    fn find(&self, hash: u32) -> Ref {
        let mut found = 0;
        for (h, child) in self.hashes.iter().zip(&self.children) {
            // A mask, not a choice: the compiler makes branches of choices.
            found |= child.0 & u32::from(*h == hash).wrapping_neg();
        }
        Ref(found)
    }

    fn live(&self) -> impl Iterator<Item = (u32, Ref)> {
        let both = self.hashes.iter().copied().zip(self.children.iter().copied());
        both.filter(|(_, c)| *c != Ref::NONE && *c != Ref::DEAD)
    }
}

/// Buckets of rules that agree in the bits of `shape`, and the rules that are too wide for it.
#[derive(Clone, Debug)]
struct Table {
    shape: Shape,
    /// Position of a hash is its top bits.
    shift: u8,
    chain: u8,
    /// Places that are not empty, dead ones included.
    used: u32,
    /// Rules in buckets, copies counted.
    own: u32,
    /// Rules in the rest.
    others: u32,
    /// Rules when it was built.
    built: u32,
    rest: Ref,
    /// No rule in a bucket comes before this.
    min_own: u64,
    /// No rule in the rest comes before this.
    min_rest: u64,
    bundles: Vec<Bundle>,
}

impl Table {
    fn new(shape: Shape, buckets: usize, chain: u8) -> Self {
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

    fn resize(&mut self, buckets: usize) {
        let len = buckets.div_ceil(4).next_power_of_two();
        self.shift = u8::try_from(32u32.saturating_sub(len.ilog2())).unwrap_or(0);
        let old = core::mem::replace(&mut self.bundles, alloc::vec![EMPTY; len]);
        self.used = 0;
        for (hash, child) in old.iter().flat_map(Bundle::live) {
            self.put(hash, child);
        }
    }

    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) >> (self.shift & 63)) as usize
    }

    /// What is in the bucket with this hash.
    #[inline(always)]
    fn find(&self, hash: u32) -> Ref {
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
    fn put(&mut self, hash: u32, child: Ref) {
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
    fn set(&mut self, hash: u32, child: Ref) {
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

    fn total(&self) -> u32 {
        self.own.saturating_add(self.others)
    }
}

/// Rules behind vectors, the few that came since, and those that come after.
#[derive(Clone, Debug)]
struct Group<A> {
    vectors: Vectors<A>,
    fresh: Ref,
    rest: Ref,
    min_rest: u64,
    total: u32,
    built: u32,
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
    leaves: Leaves<A>,
    tables: Vec<Option<Table>>,
    free_tables: Vec<u32>,
    groups: Vec<Option<Group<A>>>,
    free_groups: Vec<u32>,
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

fn store<T>(list: &mut Vec<Option<T>>, free: &mut Vec<u32>, item: T) -> u32 {
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
    fn table(&self, at: u32) -> Option<&Table> {
        self.tables.get(at as usize)?.as_ref()
    }

    fn table_mut(&mut self, at: u32) -> Option<&mut Table> {
        self.tables.get_mut(at as usize)?.as_mut()
    }

    fn group(&self, at: u32) -> Option<&Group<A>> {
        self.groups.get(at as usize)?.as_ref()
    }

    fn group_mut(&mut self, at: u32) -> Option<&mut Group<A>> {
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

    /// Adds a rule below `at`; returns what stands in its place now.
    pub(super) fn insert(&mut self, at: Ref, rule: &Rule<A>) -> Ref {
        self.insert_at(at, rule, 0, 0)
    }

    fn insert_at(&mut self, at: Ref, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        match at.kind() {
            Kind::Nothing => self.leaves.put(core::slice::from_ref(rule)),
            Kind::Leaf(class, i) => {
                let n = self.leaves.live(class, i).len();
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
        }
    }

    fn insert_into_table(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8) -> Ref {
        let Some(t) = self.table_mut(i) else { return at };
        if t.total() > t.built.saturating_mul(2).saturating_add(32) {
            let chain = t.chain;
            return self.rebuild(at, Some(rule), depth, chain);
        }
        if t.shape.accepts(rule) {
            t.min_own = t.min_own.min(rule.key);
            let (hashes, n) = hashes(t.shape, rule);
            t.own = t.own.saturating_add(u32::try_from(n).unwrap_or(1));
            for hash in hashes.iter().take(n) {
                let child = self.table(i).map_or(Ref::NONE, |t| t.find(*hash));
                let new = self.insert_at(child, rule, depth.saturating_add(1), 0);
                if let Some(t) = self.table_mut(i).filter(|_| new != child) {
                    t.set(*hash, new);
                }
            }
        } else {
            t.min_rest = t.min_rest.min(rule.key);
            t.others = t.others.saturating_add(1);
            let (rest, chain) = (t.rest, t.chain.saturating_add(1));
            let new = self.insert_at(rest, rule, depth, chain);
            if let Some(t) = self.table_mut(i) {
                t.rest = new;
            }
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
            g.min_rest = g.min_rest.min(rule.key);
            let new = self.insert_at(rest, rule, depth, chain);
            if let Some(g) = self.group_mut(i) {
                g.rest = new;
            }
            return at;
        }
        let fresh = match g.fresh.kind() {
            Kind::Leaf(class, f) => self.leaves.insert(class, f, rule),
            _ => Some(self.leaves.put(core::slice::from_ref(rule))),
        };
        match (fresh, self.group_mut(i)) {
            (Some(new), Some(g)) => g.fresh = new,
            _ => self.regroup(i, rule),
        }
        at
    }

    /// Takes the fresh rules of a group and one more into its vectors; a group that gets too long becomes two.
    fn regroup(&mut self, i: u32, rule: &Rule<A>) {
        let Some(g) = self.group_mut(i) else { return };
        let (fresh, rest) = (g.fresh, g.rest);
        let mut rules: Vec<Rule<A>> = g.vectors.live().copied().collect();
        self.collect(fresh, &mut rules);
        self.discard(fresh);
        rules.push(*rule);
        rules.sort_unstable();
        rules.dedup();
        let mut rest = rest;
        if rules.len() > MAX_GROUP {
            let tail = rules.split_off(rules.len() / 2);
            rest = self.make_group(tail, rest);
        }
        let min_rest = self.first_key(rest);
        if let Some(g) = self.group_mut(i) {
            g.min_rest = g.min_rest.min(min_rest);
            g.vectors = Vectors::new(rules);
            g.fresh = Ref::NONE;
            g.rest = rest;
        }
    }

    /// No rule below comes before this.
    fn first_key(&self, at: Ref) -> u64 {
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
    fn size(&self, at: Ref) -> u32 {
        match at.kind() {
            Kind::Nothing => 0,
            Kind::Leaf(class, i) => u32::try_from(self.leaves.live(class, i).len()).unwrap_or(0),
            Kind::Table(i) => self.table(i).map_or(0, Table::total),
            Kind::Group(i) => self.group(i).map_or(0, |g| g.total),
        }
    }

    fn make_group(&mut self, rules: Vec<Rule<A>>, rest: Ref) -> Ref {
        let min_rest = self.first_key(rest);
        let total = u32::try_from(rules.len()).unwrap_or(u32::MAX).saturating_add(self.size(rest));
        let group = Group { vectors: Vectors::new(rules), fresh: Ref::NONE, rest, min_rest, total, built: total };
        Ref::group(store(&mut self.groups, &mut self.free_groups, group))
    }

    /// Removes a rule below `at`; returns what stands in its place now.
    pub(super) fn remove(&mut self, at: Ref, rule: &Rule<A>) -> Ref {
        self.remove_at(at, rule, 0, 0)
    }

    fn remove_at(&mut self, at: Ref, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        match at.kind() {
            Kind::Nothing => Ref::NONE,
            Kind::Leaf(class, i) => self.leaves.remove(class, i, rule),
            Kind::Table(i) => self.remove_from_table(at, i, rule, depth),
            Kind::Group(i) => self.remove_from_group(at, i, rule, depth, chain),
        }
    }

    fn remove_from_table(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8) -> Ref {
        let Some(t) = self.table_mut(i) else { return at };
        let chain = t.chain;
        if t.shape.accepts(rule) {
            let (hashes, n) = hashes(t.shape, rule);
            t.own = t.own.saturating_sub(u32::try_from(n).unwrap_or(1));
            for hash in hashes.iter().take(n) {
                let child = self.table(i).map_or(Ref::NONE, |t| t.find(*hash));
                let new = self.remove_at(child, rule, depth.saturating_add(1), 0);
                if let Some(t) = self.table_mut(i).filter(|_| new != child) {
                    t.set(*hash, new);
                }
            }
        } else {
            t.others = t.others.saturating_sub(1);
            let rest = t.rest;
            let new = self.remove_at(rest, rule, depth, chain.saturating_add(1));
            if let Some(t) = self.table_mut(i) {
                t.rest = new;
            }
        }
        let shrunk = self.table(i).is_some_and(|t| t.total() <= SMALL as u32 || t.total() < t.built / 4);
        if shrunk { self.rebuild(at, None, depth, chain) } else { at }
    }

    fn remove_from_group(&mut self, at: Ref, i: u32, rule: &Rule<A>, depth: u8, chain: u8) -> Ref {
        let Some(g) = self.group_mut(i) else { return at };
        g.total = g.total.saturating_sub(1);
        if !g.vectors.remove(rule) {
            let (fresh, rest) = (g.fresh, g.rest);
            let in_fresh = matches!(fresh.kind(), Kind::Leaf(c, f) if self.leaves.live(c, f).contains(rule));
            if in_fresh {
                let new = self.remove_at(fresh, rule, depth, chain);
                self.group_mut(i).into_iter().for_each(|g| g.fresh = new);
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
    fn rebuild(&mut self, at: Ref, more: Option<&Rule<A>>, depth: u8, chain: u8) -> Ref {
        let mut rules = Vec::new();
        self.collect(at, &mut rules);
        self.discard(at);
        rules.extend(more);
        rules.sort_unstable();
        rules.dedup();
        self.build(rules, depth, chain)
    }

    /// The best arrangement for rules that are in order.
    fn build(&mut self, rules: Vec<Rule<A>>, depth: u8, chain: u8) -> Ref {
        let n = rules.len();
        if n <= SMALL {
            return self.leaves.put(&rules);
        }
        let list = if n <= MAX_LEAF { choose::list_cost(n as f32) } else { f32::INFINITY };
        let vectors = choose::vector_cost(n);
        if depth < MAX_DEPTH
            && chain < MAX_CHAIN
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
    fn discard(&mut self, at: Ref) {
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

fn hashes<A: Addr>(shape: Shape, rule: &Rule<A>) -> ([u32; 16], usize) {
    let (mut all, mut n) = ([0u32; 16], 0usize);
    shape.buckets(rule, |hash| {
        if let Some(place) = all.get_mut(n) {
            *place = hash;
        }
        n = n.saturating_add(1);
    });
    (all, n)
}
