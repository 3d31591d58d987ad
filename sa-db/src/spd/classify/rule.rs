//! One box in the space of packets: what a policy's pair of selectors becomes, and the packet as a point in it.

use super::addr::Addr;
use super::lanes::Lanes;
use crate::{AddrRange, Direction, PacketKey, PortRange, TrafficSelector};
use ravelin_wide::Wide;

/// What stands for "the port is not available": one past the last port.
pub(super) const OPAQUE: u32 = 1 << 16;
/// Bits of a port value with [`OPAQUE`].
pub(super) const PORT_WIDTH: u8 = 17;

/// Flags of a rule and of a packet: the directions.
pub(super) const INBOUND: u8 = 1;
pub(super) const OUTBOUND: u8 = 2;
/// Flag of a rule: the policy looks at the mark as well, so ask it.
pub(super) const MARKED: u8 = 4;
/// Flags of a rule: only a local or a remote port that is not available will do.
const OPAQUE_L: u8 = 8;
const OPAQUE_R: u8 = 16;
/// Flag of a place: it belongs to a table (`near.rs`).
const NEAR: u8 = 32;

/// Four values in a form that the smallest instruction set compares all at once, which is signed. Of two ranges the
/// beginnings, and the ends turned over; of a packet its two values, and these turned over: the packet is inside when no
/// lane of the ranges is above the packet's.
#[inline(always)]
fn lanes<A: Addr>(l: [A; 2], r: [A; 2]) -> [A::Lane; 4] {
    [l[0].lane(), r[0].lane(), l[1].not().lane(), r[1].not().lane()]
}

#[inline(always)]
fn port_lanes(l: [u16; 2], r: [u16; 2]) -> [i16; 4] {
    [l[0], r[0], !l[1], !r[1]].map(|port| (port ^ (1 << 15)) as i16)
}

/// No branches: one that is mispredicted is dearer than all the comparisons.
#[inline(always)]
pub(super) fn inside<T: Copy + Ord, const N: usize>(ranges: &[T; N], point: &[T; N]) -> bool {
    !ranges.iter().zip(point).fold(false, |outside, (range, value)| outside | (range > value))
}

/// Bits of a merit that are rough: without them it still tells ranks apart to one in sixteen, and open bits of a specific
/// one exactly.
pub(super) const ROUGH: u16 = 63;

