//! The sieves of a chain, asked for all packets of a burst: table by table, by AVX-512 eight packets at a time (`front.rs`
//! has the hashes).

use super::addr::Addr;
use super::arena::{Kind, Ref};
use super::burst::{BURST, Each};
use super::front::{EIGHT, Packets};
use super::lanes::Lanes;
use super::rule::Point;
use super::table::Table;
use super::tree::Tree;
use super::turns::Chain;
use ravelin_wide::Wide;

/// Asks for what the sieve of a table has for each packet.
#[inline(never)]
fn prefetch_bounds<A: Addr>(t: &Table, points: &Each<Point<A>>) {
    points.iter().for_each(|p| t.prefetch_bound(t.masks.bucket(p)));
}

/// What tables hash of some packets, eight by eight.
struct Keys<A: Addr> {
    pairs: [[A::Pair; EIGHT]; BURST / EIGHT],
    packed: [[u64; EIGHT]; BURST / EIGHT],
}

impl<A: Addr> Keys<A> {
    #[inline(always)]
    fn new(points: &Each<Point<A>>) -> Self {
        let mut keys = Self { pairs: [[A::PAIR; EIGHT]; BURST / EIGHT], packed: [[0; EIGHT]; BURST / EIGHT] };
        let places = keys.pairs.as_flattened_mut().iter_mut().zip(keys.packed.as_flattened_mut());
        places.zip(points).for_each(|((pair, packed), p)| (*pair, *packed) = (p.pair, p.packed));
        keys
    }

    /// Where in the sieve of a table every packet is; asks for it where it is far.
    #[inline(always)]
    fn aim(&self, wide: Wide, t: &Table) -> [Packets; BURST / EIGHT] {
        let ([first, second], [first_packed, second_packed]) = (&self.pairs, &self.packed);
        let one = t.aim_eight::<A>(wide, first, first_packed);
        let two = t.aim_eight::<A>(wide, second, second_packed);
        if t.is_far() {
            one.prefetch(t);
            two.prefetch(t);
        }
        [one, two]
    }
}

impl<A: Addr> Tree<A> {
    /// Asks the sieves of a chain.
    #[inline(always)]
    pub(super) fn ask_burst<'a, L: Lanes>(
        &'a self,
        lanes: L,
        root: Ref,
        points: &Each<Point<A>>,
        chain: &mut Chain<'a>,
    ) {
        match lanes.wide() {
            Some(wide) => self.ask_wide(wide, root, points, chain),
            None => {
                let mut at = root;
                while let Kind::Table(i) = at.kind() {
                    let Some(t) = self.table(i) else { return };
                    if t.is_far() {
                        prefetch_bounds(t, points);
                    }
                    let Some(row) = chain.push([0; BURST], Some(t)) else { return };
                    row.merits.iter_mut().zip(points).for_each(|(merit, p)| *merit = t.bound(t.masks.bucket(p)));
                    at = t.rest;
                }
            }
        }
    }

    /// The same; what a sieve says is read when the next one was asked for.
    #[inline(always)]
    fn ask_wide<'a>(&'a self, wide: Wide, root: Ref, points: &Each<Point<A>>, chain: &mut Chain<'a>) {
        let keys = Keys::new(points);
        let mut at = root;
        let mut before: Option<(&Table, [Packets; BURST / EIGHT])> = None;
        loop {
            let next = match at.kind() {
                Kind::Table(i) => self.table(i).map(|t| (t, keys.aim(wide, t))),
                _ => None,
            };
            if let Some((t, [one, two])) = &before {
                let merits = t.bound_eight(wide, one).with(t.bound_eight(wide, two));
                if chain.push(merits, Some(t)).is_none() || chain.hashes.try_push(one.hashes(two)).is_err() {
                    return;
                }
            }
            let Some((t, aims)) = next else { return };
            at = t.rest;
            before = Some((t, aims));
        }
    }
}
