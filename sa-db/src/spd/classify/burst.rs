//! Lookups of several packets together, in stages: what all packets wait for is asked for before any is worked on, first
//! the sieves table by table, then in rounds the bundle of the best bucket of every packet, the rules there, and so on.
//! The same rules as in `tree.rs`: what is early first, then bucket by bucket by merit.

use super::arena::{Kind, Ref};
use super::rule::{Addr, Point};
use super::tree::{Best, PLACES, Tree};

/// Packets looked at together.
pub(in crate::spd) const BURST: usize = 16;

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

impl<A: Addr> Tree<A> {
    /// As [`Tree::lookup`] for several packets at once.
    pub(super) fn lookup_burst(
        &self,
        root: Ref,
        points: &Each<Point<A>>,
        best: &mut Each<Best>,
        agree: &impl Fn(u32) -> bool,
    ) {
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
            for (k, ((top, at), best)) in top.iter().zip(at).zip(best.iter()).enumerate() {
                let at = usize::from(at);
                let table = chain.tables.get(at).copied().unwrap_or(Ref::NONE);
                now.push(k, table, *top >= best.merit);
                chain.merits.get_mut(at).and_then(|m| m.get_mut(k)).into_iter().for_each(|m| *m = 0);
            }
            if now.n == 0 {
                return;
            }
            self.look_into(&mut now, points, best, agree);
        }
    }

    /// Asks the sieves of a chain, and what is behind it unless that is looked into before.
    #[inline(always)]
    fn ask_burst(&self, root: Ref, points: &Each<Point<A>>, chain: &mut Chain) {
        let mut at = root;
        let mut early = false;
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i) else { return };
            early |= t.early;
            for (merit, p) in chain.push(at).into_iter().flatten().zip(points) {
                *merit = t.bound(t.masks.bucket(p));
            }
            at = t.rest;
            if !early && !matches!(at.kind(), Kind::Table(_)) {
                chain.push(at).into_iter().flatten().for_each(|merit| *merit = t.merit_rest);
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
            self.look_into_group(i, g, places, p, best, agree);
            if g.fresh != Ref::NONE {
                self.scan(g.fresh, p, best, agree);
            }
        }
        for (p, best) in points.iter().zip(best).filter(|(_, best)| g.merit_rest >= best.merit) {
            self.lookup(g.rest, p, best, agree);
        }
    }

    /// Improves `best` by some buckets: every bundle is asked for before any is read, then every leaf; trees in buckets
    /// likewise, as long as they are a table that stands alone.
    fn look_into(&self, now: &mut Now, points: &Each<Point<A>>, best: &mut Each<Best>, agree: &impl Fn(u32) -> bool) {
        let mut again = true;
        for (k, at, hash) in now.list.iter_mut().take(now.n) {
            if let (Kind::Table(i), Some(p)) = (at.kind(), points.get(usize::from(*k))) {
                *hash = self.table(i).map_or(0, |t| t.masks.bucket(p));
            }
        }
        let mut first = true;
        while again {
            let touched = now.list.iter().take(now.n).fold(0, |touched, (_, at, hash)| match at.kind() {
                Kind::Table(i) => touched ^ self.table(i).map_or(0, |t| u32::from(t.touch(*hash))),
                _ => touched,
            });
            core::hint::black_box(touched);
            again = false;
            let mut touched = 0;
            for (k, at, hash) in now.list.iter_mut().take(now.n) {
                let table = match at.kind() {
                    Kind::Table(i) if first => self.table(i),
                    _ => self.alone(*at),
                };
                let Some(t) = table else { continue };
                let k = usize::from(*k);
                let (merit, child) = t.find(*hash);
                let useful = best.get(k).is_some_and(|b| merit >= b.merit);
                *at = core::hint::select_unpredictable(useful, child, Ref::NONE);
                touched ^= self.leaves.touch(*at);
                if let (false, Some(t), Some(p)) = (at.is_leaf(), self.alone(*at), points.get(k)) {
                    *hash = t.masks.bucket(p);
                    again = true;
                }
            }
            core::hint::black_box(touched);
            first = false;
        }
        for (k, at, _) in now.list.iter().take(now.n) {
            let k = usize::from(*k);
            if let (Some(p), Some(best)) = (points.get(k), best.get_mut(k)) {
                if at.is_leaf() {
                    self.scan(*at, p, best, agree);
                } else {
                    self.lookup(*at, p, best, agree);
                }
            }
        }
    }
}
