//! Lookups of several packets together, in stages: what all packets wait for is asked for before any is worked on, first
//! the sieves table by table, the borders of the first group of vectors field by field, then in rounds the bundle of the
//! best bucket of every packet, the rules there, and so on.
//! The same rules as in `tree.rs`: what is early first, then bucket by bucket by merit.

use super::arena::{Kind, Ref};
use super::rule::{Addr, Point};
use super::split::Split;
use super::table::Table;
use super::tree::{Best, PLACES, Tree};
use core::hint::select_unpredictable;

/// Packets looked at together.
pub(in crate::spd) const BURST: usize = 16;

/// So few packets that have more to look into go on one by one: a round for all costs as much as a walk for some of them.
const FEW: usize = 4;

/// A value for each packet.
type Each<T> = [T; BURST];

/// What a chain of tables may hold for each packet.
struct Chain {
    /// No bucket of this table has more for this packet; 0: nothing better, or looked into.
    merits: [Each<u16>; PLACES],
    tables: [Ref; PLACES],
    n: usize,
}

impl Chain {
    const NONE: Self = Self { merits: [[0; BURST]; PLACES], tables: [Ref::NONE; PLACES], n: 0 };

    /// One more place, and where its merits are to be written.
    fn push(&mut self, at: Ref) -> Option<&mut Each<u16>> {
        *self.tables.get_mut(self.n)? = at;
        let merits = self.merits.get_mut(self.n);
        self.n = self.n.wrapping_add(1);
        merits
    }

    /// The best place that one packet has left, once; `None` when it has less than this merit.
    fn take(&mut self, k: usize, least: u16) -> Option<Ref> {
        let mut best = (0, 0);
        for (n, merits) in self.merits.iter().enumerate().take(self.n) {
            let merit = merits.get(k).copied().unwrap_or(0);
            best = select_unpredictable(merit > best.0, (merit, n), best);
        }
        if best.0 < least {
            return None;
        }
        self.merits.get_mut(best.1).and_then(|m| m.get_mut(k)).into_iter().for_each(|m| *m = 0);
        self.tables.get(best.1).copied()
    }

    /// For every packet the best place it has left, and how good that is.
    #[inline(always)]
    fn best(&self) -> (Each<u16>, Each<u16>) {
        let (mut top, mut at) = ([0u16; BURST], [0u16; BURST]);
        for (n, merits) in (0u16..).zip(self.merits.iter().take(self.n)) {
            for ((m, top), at) in merits.iter().zip(&mut top).zip(&mut at) {
                // Masks, so that eight packets go together.
                let more = u16::from(*m > *top).wrapping_neg();
                *at = (*at & !more) | (n & more);
                *top = (*top).max(*m);
            }
        }
        (top, at)
    }
}

/// What to look into now: for which packet, where.
struct Now {
    list: Each<(u8, Ref, u32)>,
    n: usize,
}

impl Now {
    const NONE: Self = Self { list: [(0, Ref::NONE, 0); BURST], n: 0 };

    #[inline(always)]
    fn push(&mut self, k: usize, at: Ref, counts: bool) {
        self.list.get_mut(self.n).into_iter().for_each(|to| *to = (k as u8, at, 0));
        self.n = self.n.wrapping_add(usize::from(counts));
    }
}

/// Asks for what the sieve of a table has for each packet.
#[inline(never)]
fn prefetch_bounds<A: Addr>(t: &Table, points: &Each<Point<A>>) {
    points.iter().for_each(|p| t.prefetch_bound(t.masks.bucket(p)));
}

impl<A: Addr> Tree<A> {
    /// As [`Tree::lookup`] for several packets at once.
    pub(super) fn lookup_burst(
        &self,
        root: Ref,
        points: &Each<Point<A>>,
        best: &mut Each<Best>,
        agree: &impl Fn(u32) -> bool,
    ) {
        if let Some(s) = self.as_split(root) {
            return self.look_into_split(s, points, best, agree);
        }
        let Kind::Table(i) = root.kind() else { return self.look_behind_burst(root, points, best, agree) };
        let Some(first) = self.table(i) else { return };
        if first.rest == Ref::NONE {
            let mut now = Now::NONE;
            (0..BURST).for_each(|k| now.push(k, root, true));
            return self.look_into(&mut now, points, best, agree);
        }
        let mut chain = Chain::NONE;
        self.ask_burst(root, points, &mut chain);
        if first.early {
            self.look_behind_burst(first.behind, points, best, agree);
        }
        loop {
            let (top, at) = chain.best();
            let mut now = Now::NONE;
            for (k, ((top, at), best)) in top.iter().zip(&at).zip(best.iter()).enumerate() {
                let at = usize::from(*at);
                now.push(k, chain.tables.get(at).copied().unwrap_or(Ref::NONE), *top >= best.merit);
                if let Some(merit) = chain.merits.get_mut(at).and_then(|m| m.get_mut(k)) {
                    *merit = 0;
                }
            }
            if now.n == 0 {
                return;
            }
            self.look_into(&mut now, points, best, agree);
            if now.n <= FEW {
                for (k, ..) in now.list.iter().take(now.n) {
                    let k = usize::from(*k);
                    if let (Some(p), Some(best)) = (points.get(k), best.get_mut(k)) {
                        self.look_on(&mut chain, k, p, best, agree);
                    }
                }
                return;
            }
        }
    }

