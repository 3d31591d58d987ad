//! Inner IP packets of the simulator: ICMP echo and UDP, IPv4 and IPv6. Each carries a serial number, by which the
//! simulator knows on delivery what was sent, by whom, and whether it came before.

use ravelin::esp::checksum::checksum;
use std::net::IpAddr;

/// Begins the payload of every packet of the simulator, before the serial number.
pub const MAGIC: [u8; 4] = *b"RVLN";
/// ICMP (IPv4).
pub const ICMP: u8 = 1;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv6.
pub const ICMP6: u8 = 58;

/// Payload of `len` octets at least 12: magic, serial number, a pattern.
#[must_use]
pub fn payload(serial: u64, len: usize) -> Vec<u8> {
    let mut p = MAGIC.to_vec();
    p.extend(serial.to_be_bytes());
    p.extend((p.len()..len).map(|n| (n ^ serial as usize) as u8));
    p
}

/// The serial number of a packet made here.
#[must_use]
pub fn serial(ip: &[u8]) -> Option<u64> {
    let start = ip.windows(4).take(80).position(|w| w == MAGIC)?;
    ip.get(start + 4..start + 12)?.try_into().ok().map(u64::from_be_bytes)
}

/// An ICMP echo request or reply between two addresses of one family.
#[must_use]
pub fn echo(from: IpAddr, to: IpAddr, reply: bool, data: &[u8]) -> Vec<u8> {
    let (protocol, kind) = match (from, reply) {
        (IpAddr::V4(_), false) => (ICMP, 8),
        (IpAddr::V4(_), true) => (ICMP, 0),
        (IpAddr::V6(_), false) => (ICMP6, 128),
        (IpAddr::V6(_), true) => (ICMP6, 129),
    };
    let mut icmp = vec![kind, 0, 0, 0, 0x52, 0x56, 0, 1];
    icmp.extend(data);
    let sum = match from {
        IpAddr::V4(_) => checksum(&icmp),
        IpAddr::V6(_) => checksum(&pseudo_v6(from, to, protocol, &icmp)),
    };
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    ip(from, to, protocol, &icmp)
}

/// A UDP datagram, with checksum.
#[must_use]
pub fn udp(from: (IpAddr, u16), to: (IpAddr, u16), data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len() + 8).unwrap_or(u16::MAX);
    let mut udp: Vec<u8> = [from.1, to.1, len, 0].iter().flat_map(|n| n.to_be_bytes()).collect();
    udp.extend(data);
    let sum = checksum(&pseudo(from.0, to.0, UDP, &udp));
    udp[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    ip(from.0, to.0, UDP, &udp)
}

/// When `ip` is an echo request for its destination, the reply with this serial number.
#[must_use]
pub fn answer(ip: &[u8], serial: u64) -> Option<Vec<u8>> {
    let (from, to, protocol, upper) = parse(ip)?;
    let request = matches!((protocol, upper.first()?), (ICMP, 8) | (ICMP6, 128));
    request.then(|| echo(to, from, true, &payload(serial, upper.len().saturating_sub(8))))
}

/// True for an echo reply.
#[must_use]
pub fn is_reply(ip: &[u8]) -> bool {
    parse(ip).is_some_and(|(_, _, p, upper)| matches!((p, upper.first()), (ICMP, Some(0)) | (ICMP6, Some(129))))
}

/// Source, destination, protocol, upper layer of a packet without options or extension headers.
#[must_use]
pub fn parse(ip: &[u8]) -> Option<(IpAddr, IpAddr, u8, &[u8])> {
    let v4 = |at: usize| ip.get(at..at + 4)?.try_into().ok().map(|b: [u8; 4]| IpAddr::from(b));
    let v6 = |at: usize| ip.get(at..at + 16)?.try_into().ok().map(|b: [u8; 16]| IpAddr::from(b));
    match ip.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?, *ip.get(9)?, ip.get(20..)?)),
        6 => Some((v6(8)?, v6(24)?, *ip.get(6)?, ip.get(40..)?)),
        _ => None,
    }
}

/// An IP packet around `upper`.
///
/// # Panics
/// When the addresses are of different families.
#[must_use]
pub fn ip(from: IpAddr, to: IpAddr, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let len = |extra: usize| u16::try_from(upper.len() + extra).unwrap_or(u16::MAX).to_be_bytes();
    match (from, to) {
        (IpAddr::V4(f), IpAddr::V4(t)) => {
            let l = len(20);
            let mut p = vec![0x45, 0, l[0], l[1], 0, 0, 0, 0, 64, protocol, 0, 0];
            p.extend(f.octets());
            p.extend(t.octets());
            let sum = checksum(&p);
            p[10..12].copy_from_slice(&sum.to_be_bytes());
            p.extend(upper);
            p
        }
        (IpAddr::V6(f), IpAddr::V6(t)) => {
            let l = len(0);
            let mut p = vec![0x60, 0, 0, 0, l[0], l[1], protocol, 64];
            p.extend(f.octets());
            p.extend(t.octets());
            p.extend(upper);
            p
        }
        _ => panic!("{from} and {to} are of different families"),
    }
}

/// What a checksum over IPv4 or IPv6 is computed of.
fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(f), IpAddr::V4(t)) = (from, to) else { return pseudo_v6(from, to, protocol, upper) };
    let mut p = [f.octets(), t.octets()].concat();
    p.extend([0, protocol]);
    p.extend(u16::try_from(upper.len()).unwrap_or(0).to_be_bytes());
    p.extend(upper);
    p
}

/// True when `got` is `sent` as transport mode behind a NAT delivers it (RFC 3948 §3.1.2): other addresses, the same upper
/// layer, with a checksum that fits them.
#[must_use]
pub fn is_translation(sent: &[u8], got: &[u8]) -> bool {
    let (Some((.., sent_protocol, sent)), Some((from, to, protocol, upper))) = (parse(sent), parse(got)) else {
        return false;
    };
    let fits = protocol != UDP || checksum(&pseudo(from, to, protocol, upper)) == 0;
    let rest = |u: &[u8]| if protocol == UDP { [&u[..6], &u[8..]].concat() } else { u.to_vec() };
    fits && sent_protocol == protocol && upper.len() >= 8 && sent.len() >= 8 && rest(sent) == rest(upper)
}

fn pseudo_v6(from: IpAddr, to: IpAddr, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let octets = |a: IpAddr| match a {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    };
    let mut p = [octets(from), octets(to)].concat();
    p.extend(u32::try_from(upper.len()).unwrap_or(0).to_be_bytes());
    p.extend([0, 0, 0, protocol]);
    p.extend(upper);
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_what_a_foreign_parser_expects() {
        for (a, b) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (a, b): (IpAddr, IpAddr) = (a.parse().unwrap(), b.parse().unwrap());
            for p in [echo(a, b, false, &payload(7, 40)), udp((a, 1), (b, 2), &payload(7, 12))] {
                let parsed = etherparse::SlicedPacket::from_ip(&p).unwrap();
                assert!(parsed.transport.is_some());
                assert_eq!(serial(&p), Some(7));
            }
            let request = echo(a, b, false, &payload(7, 40));
            let reply = answer(&request, 8).unwrap();
            assert!(is_reply(&reply) && answer(&reply, 9).is_none() && serial(&reply) == Some(8));
            assert_eq!(parse(&reply).unwrap().0, b);
        }
    }
}
