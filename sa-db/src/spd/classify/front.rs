//! The tables of a chain side by side, eight at a time, as a lookup with AVX-512 or AVX2 asks their sieves: one hash for all eight,
//! then eight reads. The first table of a chain keeps them; what changes the chain has them made anew (`update.rs`).

use super::addr::{Addr, kept};
use super::arena::{Kind, Ref};
use super::choose::{K1, K2, Masks};
use super::lanes::Processor;
use super::rule::{Point, ROUGH};
use super::table::Table;
use super::tree::{MAX_CHAIN, Tree};
use alloc::vec::Vec;
use core::hint::select_unpredictable;
use ravelin_wide::{Eight, Short, Wide};

/// Tables in a front.
pub(super) const EIGHT: usize = 8;

/// Fewer tables are asked one after the other: that takes no longer, and the first answer is sooner there.
const FEW: usize = if cfg!(test) { 2 } else { 6 };

/// Eight tables, or fewer.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Front {
    /// Of each: [`Masks::addrs`], [`Masks::ports`], how many bundles it has.
    pub(super) addrs: [u64; EIGHT],
    ports: [u64; EIGHT],
    lens: [u64; EIGHT],
    /// [`Ref::NONE`]: none.
    pub(super) tables: [Ref; EIGHT],
    /// Of each, by halves, the bits of IPv6 addresses that count.
    pub(super) kept: [[u64; EIGHT]; 4],
    n: usize,
}

/// Where in the sieves of a front a packet is.
pub(super) struct Aims<W: Wide> {
    hashes: [u32; EIGHT],
    places: [u64; EIGHT],
    sixths: W::Short,
}

/// Hashes of eight packets or for eight tables, in 32 bits: as [`Masks::bucket`].
#[inline(always)]
fn hashes<W: Wide>(wide: W, digests: W::Eight, ports: W::Eight) -> W::Eight {
    digests.xor(wide.splat(K1)).folded(ports.xor(wide.splat(K2)))
}

/// Where in sieves with so many cache lines some hashes are, in parts.
#[inline(always)]
fn places<W: Wide>(wide: W, hashes: W::Eight, lens: W::Eight) -> W::Eight {
    let homes = hashes.times(lens).right::<32>();
    homes.left::<4>().or(hashes.and(wide.splat(15)))
}

/// Which bits of a part stand for some hashes.
#[inline(always)]
fn sixths<W: Wide>(wide: W, hashes: W::Eight) -> W::Short {
    hashes.right::<4>().and(wide.splat(255)).times(wide.splat(6)).right::<8>().quarters()
}

/// What parts say of hashes: as [`Table::bound`].
#[inline(always)]
fn bounds<W: Wide>(wide: W, parts: [u16; EIGHT], sixths: W::Short) -> W::Short {
    let parts = wide.gather_short(parts);
    parts.where_bit(sixths, parts.or(wide.splat_short(ROUGH)))
}

impl Front {
    /// Where a packet is in the sieves.
    #[inline(always)]
    pub(super) fn aim<W: Wide, A: Addr>(&self, wide: W, p: &Point<A>) -> Aims<W> {
        let ports = wide.splat(p.packed).and(wide.eight(&self.ports));
        let hashes = hashes(wide, A::digests_for_tables(wide, p.pair, self), ports);
        let places = places(wide, hashes, wide.eight(&self.lens));
        Aims { hashes: hashes.halves(), places: places.array(), sixths: sixths(wide, hashes) }
    }

    /// What the sieves say.
    #[inline(always)]
    pub(super) fn bounds<W: Wide, A: Addr>(&self, wide: W, tree: &Tree<A>, aims: &Aims<W>) -> W::Short {
        let part = |n: usize| {
            let (Some(at), Some(place)) = (self.tables.get(n), aims.places.get(n)) else { return 0 };
            match at.kind() {
                Kind::Table(i) => tree.table(i).map_or(0, |t| t.part_at(*place as usize)),
                _ => 0,
            }
        };
        let parts = [part(0), part(1), part(2), part(3), part(4), part(5), part(6), part(7)];
        bounds(wide, parts, aims.sixths)
    }
}

/// Of eight packets the hashes for a table, where they are in its sieve, and which bits there stand for them.
pub(super) struct Packets<W: Wide> {
    pub(super) hashes: W::Eight,
    pub(super) places: W::Eight,
    pub(super) sixths: W::Short,
}