/// How early a rule goes, in 16 bits: higher goes first, 0 and 1 are no rule's. Ranks of equal merit are told apart by
/// the whole key. Ranks below 2,047 and up to 511 open bits of a specific one (IPv6 has 298) are exact, other ranks to
/// one in a thousand, what goes after the least specific to a half or a third.
#[inline(always)]
pub(super) fn merit(key: u64) -> u16 {
    let rank = (key >> 32) as u32;
    let low = rank & (u32::MAX >> 1);
    let one_up = low.wrapping_add(1);
    // As a number with a binary point: the exponent, then what follows the first one.
    let (exponent, more) = (one_up.ilog2(), one_up.wrapping_shl(one_up.leading_zeros()).wrapping_shl(1));
    let code = match (rank >> 31, low) {
        (0, _) => (exponent << 10) | (more >> 22),
        (_, 0..511) => low << 6,
        _ => (511 << 6) | (exponent.wrapping_sub(9) << 1) | (more >> 31),
    };
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
pub(super) struct Point<A: Addr> {
    /// The addresses.
    pub pair: A::Pair,
    pub lp: u32,
    pub rp: u32,
    pub protocol: u8,
    /// The direction.
    pub want: u8,
    /// Which flags of a [`Hot`] exclude this packet.
    excluded: u8,
    /// Ports and protocol, for hashing.
    pub packed: u64,
    pub addrs: [A::Lane; 4],
    ports: [i16; 4],
    /// The same in one piece.
    ports_word: u64,
}

/// Ports and protocol in one word.
#[inline(always)]
pub(super) fn pack(lp: u32, rp: u32, protocol: u8) -> u64 {
    u64::from(lp) | (u64::from(rp) << PORT_WIDTH) | (u64::from(protocol) << (2 * PORT_WIDTH))
}

impl<A: Addr> Point<A> {
    /// Some packet.
    pub(super) const NONE: Self = Self {
        pair: A::PAIR,
        lp: 0,
        rp: 0,
        protocol: 0,
        want: 0,
        excluded: 0,
        packed: 0,
        addrs: [A::LANE; 4],
        ports: [0; 4],
        ports_word: 0,
    };

    #[inline(always)]
    pub(super) fn new(packet: &PacketKey, want: u8) -> Self {
        let (l, r) = (A::from_ip(packet.local), A::from_ip(packet.remote));
        // A port that is not available is inside of all ports only, which is what it turned over to 0 both ways says.
        let port = |port: Option<u16>, flag| match port {
            Some(port) => (u32::from(port), [port; 2], flag),
            None => (OPAQUE, [0, u16::MAX], 0),
        };
        let (lp, l_port, l_flag) = port(packet.local_port, OPAQUE_L);
        let (rp, r_port, r_flag) = port(packet.remote_port, OPAQUE_R);
        let word = |low: u16, high: u16| u64::from(low) | (u64::from(high) << 16);
        let ports_word = word(l_port[0], r_port[0]) | (word(!l_port[1], !r_port[1]) << 32);
        Self {
            pair: A::pair(l, r),
            lp,
            rp,
            protocol: packet.protocol,
            want,
            excluded: want | l_flag | r_flag,
            packed: pack(lp, rp, packet.protocol),
            addrs: lanes([l; 2], [r; 2]),
            ports: port_lanes(l_port, r_port),
            ports_word: ports_word ^ 0x8000_8000_8000_8000,
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
pub(super) struct Hot<A: Addr> {
    /// As [`lanes`] puts them; ports likewise.
    addrs: [A::Lane; 4],
    ports: [i16; 4],
    /// Index of the policy.
    pub slot: u32,
    pub merit: u16,
    protocol: u8,
    /// The directions turned over, [`MARKED`], and which ports must not be there.
    pub flags: u8,
}

impl<A: Addr> Hot<A> {
    pub(super) fn new(rule: &Rule<A>) -> Self {
        // What has no port is inside of all ports, and of what takes nothing else.
        let ports = |range: [u32; 2], flag: u8| match range.map(|p| u16::try_from(p).ok()) {
            [Some(a), Some(b)] => ([a, b], 0),
            [Some(_), None] => ([0, u16::MAX], 0),
            _ => ([0, u16::MAX], flag),
        };
        let ((lp, l_flag), (rp, r_flag)) = (ports(rule.lp, OPAQUE_L), ports(rule.rp, OPAQUE_R));
        let flags = (rule.flags ^ (INBOUND | OUTBOUND)) | l_flag | r_flag;
        let merit = if rule.slot == u32::MAX { 0 } else { merit(rule.key) };
        let (addrs, ports) = (lanes(rule.l, rule.r), port_lanes(lp, rp));
        Self { addrs, ports, slot: rule.slot, merit, protocol: rule.protocol, flags }
    }

    /// A place that belongs to a table.
    pub(super) fn near(mut self) -> Self {
        self.flags |= NEAR;
        self
    }

    pub(super) fn is_near(&self) -> bool {
        self.flags & NEAR != 0
    }

    /// The same where another one was: a place stays whose it is.
    pub(super) fn in_place_of(mut self, other: &Self) -> Self {
        self.flags = (self.flags & !NEAR) | (other.flags & NEAR);
        self
    }

    pub(super) fn rule(&self, key: u64) -> Rule<A> {
        let [l, r, l_end, r_end] = self.addrs.map(A::from_lane);
        let [lp, rp, lp_end, rp_end] = self.ports.map(|lane| lane as u16 ^ (1 << 15));
        let ports = |range: [u16; 2], flag: u8| match range {
            [0, u16::MAX] if self.flags & flag != 0 => [OPAQUE, OPAQUE],
            [0, u16::MAX] => [0, OPAQUE],
            range => range.map(u32::from),
        };
        Rule {
            key,
            l: [l, l_end.not()],
            r: [r, r_end.not()],
            lp: ports([lp, !lp_end], OPAQUE_L),
            rp: ports([rp, !rp_end], OPAQUE_R),
            slot: self.slot,
            protocol: self.protocol,
            flags: (self.flags ^ (INBOUND | OUTBOUND)) & (INBOUND | OUTBOUND | MARKED),
        }
    }

    #[inline(always)]
    pub(super) fn matches<L: Lanes>(&self, lanes: L, p: &Point<A>) -> bool {
        let Some(wide) = lanes.wide() else {
            return inside(&self.addrs, &p.addrs)
                & inside(&self.ports, &p.ports)
                & ((self.protocol == 0) | (self.protocol == p.protocol))
                & (self.flags & p.excluded == 0);
        };
        let outside = A::outside(wide, &self.addrs, p) | wide.above_short(&self.ports, p.ports_word);
        let other = u8::from((self.protocol != 0) & (self.protocol != p.protocol));
        outside | other | (self.flags & p.excluded) == 0
    }
}

fn ports(p: PortRange) -> [u32; 2] {
    match p {
        PortRange::Range(0, u16::MAX) => [0, OPAQUE],
        PortRange::Range(a, b) => [u32::from(a), u32::from(b)],
        PortRange::Opaque => [OPAQUE, OPAQUE],
    }
}
