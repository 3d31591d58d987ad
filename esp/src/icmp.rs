//! ICMP errors about packet size (RFC 1191, RFC 8201, RFC 4301 §8.2): written for the sender of an inner packet that
//! is too large, and read when a router on the outer path complains. What is read is unauthenticated: it is believed
//! only as far as `plane/mtu.rs` says.

use crate::checksum;
use crate::mode::{OuterHeader, header};
use crate::packet::{Fragment, IpPacket, protocol};
use core::net::IpAddr;
use ravelin_sa_db::{Path, Spi};

/// Writes "fragmentation needed" (ICMP 3/4) or "packet too big" (ICMPv6 2) about `packet` into `out`, as a whole IP
/// packet from `source`, a router address of this host of the same family. Returns its length; `None` when none must
/// be sent (RFC 1122 §3.2.2, RFC 4443 §2.4: no errors about errors, later fragments, multicast), or `out` is short.
/// 576 octets of `out` are enough for IPv4, 1,280 for IPv6.
#[must_use]
pub fn too_big(packet: &[u8], mtu: u16, source: IpAddr, out: &mut [u8]) -> Option<usize> {
    let ip = IpPacket::parse(packet).ok()?;
    if ip.fragment == Fragment::Later || ip.source().is_unspecified() || ip.source().is_multicast() {
        return None;
    }
    if ip.destination().is_multicast() && !ip.is_v6() {
        return None;
    }
    let kind = ip.source_port().map(|p| p >> 8);
    let (head, most, v6) = match (source, ip.is_v6()) {
        (IpAddr::V4(_), false) => {
            if ip.protocol == protocol::ICMP && !matches!(kind, Some(0 | 8 | 13..=18)) {
                return None;
            }
            (20usize, 576usize, false)
        }
        (IpAddr::V6(_), true) => {
            if ip.protocol == protocol::ICMPV6 && kind.is_none_or(|k| k < 128) {
                return None;
            }
            (40, 1280, true)
        }
        _ => return None,
    };
    let quoted = packet.get(..ip.len.min(most.saturating_sub(head).saturating_sub(8)))?;
    let total = head.saturating_add(8).saturating_add(quoted.len());
    let out = out.get_mut(..total)?;
    let path = Path { local: (source, 0).into(), remote: (ip.source(), 0).into() };
    let fields = OuterHeader { traffic_class: 0xc0, dont_fragment: false, hop_limit: 64, flow_label: 0 };
    let next = if v6 { protocol::ICMPV6 } else { protocol::ICMP };
    header::write_ip(out, &path, next, &fields, 0).ok()?;
    let message = out.get_mut(head..)?;
    let [m0, m1] = mtu.to_be_bytes();
    let (kind, code) = if v6 { (2, 0) } else { (3, 4) };
    *message.first_chunk_mut::<8>()? = [kind, code, 0, 0, 0, 0, m0, m1];
    message.get_mut(8..)?.copy_from_slice(quoted);
    let mut sum = u64::from(checksum::sum(message));
    if let (IpAddr::V6(s), IpAddr::V6(d)) = (source, ip.source()) {
        let pseudo = [checksum::sum(&s.octets()), checksum::sum(&d.octets())];
        sum = pseudo.iter().fold(sum, |a, b| a.wrapping_add(u64::from(*b)));
        sum = sum.wrapping_add(message.len() as u64).wrapping_add(u64::from(protocol::ICMPV6));
    }
    message.get_mut(2..4)?.copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    Some(total)
}

/// What an ICMP size error says about one of our ESP packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeError {
    /// SPI of the packet that was too large.
    pub spi: Spi,
    /// Its low 32 bits of sequence number, when quoted.
    pub sequence: Option<u32>,
    /// Where it was going.
    pub destination: IpAddr,
    /// Largest outer packet the router passes on; 0 from routers older than RFC 1191.
    pub mtu: u32,
}

/// Reads an ICMP error, given from its type octet on. `None` when it is another message or about another packet.
#[must_use]
pub fn read_size_error(message: &[u8], v6: bool) -> Option<SizeError> {
    let head = message.first_chunk::<8>()?;
    let [kind, code, _, _, a, b, c, d] = *head;
    let mtu = match (v6, kind, code) {
        (false, 3, 4) => u32::from(u16::from_be_bytes([c, d])),
        (true, 2, _) => u32::from_be_bytes([a, b, c, d]),
        _ => return None,
    };
    let quoted = message.get(8..)?;
    // Only the front of the packet is quoted, so lengths in it cannot be checked.
    let (destination, next, at): (IpAddr, u8, usize) = if v6 {
        let d: [u8; 16] = quoted.get(24..40)?.try_into().ok()?;
        (IpAddr::from(d), *quoted.get(6)?, 40)
    } else {
        let d: [u8; 4] = quoted.get(16..20)?.try_into().ok()?;
        (IpAddr::from(d), *quoted.get(9)?, usize::from(quoted.first()? & 15).saturating_mul(4))
    };
    let esp = match next {
        protocol::ESP => quoted.get(at..)?,
        protocol::UDP => quoted.get(at.saturating_add(8)..)?,
        _ => return None,
    };
    let spi = Spi::from_be_bytes(*esp.first_chunk()?);
    let sequence = esp.get(4..).and_then(|s| s.first_chunk()).map(|s| u32::from_be_bytes(*s));
    (!spi.is_reserved()).then_some(SizeError { spi, sequence, destination, mtu })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::udp;

    #[test]
    fn errors_parse_and_are_checksummed() {
        let mut out = [0u8; 1280];
        let p = udp("10.0.0.1", "10.0.0.2", 1400);
        let n = too_big(&p, 1350, "10.0.0.254".parse().unwrap(), &mut out).unwrap();
        let about = out[..n].to_vec();
        let ip = etherparse::SlicedPacket::from_ip(&about).unwrap();
        let Some(etherparse::TransportSlice::Icmpv4(i)) = ip.transport else { panic!() };
        assert_eq!((i.type_u8(), i.code_u8(), checksum::sum(&out[20..n])), (3, 4, 0xffff));
        assert_eq!(out[26..28], 1350u16.to_be_bytes());
        assert_eq!(too_big(&about, 1000, "10.0.0.254".parse().unwrap(), &mut out), None, "no error about an error");
        let p = udp("fd00::1", "fd00::2", 1400);
        let n = too_big(&p, 1300, "fd00::fe".parse().unwrap(), &mut out).unwrap();
        let ip = etherparse::SlicedPacket::from_ip(&out[..n]).unwrap();
        let Some(etherparse::TransportSlice::Icmpv6(i)) = ip.transport else { panic!() };
        assert!(i.is_checksum_valid(
            "fd00::fe".parse::<core::net::Ipv6Addr>().unwrap().octets(),
            "fd00::1".parse::<core::net::Ipv6Addr>().unwrap().octets()
        ));
        assert_eq!(n, 1280);
    }
}