impl Table {
    /// Where in the sieve eight packets with these digests are.
    #[inline(always)]
    pub(super) fn aim_eight<W: Wide>(&self, wide: W, digests: W::Eight, packed: &[u64; EIGHT]) -> Packets<W> {
        let ports = wide.eight(packed).and(wide.splat(self.masks.ports));
        let hashes = hashes(wide, digests, ports);
        let places = places(wide, hashes, wide.splat(self.bundles.len() as u64));
        Packets { hashes, places, sixths: sixths(wide, hashes) }
    }

    /// [`Table::bound`] for eight packets.
    #[inline(always)]
    pub(super) fn bound_eight<W: Wide>(&self, wide: W, places: &[u32; EIGHT], sixths: &[u16; EIGHT]) -> W::Short {
        let [a, b, c, d, e, f, g, h] = *places;
        let part = |place: u32| self.part_at(place as usize);
        let parts = [part(a), part(b), part(c), part(d), part(e), part(f), part(g), part(h)];
        bounds(wide, parts, wide.short(sixths))
    }
}

/// Fronts of a chain at most.
const FRONTS: usize = (MAX_CHAIN as usize).div_ceil(EIGHT);

/// Where in a chain of tables something better may be, to be looked into by merit: as `found.rs`.
pub(super) struct Order<'a, W: Wide> {
    fronts: &'a [Front],
    hashes: [[u32; EIGHT]; FRONTS],
    /// The merits turned over, so that the best is the least; all ones where there is nothing, or it was looked into.
    left: [W::Short; FRONTS],
    /// What is behind the tables, likewise.
    behind: u16,
}

const X: u16 = u16::MAX;
/// All ones for one of eight.
const ONE_OF_EIGHT: [[u16; EIGHT]; EIGHT] = [
    [X, 0, 0, 0, 0, 0, 0, 0],
    [0, X, 0, 0, 0, 0, 0, 0],
    [0, 0, X, 0, 0, 0, 0, 0],
    [0, 0, 0, X, 0, 0, 0, 0],
    [0, 0, 0, 0, X, 0, 0, 0],
    [0, 0, 0, 0, 0, X, 0, 0],
    [0, 0, 0, 0, 0, 0, X, 0],
    [0, 0, 0, 0, 0, 0, 0, X],
];

impl<'a, W: Wide> Order<'a, W> {
    /// Asks the sieves of a chain, but not the first if that `was` looked into. What is behind has at most this merit.
    #[inline(always)]
    pub(super) fn ask<A: Addr>(
        wide: W,
        tree: &Tree<A>,
        fronts: &'a [Front],
        was: bool,
        behind: u16,
        p: &Point<A>,
    ) -> Self {
        let (mut left, mut hashes) = ([wide.splat_short(u16::MAX); FRONTS], [[0; EIGHT]; FRONTS]);
        let mut gone = wide.short(&[if was { u16::MAX } else { 0 }, 0, 0, 0, 0, 0, 0, 0]);
        for ((left, hashes), front) in left.iter_mut().zip(&mut hashes).zip(fronts) {
            let aims = front.aim(wide, p);
            *hashes = aims.hashes;
            *left = front.bounds(wide, tree, &aims).turned().or(gone);
            gone = wide.splat_short(0);
        }
        Self { fronts, hashes, left, behind: !behind }
    }

    /// The table of highest merit, once, and the packet's hash for it; [`Ref::NONE`] for what is behind; `None` when none
    /// may have such a merit.
    #[inline(always)]
    pub(super) fn take(&mut self, wide: W, least: u16) -> Option<(Ref, u32)> {
        let [first, more @ ..] = &self.left;
        let (mut top, mut at) = first.least();
        if self.fronts.len() > 1 {
            for (n, left) in (1..self.fronts.len()).zip(more) {
                let (next, place) = left.least();
                (top, at) = select_unpredictable(next < top, (next, n.wrapping_mul(EIGHT) | place), (top, at));
            }
        }
        if top.min(self.behind) > !least {
            return None;
        }
        if self.behind < top {
            self.behind = u16::MAX;
            return Some((Ref::NONE, 0));
        }
        let (front, n) = (at / EIGHT, at % EIGHT);
        if let (Some(left), Some(one)) = (self.left.get_mut(front), ONE_OF_EIGHT.get(n)) {
            *left = left.or(wide.short(one));
        }
        Some((*self.fronts.get(front)?.tables.get(n)?, *self.hashes.get(front)?.get(n)?))
    }
}

