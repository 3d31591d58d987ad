//! UDP encapsulation (RFC 3948): telling ESP from IKE and keepalives on port 4500, and the UDP header.

use crate::checksum;
use core::net::IpAddr;
use ravelin_sa_db::Path;

/// Length of the UDP header.
pub const HEADER: usize = 8;

/// What a datagram on port 4500 is (RFC 3948 §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One octet 0xFF.
    Keepalive,
    /// Four zero octets, then IKE.
    Ike,
    /// ESP from the SPI on.
    Esp,
    /// Too short for any of them.
    Short,
}

/// Tells what `payload` is.
#[must_use]
pub fn classify(payload: &[u8]) -> Kind {
    match payload {
        [0xff] => Kind::Keepalive,
        [0, 0, 0, 0, ..] => Kind::Ike,
        [_, _, _, _, ..] => Kind::Esp,
        _ => Kind::Short,
    }
}

/// Writes the UDP header into the first eight octets of `datagram`. The checksum is 0 over IPv4 (RFC 3948 §2.1) and
/// computed over IPv6 (RFC 8200 §8.1). `None` when the datagram is too short or too long.
pub fn write_header(datagram: &mut [u8], path: Path) -> Option<()> {
    let len = u16::try_from(datagram.len()).ok()?;
    let head = datagram.first_chunk_mut::<HEADER>()?;
    let [s0, s1] = path.local.port().to_be_bytes();
    let [d0, d1] = path.remote.port().to_be_bytes();
    let [l0, l1] = len.to_be_bytes();
    *head = [s0, s1, d0, d1, l0, l1, 0, 0];
    if let (IpAddr::V6(s), IpAddr::V6(d)) = (path.local.ip(), path.remote.ip()) {
        let pseudo = u64::from(checksum::sum(&s.octets()))
            .wrapping_add(u64::from(checksum::sum(&d.octets())))
            .wrapping_add(u64::from(len))
            .wrapping_add(17);
        let sum = !checksum::fold(pseudo.wrapping_add(u64::from(checksum::sum(datagram))));
        let sum = if sum == 0 { 0xffff } else { sum };
        datagram.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_port_4500() {
        assert_eq!(classify(&[0xff]), Kind::Keepalive);
        assert_eq!(classify(&[0, 0, 0, 0, 1]), Kind::Ike);
        assert_eq!(classify(&[0, 0, 1, 0]), Kind::Esp);
        assert_eq!(classify(&[0xff, 0xff]), Kind::Short);
        assert_eq!(classify(&[]), Kind::Short);
    }

    #[test]
    fn v6_checksum_verifies() {
        let path = Path { local: "[fd00::1]:4500".parse().unwrap(), remote: "[fd00::2]:4500".parse().unwrap() };
        let mut d = [7u8; 21];
        write_header(&mut d, path).unwrap();
        let mut pseudo = std::vec::Vec::new();
        pseudo.extend("fd00::1".parse::<core::net::Ipv6Addr>().unwrap().octets());
        pseudo.extend("fd00::2".parse::<core::net::Ipv6Addr>().unwrap().octets());
        pseudo.extend([0, 0, 0, 21, 0, 0, 0, 17]);
        pseudo.extend(d);
        assert_eq!(checksum::sum(&pseudo), 0xffff);
    }
}
