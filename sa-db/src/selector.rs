//! Traffic selectors (RFC 4301 §4.4.1.1, RFC 7296 §3.13): ranges of addresses, a protocol, ranges of ports, and
//! their algebra (contains, intersect), on which narrowing and lookup stand.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddrRange {
    /// IPv4, first and last.
    V4(Ipv4Addr, Ipv4Addr),
    /// IPv6, first and last.
    V6(Ipv6Addr, Ipv6Addr),
}

impl AddrRange {
    /// Every IPv4 address.
    pub const ANY_V4: Self = Self::V4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    /// Every IPv6 address.
    pub const ANY_V6: Self = Self::V6(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX));

    /// `first` to `last`; `None` when the families differ or the range is empty.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => Some(Self::V4(a, b)),
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => Some(Self::V6(a, b)),
            _ => None,
        }
    }

    /// One address.
    #[must_use]
    pub fn host(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(a) => Self::V4(a, a),
            IpAddr::V6(a) => Self::V6(a, a),
        }
    }

    /// `addr/len`, host bits ignored; `None` when `len` is too large for the family.
    #[must_use]
    pub fn prefix(addr: IpAddr, len: u8) -> Option<Self> {
        match addr {
            IpAddr::V4(a) => {
                let host = u32::MAX.checked_shr(u32::from(len)).unwrap_or(0);
                (len <= 32).then(|| {
                    Self::V4(Ipv4Addr::from_bits(a.to_bits() & !host), Ipv4Addr::from_bits(a.to_bits() | host))
                })
            }
            IpAddr::V6(a) => {
                let host = u128::MAX.checked_shr(u32::from(len)).unwrap_or(0);
                (len <= 128).then(|| {
                    Self::V6(Ipv6Addr::from_bits(a.to_bits() & !host), Ipv6Addr::from_bits(a.to_bits() | host))
                })
            }
        }
    }

    /// Reads "10.0.0.0/8", "10.0.0.1-10.0.0.9" or one address; `None` when it is none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((addr, len)) = text.split_once('/') {
            return Self::prefix(addr.parse().ok()?, len.parse().ok()?);
        }
        match text.split_once('-') {
            Some((first, last)) => Self::new(first.parse().ok()?, last.parse().ok()?),
            None => text.parse().ok().map(Self::host),
        }
    }

    /// First address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        match self {
            Self::V4(a, _) => IpAddr::V4(*a),
            Self::V6(a, _) => IpAddr::V6(*a),
        }
    }

    /// Last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self {
            Self::V4(_, b) => IpAddr::V4(*b),
            Self::V6(_, b) => IpAddr::V6(*b),
        }
    }

    /// True when `addr` is inside.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self, addr) {
            (Self::V4(a, b), IpAddr::V4(x)) => *a <= x && x <= *b,
            (Self::V6(a, b), IpAddr::V6(x)) => *a <= x && x <= *b,
            _ => false,
        }
    }

    /// The common part, if there is one.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::V4(a, b), Self::V4(c, d)) => {
                let (first, last) = ((*a).max(*c), (*b).min(*d));
                (first <= last).then_some(Self::V4(first, last))
            }
            (Self::V6(a, b), Self::V6(c, d)) => {
                let (first, last) = ((*a).max(*c), (*b).min(*d));
                (first <= last).then_some(Self::V6(first, last))
            }
            _ => None,
        }
    }

    /// The prefix length, when the range is exactly a prefix.
    #[must_use]
    pub fn prefix_len(&self) -> Option<u8> {
        let (first, last, bits) = match self {
            Self::V4(a, b) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32u8),
            Self::V6(a, b) => (a.to_bits(), b.to_bits(), 128u8),
        };
        let host = first ^ last;
        let host_bits = 128u32.saturating_sub(host.leading_zeros());
        let mask_is_ones = host.count_ones() == host_bits;
        (mask_is_ones && first & host == 0).then(|| bits.saturating_sub(u8::try_from(host_bits).unwrap_or(u8::MAX)))
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len() {
            Some(len) => write!(f, "{}/{len}", self.first()),
            None => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}

impl fmt::Debug for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Ports (or ICMP type and code, RFC 7296 §3.13.1): an inclusive range, or OPAQUE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortRange {
    /// First and last, first <= last.
    Range(u16, u16),
    /// The port is not available, as in non-first fragments (RFC 4301 §4.4.1.1); start 65535, end 0 on the wire.
    Opaque,
}

