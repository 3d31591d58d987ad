//! Outer header fields of tunnels (RFC 4301 §5.1.2): DSCP (copy, set, map), ECN (RFC 6040), DF (copy, set, clear),
//! TTL or hop limit, flow label (RFC 6438), and the writing of the whole outer header for drivers that want it.
//! To add a field: [`OuterHeader`], its policy, and both writers.

use crate::packet::IpPacket;
use crate::{DropReason, checksum};
use core::net::IpAddr;
use ravelin_sa_db::Path;

/// How the outer DSCP is made from the inner (RFC 4301 §5.1.2.1, RFC 2983).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum DscpPolicy {
    /// As inside. Lets an observer see classes.
    #[default]
    Copy,
    /// Always this value, 0 to 63.
    Set(u8),
    /// By a table of 64 values, 0 to 63 each.
    Map([u8; 64]),
}

/// How the outer DF bit is made (RFC 4301 §8.1). Only IPv4 has one; IPv6 inner packets count as DF set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DfPolicy {
    /// As inside.
    #[default]
    Copy,
    /// Always set.
    Set,
    /// Always clear.
    Clear,
}

/// How the outer IPv6 flow label is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlowLabelPolicy {
    /// Zero.
    #[default]
    Zero,
    /// As inside when that is IPv6.
    Copy,
    /// A value that is constant for one SA, from its SPI, so that equal-cost paths may be told apart (RFC 6438).
    PerSa,
}

/// Rules for outer headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderPolicy {
    /// DSCP.
    pub dscp: DscpPolicy,
    /// Copy ECN (RFC 6040 normal mode); false is compatibility mode: Not-ECT outside.
    pub ecn: bool,
    /// DF.
    pub dont_fragment: DfPolicy,
    /// TTL or hop limit, 1 to 255.
    pub hop_limit: u8,
    /// Flow label.
    pub flow_label: FlowLabelPolicy,
}

impl Default for HeaderPolicy {
    fn default() -> Self {
        Self {
            dscp: DscpPolicy::Copy,
            ecn: true,
            dont_fragment: DfPolicy::Copy,
            hop_limit: 64,
            flow_label: FlowLabelPolicy::Zero,
        }
    }
}

/// What the outer IP header is to say besides addresses and lengths. Drivers that let the kernel write it set the
/// socket options from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OuterHeader {
    /// DSCP (upper six bits) and ECN (lower two).
    pub traffic_class: u8,
    /// DF; of no meaning for IPv6.
    pub dont_fragment: bool,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// IPv6 flow label, 20 bits.
    pub flow_label: u32,
}

impl HeaderPolicy {
    /// The rules as masks, where they can be that.
    pub(crate) fn quick(&self) -> Option<Quick> {
        let (and, or) = match self.dscp {
            DscpPolicy::Copy => (0xfc, 0),
            DscpPolicy::Set(v) => (0, (v & 63) << 2),
            DscpPolicy::Map(_) => return None,
        };
        let (df_and, df_or) = match self.dont_fragment {
            DfPolicy::Copy => (true, false),
            DfPolicy::Set => (false, true),
            DfPolicy::Clear => (false, false),
        };
        let and = if self.ecn { and | 3 } else { and };
        let hop_limit = self.hop_limit.max(1);
        (self.flow_label == FlowLabelPolicy::Zero).then_some(Quick { and, or, df_and, df_or, hop_limit })
    }

    /// The outer header for one inner packet. `ip` is that packet, `inner` its headers.
    #[must_use]
    #[inline(always)]
    pub fn outer(&self, inner: &IpPacket, ip: &[u8], spi: u32) -> OuterHeader {
        let dscp = inner.traffic_class >> 2;
        let dscp = match &self.dscp {
            DscpPolicy::Copy => dscp,
            DscpPolicy::Set(v) => v & 63,
            DscpPolicy::Map(m) => m.get(usize::from(dscp)).copied().unwrap_or(0) & 63,
        };
        let ecn = if self.ecn { inner.traffic_class & 3 } else { 0 };
        let dont_fragment = match self.dont_fragment {
            DfPolicy::Copy => inner.dont_fragment,
            DfPolicy::Set => true,
            DfPolicy::Clear => false,
        };
        let flow_label = match self.flow_label {
            FlowLabelPolicy::Zero => 0,
            FlowLabelPolicy::Copy if inner.is_v6() => match ip.first_chunk::<4>() {
                Some(w) => u32::from_be_bytes(*w) & 0xf_ffff,
                None => 0,
            },
            FlowLabelPolicy::Copy => 0,
            FlowLabelPolicy::PerSa => (spi ^ (spi >> 12)) & 0xf_ffff,
        };
        OuterHeader { traffic_class: (dscp << 2) | ecn, dont_fragment, hop_limit: self.hop_limit.max(1), flow_label }
    }
}

