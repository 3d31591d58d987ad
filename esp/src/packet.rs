//! Reading IP headers: from a packet to the [`PacketKey`] that selectors are matched with (RFC 4301 §4.4.1.1), with
//! IPv6 extension headers, fragments, and ICMP type and code in the place of ports. Nothing is trusted: lengths
//! inside the headers are checked against the octets that are there. To add an upper layer with ports: one arm in
//! `ports`.

use crate::DropReason;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ravelin_sa_db::{Direction, PacketKey};

/// Protocol numbers this crate looks at.
pub mod protocol {
    #![allow(missing_docs, reason = "the names are IANA's own")]
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT: u8 = 59;
    pub const DEST_OPTIONS: u8 = 60;
    pub const SCTP: u8 = 132;
    pub const MOBILITY: u8 = 135;
    pub const UDP_LITE: u8 = 136;
    pub const AGGFRAG: u8 = 144;
}

/// The longest chain of IPv6 extension headers that is followed.
const MAX_EXTENSIONS: usize = 16;

/// Whether a packet is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fragment {
    /// Not a fragment.
    Whole,
    /// The first one: offset 0, more to come.
    First,
    /// A later one: its ports are not there.
    Later,
}

/// What the headers of one IP packet say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpPacket {
    // Addresses as integers, IPv4 in the lower 32 bits: they are compared with every packet, and `IpAddr` with its
    // octets behind a tag makes the processor wait.
    pub(crate) source: u128,
    pub(crate) destination: u128,
    /// Source port in the upper half, destination port in the lower; 0 when not available.
    pub(crate) ports: u32,
    pub(crate) has_ports: bool,
    pub(crate) v6: bool,
    /// Upper-layer protocol behind any extension headers.
    pub protocol: u8,
    /// Traffic class: DSCP (upper six bits) and ECN (lower two).
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// IPv4's DF bit; always true for IPv6.
    pub dont_fragment: bool,
    /// Fragmentation.
    pub fragment: Fragment,
    /// Whole packet length by its own header, never more than what was given.
    pub len: usize,
    /// Where the upper layer starts, from the start of the packet.
    pub upper: usize,
}

impl IpPacket {
    /// Reads the headers of `ip`. Octets behind the length the header claims (TFC padding) are ignored.
    ///
    /// # Errors
    /// [`DropReason::InnerHeader`] when the packet is too short or contradicts itself.
    #[inline(always)]
    pub fn parse(ip: &[u8]) -> Result<Self, DropReason> {
        match usual(ip) {
            Some(packet) => Ok(packet),
            None => parse_any(ip),
        }
    }

    fn addr(&self, bits: u128) -> IpAddr {
        if self.v6 {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap_or(0)))
        }
    }

    /// Source address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.addr(self.source)
    }

    /// Destination address.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        self.addr(self.destination)
    }

    /// Source port, or ICMP type and code; `None` when not available.
    #[must_use]
    pub fn source_port(&self) -> Option<u16> {
        self.has_ports.then(|| u16::try_from(self.ports >> 16).unwrap_or(0))
    }

    /// Destination port, or ICMP type and code.
    #[must_use]
    pub fn destination_port(&self) -> Option<u16> {
        self.has_ports.then(|| u16::try_from(self.ports & 0xffff).unwrap_or(0))
    }

    /// The key as this host sees it: local is the source of what goes out and the destination of what comes in.
    #[must_use]
    pub fn key(&self, direction: Direction) -> PacketKey {
        let (source, destination) = (self.source(), self.destination());
        let (sp, dp) = (self.source_port(), self.destination_port());
        let (local, remote, local_port, remote_port) = match direction {
            Direction::Outbound => (source, destination, sp, dp),
            Direction::Inbound => (destination, source, dp, sp),
        };
        PacketKey { local, remote, protocol: self.protocol, local_port, remote_port }
    }

    /// True for IPv6.
    #[must_use]
    #[inline]
    pub fn is_v6(&self) -> bool {
        self.v6
    }
}

/// The key of one packet; `None` when it is no well-formed IP packet.
#[must_use]
pub fn key(ip: &[u8], direction: Direction) -> Option<PacketKey> {
    IpPacket::parse(ip).ok().map(|p| p.key(direction))
}

