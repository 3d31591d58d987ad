//! Lookups of several packets together, in stages: what all packets wait for is asked for before any is worked on, first
//! the sieves table by table, the borders of the first group of vectors field by field, then in rounds the bundle of the
//! best bucket of every packet, the rules there, and so on.
//! The same rules as in `tree.rs`: what is early first, then bucket by bucket by merit.

use super::addr::Addr;
use super::arena::{Kind, Ref};
use super::lanes::{Lanes, Processor};
use super::rule::Point;
use super::split::Split;
use super::table::Table;
use super::tree::{Best, FAR, Tree};
use super::turns::{Chain, OneTurn, Turn};
use crate::PacketKey;
use arrayvec::ArrayVec;
use core::hint::select_unpredictable;

/// Packets looked at together at least.
pub(in crate::spd) const BURST: usize = 16;
/// As many with AVX-512 or AVX2, where so many came: more of what they read comes at the same time. Without, it is always
/// [`BURST`], as each size is so much code again.
pub(super) const LONG: usize = 2 * BURST;
/// As many where that is far away ([`FAR`]); elsewhere no quicker.
pub(super) const LONGEST: usize = 4 * BURST;

/// So few packets that have more to look into go on one by one: a round for all costs as much as a walk for some of them.
const FEW: usize = 4;

/// A value for each packet.
pub(super) type Each<T, const N: usize> = [T; N];

/// What to look into now: for which packets, where, and their hashes there.
struct Now<const N: usize> {
    packets: Each<u8, N>,
    at: Each<Ref, N>,
    hashes: Each<u32, N>,
    n: usize,
}

impl<const N: usize> Now<N> {
    const NONE: Self = Self { packets: [0; N], at: [Ref::NONE; N], hashes: [0; N], n: 0 };

    #[inline(always)]
    fn push(&mut self, k: usize, counts: bool) {
        self.packets.get_mut(self.n).into_iter().for_each(|to| *to = k as u8);
        self.n = self.n.wrapping_add(usize::from(counts));
    }

    /// Packet by packet.
    #[inline(always)]
    fn each(&mut self) -> impl Iterator<Item = (usize, &mut Ref, &mut u32)> {
        let all = self.packets.iter().zip(&mut self.at).zip(&mut self.hashes).take(self.n);
        all.map(|((k, at), hash)| (usize::from(*k), at, hash))
    }
}

impl<A: Addr> Tree<A> {
    /// What lookups from here on gain by: a table that stands alone is asked by no sieve.
    #[inline]
    pub(super) fn processor_from(&self, at: Ref) -> Processor {
        if self.alone(at).is_none() { self.processor } else { Processor::Any }
    }

    /// True when [`LONGEST`] bursts are worth it.
    #[inline]
    pub(super) fn is_far(&self) -> bool {
        self.leaves.len() >= FAR
    }

