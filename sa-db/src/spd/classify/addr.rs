//! Addresses of one family as the classifier works on them, one by one and eight at a time. Another family goes here.

use super::borders::Value;
use super::choose::{K1, K2, Masks};
use super::front::{EIGHT, Front};
use super::rule::{Point, inside};
use core::net::IpAddr;
use ravelin_wide::{Eight, Wide};

/// Address bits of one family: `u32` for IPv4, `u128` for IPv6 and for pairs of unlike families.
pub(super) trait Addr: Value + Default + core::hash::Hash + core::fmt::Debug {
    /// A value in the form in which ranges are compared: see `lanes` of `rule.rs`.
    type Lane: Copy + Ord + core::fmt::Debug;
    /// Number of bits.
    const WIDTH: u8;
    const MAX: Self;
    /// Some value.
    const LANE: Self::Lane;
    /// A local and a remote address. In one piece where a register holds both: what was stored in two pieces and is read
    /// as one makes its reader wait until all in front of it is done, and so the next lookup for this one.
    type Pair: Copy + core::fmt::Debug;
    /// Some pair.
    const PAIR: Self::Pair;
    /// Pairs of so many packets, side by side as eight of them are hashed.
    type Pairs<const N: usize>: Copy;
    fn pair(l: Self, r: Self) -> Self::Pair;
    fn local(pair: Self::Pair) -> Self;
    fn remote(pair: Self::Pair) -> Self;
    /// Logical shift right; everything from [`Addr::WIDTH`] on gives 0.
    fn shr(self, n: u8) -> Self;
    /// One octet further; `None` at the end.
    fn next(self) -> Option<Self>;
    /// Position of the highest bit in which two values differ, plus one; 0 when they are equal.
    fn differ(self, other: Self) -> u8;
    fn from_ip(ip: IpAddr) -> Self;
    /// Keeps the order.
    fn lane(self) -> Self::Lane;
    fn from_lane(lane: Self::Lane) -> Self;
    /// All bits turned over, which turns the order over.
    fn not(self) -> Self;
    /// Both addresses in 64 bits, without those that `masks` drops: all of IPv4's, a digest of IPv6's.
    fn digest(pair: Self::Pair, masks: &Masks) -> u64;
    /// Which lanes of a rule's ranges are above the packet's; 0: none.
    fn outside<W: Wide>(wide: W, ranges: &[Self::Lane; 4], point: &Point<Self>) -> u8;
    /// [`Addr::digest`] of one pair for the eight tables of a front.
    fn digests_for_tables<W: Wide>(wide: W, pair: Self::Pair, front: &Front) -> W::Eight;
    /// The pairs of some packets.
    fn pairs<const N: usize>(points: &[Point<Self>; N]) -> Self::Pairs<N>;
    /// [`Addr::digest`] of eight pairs, the first eight, the second or later ones, for one table.
    fn digests_of_packets<W: Wide, const N: usize>(
        wide: W,
        pairs: &Self::Pairs<N>,
        eight: usize,
        masks: &Masks,
    ) -> W::Eight;
}

fn bits_of(leading_zeros: u32, width: u8) -> u8 {
    width.saturating_sub(u8::try_from(leading_zeros).unwrap_or(width))
}

impl Addr for u32 {
    type Lane = i32;
    const WIDTH: u8 = 32;
    const MAX: Self = u32::MAX;
    const LANE: i32 = 0;
    type Pair = u64;
    type Pairs<const N: usize> = [u64; N];
    const PAIR: u64 = u64::MAX;
    #[inline(always)]
    fn pair(l: Self, r: Self) -> u64 {
        u64::from(l) | (u64::from(r) << 32)
    }
    #[inline(always)]
    fn local(pair: u64) -> Self {
        pair as u32
    }
    #[inline(always)]
    fn remote(pair: u64) -> Self {
        (pair >> 32) as u32
    }
    #[inline(always)]
    fn shr(self, n: u8) -> Self {
        // Through 64 bits, so that a shift by 32 needs no branch.
        (u64::from(self) >> (n & 63)) as u32
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn differ(self, other: Self) -> u8 {
        bits_of((self ^ other).leading_zeros(), 32)
    }
    fn from_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(a) => a.to_bits(),
            IpAddr::V6(a) => a.to_bits() as u32,
        }
    }
    #[inline(always)]
    fn lane(self) -> i32 {
        (self ^ (1 << 31)) as i32
    }
    fn from_lane(lane: i32) -> Self {
        lane as u32 ^ (1 << 31)
    }
    #[inline(always)]
    fn not(self) -> Self {
        !self
    }
    #[inline(always)]
    fn digest(pair: u64, masks: &Masks) -> u64 {
        pair & masks.addrs
    }
    #[inline(always)]
    fn outside<W: Wide>(wide: W, ranges: &[i32; 4], point: &Point<u32>) -> u8 {
        // Its lanes out of what one register holds: those in memory were stored in pieces.
        let lanes = point.pair ^ 0x8000_0000_8000_0000;
        wide.above(ranges, [lanes, !lanes])
    }
    #[inline(always)]
    fn digests_for_tables<W: Wide>(wide: W, pair: u64, front: &Front) -> W::Eight {
        wide.splat(pair).and(wide.eight(&front.addrs))
    }
    #[inline(always)]
    fn pairs<const N: usize>(points: &[Point<u32>; N]) -> [u64; N] {
        let mut pairs = [0; N];
        pairs.iter_mut().zip(points).for_each(|(pair, p)| *pair = p.pair);
        pairs
    }
    #[inline(always)]
    fn digests_of_packets<W: Wide, const N: usize>(wide: W, pairs: &[u64; N], eight: usize, masks: &Masks) -> W::Eight {
        eight_of(wide, pairs, eight).and(wide.splat(masks.addrs))
    }
}

