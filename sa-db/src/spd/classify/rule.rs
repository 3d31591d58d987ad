//! One box in the space of packets: what a policy's pair of selectors becomes, and the packet as a point in it.

use super::choose::{K1, K2, Masks, fold};
use crate::{AddrRange, Direction, PacketKey, PortRange, TrafficSelector};
use core::net::IpAddr;

/// Address bits of one family: `u32` for IPv4, `u128` for IPv6 and for pairs of unlike families.
pub(super) trait Addr: Copy + Ord + Default + core::hash::Hash + core::fmt::Debug {
    /// Number of bits.
    const WIDTH: u8;
    const MAX: Self;
    /// Logical shift right; everything from [`Addr::WIDTH`] on gives 0.
    fn shr(self, n: u8) -> Self;
    /// One octet further; `None` at the end.
    fn next(self) -> Option<Self>;
    /// Position of the highest bit in which two values differ, plus one; 0 when they are equal.
    fn differ(self, other: Self) -> u8;
    /// For hashing: halves that hold all bits.
    fn halves(self) -> (u64, u64);
    fn from_ip(ip: IpAddr) -> Self;
    /// Both addresses in 64 bits, without those that `masks` drops: all of IPv4's, a digest of IPv6's.
    fn digest(l: Self, r: Self, masks: &Masks) -> u64;
}

fn bits_of(leading_zeros: u32, width: u8) -> u8 {
    width.saturating_sub(u8::try_from(leading_zeros).unwrap_or(width))
}

impl Addr for u32 {
    const WIDTH: u8 = 32;
    const MAX: Self = u32::MAX;
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
    fn digest(l: Self, r: Self, masks: &Masks) -> u64 {
        (u64::from(l) | (u64::from(r) << 32)) & masks.addrs
    }
}

impl Addr for u128 {
    const WIDTH: u8 = 128;
    const MAX: Self = u128::MAX;
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
    fn digest(l: Self, r: Self, masks: &Masks) -> u64 {
        let ((l0, l1), (r0, r1)) = (l.shr(masks.shifts[0]).halves(), r.shr(masks.shifts[1]).halves());
        fold(l0 ^ K1, r1.wrapping_add(K2)).wrapping_add(fold(r0 ^ K2, l1.wrapping_add(K1)))
    }
}

/// What stands for "the port is not available": one past the last port.
pub(super) const OPAQUE: u32 = 1 << 16;
/// Bits of a port value with [`OPAQUE`].
pub(super) const PORT_WIDTH: u8 = 17;

/// Flags of a rule and of a packet: the directions.
pub(super) const INBOUND: u8 = 1;
pub(super) const OUTBOUND: u8 = 2;
/// Flag of a rule: the policy looks at the mark as well, so ask it.
pub(super) const MARKED: u8 = 4;
/// Flags of a rule and of a packet: the local or the remote port is not available.
const OPAQUE_L: u8 = 8;
const OPAQUE_R: u8 = 16;

/// How early a rule goes, in 16 bits: higher goes first, 0 and 1 are no rule's. Ranks of equal merit are told apart by
/// the whole key. Ranks below 2,048 and up to 2,048 open bits of a specific one are exact, others to one in a thousand.
#[inline(always)]
pub(super) fn merit(key: u64) -> u16 {
    let rank = (key >> 32) as u32;
    let low = rank & (u32::MAX >> 1);
    let exponent = (low | 1).ilog2().saturating_sub(10);
    let code = exponent.wrapping_mul(1024).wrapping_add(low >> exponent);
    !((((rank >> 31) << 15) | code) as u16)
}

pub(super) fn flag(direction: Direction) -> u8 {
    match direction {
        Direction::Inbound => INBOUND,
        Direction::Outbound => OUTBOUND,
    }
}

/// A packet as a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<A> {
    pub l: A,
    pub r: A,
    pub lp: u32,
    pub rp: u32,
    pub protocol: u8,
    /// The direction.
    pub want: u8,
    /// Which ports are not available.
    opaque: [u8; 2],
    /// Ports and protocol, for hashing.
    pub packed: u64,
}

/// Ports and protocol in one word.
#[inline(always)]
pub(super) fn pack(lp: u32, rp: u32, protocol: u8) -> u64 {
    u64::from(lp) | (u64::from(rp) << PORT_WIDTH) | (u64::from(protocol) << (2 * PORT_WIDTH))
}

impl<A: Addr> Point<A> {
    #[inline(always)]
    pub(super) fn new(packet: &PacketKey, want: u8) -> Self {
        let (lp, rp) = (packet.local_port.map_or(OPAQUE, u32::from), packet.remote_port.map_or(OPAQUE, u32::from));
        Self {
            l: A::from_ip(packet.local),
            r: A::from_ip(packet.remote),
            lp,
            rp,
            protocol: packet.protocol,
            want,
            opaque: [(lp >> 16) as u8 * OPAQUE_L, (rp >> 16) as u8 * OPAQUE_R],
            packed: pack(lp, rp, packet.protocol),
        }
    }
}