impl<A: Addr> Tree<A> {
    /// The fronts of a chain.
    fn fronts(&self, mut at: Ref) -> Vec<Front> {
        let mut fronts: Vec<Front> = Vec::new();
        while let Kind::Table(i) = at.kind() {
            let Some(t) = self.table(i) else { break };
            if fronts.last().is_none_or(|front| front.n == EIGHT) {
                fronts.push(Front::NONE);
            }
            if let Some(front) = fronts.last_mut() {
                front.put(at, &t.masks, t.bundles.len());
            }
            at = t.rest;
        }
        if fronts.first().is_none_or(|front| front.n < FEW) {
            fronts.clear();
        }
        fronts
    }

    /// Makes the fronts of a chain anew.
    pub(super) fn set_fronts(&mut self, head: u32) {
        if matches!(self.processor, Processor::Any) {
            return;
        }
        let fronts = self.fronts(Ref::table(head));
        if let Some(t) = self.table_mut(head) {
            t.fronts = fronts;
        }
    }
}

impl Front {
    const NONE: Self = Self {
        addrs: [0; EIGHT],
        ports: [0; EIGHT],
        lens: [0; EIGHT],
        tables: [Ref::NONE; EIGHT],
        kept: [[0; EIGHT]; 4],
        n: 0,
    };

    fn put(&mut self, at: Ref, masks: &Masks, len: usize) {
        let n = self.n;
        let places = (self.addrs.get_mut(n), self.ports.get_mut(n), self.lens.get_mut(n));
        if let (Some(addrs), Some(ports), Some(lens)) = places {
            (*addrs, *ports, *lens) = (masks.addrs, masks.ports, len as u64);
        }
        self.tables.get_mut(n).into_iter().for_each(|table| *table = at);
        for (half, kept) in self.kept.iter_mut().zip(kept(masks.shifts)) {
            half.get_mut(n).into_iter().for_each(|place| *place = kept);
        }
        self.n = n.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::choose::Shape;
    use super::super::found::Found;
    use super::super::tests::with_each;
    use super::super::tree::{Best, store};
    use super::*;
    use crate::PacketKey;
    use core::net::{IpAddr, Ipv4Addr};
    use proptest::prelude::*;

    /// A table's shape and the packets, by number, that have a bucket of this merit in it.
    type Drawn = (u8, u8, bool, Vec<(usize, u16)>);

    fn table() -> impl Strategy<Value = Drawn> {
        let buckets = proptest::collection::vec((0usize..8, 64u16..400), 0..6);
        (0u8..33, 0u8..33, any::<bool>(), buckets)
    }

    proptest! {
        #[test]
        fn tables_side_by_side_come_in_the_order_of_one_by_one(
            drawn in proptest::collection::vec(table(), 2..25),
            packets in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<Option<u16>>(), any::<u8>()), 8),
            behind in 2u16..400,
            least in prop_oneof![Just(1u16), 2u16..400],
            was: bool,
        ) {
            let ip = |a: u32| IpAddr::from(Ipv4Addr::from_bits(a));
            let points: Vec<Point<u32>> = packets
                .iter()
                .map(|(l, r, port, protocol)| {
                    let (local, remote) = (ip(*l), ip(*r));
                    let key = PacketKey { local, remote, protocol: *protocol, local_port: *port, remote_port: *port };
                    Point::new(&key, 1)
                })
                .collect();
            let mut tree = Tree::<u32>::default();
            // From the last one to the first; what is behind is a leaf that nobody reads.
            let mut at = Ref::leaf(0, 7);
            for (n, (l, r, protocol, buckets)) in drawn.iter().enumerate().rev() {
                let shape = Shape { l: *l, r: *r, lp: 17, rp: 17, protocol: *protocol };
                let mut t = Table::new(shape, 6, n as u8, false);
                (t.rest, t.merit_rest, t.behind, t.merit_behind) = (at, behind, Ref::leaf(0, 7), behind);
                for (packet, merit) in buckets {
                    t.set(t.masks.bucket(&points[*packet]), Ref::leaf(0, 9), *merit);
                }
                at = Ref::table(store(&mut tree.tables, &mut tree.free_tables, t));
            }
            let Kind::Table(head) = at.kind() else { return Err(TestCaseError::fail("no table")) };
            tree.set_fronts(head);
            let fronts = tree.table(head).map(|t| t.fronts.clone()).unwrap_or_default();
            prop_assert_eq!(fronts.len(), drawn.len().div_ceil(EIGHT));
            with_each!(|wide| {
                for p in &points {
                    let mut one_by_one = Found::NONE;
                    let from = if was { tree.table(head).map_or(at, |t| t.rest) } else { at };
                    tree.ask(from, p, &mut one_by_one, true);
                    let mut order = Order::ask(wide, &tree, &fronts, was, behind, p);
                    loop {
                        let expected = one_by_one.take(&Best { merit: least, ..Best::NONE });
                        let taken = order.take(wide, least);
                        match (expected, taken) {
                            (Some(at), Some((place, hash))) => match at.kind() {
                                Kind::Table(i) => {
                                    prop_assert_eq!(place, at);
                                    prop_assert_eq!(Some(hash), tree.table(i).map(|t| t.masks.bucket(p)));
                                }
                                _ => prop_assert_eq!(place, Ref::NONE),
                            },
                            (expected, taken) => {
                                prop_assert_eq!((expected, taken), (None, None));
                                break;
                            }
                        }
                    }
                }
                // And eight packets for one table.
                let eight: [Point<u32>; EIGHT] = core::array::from_fn(|n| points[n]);
                let pairs = u32::pairs(&eight);
                let packed: [u64; EIGHT] = core::array::from_fn(|n| points[n].packed);
                for t in tree.tables.iter().flatten() {
                    let digests = u32::digests_of_packets(wide, &pairs, 0, &t.masks);
                    let eight = t.aim_eight(wide, digests, &packed);
                    let hashes: Vec<u32> = points.iter().map(|p| t.masks.bucket(p)).collect();
                    prop_assert_eq!(&eight.hashes.halves()[..], &hashes[..]);
                    let bounds: Vec<u16> = hashes.iter().map(|hash| t.bound(*hash)).collect();
                    prop_assert_eq!(&t.bound_eight(wide, &eight.places.halves(), &eight.sixths.array()).array()[..], &bounds[..]);
                }
            });
        }