    /// As [`Tree::find`] for several packets at once.
    #[inline]
    pub(super) fn find_burst<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        at: Ref,
        packets: &Each<PacketKey, N>,
        want: u8,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        lanes.run(
            #[inline(always)]
            || self.find_burst_by(lanes, at, packets, want, best, agree),
        );
    }

    #[inline(always)]
    fn find_burst_by<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        at: Ref,
        packets: &Each<PacketKey, N>,
        want: u8,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        let mut points = [Point::NONE; N];
        for (point, packet) in points.iter_mut().zip(packets) {
            *point = Point::new(packet, want);
        }
        self.lookup_burst(lanes, at, &points, best, agree);
    }

    /// As [`Tree::lookup`] for several packets at once.
    #[inline(never)]
    fn lookup_burst<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        root: Ref,
        points: &Each<Point<A>, N>,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        lanes.run(
            #[inline(always)]
            || match root.kind() {
                Kind::Split(i) => {
                    if let Some(s) = self.split(i) {
                        self.look_into_split(lanes, s, points, best, agree);
                    }
                }
                Kind::Table(i) => {
                    if let Some(first) = self.table(i) {
                        self.look_into_chain_burst(lanes, root, first, points, best, agree);
                    }
                }
                _ => self.look_behind_burst(lanes, root, points, best, agree),
            },
        );
    }

    #[inline(always)]
    fn look_into_chain_burst<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        root: Ref,
        first: &Table,
        points: &Each<Point<A>, N>,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        if first.rest == Ref::NONE {
            let mut now = Now { at: [root; N], ..Now::NONE };
            (0..N).for_each(|k| now.push(k, true));
            return self.look_into(lanes, true, &mut now, points, best, agree);
        }
        let mut chain = Chain { rows: ArrayVec::new(), hashes: ArrayVec::new(), behind: first.behind };
        self.ask_burst(lanes, root, points, &mut chain);
        if first.early {
            self.look_behind_burst(lanes, first.behind, points, best, agree);
        } else {
            chain.push([first.merit_behind; N], None);
        }
        let mut turn = chain.turn::<false>(&Turn::NONE);
        loop {
            let mut now = Now::NONE;
            for (k, (merit, best)) in turn.merits.iter().zip(best.iter()).enumerate() {
                now.push(k, *merit >= best.merit);
            }
            if now.n == 0 {
                return;
            }
            let again = self.step_from_chain(lanes, &chain, &turn, &mut now, points, best);
            self.look_into(lanes, again, &mut now, points, best, agree);
            if now.n <= FEW {
                for (k, ..) in now.each() {
                    if let (Some(p), Some(best)) = (points.get(k), best.get_mut(k)) {
                        self.look_on(lanes, &chain, turn.of(k), p, best, agree);
                    }
                }
                return;
            }
            turn = chain.turn::<true>(&turn);
        }
    }

    /// The head for all packets; the rest for those that it did not decide.
    #[inline(never)]
    fn look_into_split<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        s: &Split,
        points: &Each<Point<A>, N>,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        self.lookup_burst(lanes, s.head, points, best, agree);
        let is_open = |best: &Best| best.slot == u32::MAX;
        let open = best.iter().filter(|b| is_open(b)).count();
        if open > N / 2 {
            return self.lookup_burst(lanes, s.rest, points, best, agree);
        }
        for (p, best) in points.iter().zip(best).filter(|(_, best)| is_open(best)) {
            self.lookup_far(lanes, s.rest, p, best, agree);
        }
    }

    /// The rest of [`Tree::lookup_burst`] for one packet.
    #[inline(always)]
    fn look_on<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        chain: &Chain<'_, N>,
        turn: OneTurn,
        p: &Point<A>,
        best: &mut Best,
        agree: &impl Fn(u32) -> bool,
    ) {
        let mut last = turn;
        while let Some(next) = chain.next(&last, best.merit) {
            match chain.rows.get(next.row).and_then(|row| row.table) {
                Some(t) => {
                    let hash = chain.hash(lanes, next.row, next.packet, t, p);
                    self.descend(lanes, t, hash, p, best, agree);
                }
                None => self.lookup_far(lanes, chain.behind, p, best, agree),
            }
            last = next;
        }
    }

    /// As [`Tree::look_behind`] for several packets at once, where the first group decides most.
    #[inline(always)]
    fn look_behind_burst<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        at: Ref,
        points: &Each<Point<A>, N>,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        let all = points.iter().zip(best.iter_mut());
        let Kind::Group(i) = at.kind() else {
            all.for_each(|(p, best)| self.lookup_far(lanes, at, p, best, agree));
            return;
        };
        let Some(g) = self.group(i) else { return };
        let places = g.vectors.locate(lanes, points);
        for ((p, best), places) in all.zip(&places) {
            self.look_into_group(lanes, i, g, places, best, agree);
            if g.merit_fresh >= best.merit {
                self.scan(lanes, g.fresh, p, best, agree);
            }
        }
        for (p, best) in points.iter().zip(best).filter(|(_, best)| g.merit_rest >= best.merit) {
            self.lookup_far(lanes, g.rest, p, best, agree);
        }
    }

    /// Improves `best` by some buckets: every bundle is asked for before any is read, then every leaf; trees in buckets
    /// likewise, as long as they are a table that stands alone, of which there may be `some`.
    #[inline(always)]
    fn look_into<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        mut some: bool,
        now: &mut Now<N>,
        points: &Each<Point<A>, N>,
        best: &mut Each<Best, N>,
        agree: &impl Fn(u32) -> bool,
    ) {
        while some {
            some = self.step(lanes, now, points, best);
        }
        for (k, at, _) in now.each() {
            if let (Some(p), Some(best)) = (points.get(k), best.get_mut(k)) {
                self.lookup(lanes, *at, p, best, agree);
            }
        }
    }

    /// From the tables of a chain to what is in their buckets; true when that is a table which stands alone for some packet.
    #[inline(always)]
    fn step_from_chain<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        chain: &Chain<'_, N>,
        turn: &Turn<N>,
        now: &mut Now<N>,
        points: &Each<Point<A>, N>,
        best: &Each<Best, N>,
    ) -> bool {
        let table = |k: usize| chain.rows.get(turn.row(k)).and_then(|row| row.table);
        for (k, _, hash) in now.each() {
            if let (Some(t), Some(p)) = (table(k), points.get(k)) {
                *hash = chain.hash(lanes, turn.row(k), k, t, p);
                t.prefetch(*hash);
            }
        }
        let mut some = false;
        for (k, at, hash) in now.each() {
            *at = chain.behind;
            if let (Some(t), Some(best)) = (table(k), best.get(k)) {
                *at = self.bucket(lanes, t, *hash, best);
                some |= self.alone(*at).is_some();
            }
        }
        some
    }

    /// The same from tables that stand alone.
    #[inline(always)]
    fn step<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        now: &mut Now<N>,
        points: &Each<Point<A>, N>,
        best: &Each<Best, N>,
    ) -> bool {
        for (k, at, hash) in now.each() {
            if let (Some(t), Some(p)) = (self.alone(*at), points.get(k)) {
                *hash = t.masks.bucket(p);
                t.prefetch(*hash);
            }
        }
        let mut some = false;
        for (k, at, hash) in now.each() {
            if let (Some(t), Some(best)) = (self.alone(*at), best.get(k)) {
                *at = self.bucket(lanes, t, *hash, best);
                some |= self.alone(*at).is_some();
            }
        }
        some
    }

    /// What is in a bucket, asked for, if it may be better.
    #[inline(always)]
    fn bucket<L: Lanes>(&self, lanes: L, t: &Table, hash: u32, best: &Best) -> Ref {
        let (merit, child) = t.find(lanes, hash);
        let at = select_unpredictable(merit >= best.merit, child, Ref::NONE);
        self.leaves.prefetch(at);
        at
    }
}