impl PortRange {
    /// All ports; also matches a packet whose ports are not available (RFC 4301: ANY includes OPAQUE).
    pub const ANY: Self = Self::Range(0, u16::MAX);

    /// `first` to `last`; `None` when empty.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self::Range(first, last))
    }

    /// True for all ports.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::ANY
    }

    /// True when a packet with this port is inside; `None` is a packet whose port is not available.
    #[must_use]
    pub fn contains(&self, port: Option<u16>) -> bool {
        match (self, port) {
            (Self::Range(a, b), Some(p)) => *a <= p && p <= *b,
            (Self::Range(..), None) => self.is_any(),
            (Self::Opaque, None) => true,
            (Self::Opaque, Some(_)) => false,
        }
    }

    /// The common part, if there is one. ANY and OPAQUE meet in OPAQUE.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Range(a, b), Self::Range(c, d)) => Self::new(*a.max(c), *b.min(d)),
            (Self::Opaque, Self::Opaque) => Some(Self::Opaque),
            (Self::Opaque, r) | (r, Self::Opaque) => r.is_any().then_some(Self::Opaque),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(0, u16::MAX) => f.write_str("any"),
            Self::Range(a, b) if a == b => write!(f, "{a}"),
            Self::Range(a, b) => write!(f, "{a}-{b}"),
            Self::Opaque => f.write_str("opaque"),
        }
    }
}

impl fmt::Debug for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One side of a flow: addresses, protocol, ports (RFC 7296 §3.13.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficSelector {
    /// Addresses.
    pub addrs: AddrRange,
    /// IP protocol; 0 is any.
    pub protocol: u8,
    /// Ports, or ICMP type (high octet) and code (low octet).
    pub ports: PortRange,
}

impl TrafficSelector {
    /// All protocols and ports of these addresses.
    #[must_use]
    pub fn any(addrs: AddrRange) -> Self {
        Self { addrs, protocol: 0, ports: PortRange::ANY }
    }

    /// The common part, if there is one.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (0, p) | (p, 0) => p,
            (a, b) if a == b => a,
            _ => return None,
        };
        Some(Self { addrs: self.addrs.intersect(&other.addrs)?, protocol, ports: self.ports.intersect(&other.ports)? })
    }

    /// True when all of `other` is inside.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.intersect(other) == Some(*other)
    }

    /// True when a packet end with these values is inside.
    #[must_use]
    pub fn matches(&self, addr: IpAddr, protocol: u8, port: Option<u16>) -> bool {
        (self.protocol == 0 || self.protocol == protocol) && self.addrs.contains(addr) && self.ports.contains(port)
    }
}

/// Why a text is no traffic selector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SelectorError(pub alloc::string::String);

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no traffic selector; expected an address, a prefix or a range, then [protocol/ports] if ",
            self.0
        )?;
        f.write_str(
            "bounded, as in 10.0.0.0/8, 10.0.0.1-10.0.0.9[udp], 2001:db8::/32[tcp/80-90] or 10.0.0.1[17/opaque]",
        )
    }
}

impl core::error::Error for SelectorError {}

impl core::str::FromStr for TrafficSelector {
    type Err = SelectorError;

    /// Reads what `Display` writes: "10.0.0.0/8[tcp/80-90]". Protocols: a number or icmp, tcp, udp, icmp6, any.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse_selector(text.trim()).ok_or_else(|| SelectorError(text.into()))
    }
}

fn parse_selector(text: &str) -> Option<TrafficSelector> {
    let Some((addrs, rest)) = text.split_once('[') else { return AddrRange::parse(text).map(TrafficSelector::any) };
    let inner = rest.strip_suffix(']')?;
    let (protocol, ports) = inner.split_once('/').map_or((inner, None), |(proto, ports)| (proto, Some(ports)));
    let protocol = match protocol {
        "any" | "" => 0,
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        "icmp6" | "ipv6-icmp" => 58,
        number => number.parse().ok()?,
    };
    let ports = match ports {
        None | Some("any" | "") => PortRange::ANY,
        Some("opaque") => PortRange::Opaque,
        Some(p) => match p.split_once('-') {
            Some((a, b)) => PortRange::new(a.parse().ok()?, b.parse().ok()?)?,
            None => p.parse().ok().map(|p| PortRange::Range(p, p))?,
        },
    };
    Some(TrafficSelector { addrs: AddrRange::parse(addrs)?, protocol, ports })
}

impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.addrs)?;
        if self.protocol != 0 || !self.ports.is_any() {
            match self.protocol {
                0 => f.write_str("[any")?,
                1 => f.write_str("[icmp")?,
                6 => f.write_str("[tcp")?,
                17 => f.write_str("[udp")?,
                58 => f.write_str("[icmp6")?,
                p => write!(f, "[{p}")?,
            }
            if !self.ports.is_any() {
                write!(f, "/{}", self.ports)?;
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A policy's or SA's pair of ends, as seen from this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Selector {
    /// Our side.
    pub local: TrafficSelector,
    /// The peer's side.
    pub remote: TrafficSelector,
}

/// What a packet shows to a selector, seen from this host (local is the source when the packet goes out).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PacketKey {
    /// Address on our side.
    pub local: IpAddr,
    /// Address on the peer's side.
    pub remote: IpAddr,
    /// Upper-layer protocol, behind any IPv6 extension headers.
    pub protocol: u8,
    /// Our port; ICMP: type (high) and code (low) in both; `None` when not available (fragments, other protocols).
    pub local_port: Option<u16>,
    /// The peer's port.
    pub remote_port: Option<u16>,
}

impl PacketKey {
    /// True when the packet is inside both ends.
    #[must_use]
    pub fn matches(&self, local: &TrafficSelector, remote: &TrafficSelector) -> bool {
        local.matches(self.local, self.protocol, self.local_port)
            && remote.matches(self.remote, self.protocol, self.remote_port)
    }

    /// True when some local and some remote selector hold the packet (RFC 7296 §2.9: any pair).
    #[must_use]
    pub fn matches_any(&self, local: &[TrafficSelector], remote: &[TrafficSelector]) -> bool {
        local.iter().any(|t| t.matches(self.local, self.protocol, self.local_port))
            && remote.iter().any(|t| t.matches(self.remote, self.protocol, self.remote_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn p(s: &str, len: u8) -> AddrRange {
        AddrRange::prefix(s.parse().unwrap(), len).unwrap()
    }

    #[test]
    fn prefixes_print_as_prefixes() {
        assert_eq!(p("10.1.2.3", 8).to_string(), "10.0.0.0/8");
        assert_eq!(p("0.0.0.0", 0).to_string(), "0.0.0.0/0");
        assert_eq!(p("fd00::1", 64).to_string(), "fd00::/64");
        assert_eq!(AddrRange::ANY_V6.to_string(), "::/0");
        let r = AddrRange::new("10.0.0.1".parse().unwrap(), "10.0.0.6".parse().unwrap()).unwrap();
        assert_eq!(r.to_string(), "10.0.0.1-10.0.0.6");
        assert!(AddrRange::prefix("10.0.0.0".parse().unwrap(), 33).is_none());
    }

    #[test]
    fn printed_selectors_read_back() {
        for text in [
            "10.0.0.0/8",
            "10.0.0.1/32[tcp]",
            "10.0.0.1-10.0.0.6[udp/53]",
            "::/0[any/80-90]",
            "fd00::/8[icmp6/opaque]",
            "1.0.0.0/8[47]",
        ] {
            assert_eq!(text.parse::<TrafficSelector>().unwrap().to_string(), text);
        }
        assert_eq!("10.0.0.1".parse::<TrafficSelector>().unwrap().to_string(), "10.0.0.1/32");
        for text in
            ["", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1[", "10.0.0.1[tcp/9-8]", "10.0.0.1[256]", "1.1.1.1-::1"]
        {
            assert!(text.parse::<TrafficSelector>().is_err(), "{text}");
        }
    }

    #[test]
    fn opaque_meets_only_any_and_opaque() {
        assert_eq!(PortRange::ANY.intersect(&PortRange::Opaque), Some(PortRange::Opaque));
        assert_eq!(PortRange::Range(1, 2).intersect(&PortRange::Opaque), None);
        assert!(PortRange::ANY.contains(None) && !PortRange::Range(0, 5).contains(None));
    }

    #[test]
    fn narrowing_is_intersection() {
        let a = TrafficSelector { addrs: p("10.0.0.0", 8), protocol: 0, ports: PortRange::ANY };
        let b = TrafficSelector { addrs: p("10.10.2.0", 24), protocol: 6, ports: PortRange::Range(80, 90) };
        assert_eq!(a.intersect(&b), Some(b));
        assert!(a.contains(&b) && !b.contains(&a));
        let c = TrafficSelector { protocol: 17, ..b };
        assert_eq!(b.intersect(&c), None);
    }
}