/// A box: inclusive ranges in every field, the order among rules, and the policy's place in the slab.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rule<A> {
    /// Rank and sequence: lower goes first.
    pub key: u64,
    pub l: [A; 2],
    pub r: [A; 2],
    pub lp: [u32; 2],
    pub rp: [u32; 2],
    /// Index of the policy.
    pub slot: u32,
    /// 0: any.
    pub protocol: u8,
    pub flags: u8,
}

impl<A: Addr> Rule<A> {
    /// Fills unused places; matches nothing and comes after everything.
    pub(super) fn dead() -> Self {
        let zero = A::default();
        Self {
            key: u64::MAX,
            l: [A::MAX, zero],
            r: [zero; 2],
            lp: [0; 2],
            rp: [0; 2],
            slot: u32::MAX,
            protocol: 0,
            flags: 0,
        }
    }

    /// The box of a pair of selectors; `None` when no packet can be inside both.
    pub(super) fn new(
        local: &TrafficSelector,
        remote: &TrafficSelector,
        key: u64,
        slot: u32,
        flags: u8,
    ) -> Option<Self> {
        let protocol = match (local.protocol, remote.protocol) {
            (0, p) | (p, 0) => p,
            (a, b) if a == b => a,
            _ => return None,
        };
        let range = |a: &AddrRange| [A::from_ip(a.first()), A::from_ip(a.last())];
        let (l, r) = (range(&local.addrs), range(&remote.addrs));
        Some(Self { key, l, r, lp: ports(local.ports), rp: ports(remote.ports), slot, protocol, flags })
    }
}

/// A rule as a lookup reads it: two of them in a cache line (IPv4). The key is kept elsewhere.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Hot<A> {
    l: [A; 2],
    r: [A; 2],
    lp: [u16; 2],
    rp: [u16; 2],
    /// Index of the policy.
    pub slot: u32,
    pub merit: u16,
    protocol: u8,
    pub flags: u8,
}

impl<A: Addr> Hot<A> {
    pub(super) fn new(rule: &Rule<A>) -> Self {
        // A range that ends at OPAQUE also, or only, takes what has no port.
        let ports = |range: [u32; 2], flag: u8| match range.map(|p| u16::try_from(p).ok()) {
            [Some(a), Some(b)] => ([a, b], 0),
            [Some(a), None] => ([a, u16::MAX], flag),
            _ => ([u16::MAX, 0], flag),
        };
        let ((lp, l_flag), (rp, r_flag)) = (ports(rule.lp, OPAQUE_L), ports(rule.rp, OPAQUE_R));
        let flags = rule.flags | l_flag | r_flag;
        let merit = if rule.slot == u32::MAX { 0 } else { merit(rule.key) };
        Self { l: rule.l, r: rule.r, lp, rp, slot: rule.slot, merit, protocol: rule.protocol, flags }
    }

    pub(super) fn rule(&self, key: u64) -> Rule<A> {
        let ports = |[a, b]: [u16; 2], flag: u8| match (a <= b, self.flags & flag != 0) {
            (false, _) => [OPAQUE, OPAQUE],
            (true, true) => [u32::from(a), OPAQUE],
            (true, false) => [u32::from(a), u32::from(b)],
        };
        let (lp, rp) = (ports(self.lp, OPAQUE_L), ports(self.rp, OPAQUE_R));
        let flags = self.flags & (INBOUND | OUTBOUND | MARKED);
        Rule { key, l: self.l, r: self.r, lp, rp, slot: self.slot, protocol: self.protocol, flags }
    }

    #[inline(always)]
    pub(super) fn matches(&self, p: &Point<A>) -> bool {
        // No short circuits: one unpredictable branch is dearer than all the comparisons.
        (self.l[0] <= p.l)
            & (p.l <= self.l[1])
            & (self.r[0] <= p.r)
            & (p.r <= self.r[1])
            & (((u32::from(self.lp[0]) <= p.lp) & (p.lp <= u32::from(self.lp[1]))) | (self.flags & p.opaque[0] != 0))
            & (((u32::from(self.rp[0]) <= p.rp) & (p.rp <= u32::from(self.rp[1]))) | (self.flags & p.opaque[1] != 0))
            & ((self.protocol == 0) | (self.protocol == p.protocol))
            & (self.flags & p.want != 0)
    }
}

fn ports(p: PortRange) -> [u32; 2] {
    match p {
        PortRange::Range(0, u16::MAX) => [0, OPAQUE],
        PortRange::Range(a, b) => [u32::from(a), u32::from(b)],
        PortRange::Opaque => [OPAQUE, OPAQUE],
    }
}
