//! The lookup of one packet: lists, tables that stand alone, groups of vectors, chains. `burst.rs` does the same for several
//! packets in stages, with what is here for each where they part. What is `run` by [`Lanes`] is compiled for each kind of processors.

use super::addr::Addr;
use super::arena::{Kind, Ref};
use super::found::Found;
use super::front::Order;
use super::lanes::{By, Lanes, Plain, Processor};
use super::rows::Places;
use super::rule::{Hot, MARKED, Point};
use super::table::Table;
use super::tree::{Best, Group, Tree};
use crate::PacketKey;
use core::hint::select_unpredictable;
use ravelin_wide::Wide;

impl<A: Addr> Tree<A> {
    fn key_of(&self, best: &Best) -> u64 {
        match self.group(best.group) {
            Some(g) => g.vectors.key(best.at),
            None => self.leaves.key(best.at),
        }
    }

    /// A rule that matches and has the merit of the best so far or asks for the mark: does it go before?
    #[cold]
    fn goes_before(&self, rule: &Hot<A>, at: u32, best: &Best, agree: &impl Fn(u32) -> bool) -> bool {
        (rule.merit > best.merit || self.leaves.key(at) < self.key_of(best))
            && (rule.flags & MARKED == 0 || agree(rule.slot))
    }

    /// Improves `best` by what is in a leaf.
    #[inline(always)]
    pub(super) fn scan<L: Lanes>(
        &self,
        lanes: L,
        leaf: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        let (start, block) = self.leaves.block(leaf);
        let Some((first, more)) = block.split_first() else { return };
        // Most leaves have one rule, and whether it matches is anybody's guess: no branch on it.
        let matches = (first.merit >= best.merit) & first.matches(lanes, p);
        let seldom = (first.merit == best.merit) | (first.flags & MARKED != 0);
        let mut hit = matches & !seldom;
        if matches & seldom {
            hit = self.goes_before(first, start, best, agree);
        }
        best.set(hit, &Best { merit: first.merit, slot: first.slot, at: start, group: u32::MAX });
        for (at, rule) in (start.wrapping_add(1)..).zip(more) {
            if rule.merit < best.merit {
                return;
            }
            if rule.matches(lanes, p) {
                let seldom = (rule.merit == best.merit) | (rule.flags & MARKED != 0);
                if !seldom || self.goes_before(rule, at, best, agree) {
                    *best = Best { merit: rule.merit, slot: rule.slot, at, group: u32::MAX };
                    return;
                }
            }
        }
    }

    /// The slot of the first rule below `at` for a packet; `u32::MAX`: none. As the processor does it best.
    #[inline]
    pub(super) fn find(&self, at: Ref, packet: &PacketKey, want: u8, agree: &impl Fn(u32) -> bool) -> u32 {
        fn find_as<A: Addr, W: Wide>(
            tree: &Tree<A>,
            wide: W,
            at: Ref,
            packet: &PacketKey,
            want: u8,
            agree: &impl Fn(u32) -> bool,
        ) -> u32 {
            wide.run(
                #[inline(always)]
                move || tree.find_by(By(wide), at, packet, want, agree),
            )
        }
        match self.processor_from(at) {
            Processor::Avx512(wide) => find_as(self, wide, at, packet, want, agree),
            Processor::Avx2(wide) => find_as(self, wide, at, packet, want, agree),
            Processor::Any => self.find_by(Plain, at, packet, want, agree),
        }
    }

    /// The point is made where it is read: what a caller stores in pieces its reader waits for.
    #[inline(always)]
    fn find_by<L: Lanes>(&self, lanes: L, at: Ref, packet: &PacketKey, want: u8, agree: &impl Fn(u32) -> bool) -> u32 {
        let (mut best, p) = (Best::NONE, Point::new(packet, want));
        if lanes.wide().is_some() && matches!(at.kind(), Kind::Table(_)) {
            // Not by way of another call.
            self.look_into_chain(lanes, at, &p, &mut best, agree);
        } else {
            self.lookup(lanes, at, &p, &mut best, agree);
        }
        best.slot
    }

    /// Improves `best` by what is found below `at`.
    #[inline(always)]
    pub(super) fn lookup<L: Lanes>(
        &self,
        lanes: L,
        at: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        let mut at = at;
        // A table that stands alone needs no choice among several.
        while let Some(t) = self.alone(at) {
            let hash = t.masks.bucket(p);
            self.leaves.prefetch_line(t.line(hash));
            let (merit, child) = t.find(lanes, hash);
            at = select_unpredictable(merit >= best.merit, child, Ref::NONE);
        }
        if at.is_leaf() {
            self.scan(lanes, at, p, best, agree);
        } else {
            self.lookup_far(lanes, at, p, best, agree);
        }
    }

    /// The rest of [`Tree::lookup`].
    #[inline(never)]
    pub(super) fn lookup_far<L: Lanes>(
        &self,
        lanes: L,
        at: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        match at.kind() {
            Kind::Table(_) => self.chain(lanes, at, p, best, agree),
            Kind::Group(_) => self.look_behind(lanes, at, p, best, agree),
            Kind::Split(i) => {
                let Some(s) = self.split(i) else { return };
                let before = best.slot;
                self.lookup_far(lanes, s.head, p, best, agree);
                if best.slot == before {
                    self.lookup_far(lanes, s.rest, p, best, agree);
                }
            }
            Kind::Leaf(..) => self.scan(Plain, at, p, best, agree),
            Kind::Nothing => {}
        }
    }

