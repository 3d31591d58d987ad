//! What a UDP payload is (RFC 3948 §2, RFC 7296 §2.23): on the NAT traversal port four zero octets mean IKE, one octet
//! 0xFF is a keepalive, everything else is ESP. On the other port all is IKE.

/// A UDP payload, sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An IKE message, from this octet on.
    Ike(usize),
    /// An ESP packet.
    Esp,
    /// A NAT keepalive.
    Keepalive,
    /// Nothing of ours.
    Runt,
}

/// Sorts a payload. `nat_t`: it came to the NAT traversal port.
#[must_use]
pub fn sort(nat_t: bool, payload: &[u8]) -> Kind {
    if !nat_t {
        return Kind::Ike(0);
    }
    match payload {
        [0xFF] => Kind::Keepalive,
        [0, 0, 0, 0, ..] => Kind::Ike(4),
        [_, _, _, _, ..] => Kind::Esp,
        _ => Kind::Runt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds() {
        assert_eq!(sort(true, &[0xFF]), Kind::Keepalive);
        assert_eq!(sort(true, &[0, 0, 0, 0, 1]), Kind::Ike(4));
        assert_eq!(sort(true, &[0, 0, 1, 0, 1]), Kind::Esp);
        assert_eq!(sort(true, &[0, 0, 0]), Kind::Runt);
        assert_eq!(sort(true, &[]), Kind::Runt);
        assert_eq!(sort(false, &[0xFF]), Kind::Ike(0));
    }
}
