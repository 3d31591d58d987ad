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
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Upper-layer protocol behind any extension headers.
    pub protocol: u8,
    /// Source port, or ICMP type and code; `None` when not available.
    pub source_port: Option<u16>,
    /// Destination port, or ICMP type and code.
    pub destination_port: Option<u16>,
    /// Whole packet length by its own header, never more than what was given.
    pub len: usize,
    /// Where the upper layer starts, from the start of the packet.
    pub upper: usize,
    /// Traffic class: DSCP (upper six bits) and ECN (lower two).
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// IPv4's DF bit; always true for IPv6.
    pub dont_fragment: bool,
    /// Fragmentation.
    pub fragment: Fragment,
}

impl IpPacket {
    /// Reads the headers of `ip`. Octets behind the length the header claims (TFC padding) are ignored.
    ///
    /// # Errors
    /// [`DropReason::InnerHeader`] when the packet is too short or contradicts itself.
    #[inline]
    pub fn parse(ip: &[u8]) -> Result<Self, DropReason> {
        match ip.first().map(|b| b >> 4) {
            Some(4) => parse_v4(ip),
            Some(6) => parse_v6(ip),
            _ => Err(DropReason::InnerHeader),
        }
    }

    /// The key as this host sees it: local is the source of what goes out and the destination of what comes in.
    #[must_use]
    #[inline]
    pub fn key(&self, direction: Direction) -> PacketKey {
        let (local, remote, local_port, remote_port) = match direction {
            Direction::Outbound => (self.source, self.destination, self.source_port, self.destination_port),
            Direction::Inbound => (self.destination, self.source, self.destination_port, self.source_port),
        };
        PacketKey { local, remote, protocol: self.protocol, local_port, remote_port }
    }

    /// True for IPv6.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.source.is_ipv6()
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

#[inline]
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
    let (source_port, destination_port) = match fragment {
        Fragment::Later => (None, None),
        _ => ports(protocol, ip.get(header..len).ok_or(bad)?),
    };
    Ok(IpPacket {
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        protocol,
        source_port,
        destination_port,
        len,
        upper: header,
        traffic_class: tos,
        hop_limit: ttl,
        dont_fragment: flags & 0x4000 != 0,
        fragment,
    })
}

fn parse_v6(ip: &[u8]) -> Result<IpPacket, DropReason> {
    let bad = DropReason::InnerHeader;
    let h: &[u8; 40] = ip.first_chunk().ok_or(bad)?;
    let [b0, b1, _, _, l0, l1, next, hop_limit, ..] = *h;
    let len = usize::from(u16::from_be_bytes([l0, l1])).checked_add(40).ok_or(bad)?;
    let ip = ip.get(..len).ok_or(bad)?;
    let source: [u8; 16] = ip.get(8..24).and_then(|s| s.try_into().ok()).ok_or(bad)?;
    let destination: [u8; 16] = ip.get(24..40).and_then(|s| s.try_into().ok()).ok_or(bad)?;
    let chain = extensions(ip, next)?;
    let (source_port, destination_port) = match chain.fragment {
        Fragment::Later => (None, None),
        _ => ports(chain.protocol, ip.get(chain.upper..).ok_or(bad)?),
    };
    Ok(IpPacket {
        source: IpAddr::V6(Ipv6Addr::from(source)),
        destination: IpAddr::V6(Ipv6Addr::from(destination)),
        protocol: chain.protocol,
        source_port,
        destination_port,
        len,
        upper: chain.upper,
        traffic_class: (b0 << 4) | (b1 >> 4),
        hop_limit,
        dont_fragment: true,
        fragment: chain.fragment,
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

#[inline]
fn ports(p: u8, upper: &[u8]) -> (Option<u16>, Option<u16>) {
    match p {
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDP_LITE => {
            (be16(upper, 0), be16(upper, 2))
        }
        protocol::ICMP | protocol::ICMPV6 => (be16(upper, 0), be16(upper, 0)),
        // RFC 7296 §3.13.1 gives the MH type the high octet.
        protocol::MOBILITY => {
            let mh = upper.get(2).map(|t| u16::from(*t) << 8);
            (mh, mh)
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests;
