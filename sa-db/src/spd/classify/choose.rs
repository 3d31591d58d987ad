//! Which bits of which fields separate a set of rules best: the shape of the next table, by a cost model over a
//! sample. Figures of the model are nanoseconds on the machine of `docs/spd.md`; only their ratios matter.

use super::addr::Addr;
use super::rule::{PORT_WIDTH, Point, Rule, pack};
use alloc::vec::Vec;

/// Bits dropped at the low end of every field before hashing. A field dropped wholly does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub l: u8,
    pub r: u8,
    pub lp: u8,
    pub rp: u8,
    /// True when the protocol is hashed.
    pub protocol: bool,
}

pub(super) const K1: u64 = 0x9E37_79B9_7F4A_7C15;
pub(super) const K2: u64 = 0xD1B5_4A32_D192_ED03;

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A shape as a lookup uses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masks {
    /// Local and remote IPv4 address.
    pub addrs: u64,
    /// As [`pack`] packs them.
    pub ports: u64,
    /// Bits to drop of a local and a remote IPv6 address.
    pub shifts: [u8; 2],
}

impl Masks {
    /// The bucket of a packet.
    #[inline(always)]
    pub(super) fn bucket<A: Addr>(&self, p: &Point<A>) -> u32 {
        self.hash::<A>(p.pair, p.packed)
    }

    #[inline(always)]
    fn hash<A: Addr>(&self, pair: A::Pair, packed: u64) -> u32 {
        // One multiplication: a lookup does this for every table.
        (fold(A::digest(pair, self) ^ K1, (packed & self.ports) ^ K2) >> 32) as u32
    }
}

impl Shape {
    /// Everything dropped: one bucket.
    fn nothing<A: Addr>() -> Self {
        Self { l: A::WIDTH, r: A::WIDTH, lp: PORT_WIDTH, rp: PORT_WIDTH, protocol: false }
    }

    pub(super) fn masks(&self) -> Masks {
        let keep = |dropped: u8, width: u8| (u64::MAX << (dropped & 63)) & ((1u64 << width) - 1);
        let protocol = if self.protocol { u8::MAX } else { 0 };
        let ports = keep(self.lp, PORT_WIDTH) | (keep(self.rp, PORT_WIDTH) << PORT_WIDTH);
        Masks {
            addrs: keep(self.l, 32) | (keep(self.r, 32) << 32),
            ports: ports | pack(0, 0, protocol),
            shifts: [self.l, self.r],
        }
    }

    /// True when the rule covers at most two blocks in every field, so that it goes into at most 16 buckets.
    pub(super) fn accepts<A: Addr>(&self, rule: &Rule<A>) -> bool {
        fn two<A: Addr>(range: [A; 2], shift: u8) -> bool {
            let (a, b) = (range[0].shr(shift), range[1].shr(shift));
            a == b || a.next() == Some(b)
        }
        (!self.protocol || rule.protocol != 0)
            && two(rule.l, self.l)
            && two(rule.r, self.r)
            && two(rule.lp, self.lp)
            && two(rule.rp, self.rp)
    }

    /// The buckets of an accepted rule: 1 in most cases, at most 16, without repetition.
    pub(super) fn buckets<A: Addr>(&self, masks: &Masks, rule: &Rule<A>, mut each: impl FnMut(u32)) {
        fn ends<A: Addr>(range: [A; 2], shift: u8) -> ([A; 2], usize) {
            (range, if range[0].shr(shift) == range[1].shr(shift) { 1 } else { 2 })
        }
        let (l, ln) = ends(rule.l, self.l);
        let (r, rn) = ends(rule.r, self.r);
        let (lp, lpn) = ends(rule.lp, self.lp);
        let (rp, rpn) = ends(rule.rp, self.rp);
        let mut seen = [0u32; 16];
        let mut count = 0usize;
        for l in l.iter().take(ln) {
            for r in r.iter().take(rn) {
                for lp in lp.iter().take(lpn) {
                    for rp in rp.iter().take(rpn) {
                        let h = masks.hash::<A>(A::pair(*l, *r), pack(*lp, *rp, rule.protocol));
                        if seen.iter().take(count).any(|s| *s == h) {
                            continue;
                        }
                        if let Some(place) = seen.get_mut(count) {
                            *place = h;
                        }
                        count = count.saturating_add(1);
                        each(h);
                    }
                }
            }
        }
    }
}

