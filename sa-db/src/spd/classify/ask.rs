//! The sieves of a chain, asked for all packets of a burst: table by table, where the processor can eight packets at a time (`front.rs`
//! has the hashes).

use super::addr::Addr;
use super::arena::{Kind, Ref};
use super::burst::Each;
use super::lanes::Lanes;
use super::rule::Point;
use super::table::Table;
use super::tree::{PLACES, Tree};
use super::turns::{Chain, Row, SIXTEEN};
use arrayvec::ArrayVec;
use ravelin_wide::{Eight, Short, Wide};

/// Asks for what the sieve of a table has for each packet.
#[inline(never)]
fn prefetch_bounds<A: Addr, const N: usize>(t: &Table, points: &Each<Point<A>, N>) {
    points.iter().for_each(|p| t.prefetch_bound(t.masks.bucket(p)));
}

/// So many tables' sieves are asked for before one is read. With two or three nothing is quicker.
const AHEAD: usize = 1;

/// What tables hash of some packets.
struct Keys<A: Addr, const N: usize> {
    pairs: A::Pairs<N>,
    packed: [u64; N],
}

/// Where some packets are in the sieves of tables, by parts: 2^29 rules at most (`arena.rs`) make 2^27 bundles, 2^31 parts.
type Places<const N: usize> = ArrayVec<Each<u32, N>, PLACES>;

impl<A: Addr, const N: usize> Keys<A, N> {
    #[inline(always)]
    fn new(points: &Each<Point<A>, N>) -> Self {
        let mut keys = Self { pairs: A::pairs(points), packed: [0; N] };
        keys.packed.iter_mut().zip(points).for_each(|(packed, p)| *packed = p.packed);
        keys
    }

    /// One more table: where in its sieve every packet is, which is asked for where it is far, and in place of merits which
    /// bits there stand for them. `None` when there are too many.
    #[inline(always)]
    fn aim<'a>(&self, wide: impl Wide, t: &'a Table, chain: &mut Chain<'a, N>, places: &mut Places<N>) -> Option<()> {
        chain.push([0; N], Some(t))?;
        chain.hashes.try_push([0; N]).ok()?;
        places.try_push([0; N]).ok()?;
        let (row, hashes, places) = (chain.rows.last_mut()?, chain.hashes.last_mut()?, places.last_mut()?);
        let packed = self.packed.as_chunks().0.as_chunks().0;
        let digests = |eight: usize| A::digests_of_packets(wide, &self.pairs, eight, &t.masks);
        let to = hashes.as_chunks_mut().0.iter_mut().zip(places.as_chunks_mut().0).zip(row.merits.as_chunks_mut().0);
        for ((n, [one, two]), ((hashes, places), sixths)) in packed.iter().enumerate().zip(to) {
            let at = n.wrapping_mul(2);
            let (one, two) = (t.aim_eight(wide, digests(at), one), t.aim_eight(wide, digests(at.wrapping_add(1)), two));
            *hashes = one.hashes.halves_with(two.hashes);
            *places = one.places.halves_with(two.places);
            *sixths = one.sixths.with(two.sixths);
        }
        if t.is_far() {
            for place in &*places {
                t.prefetch_part(*place as usize);
            }
        }
        Some(())
    }
}

impl<A: Addr> Tree<A> {
    /// Asks the sieves of a chain.
    #[inline(always)]
    pub(super) fn ask_burst<'a, L: Lanes, const N: usize>(
        &'a self,
        lanes: L,
        root: Ref,
        points: &Each<Point<A>, N>,
        chain: &mut Chain<'a, N>,
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
                    let Some(row) = chain.push([0; N], Some(t)) else { return };
                    row.merits.iter_mut().zip(points).for_each(|(merit, p)| *merit = t.bound(t.masks.bucket(p)));
                    at = t.rest;
                }
            }
        }
    }

    /// The same; what a sieve says is read when the next ones were asked for.
    #[inline(always)]
    fn ask_wide<'a, const N: usize>(
        &'a self,
        wide: impl Wide,
        root: Ref,
        points: &Each<Point<A>, N>,
        chain: &mut Chain<'a, N>,
    ) {
        let (keys, mut places) = (Keys::new(points), Places::new());
        let mut at = root;
        let mut done = 0usize;
        loop {
            if let Kind::Table(i) = at.kind() {
                let Some(t) = self.table(i) else { return };
                if keys.aim(wide, t, chain, &mut places).is_none() {
                    return;
                }
                at = t.rest;
                if places.len() <= AHEAD {
                    continue;
                }
            }
            let (Some(row), Some(places)) = (chain.rows.get_mut(done), places.get(done)) else { return };
            row.read(wide, places);
            done = done.wrapping_add(1);
        }
    }
}

impl<const N: usize> Row<'_, N> {
    /// What the sieve says, in place of which bits it is asked for.
    #[inline(always)]
    fn read(&mut self, wide: impl Wide, places: &Each<u32, N>) {
        let Some(t) = self.table else { return };
        for (merits, places) in self.merits.as_chunks_mut::<SIXTEEN>().0.iter_mut().zip(places.as_chunks::<SIXTEEN>().0)
        {
            let (([one, two], _), ([sixths_one, sixths_two], _)) = (places.as_chunks(), merits.as_chunks()) else {
                continue;
            };
            let (one, two) = (t.bound_eight(wide, one, sixths_one), t.bound_eight(wide, two, sixths_two));
            *merits = one.with(two);
        }
    }
}