        #[test]
        fn ipv6_addresses_are_hashed_by_the_bits_that_count(
            pairs in proptest::collection::vec((any::<u128>(), any::<u128>()), EIGHT),
            shifts in proptest::collection::vec((0u8..129, 0u8..129), EIGHT),
            bit in 0u8..128,
            of_remote: bool,
        ) {
            let shape = |(l, r)| Shape { l, r, lp: 17, rp: 17, protocol: false }.masks();
            let masks: Vec<Masks> = shifts.into_iter().map(shape).collect();
            let pairs: [[u128; 2]; EIGHT] = core::array::from_fn(|n| [pairs[n].0, pairs[n].1]);
            for masks in &masks {
                let (mut other, [l, r]) = (pairs[0], masks.shifts);
                other[usize::from(of_remote)] ^= 1 << bit;
                let counts = bit >= if of_remote { r } else { l };
                prop_assert_eq!(u128::digest(pairs[0], masks) != u128::digest(other, masks), counts);
            }
            with_each!(|wide| {
                let mut front = Front::NONE;
                masks.iter().for_each(|masks| front.put(Ref::NONE, masks, 1));
                let mut points = [Point::<u128>::NONE; EIGHT];
                points.iter_mut().zip(pairs).for_each(|(p, pair)| p.pair = pair);
                let twice: [_; 2 * EIGHT] = core::array::from_fn(|n| points[n % EIGHT]);
                let (halves, twice) = (u128::pairs(&points), u128::pairs(&twice));
                for (n, pair) in pairs.iter().enumerate() {
                    let expected: Vec<u64> = masks.iter().map(|masks| u128::digest(*pair, masks)).collect();
                    prop_assert_eq!(&u128::digests_for_tables(wide, *pair, &front).array()[..], &expected[..]);
                    for (masks, expected) in masks.iter().zip(expected) {
                        prop_assert_eq!(u128::digests_of_packets(wide, &halves, 0, masks).array()[n], expected);
                        prop_assert_eq!(u128::digests_of_packets(wide, &twice, 1, masks).array()[n], expected);
                    }
                }
            });
        }
    }
}