/// The smallest shift at which a range covers at most two blocks.
fn fit<A: Addr>(range: [A; 2]) -> u8 {
    let top = range[0].differ(range[1]);
    // Below the highest differing bit the range is two blocks only if it hugs that border from both sides.
    let mut shift = top;
    while let Some(lower) = shift.checked_sub(1) {
        let (a, b) = (range[0].shr(lower), range[1].shr(lower));
        if a != b && a.next() != Some(b) {
            break;
        }
        shift = lower;
    }
    // An aligned block is one bucket at its own size; cutting it in two gains little.
    let aligned = top;
    if range[0].shr(aligned) == range[1].shr(aligned) && shift.saturating_add(1) >= aligned { aligned } else { shift }
}

/// How many rules a sample has.
const SAMPLE: usize = 1024;

/// Estimated time of a lookup in a list of `n` rules.
pub(super) fn list_cost(n: f32) -> f32 {
    2.0 + 1.6 * n
}

/// Estimated time of a lookup behind bit vectors.
pub(super) fn vector_cost(n: usize) -> f32 {
    let groups = n.div_ceil(super::vectors::MAX_GROUP);
    let one = n.min(super::vectors::MAX_GROUP) as f32;
    groups as f32 * (24.0 + 4.0 * log2(one) + one / 16.0)
}

/// A coarse base-2 logarithm; `core` has no floating-point functions.
fn log2(x: f32) -> f32 {
    let n = x.max(1.0) as u32;
    let whole = n.ilog2();
    whole as f32 + (x / (1u64 << whole) as f32 - 1.0)
}

fn bucket_cost(size: f32) -> f32 {
    if size <= 10.0 { list_cost(size) } else { list_cost(10.0) + 30.0 + 6.0 * log2(size / 10.0) }
}

fn rest_cost(n: f32) -> f32 {
    match n {
        n if n < 0.5 => 0.0,
        n if n <= 10.0 => list_cost(n),
        n => (list_cost(10.0) + 9.0 * log2(n / 10.0)).min(vector_cost(n as usize)),
    }
}

/// Counts how often hashes come; emptied by beginning another round.
struct Counts {
    /// A hash, the round it was seen in, how often. At least a quarter is never taken.
    places: Vec<(u32, u32, u32)>,
    round: u32,
    taken: usize,
}

impl Counts {
    /// For so many different hashes and half as many again.
    fn new(n: usize) -> Self {
        Self { places: alloc::vec![(0, 0, 0); n.saturating_mul(2).next_power_of_two()], round: 0, taken: 0 }
    }

    fn clear(&mut self) {
        (self.round, self.taken) = (self.round.wrapping_add(1), 0);
    }

    /// How often this hash came before; `None` when there are too many.
    fn add(&mut self, hash: u32) -> Option<u32> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            let place = self.places.get_mut(at)?;
            if place.1 != self.round {
                if self.taken.saturating_mul(4) >= mask.saturating_mul(3) {
                    return None;
                }
                self.taken = self.taken.wrapping_add(1);
                *place = (hash, self.round, 1);
                return Some(0);
            }
            if place.0 == hash {
                place.2 = place.2.wrapping_add(1);
                return Some(place.2.wrapping_sub(1));
            }
            at = at.wrapping_add(1) & mask;
        }
    }
}

/// What is known of a shape.
#[derive(Default)]
struct Tally {
    /// Rules asked.
    rules: u32,
    /// Of these, rules that it takes.
    accepted: u32,
    /// Their copies whose buckets were counted.
    copies: u32,
    /// Twice the pairs that share a bucket.
    pairs: f32,
    /// More buckets than could be counted.
    overflow: bool,
}

impl Tally {
    /// Adds a rule; of its copies those that `counts` says.
    #[inline(always)]
    fn add<A: Addr>(
        &mut self,
        shape: &Shape,
        masks: &Masks,
        rule: &Rule<A>,
        to: &mut Counts,
        counts: impl Fn(u32) -> bool,
    ) {
        self.rules = self.rules.saturating_add(1);
        if !shape.accepts(rule) {
            return;
        }
        self.accepted = self.accepted.saturating_add(1);
        shape.buckets(masks, rule, |hash| {
            if counts(hash) {
                self.copies = self.copies.saturating_add(1);
                match to.add(hash) {
                    Some(before) => self.pairs += 2.0 * before as f32,
                    None => self.overflow = true,
                }
            }
        });
    }

