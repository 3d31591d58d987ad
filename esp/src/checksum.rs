//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624), for header rewriting only.

/// Ones' complement sum of `data`, folded; an odd last octet counts as the high half.
#[must_use]
pub fn sum(data: &[u8]) -> u16 {
    let mut acc = 0u64;
    let mut chunks = data.chunks_exact(2);
    for c in &mut chunks {
        acc = acc.wrapping_add(u64::from(be16(c)));
    }
    if let Some(&b) = chunks.remainder().first() {
        acc = acc.wrapping_add(u64::from(b) << 8);
    }
    fold(acc)
}

/// Folds carries.
#[must_use]
pub fn fold(mut acc: u64) -> u16 {
    while acc > 0xffff {
        acc = (acc & 0xffff).wrapping_add(acc >> 16);
    }
    u16::try_from(acc).unwrap_or(0xffff)
}

/// The checksum field for a header whose own field is zero.
#[must_use]
pub fn checksum(data: &[u8]) -> u16 {
    !sum(data)
}

/// The field after the sum of the covered octets changed from `old` to `new` (RFC 1624 equation 3).
#[must_use]
pub fn update(field: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!field).wrapping_add(u64::from(!old)).wrapping_add(u64::from(new)))
}

fn be16(c: &[u8]) -> u16 {
    match *c {
        [a, b, ..] => u16::from_be_bytes([a, b]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_rfc_example_and_update() {
        let mut h = [0x45u8, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&h), 0xb861);
        let old = checksum(&h);
        h[1] = 3;
        assert_eq!(update(old, 0x4500, 0x4503), checksum(&h));
    }
}