fn be16(b: &[u8], at: usize) -> Option<u16> {
    b.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// A whole packet with ports and without options or extension headers; `None` for any other, however good. What needs
/// no more than that goes by here, so that the headers stay in registers: [`IpPacket::parse`] has to hand them over in
/// memory.
#[inline(always)]
pub(crate) fn usual(ip: &[u8]) -> Option<IpPacket> {
    if let Some(packet) = usual_v4(ip) {
        return Some(packet);
    }
    usual_v6(ip)
}

/// [`usual`] of IPv4. Read in words: this is done for each packet, and single octets are instructions.
#[inline(always)]
pub(crate) fn usual_v4(ip: &[u8]) -> Option<IpPacket> {
    let head: &[u8; 24] = ip.first_chunk()?;
    let (first, rest) = head.split_first_chunk::<8>()?;
    let (second, rest) = rest.split_first_chunk::<4>()?;
    let (source, rest) = rest.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let ports = rest.first_chunk::<4>()?;
    // Version, header length, traffic class; length; identification; flags and offset.
    let first = u64::from_be_bytes(*first);
    let [ttl, protocol, _, _] = *second;
    let len = usize::try_from(first >> 32 & 0xffff).unwrap_or(0);
    // Five words of header, and no fragment.
    let plain = first & 0xff00_0000_0000_3fff == 0x45 << 56;
    if !plain || len < 24 || len > ip.len() || !has_ports(protocol) {
        return None;
    }
    Some(IpPacket {
        source: u128::from(u32::from_be_bytes(*source)),
        destination: u128::from(u32::from_be_bytes(*destination)),
        ports: u32::from_be_bytes(*ports),
        has_ports: true,
        v6: false,
        protocol,
        traffic_class: u8::try_from(first >> 48 & 0xff).unwrap_or(0),
        hop_limit: ttl,
        dont_fragment: first & 0x4000 != 0,
        fragment: Fragment::Whole,
        len,
        upper: 20,
    })
}

/// What usual packets of IPv4 have in common when all that is decided by their headers is the same: version, traffic class,
/// flags, protocol, addresses, ports. Not length, identification, TTL and checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alike([u64; 3]);

/// No packet is like this.
impl Default for Alike {
    fn default() -> Self {
        Self([u64::MAX; 3])
    }
}

impl Alike {
    /// Of a packet that [`usual_v4`] took.
    #[inline(always)]
    pub(crate) fn of(ip: &[u8]) -> Option<Self> {
        Self::masked(ip, 0xffff_0000_0000_ffff)
    }

    /// The same, and the length.
    #[inline(always)]
    pub(crate) fn with_length(ip: &[u8]) -> Option<Self> {
        Self::masked(ip, 0xffff_0000_ffff_ffff)
    }

    /// With these bits of the first eight octets.
    #[inline(always)]
    fn masked(ip: &[u8], mask: u64) -> Option<Self> {
        let (words, _) = ip.first_chunk::<24>()?.as_chunks::<8>();
        let &[first, second, third] = words else { return None };
        let word = u64::from_le_bytes;
        Some(Self([word(first) & mask, word(second) & 0xffff_ffff_0000_ff00, word(third)]))
    }

    /// Where they go.
    #[inline(always)]
    pub(crate) fn destination(&self) -> [u8; 4] {
        let [.., third] = self.0;
        let [a, b, c, d, ..] = third.to_le_bytes();
        [a, b, c, d]
    }

    /// The length of another packet, which is like that one then, and [`usual_v4`] takes it as well.
    #[inline(always)]
    pub(crate) fn len(&self, ip: &[u8]) -> Option<usize> {
        let [_, _, l0, l1] = *ip.first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        (Self::of(ip)? == *self && len >= 24 && len <= ip.len()).then_some(len)
    }
}

/// An IPv6 packet without extension headers that has ports.
#[inline(always)]
pub(crate) fn usual_v6(ip: &[u8]) -> Option<IpPacket> {
    let h: &[u8; 44] = ip.first_chunk()?;
    let [b0, b1, _, _, l0, l1, protocol, hop_limit, ..] = *h;
    let len = usize::from(u16::from_be_bytes([l0, l1])).wrapping_add(40);
    if b0 >> 4 != 6 || len < 44 || len > ip.len() || !has_ports(protocol) {
        return None;
    }
    Some(IpPacket {
        source: be128(h, 8)?,
        destination: be128(h, 24)?,
        ports: h.last_chunk().map(|c| u32::from_be_bytes(*c))?,
        has_ports: true,
        v6: true,
        protocol,
        traffic_class: (b0 << 4) | (b1 >> 4),
        hop_limit,
        dont_fragment: true,
        fragment: Fragment::Whole,
        len,
        upper: 40,
    })
}

#[inline(never)]
fn parse_any(ip: &[u8]) -> Result<IpPacket, DropReason> {
    match ip.first().map(|b| b >> 4) {
        Some(4) => parse_v4(ip),
        Some(6) => parse_v6(ip),
        _ => Err(DropReason::InnerHeader),
    }
}

fn parse_v4(ip: &[u8]) -> Result<IpPacket, DropReason> {
    let bad = DropReason::InnerHeader;
    let h: &[u8; 20] = ip.first_chunk().ok_or(bad)?;
    let [b0, tos, l0, l1, _, _, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *h;
    let header = usize::from(b0 & 0x0f) * 4;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if header < 20 || len < header || len > ip.len() {
        return Err(bad);
    }
    let flags = u16::from_be_bytes([f0, f1]);
    let fragment = match (flags & 0x1fff, flags & 0x2000 != 0) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    };
    let ports = match fragment {
        Fragment::Later => None,
        _ => ports(protocol, ip.get(header..len).ok_or(bad)?),
    };
    Ok(IpPacket {
        source: u128::from(u32::from_be_bytes([s0, s1, s2, s3])),
        destination: u128::from(u32::from_be_bytes([d0, d1, d2, d3])),
        ports: ports.unwrap_or(0),
        has_ports: ports.is_some(),
        v6: false,
        protocol,
        traffic_class: tos,
        hop_limit: ttl,
        dont_fragment: flags & 0x4000 != 0,
        fragment,
        len,
        upper: header,
    })
}

#[inline(always)]
fn be128(b: &[u8], at: usize) -> Option<u128> {
    b.get(at..at.checked_add(16)?)?.first_chunk().map(|c| u128::from_be_bytes(*c))
}

fn parse_v6(ip: &[u8]) -> Result<IpPacket, DropReason> {
    let bad = DropReason::InnerHeader;
    let h: &[u8; 40] = ip.first_chunk().ok_or(bad)?;
    let [b0, b1, _, _, l0, l1, next, hop_limit, ..] = *h;
    let len = usize::from(u16::from_be_bytes([l0, l1])).checked_add(40).ok_or(bad)?;
    let ip = ip.get(..len).ok_or(bad)?;
    let chain = extensions(ip, next)?;
    let ports = match chain.fragment {
        Fragment::Later => None,
        _ => ports(chain.protocol, ip.get(chain.upper..).ok_or(bad)?),
    };
    Ok(IpPacket {
        source: be128(h, 8).ok_or(bad)?,
        destination: be128(h, 24).ok_or(bad)?,
        ports: ports.unwrap_or(0),
        has_ports: ports.is_some(),
        v6: true,
        protocol: chain.protocol,
        traffic_class: (b0 << 4) | (b1 >> 4),
        hop_limit,
        dont_fragment: true,
        fragment: chain.fragment,
        len,
        upper: chain.upper,
    })
}

struct Chain {
    protocol: u8,
    upper: usize,
    fragment: Fragment,
}

fn extensions(ip: &[u8], mut next: u8) -> Result<Chain, DropReason> {
    let bad = DropReason::InnerHeader;
    let mut at = 40usize;
    let mut fragment = Fragment::Whole;
    for _ in 0..MAX_EXTENSIONS {
        let header = match next {
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DEST_OPTIONS
            | protocol::FRAGMENT
            | protocol::AH
            | 139
            | 140 => ip.get(at..).ok_or(bad)?,
            _ => return Ok(Chain { protocol: next, upper: at, fragment }),
        };
        let (Some(&following), Some(&units)) = (header.first(), header.get(1)) else { return Err(bad) };
        let len = match next {
            protocol::FRAGMENT => {
                let offset = be16(header, 2).ok_or(bad)?;
                fragment = match (offset & 0xfff8, offset & 1) {
                    (0, 0) => fragment,
                    (0, _) => Fragment::First,
                    _ => Fragment::Later,
                };
                8
            }
            protocol::AH => usize::from(units).saturating_add(2).saturating_mul(4),
            _ => usize::from(units).saturating_add(1).saturating_mul(8),
        };
        if header.len() < len {
            return Err(bad);
        }
        at = at.saturating_add(len);
        next = following;
        if fragment == Fragment::Later {
            return Ok(Chain { protocol: next, upper: at, fragment });
        }
    }
    Err(bad)
}

#[inline(always)]
fn has_ports(p: u8) -> bool {
    p == protocol::UDP || p == protocol::TCP || has_ports_too(p)
}

#[inline(never)]
fn has_ports_too(p: u8) -> bool {
    matches!(p, protocol::SCTP | protocol::DCCP | protocol::UDP_LITE)
}

/// Both ports, source above destination.
fn ports(p: u8, upper: &[u8]) -> Option<u32> {
    match p {
        p if has_ports(p) => upper.first_chunk().map(|c| u32::from_be_bytes(*c)),
        protocol::ICMP | protocol::ICMPV6 => be16(upper, 0).map(twice),
        // RFC 7296 §3.13.1 gives the MH type the high octet.
        protocol::MOBILITY => upper.get(2).map(|t| twice(u16::from(*t) << 8)),
        _ => None,
    }
}

fn twice(port: u16) -> u32 {
    u32::from(port) << 16 | u32::from(port)
}

#[cfg(test)]
mod tests;