    /// Estimated time of a lookup when the next table of `total` rules has this shape. Of a bucket-mate the tally knows
    /// with probability `seen`; a rule has `spread` copies.
    fn cost(&self, total: f32, seen: f32, spread: f32) -> f32 {
        self.own_cost(total, seen, spread) + rest_cost(self.rest_of(total))
    }

    /// How many of `total` rules it does not take.
    fn rest_of(&self, total: f32) -> f32 {
        total * (1.0 - self.accepted as f32 / self.rules as f32)
    }

    /// How many rules are in a bucket that has some, on average over the rules.
    fn size(&self, seen: f32) -> f32 {
        1.0 + self.pairs / self.copies as f32 / seen
    }

    /// What a lookup takes longer where nothing of a bucket is in the caches: each rule of its list but the first is more memory
    /// that has to come.
    fn far<A: Addr>(&self, total: f32) -> f32 {
        let more = self.size(self.rules as f32 / total) - 1.0;
        more.min(FAR_RULES) * f32::from(A::WIDTH) / FAR_BITS
    }

    /// [`Tally::cost`] without that of the rules it does not take.
    fn own_cost(&self, total: f32, seen: f32, spread: f32) -> f32 {
        let (rules, accepted) = (self.rules as f32, self.accepted as f32);
        // A table that takes less than one rule in five is not worth its probe, nor is one that is mostly copies.
        if self.copies == 0 || accepted < rules / 5.0 || self.overflow {
            return f32::INFINITY;
        }
        let size = self.size(seen);
        // Nor is one that leaves most of what it takes together.
        if size * 3.0 > accepted * (total / rules) {
            return f32::INFINITY;
        }
        16.0 + bucket_cost(size) + 3.0 * (spread - 1.0)
    }
}

/// What a table of this shape costs by itself, by a sample of `total` rules, and what is known of it.
fn cost_of<'a, A: Addr + 'a>(
    shape: &Shape,
    rules: impl Iterator<Item = &'a Rule<A>>,
    counts: &mut Counts,
    total: f32,
) -> (f32, Tally) {
    counts.clear();
    let (masks, mut tally) = (shape.masks(), Tally::default());
    for rule in rules {
        tally.add(shape, &masks, rule, counts, |_| true);
    }
    let (seen, spread) = (tally.rules as f32 / total, tally.copies as f32 / tally.accepted as f32);
    (tally.own_cost(total, seen, spread), tally)
}

/// The same where nothing of a bucket is in the caches.
fn far_cost_of<'a, A: Addr + 'a>(
    shape: &Shape,
    rules: impl Iterator<Item = &'a Rule<A>>,
    counts: &mut Counts,
    total: f32,
) -> (f32, Tally) {
    let (own, tally) = cost_of(shape, rules, counts, total);
    (own + tally.far::<A>(total), tally)
}

/// What of a long list is read.
const FAR_RULES: f32 = 10.0;
/// Bits of an address that take a nanosecond to come.
const FAR_BITS: f32 = 16.0;

/// Shapes that are looked at again, with all rules.
const FINALISTS: usize = 4;
/// Shapes whose costs differ by less are equal: the model knows no better.
const CLEARLY: f32 = 0.9;

struct Sampled<'a, A> {
    rules: Vec<&'a Rule<A>>,
    all: &'a [Rule<A>],
    counts: Counts,
    /// The best so far.
    finalists: Vec<(f32, Shape)>,
}

