//! Lookups of several packets together: the memory that one packet waits for is asked for before the others are looked
//! at. The same rules as in `tree.rs`: what may end a search at once, the other buckets by merit.

use super::arena::{Kind, Ref};
use super::rule::{Addr, Point};
use super::table::Table;
use super::tree::{Best, Found, Place, Tree};

/// Packets looked at together.
pub(in crate::spd) const BURST: usize = 16;

/// The packets whose search goes on.
struct Active {
    list: [u8; BURST],
    n: usize,
}

impl Active {
    const ALL: Self = Self { list: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], n: BURST };

    fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        self.list.into_iter().take(self.n).map(usize::from)
    }

    /// Keeps those that have something to look for in what has this merit.
    fn retain(&mut self, merit: u16, best: &[Best; BURST]) {
        let mut n = 0usize;
        for k in self.iter() {
            self.list.get_mut(n).into_iter().for_each(|place| *place = k as u8);
            n = n.wrapping_add(usize::from(best.get(k).is_some_and(|b| b.merit <= merit)));
        }
        self.n = n;
    }
}

/// Places to look into now, and whose packets they are for.
struct Now {
    list: [(Place, u8); BURST],
    n: usize,
}

impl Now {
    const NONE: Self = Self { list: [(Place::NONE, 0); BURST], n: 0 };

    #[inline(always)]
    fn push(&mut self, place: Place, k: usize, counts: bool) {
        self.list.get_mut(self.n).into_iter().for_each(|to| *to = (place, k as u8));
        self.n = self.n.wrapping_add(usize::from(counts));
    }
}

impl<A: Addr> Tree<A> {
    /// As [`Tree::lookup`] for several packets at once.
    pub(super) fn lookup_burst(
        &self,
        root: Ref,
        points: &[Point<A>; BURST],
        best: &mut [Best; BURST],
        agree: &impl Fn(u32) -> bool,
    ) {
        if let Some(t) = self.alone(root) {
            return self.lookup_alone(t, points, best, agree);
        }
        let mut at = root;
        let mut active = Active::ALL;
        let mut found = [Found::NONE; BURST];
        while let Kind::Table(table) = at.kind() {
            let Some(t) = self.table(table) else { return };
            if active.n == 0 {
                at = Ref::NONE;
                break;
            }
            let mut now = Now::NONE;
            if t.is_open() {
                self.touch_all(t, &active, points);
            }
            for k in active.iter() {
                let (Some(p), Some(found), Some(best)) = (points.get(k), found.get_mut(k), best.get(k)) else {
                    continue;
                };
                let place = Place { at, hash: t.masks.bucket(p) };
                let merit = t.bound(place.hash);
                let at_once = (merit > t.merit_rest) & (merit >= best.merit);
                now.push(place, k, at_once);
                found.push(if at_once { 0 } else { merit }, place, best);
            }
            if now.n > 0 {
                self.look_into(&now, points, best, agree);
                active.retain(t.merit_rest, best);
            }
            at = t.rest;
            if !matches!(at.kind(), Kind::Table(_)) {
                for k in active.iter() {
                    if let (Some(found), Some(best)) = (found.get_mut(k), best.get(k)) {
                        found.push(t.merit_rest, Place { at, hash: 0 }, best);
                    }
                }
                at = Ref::NONE;
            }
        }
        // In rounds: the best place of every packet that has one left.
        let mut active = Active::ALL;
        while active.n > 0 {
            let mut now = Now::NONE;
            for k in active.iter() {
                if let (Some(found), Some(best)) = (found.get_mut(k), best.get(k)) {
                    let place = found.take(best);
                    now.push(place.unwrap_or(Place::NONE), k, place.is_some());
                }
            }
            active.n = now.n;
            active.list.iter_mut().zip(now.list).for_each(|(to, (_, k))| *to = k);
            self.look_into(&now, points, best, agree);
        }
        // A root that is no table.
        if at != Ref::NONE {
            points.iter().zip(best).for_each(|(p, best)| self.lookup(at, p, best, agree));
        }
    }

    /// [`Tree::lookup_burst`] in one table.
    fn lookup_alone(
        &self,
        t: &Table,
        points: &[Point<A>; BURST],
        best: &mut [Best; BURST],
        agree: &impl Fn(u32) -> bool,
    ) {
        let hashes = points.each_ref().map(|p| t.masks.bucket(p));
        core::hint::black_box(hashes.iter().fold(0, |touched, hash| touched ^ t.touch(*hash)));
        let children = hashes.map(|hash| t.find(hash));
        core::hint::black_box(children.iter().fold(0, |touched, child| touched ^ self.leaves.touch(child.1)));
        for ((child, p), best) in children.into_iter().zip(points).zip(best) {
            self.descend(child, p, best, agree);
        }
    }

    /// Asks for a line of the table for every packet.
    #[inline(always)]
    fn touch_all(&self, t: &Table, active: &Active, points: &[Point<A>; BURST]) {
        let all = active.iter().filter_map(|k| points.get(k));
        core::hint::black_box(all.fold(0, |touched, p| touched ^ t.touch(t.masks.bucket(p))));
    }

    /// Improves `best` by some buckets: every bundle is asked for before any is read, then every leaf.
    fn look_into(&self, now: &Now, points: &[Point<A>; BURST], best: &mut [Best; BURST], agree: &impl Fn(u32) -> bool) {
        let places = || now.list.iter().take(now.n);
        let mut touched = 0u32;
        for (place, _) in places() {
            if let Kind::Table(i) = place.at.kind() {
                touched ^= self.table(i).map_or(0, |t| u32::from(t.touch(place.hash)));
            }
        }
        let mut children = [(0, Ref::NONE); BURST];
        for ((place, _), child) in places().zip(&mut children) {
            *child = match place.at.kind() {
                Kind::Table(i) => self.table(i).map_or((0, Ref::NONE), |t| t.find(place.hash)),
                _ => (u16::MAX, place.at),
            };
            touched ^= self.leaves.touch(child.1);
        }
        core::hint::black_box(touched);
        for ((_, k), child) in places().zip(children) {
            let k = usize::from(*k);
            if let (Some(p), Some(best)) = (points.get(k), best.get_mut(k)) {
                self.descend(child, p, best, agree);
            }
        }
    }
}