/// Rules that need no more than masks: no table of DSCPs, no flow label.
pub(crate) struct Quick {
    and: u8,
    or: u8,
    df_and: bool,
    df_or: bool,
    hop_limit: u8,
}

impl Quick {
    /// What [`HeaderPolicy::outer`] says.
    #[inline(always)]
    pub(crate) fn outer(&self, inner: &IpPacket) -> OuterHeader {
        OuterHeader {
            traffic_class: inner.traffic_class & self.and | self.or,
            dont_fragment: inner.dont_fragment & self.df_and | self.df_or,
            hop_limit: self.hop_limit,
            flow_label: 0,
        }
    }
}

/// Length of the outer IP header for this path.
#[must_use]
pub fn ip_header_len(path: &Path) -> usize {
    if path.remote.is_ipv6() { 40 } else { 20 }
}

/// Writes the outer IP header into the front of `packet`, whose whole length is that of the IP packet. `id` is the
/// identification of IPv4 packets that may be fragmented (RFC 6864). Returns the header's length.
///
/// # Errors
/// [`DropReason::Oversized`], or [`DropReason::OuterHeader`] when the path mixes families.
#[inline]
pub fn write_ip(
    packet: &mut [u8],
    path: &Path,
    protocol: u8,
    header: &OuterHeader,
    id: u16,
) -> Result<usize, DropReason> {
    let len = packet.len();
    match (path.local.ip(), path.remote.ip()) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            let total = u16::try_from(len).map_err(|_| DropReason::Oversized)?;
            let head = packet.first_chunk_mut::<20>().ok_or(DropReason::NoRoom)?;
            let [l0, l1] = total.to_be_bytes();
            let [i0, i1] = if header.dont_fragment { [0, 0] } else { id.to_be_bytes() };
            let flags = if header.dont_fragment { 0x40 } else { 0 };
            let [s0, s1, s2, s3] = s.octets();
            let [d0, d1, d2, d3] = d.octets();
            let (tc, hl) = (header.traffic_class, header.hop_limit);
            // The sum of the header by its fields: cheaper than reading back what was just written.
            let word = |a: u8, b: u8| u64::from(u16::from_be_bytes([a, b]));
            let sum = word(0x45, tc)
                .wrapping_add(u64::from(total))
                .wrapping_add(word(i0, i1))
                .wrapping_add(word(flags, 0))
                .wrapping_add(word(hl, protocol))
                .wrapping_add(word(s0, s1))
                .wrapping_add(word(s2, s3))
                .wrapping_add(word(d0, d1))
                .wrapping_add(word(d2, d3));
            let [c0, c1] = (!checksum::fold(sum)).to_be_bytes();
            *head = [0x45, tc, l0, l1, i0, i1, flags, 0, hl, protocol, c0, c1, s0, s1, s2, s3, d0, d1, d2, d3];
            Ok(20)
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            let payload = len.checked_sub(40).ok_or(DropReason::NoRoom)?;
            let payload = u16::try_from(payload).map_err(|_| DropReason::Oversized)?;
            let first = (6u32 << 28) | (u32::from(header.traffic_class) << 20) | (header.flow_label & 0xf_ffff);
            let (h, rest) = packet.split_first_chunk_mut::<8>().ok_or(DropReason::NoRoom)?;
            let [a, b, c, e] = first.to_be_bytes();
            let [l0, l1] = payload.to_be_bytes();
            *h = [a, b, c, e, l0, l1, protocol, header.hop_limit];
            let (src, rest) = rest.split_first_chunk_mut::<16>().ok_or(DropReason::NoRoom)?;
            *src = s.octets();
            *rest.first_chunk_mut::<16>().ok_or(DropReason::NoRoom)? = d.octets();
            Ok(40)
        }
        _ => Err(DropReason::OuterHeader),
    }
}