impl<A: Addr> Sampled<'_, A> {
    /// Estimated time of a lookup when the next table has this shape.
    fn cost(&mut self, shape: &Shape) -> f32 {
        let cost = self.cost_by(shape, 1);
        let known = self.finalists.iter().any(|(_, s)| s == shape);
        if cost.is_finite() && !known {
            let at = self.finalists.partition_point(|(c, _)| *c <= cost);
            self.finalists.insert(at, (cost, *shape));
            self.finalists.truncate(FINALISTS);
        }
        cost
    }

    /// The same by every nth rule of the sample.
    fn cost_by(&mut self, shape: &Shape, nth: usize) -> f32 {
        let all = self.all.len() as f32;
        let (own, tally) = cost_of(shape, self.rules.iter().copied().step_by(nth), &mut self.counts, all);
        own + rest_cost(tally.rest_of(all))
    }

    /// A table with fewer rules in each bucket than this one at this cost, if it and one more for what it leaves are clearly
    /// better. The model is blind there: by its number alone what is left is dear, and one table that takes nearly all rules,
    /// many in each bucket, looks better than two.
    fn narrower(&mut self, than: &Shape, cost: f32, shapes: &[Shape]) -> Option<Shape> {
        let all = self.all.len() as f32;
        let (limit, tally) = far_cost_of(than, self.rules.iter().copied(), &mut self.counts, all);
        let (mut best, mut rest) = (((cost + tally.far::<A>(all)) * CLEARLY, None), Vec::new());
        for first in shapes {
            let (own, tally) = far_cost_of(first, self.rules.iter().copied(), &mut self.counts, all);
            if own >= limit {
                continue;
            }
            rest.clear();
            rest.extend(self.rules.iter().copied().filter(|rule| !first.accepts(rule)));
            let left = tally.rest_of(all);
            let mut next = rest_cost(left);
            for second in shapes {
                let (own, tally) = far_cost_of(second, rest.iter().copied(), &mut self.counts, left);
                next = next.min(own + rest_cost(tally.rest_of(left)));
            }
            if own + next < best.0 {
                best = (own + next, Some(*first));
            }
        }
        best.1
    }

    /// The same by all rules and some of the buckets. A sample knows little of which rules meet in a bucket.
    fn cost_of_all(&mut self, shape: &Shape) -> f32 {
        self.counts.clear();
        let (masks, mut tally) = (shape.masks(), Tally::default());
        // Some thousand copies are counted.
        let part = u32::try_from(self.all.len() / self.rules.len().max(1)).unwrap_or(1).max(1);
        let limit = u32::MAX / part;
        for rule in self.all {
            tally.add(shape, &masks, rule, &mut self.counts, |hash| hash.wrapping_mul(0x9E37_79B1) <= limit);
        }
        let spread = (tally.copies as f32 * part as f32 / tally.accepted as f32).max(1.0);
        tally.cost(self.all.len() as f32, 1.0, spread)
    }

    /// The best of the sample, unless all rules say clearly that another one of the finalists is better.
    fn winner(&mut self) -> Option<(Shape, f32)> {
        let finalists = core::mem::take(&mut self.finalists);
        let (cost, first) = finalists.first().copied()?;
        if self.rules.len() == self.all.len() {
            return Some((first, cost));
        }
        let mut best = (first, self.cost_of_all(&first));
        let limit = best.1 * CLEARLY;
        for (_, other) in finalists.iter().skip(1) {
            let cost = self.cost_of_all(other);
            if cost < best.1.min(limit) {
                best = (*other, cost);
            }
        }
        Some(if best.1.is_finite() { best } else { (first, cost) })
    }
}

/// Values that stand for a list: its quantiles, and those of its distinct values.
fn candidates(mut values: Vec<u8>, whole: u8) -> Vec<u8> {
    fn quantiles(values: &[u8], out: &mut Vec<u8>) {
        let last = values.len().saturating_sub(1);
        let at = |q: usize| values.get(last.saturating_mul(q).div_euclid(100)).copied();
        out.extend([0, 25, 50, 75, 90].into_iter().filter_map(at));
    }
    values.sort_unstable();
    let mut out = alloc::vec![whole];
    quantiles(&values, &mut out);
    values.dedup();
    quantiles(&values, &mut out);
    out.sort_unstable();
    out.dedup();
    out
}