    /// Improves `best` by a group of vectors and what comes after it.
    #[inline(never)]
    pub(super) fn look_behind<L: Lanes>(
        &self,
        lanes: L,
        at: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        lanes.run(
            #[inline(always)]
            move || self.look_into_groups(lanes, at, p, best, agree),
        );
    }

    #[inline(always)]
    fn look_into_groups<L: Lanes>(
        &self,
        lanes: L,
        mut at: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        while let Kind::Group(i) = at.kind() {
            let Some(g) = self.group(i) else { return };
            if g.vectors.merit() >= best.merit {
                let [places] = g.vectors.locate(lanes, core::array::from_ref(p));
                self.look_into_group(lanes, i, g, &places, best, agree);
            }
            if g.merit_fresh >= best.merit {
                self.scan(lanes, g.fresh, p, best, agree);
            }
            if g.merit_rest < best.merit {
                return;
            }
            at = g.rest;
        }
        if at != Ref::NONE {
            self.lookup_far(lanes, at, p, best, agree);
        }
    }

    #[inline(always)]
    pub(super) fn look_into_group<L: Lanes>(
        &self,
        lanes: L,
        group: u32,
        g: &Group<A>,
        places: &Places,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        if let Some(wide) = lanes.wide()
            && let Some((merit, slot, at)) = g.vectors.first_at_once(wide, places)
            && merit != best.merit
        {
            best.set(merit > best.merit, &Best { merit, slot, at, group });
            return;
        }
        let Some((merit, slot, at)) = g.vectors.first(places, best.merit, agree) else { return };
        if merit > best.merit || g.vectors.key(at) < self.key_of(best) {
            *best = Best { merit, slot, at, group };
        }
    }

    /// Improves `best` by the bucket of a table.
    #[inline(always)]
    pub(super) fn descend<L: Lanes>(
        &self,
        lanes: L,
        t: &Table,
        hash: u32,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        self.leaves.prefetch_line(t.line(hash));
        let (merit, child) = t.find(lanes, hash);
        self.lookup(lanes, select_unpredictable(merit >= best.merit, child, Ref::NONE), p, best, agree);
    }

    /// Improves `best` by the tables from `at` on and what is behind them.
    #[inline(never)]
    fn chain<L: Lanes>(&self, lanes: L, at: Ref, p: &Point<A>, best: &mut Best, agree: &impl Fn(u32) -> bool) {
        lanes.run(
            #[inline(always)]
            move || self.look_into_chain(lanes, at, p, best, agree),
        );
    }

    #[inline(always)]
    fn look_into_chain<L: Lanes>(
        &self,
        lanes: L,
        mut at: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        let Kind::Table(first) = at.kind() else { return };
        let Some(first) = self.table(first) else { return };
        let early = first.early & (first.merit_behind >= best.merit);
        let alone = !early && first.others < first.own / 8;
        if alone {
            // Most answers are in this table: no need to ask.
            self.descend(lanes, first, first.masks.bucket(p), p, best, agree);
            if first.merit_rest < best.merit {
                return;
            }
            at = first.rest;
        }
        // What is behind is searched while the sieves answer: while those that are far come, or, where none is, while the
        // first of them are read.
        let far = early & first.is_far();
        if !early & !alone & first.is_far() {
            // Its best rules go before all others: so it is looked into first, if there is a bucket.
            let hash = first.masks.bucket(p);
            first.prefetch(hash);
            self.leaves.prefetch_line(first.line(hash));
        }
        if let Some(wide) = lanes.wide().filter(|_| !first.fronts.is_empty()) {
            let behind = if early { 0 } else { first.merit_behind };
            let mut order = Order::ask(wide, self, &first.fronts, alone, behind, p);
            if early {
                self.look_into_groups(lanes, first.behind, p, best, agree);
            }
            while let Some((place, hash)) = order.take(wide, best.merit) {
                match place.kind() {
                    Kind::Table(i) => {
                        let Some(t) = self.table(i) else { return };
                        self.descend(lanes, t, hash, p, best, agree);
                    }
                    _ => self.lookup_far(lanes, first.behind, p, best, agree),
                }
            }
            return;
        }
        if far {
            self.look_behind_first(lanes, at, first.behind, p, best, agree);
        }
        // All sieves are asked before anything is looked into: no branch depends on their answers.
        let mut found = Found::NONE;
        self.ask(at, p, &mut found, !early);
        if early & !far {
            self.lookup_far(lanes, first.behind, p, best, agree);
        }
        while let Some(place) = found.take(best) {
            match place.kind() {
                Kind::Table(i) => {
                    let Some(t) = self.table(i) else { return };
                    self.descend(lanes, t, t.masks.bucket(p), p, best, agree);
                }
                _ => self.lookup_far(lanes, place, p, best, agree),
            }
        }
    }

    /// Asks the memory for the sieves at the front of a chain that are far, and improves `best` by what is behind.
    #[inline(never)]
    fn look_behind_first<L: Lanes>(
        &self,
        lanes: L,
        mut at: Ref,
        behind: Ref,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i).filter(|t| t.is_far()) else { break };
            t.prefetch_bound(t.masks.bucket(p));
            at = t.rest;
        }
        self.look_behind(lanes, behind, p, best, agree);
    }

    /// Asks the sieves of all tables of a chain.
    #[inline(always)]
    pub(super) fn ask(&self, mut at: Ref, p: &Point<A>, found: &mut Found, behind: bool) {
        let (mut top, mut rest) = (0, u16::MAX);
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i) else { break };
            top = found.push(t.bound(t.masks.bucket(p)), at, top);
            (at, rest) = (t.rest, t.merit_rest);
        }
        if behind {
            top = found.push(rest, at, top);
        }
        found.top = top;
    }
}