impl Addr for u128 {
    type Lane = u128;
    const WIDTH: u8 = 128;
    const MAX: Self = u128::MAX;
    const LANE: u128 = 0;
    type Pair = [u128; 2];
    /// Each half of the addresses, in the order of [`FACTORS`].
    type Pairs<const N: usize> = [[u64; N]; 4];
    const PAIR: [u128; 2] = [u128::MAX; 2];
    #[inline(always)]
    fn pair(l: Self, r: Self) -> [u128; 2] {
        [l, r]
    }
    #[inline(always)]
    fn local([l, _]: [u128; 2]) -> Self {
        l
    }
    #[inline(always)]
    fn remote([_, r]: [u128; 2]) -> Self {
        r
    }
    #[inline(always)]
    fn shr(self, n: u8) -> Self {
        self.checked_shr(u32::from(n)).unwrap_or(0)
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn differ(self, other: Self) -> u8 {
        bits_of((self ^ other).leading_zeros(), 128)
    }
    fn from_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(a) => u128::from(a.to_bits()),
            IpAddr::V6(a) => a.to_bits(),
        }
    }
    #[inline(always)]
    fn lane(self) -> u128 {
        self
    }
    fn from_lane(lane: u128) -> Self {
        lane
    }
    #[inline(always)]
    fn not(self) -> Self {
        !self
    }
    #[inline(always)]
    fn digest([l, r]: [u128; 2], masks: &Masks) -> u64 {
        let [a, b, c, d] = kept(masks.shifts);
        let ([e, f], [g, h]) = (halves(l), halves(r));
        let [k, m, n, o] = FACTORS;
        let local = (a & e).wrapping_mul(k).wrapping_add((b & f).wrapping_mul(m));
        let remote = (c & g).wrapping_mul(n).wrapping_add((d & h).wrapping_mul(o));
        local.wrapping_add(remote)
    }
    #[inline(always)]
    fn outside<W: Wide>(_: W, ranges: &[u128; 4], point: &Point<u128>) -> u8 {
        u8::from(!inside(ranges, &point.addrs))
    }
    #[inline(always)]
    fn digests_for_tables<W: Wide>(wide: W, [l, r]: [u128; 2], front: &Front) -> W::Eight {
        let ([e, f], [g, h]) = (halves(l), halves(r));
        let [a, b, c, d] = &front.kept;
        let some = |half: u64, kept: &[u64; EIGHT]| wide.splat(half).and(wide.eight(kept));
        digests(wide, [some(e, a), some(f, b), some(g, c), some(h, d)])
    }
    #[inline(always)]
    fn pairs<const N: usize>(points: &[Point<u128>; N]) -> [[u64; N]; 4] {
        let mut pairs = [[0; N]; 4];
        let [a, b, c, d] = &mut pairs;
        for ((((a, b), c), d), p) in a.iter_mut().zip(b).zip(c).zip(d).zip(points) {
            let [l, r] = p.pair;
            ([*a, *b], [*c, *d]) = (halves(l), halves(r));
        }
        pairs
    }
    #[inline(always)]
    fn digests_of_packets<W: Wide, const N: usize>(
        wide: W,
        pairs: &[[u64; N]; 4],
        eight: usize,
        masks: &Masks,
    ) -> W::Eight {
        let ([e, f, g, h], [a, b, c, d]) = (pairs, kept(masks.shifts));
        let some = |half: &[u64; N], kept: u64| eight_of(wide, half, eight).and(wide.splat(kept));
        digests(wide, [some(e, a), some(f, b), some(g, c), some(h, d)])
    }
}

/// What the halves of two IPv6 addresses are multiplied by, odd numbers; the sum is their digest. It is mixed with what else is
/// hashed by a product of twice the length. Addresses of one sum are easily made: who sends them gets to a bucket, whose bounds hold.
const FACTORS: [u64; 4] = [K1, K2, 0xA24B_AED4_963E_E407, 0x9FB2_1C65_1E98_DF25];

/// The lower and the upper half.
#[inline(always)]
fn halves(addr: u128) -> [u64; 2] {
    [addr as u64, (addr >> 64) as u64]
}

/// Which bits of a local and a remote address are left, by halves.
#[inline(always)]
pub(super) fn kept(shifts: [u8; 2]) -> [u64; 4] {
    let [l, r] = shifts;
    let half = |shift: u8| u64::MAX.checked_shl(u32::from(shift)).unwrap_or(0);
    let left = |shift: u8| [half(shift), half(shift.saturating_sub(64))];
    let ([a, b], [c, d]) = (left(l), left(r));
    [a, b, c, d]
}

#[inline(always)]
fn eight_of<W: Wide, const N: usize>(wide: W, all: &[u64; N], eight: usize) -> W::Eight {
    match all.as_chunks::<EIGHT>().0.get(eight) {
        Some(some) => wide.eight(some),
        None => wide.splat(0),
    }
}

/// The digests of what is left of eight pairs of IPv6 addresses, or of one pair for eight tables.
#[inline(always)]
fn digests<W: Wide>(wide: W, [a, b, c, d]: [W::Eight; 4]) -> W::Eight {
    let [k, m, n, o] = FACTORS;
    let local = a.product(wide.splat(k)).plus(b.product(wide.splat(m)));
    local.plus(c.product(wide.splat(n)).plus(d.product(wide.splat(o))))
}