/// Gives the inner header the ECN field it has to leave the tunnel with (RFC 6040 §4.2, figure 4).
///
/// # Errors
/// [`DropReason::Congestion`]: congestion outside, and the inner packet is not ECN-capable.
#[inline]
pub fn decapsulate_ecn(ip: &mut [u8], outer: u8) -> Result<(), DropReason> {
    let outer = outer & 3;
    if outer == 0 {
        return Ok(());
    }
    let (b0, b1) = match ip {
        [b0, b1, ..] => (*b0, *b1),
        _ => return Err(DropReason::InnerHeader),
    };
    let v4 = b0 >> 4 == 4;
    let inner = if v4 { b1 & 3 } else { (b1 >> 4) & 3 };
    let new = match (inner, outer) {
        (0, 3) => return Err(DropReason::Congestion),
        (0, _) | (1, 1 | 2) | (2, 2) | (3, _) => return Ok(()),
        (_, 3) => 3,
        // ECT(0) inside, ECT(1) outside.
        _ => 1,
    };
    if v4 {
        let (old, tos) = (u16::from_be_bytes([b0, b1]), (b1 & !3) | new);
        let field = ip.get(10..12).and_then(|c| c.first_chunk().copied()).ok_or(DropReason::InnerHeader)?;
        let sum = checksum::update(u16::from_be_bytes(field), old, u16::from_be_bytes([b0, tos]));
        *ip.get_mut(1).ok_or(DropReason::InnerHeader)? = tos;
        ip.get_mut(10..12).ok_or(DropReason::InnerHeader)?.copy_from_slice(&sum.to_be_bytes());
    } else {
        *ip.get_mut(1).ok_or(DropReason::InnerHeader)? = (b1 & !0x30) | (new << 4);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(tos: u8) -> [u8; 20] {
        let mut h = [0x45, tos, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let c = checksum::checksum(&h).to_be_bytes();
        h[10] = c[0];
        h[11] = c[1];
        h
    }

    #[test]
    fn masks_are_the_rules() {
        use FlowLabelPolicy as Label;
        let labels = [Label::Zero, Label::Copy, Label::PerSa];
        for n in 0..54usize {
            let dscp = [DscpPolicy::Copy, DscpPolicy::Set(45), DscpPolicy::Map([9; 64])][n % 3].clone();
            let dont_fragment = [DfPolicy::Copy, DfPolicy::Set, DfPolicy::Clear][n / 3 % 3];
            let (flow_label, ecn) = (labels[n / 9 % 3], n < 27);
            let rules = HeaderPolicy { dscp, ecn, dont_fragment, hop_limit: 0, flow_label };
            let simple = flow_label == Label::Zero && !matches!(rules.dscp, DscpPolicy::Map(_));
            let quick = rules.quick();
            assert_eq!(quick.is_some(), simple);
            let Some(quick) = quick else { continue };
            for (tos, df) in [(0xb9, 0x40), (0xb9, 0), (0x02, 0), (0xff, 0x40)] {
                let mut ip = v4(tos);
                ip[6] = df;
                let inner = IpPacket::parse(&ip).unwrap();
                assert_eq!(quick.outer(&inner), rules.outer(&inner, &ip, 7));
            }
        }
    }

    #[test]
    fn figure_4_of_rfc_6040() {
        // Rows: inner Not-ECT, ECT(1), ECT(0), CE; columns: outer Not-ECT, ECT(1), ECT(0), CE. 9 is a drop.
        let want = [[0, 0, 0, 9], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];
        for inner in 0..4u8 {
            for outer in 0..4u8 {
                let expect = want[usize::from(inner)][usize::from(outer)];
                let mut p = v4(0xb8 | inner);
                let mut q = [0u8; 40];
                (q[0], q[1]) = (0x6b, (inner << 4) | 0x85);
                let (rp, rq) = (decapsulate_ecn(&mut p, outer), decapsulate_ecn(&mut q, outer));
                if expect == 9 {
                    assert_eq!((rp, rq), (Err(DropReason::Congestion), Err(DropReason::Congestion)));
                } else {
                    assert_eq!((rp, rq), (Ok(()), Ok(())));
                    assert_eq!((p[1], (q[1] >> 4) & 3), (0xb8 | expect, expect), "{inner} {outer}");
                    assert_eq!(checksum::sum(&p), 0xffff);
                    assert_eq!(q[1] & 0xcf, 0x85);
                }
            }
        }
    }

    #[test]
    fn outer_headers_parse_back() {
        let h = OuterHeader { traffic_class: 0xb9, dont_fragment: true, hop_limit: 63, flow_label: 0x12345 };
        let p4 = Path { local: "192.0.2.1:0".parse().unwrap(), remote: "192.0.2.2:0".parse().unwrap() };
        let mut b = [0u8; 64];
        assert_eq!(write_ip(&mut b, &p4, 50, &h, 7), Ok(20));
        assert_eq!(checksum::sum(&b[..20]), 0xffff);
        let ip = IpPacket::parse(&b).unwrap();
        assert_eq!((ip.protocol, ip.len, ip.traffic_class, ip.dont_fragment, ip.hop_limit), (50, 64, 0xb9, true, 63));
        let p6 = Path { local: "[2001:db8::1]:0".parse().unwrap(), remote: "[2001:db8::2]:0".parse().unwrap() };
        assert_eq!(write_ip(&mut b, &p6, 50, &h, 7), Ok(40));
        let ip = IpPacket::parse(&b).unwrap();
        assert_eq!((ip.protocol, ip.len, ip.traffic_class, ip.hop_limit), (50, 64, 0xb9, 63));
        assert_eq!(b[1..4], [0x91, 0x23, 0x45]);
        let mixed = Path { local: p4.local, remote: p6.remote };
        assert_eq!(write_ip(&mut b, &mixed, 50, &h, 0), Err(DropReason::OuterHeader));
    }
}
