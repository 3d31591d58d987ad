//! Addresses of one family as the classifier works on them, one by one and eight at a time. Another family goes here.

use super::borders::Value;
use super::choose::{K1, K2, Masks, fold};
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
    fn pair(l: Self, r: Self) -> Self::Pair;
    fn local(pair: Self::Pair) -> Self;
    fn remote(pair: Self::Pair) -> Self;
    /// Logical shift right; everything from [`Addr::WIDTH`] on gives 0.
    fn shr(self, n: u8) -> Self;
    /// One octet further; `None` at the end.
    fn next(self) -> Option<Self>;
    /// Position of the highest bit in which two values differ, plus one; 0 when they are equal.
    fn differ(self, other: Self) -> u8;
    /// For hashing: halves that hold all bits.
    fn halves(self) -> (u64, u64);
    fn from_ip(ip: IpAddr) -> Self;
    /// Keeps the order.
    fn lane(self) -> Self::Lane;
    fn from_lane(lane: Self::Lane) -> Self;
    /// All bits turned over, which turns the order over.
    fn not(self) -> Self;
    /// Both addresses in 64 bits, without those that `masks` drops: all of IPv4's, a digest of IPv6's.
    fn digest(pair: Self::Pair, masks: &Masks) -> u64;
    /// Which lanes of a rule's ranges are above the packet's; 0: none.
    fn outside(wide: Wide, ranges: &[Self::Lane; 4], point: &Point<Self>) -> u8;
    /// [`Addr::digest`] of one pair for the eight tables of a front.
    fn digests_for_tables(wide: Wide, pair: Self::Pair, front: &Front) -> Eight;
    /// [`Addr::digest`] of eight pairs for one table.
    fn digests_of_packets(wide: Wide, pairs: &[Self::Pair; EIGHT], masks: &Masks) -> Eight;
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
    #[inline(always)]
    fn halves(self) -> (u64, u64) {
        (u64::from(self), 0)
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
    fn outside(wide: Wide, ranges: &[i32; 4], point: &Point<u32>) -> u8 {
        // Its lanes out of what one register holds: those in memory were stored in pieces.
        let lanes = point.pair ^ 0x8000_0000_8000_0000;
        wide.above(ranges, [lanes, !lanes])
    }
    #[inline(always)]
    fn digests_for_tables(wide: Wide, pair: u64, front: &Front) -> Eight {
        wide.splat(pair).and(wide.eight(&front.addrs))
    }
    #[inline(always)]
    fn digests_of_packets(wide: Wide, pairs: &[u64; EIGHT], masks: &Masks) -> Eight {
        wide.eight(pairs).and(wide.splat(masks.addrs))
    }
}

impl Addr for u128 {
    type Lane = u128;
    const WIDTH: u8 = 128;
    const MAX: Self = u128::MAX;
    const LANE: u128 = 0;
    type Pair = [u128; 2];
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
    #[inline(always)]
    fn halves(self) -> (u64, u64) {
        (self as u64, (self >> 64) as u64)
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
    fn digest(pair: [u128; 2], masks: &Masks) -> u64 {
        digest(pair, masks.shifts)
    }
    #[inline(always)]
    fn outside(_: Wide, ranges: &[u128; 4], point: &Point<u128>) -> u8 {
        u8::from(!inside(ranges, &point.addrs))
    }
    #[inline(always)]
    fn digests_for_tables(wide: Wide, pair: [u128; 2], front: &Front) -> Eight {
        let [a, b, c, d, e, f, g, h] = front.shifts;
        let of = |shifts| digest(pair, shifts);
        wide.gather([of(a), of(b), of(c), of(d), of(e), of(f), of(g), of(h)])
    }
    #[inline(always)]
    fn digests_of_packets(wide: Wide, pairs: &[[u128; 2]; EIGHT], masks: &Masks) -> Eight {
        let [a, b, c, d, e, f, g, h] = *pairs;
        let of = |pair| digest(pair, masks.shifts);
        wide.gather([of(a), of(b), of(c), of(d), of(e), of(f), of(g), of(h)])
    }
}

/// A digest of two IPv6 addresses without some bits.
#[inline(always)]
fn digest([l, r]: [u128; 2], shifts: [u8; 2]) -> u64 {
    let ((l0, l1), (r0, r1)) = (l.shr(shifts[0]).halves(), r.shr(shifts[1]).halves());
    fold(l0 ^ K1, r1.wrapping_add(K2)).wrapping_add(fold(r0 ^ K2, l1.wrapping_add(K1)))
}