/// The best next table for `rules`, with its estimated cost; `None` when nothing separates them.
pub(super) fn best<A: Addr>(rules: &[Rule<A>]) -> Option<(Shape, f32)> {
    let step = rules.len().div_ceil(SAMPLE).max(1);
    // An odd stride, so that a pattern in the order of the rules does not decide the sample.
    let step = if step > 1 { step | 1 } else { 1 };
    let sample: Vec<&Rule<A>> = rules.iter().step_by(step).collect();
    let nothing = Shape::nothing::<A>();
    let l = candidates(sample.iter().map(|r| fit(r.l)).collect(), A::WIDTH);
    let r = candidates(sample.iter().map(|r| fit(r.r)).collect(), A::WIDTH);
    let lp = candidates(sample.iter().map(|r| fit(r.lp)).collect(), PORT_WIDTH);
    let rp = candidates(sample.iter().map(|r| fit(r.rp)).collect(), PORT_WIDTH);
    let counts = Counts::new(sample.len().saturating_mul(2));
    let mut sampled = Sampled { rules: sample, all: rules, counts, finalists: Vec::new() };
    // Of the many pairs a part of a large sample tells enough.
    let nth = if sampled.rules.len() >= SAMPLE / 2 { 4 } else { 1 };
    let (mut here, mut cost) = (nothing, f32::INFINITY);
    let pairs: Vec<Shape> = l.iter().flat_map(|l| r.iter().map(|r| Shape { l: *l, r: *r, ..nothing })).collect();
    let addrs = pairs.iter().copied();
    let ports = lp.iter().flat_map(|lp| rp.iter().map(|rp| Shape { lp: *lp, rp: *rp, ..nothing }));
    for candidate in addrs.chain(ports).filter(|c| *c != nothing) {
        let c = sampled.cost_by(&candidate, nth);
        if c < cost {
            (here, cost) = (candidate, c);
        }
    }
    if here != nothing {
        cost = sampled.cost(&here);
    }
    let mut consider = |candidate: Shape, here: &mut Shape, cost: &mut f32| {
        if candidate == *here {
            return;
        }
        let c = sampled.cost(&candidate);
        if c < *cost {
            (*here, *cost) = (candidate, c);
        }
    };
    // Then field by field, as long as it gets better.
    for _ in 0..2 {
        let before = cost;
        rp.iter().for_each(|s| consider(Shape { rp: *s, ..here }, &mut here, &mut cost));
        lp.iter().for_each(|s| consider(Shape { lp: *s, ..here }, &mut here, &mut cost));
        consider(Shape { protocol: !here.protocol, ..here }, &mut here, &mut cost);
        l.iter().for_each(|s| consider(Shape { l: *s, ..here }, &mut here, &mut cost));
        r.iter().for_each(|s| consider(Shape { r: *s, ..here }, &mut here, &mut cost));
        if cost >= before {
            break;
        }
    }
    let (shape, cost) = sampled.winner()?;
    if rules.len() < super::tree::FAR {
        return Some((shape, cost));
    }
    Some((sampled.narrower(&shape, cost, &pairs).unwrap_or(shape), cost))
}

#[cfg(test)]
mod tests {
    use super::super::rule::OPAQUE;
    use super::*;

    /// Pairs of a /16, of which there are 16 on either side, and what is left of it by this many bits: drawn at random.
    fn rules(n: u32, open: impl Fn(u32) -> u8) -> Vec<Rule<u32>> {
        let mut random = 1u32;
        let mut draw = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 4) & 0x000F_FFFF
        };
        let mut one = |n| {
            let block = |at: u32, open: u8| [at >> open << open, at >> open << open | ((1 << open) - 1)];
            let (l, r) = (block(draw(), 16), block(draw(), open(n)));
            Rule { l, r, lp: [0, OPAQUE], rp: [0, OPAQUE], slot: n, key: u64::from(n), ..Rule::dead() }
        };
        (0..n).map(&mut one).collect()
    }

    #[test]
    fn two_tables_of_few_rules_a_bucket_are_better_than_one_of_many() {
        // Five in seven are narrow: a table that takes all has twelve rules in a bucket.
        let mixed = rules(3000, |n| if n % 7 < 2 { 16 } else { 8 });
        let (shape, _) = best(&mixed).unwrap();
        assert_eq!((shape.l, shape.r), (16, 8));
        // What is left then, and what has no narrow ones, takes one.
        let rest: Vec<_> = mixed.into_iter().filter(|rule| !shape.accepts(rule)).collect();
        let (shape, _) = best(&rest).unwrap();
        assert_eq!((shape.l, shape.r), (16, 16));
        let (shape, _) = best(&rules(3000, |_| 8)).unwrap();
        assert_eq!((shape.l, shape.r), (16, 8));
    }

    #[test]
    fn rules_of_ipv6_are_too_long_for_lists_far_away() {
        // Five or six in a bucket of one table.
        let short = rules(1280, |n| if n % 7 < 2 { 16 } else { 8 });
        let (shape, _) = best(&short).unwrap();
        assert_eq!((shape.l, shape.r), (16, 16));
        let wide = |[first, last]: [u32; 2]| [u128::from(first) << 64, u128::from(last) << 64 | u128::from(u64::MAX)];
        let long = |r: &Rule<u32>| Rule {
            l: wide(r.l),
            r: wide(r.r),
            lp: r.lp,
            rp: r.rp,
            slot: r.slot,
            key: r.key,
            ..Rule::dead()
        };
        let (shape, _) = best(&short.iter().map(long).collect::<Vec<Rule<u128>>>()).unwrap();
        assert_eq!((shape.l, shape.r), (80, 72));
    }
}