    /// The head for all packets; the rest for those that it did not decide.
    fn look_into_split(&self, s: &Split, points: &Each<Point<A>>, best: &mut Each<Best>, agree: &impl Fn(u32) -> bool) {
        self.lookup_burst(s.head, points, best, agree);
        let is_open = |best: &Best| best.slot == u32::MAX;
        let open = best.iter().filter(|b| is_open(b)).count();
        if open > BURST / 2 {
            return self.lookup_burst(s.rest, points, best, agree);
        }
        for (p, best) in points.iter().zip(best).filter(|(_, best)| is_open(best)) {
            self.lookup(s.rest, p, best, agree);
        }
    }

    /// The rest of [`Tree::lookup_burst`] for one packet.
    fn look_on(&self, chain: &mut Chain, k: usize, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        while let Some(at) = chain.take(k, best.merit) {
            match at.kind() {
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    self.descend(t, p, best, agree);
                }
                _ => self.lookup(at, p, best, agree),
            }
        }
    }

    /// Asks the sieves of a chain, and what is behind it unless that is looked into before.
    #[inline(always)]
    fn ask_burst(&self, root: Ref, points: &Each<Point<A>>, chain: &mut Chain) {
        let mut at = root;
        let mut early = false;
        while let Kind::Table(i) = at.kind() {
            let (Some(t), Some(merits)) = (self.table(i), chain.push(at)) else { return };
            if t.is_far() {
                prefetch_bounds(t, points);
            }
            for (merit, p) in merits.iter_mut().zip(points) {
                *merit = t.bound(t.masks.bucket(p));
            }
            early |= t.early;
            at = t.rest;
            if !early
                && !matches!(at.kind(), Kind::Table(_))
                && let Some(merits) = chain.push(at)
            {
                *merits = [t.merit_rest; BURST];
            }
        }
    }

    /// As [`Tree::look_behind`] for several packets at once, where the first group decides most.
    fn look_behind_burst(&self, at: Ref, points: &Each<Point<A>>, best: &mut Each<Best>, agree: &impl Fn(u32) -> bool) {
        let all = points.iter().zip(best.iter_mut());
        let Kind::Group(i) = at.kind() else { return all.for_each(|(p, best)| self.lookup(at, p, best, agree)) };
        let Some(g) = self.group(i) else { return };
        let places = g.vectors.locate(points);
        for ((p, best), places) in all.zip(&places) {
            self.look_into_group(i, g, places, best, agree);
            if g.merit_fresh >= best.merit {
                self.scan(g.fresh, p, best, agree);
            }
        }
        for (p, best) in points.iter().zip(best).filter(|(_, best)| g.merit_rest >= best.merit) {
            self.lookup(g.rest, p, best, agree);
        }
    }

    /// Improves `best` by some buckets: every bundle is asked for before any is read, then every leaf; trees in buckets
    /// likewise, as long as they are a table that stands alone.
    #[inline(always)]
    fn look_into(&self, now: &mut Now, points: &Each<Point<A>>, best: &mut Each<Best>, agree: &impl Fn(u32) -> bool) {
        let mut again = self.step::<true>(now, points, best);
        while again {
            again = self.step::<false>(now, points, best);
        }
        for (k, at, _) in now.list.iter().take(now.n) {
            if let (Some(p), Some(best)) = (points.get(usize::from(*k)), best.get_mut(usize::from(*k))) {
                self.lookup(*at, p, best, agree);
            }
        }
    }

    /// From tables to what is in their buckets; true when that is a table which stands alone for some packet. Only such
    /// tables are looked into, but for the first step.
    #[inline(always)]
    fn step<const FIRST: bool>(&self, now: &mut Now, points: &Each<Point<A>>, best: &Each<Best>) -> bool {
        let table = |at: Ref| match at.kind() {
            Kind::Table(i) => self.table(i).filter(|t| FIRST || t.rest == Ref::NONE),
            _ => None,
        };
        for (k, at, hash) in now.list.iter_mut().take(now.n) {
            if let (Some(t), Some(p)) = (table(*at), points.get(usize::from(*k))) {
                *hash = t.masks.bucket(p);
                t.prefetch(*hash);
            }
        }
        let mut again = false;
        for (k, at, hash) in now.list.iter_mut().take(now.n) {
            if let (Some(t), Some(best)) = (table(*at), best.get(usize::from(*k))) {
                let (merit, child) = t.find(*hash);
                *at = select_unpredictable(merit >= best.merit, child, Ref::NONE);
                self.leaves.prefetch(*at);
                again |= !at.is_leaf() && self.alone(*at).is_some();
            }
        }
        again
    }
}
