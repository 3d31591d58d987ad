//! The header that stands before each packet of a TUN device with offloads (`struct virtio_net_hdr` of linux/virtio_net.h,
//! all numbers in the machine's own byte order), and sums for checksums (RFC 1071).

/// Its length in octets.
pub(crate) const LEN: usize = 10;

/// The checksum is yet to be made: from `csum_start` on, to `csum_offset` after that.
pub(crate) const NEEDS_CSUM: u8 = 1;

/// Protocol numbers of what is split and joined, and the TCP flag that ends a run.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const PSH: u8 = 0x08;

/// What kind of super-packet it is.
pub(crate) mod gso {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const TCPV4: u8 = 1;
    pub(crate) const TCPV6: u8 = 4;
    pub(crate) const UDP: u8 = 5;
    /// Together with TCP: the first segment has CWR.
    pub(crate) const ECN: u8 = 0x80;
}

/// The fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) gso_type: u8,
    /// All headers of one segment.
    pub(crate) hdr_len: u16,
    /// Payload of one segment.
    pub(crate) gso_size: u16,
    /// Where the transport header starts.
    pub(crate) csum_start: u16,
    /// Where in it the checksum stands.
    pub(crate) csum_offset: u16,
}

impl Header {
    pub(crate) fn decode(octets: [u8; LEN]) -> Self {
        let [flags, gso_type, a, b, c, d, e, f, g, h] = octets;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
        }
    }

    pub(crate) fn encode(&self) -> [u8; LEN] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }
}

/// The ones' complement sum of octets that start at an even place, folded to 16 bits.
pub(crate) fn sum(data: &[u8]) -> u64 {
    // in the machine's byte order: the sum comes out swapped at worst (RFC 1071 §2 B); four sums side by side, as
    // each addition waits for the one before
    let mut sums = [0u128; 4];
    let (quads, rest) = data.as_chunks::<32>();
    for quad in quads {
        for (sum, word) in sums.iter_mut().zip(quad.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_ne_bytes(*word).into());
        }
    }
    let (words, rest) = rest.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let words = words.iter().chain([&last]).map(|w| u128::from(u64::from_ne_bytes(*w)));
    let all = sums.into_iter().chain(words).fold(0u128, u128::wrapping_add);
    let half = |shift: u32| u64::try_from((all >> shift) & 0xffff_ffff).unwrap_or(0);
    u64::from(u16::from_be(fold(half(0).wrapping_add(half(32)).wrapping_add(half(64)))))
}

/// Folds carries.
pub(crate) fn fold(acc: u64) -> u16 {
    let acc = (acc & 0xffff_ffff).wrapping_add(acc >> 32);
    let acc = (acc & 0xffff).wrapping_add((acc >> 16) & 0xffff).wrapping_add(acc >> 32);
    let acc = (acc & 0xffff).wrapping_add(acc >> 16);
    u16::try_from((acc & 0xffff).wrapping_add(acc >> 16)).unwrap_or(0xffff)
}

/// The part of the pseudo-header that segments of one packet have in common: addresses and protocol.
pub(crate) fn pseudo(packet: &[u8], v6: bool, protocol: u8) -> u64 {
    let addresses = if v6 { packet.get(8..40) } else { packet.get(12..20) };
    sum(addresses.unwrap_or_default()).wrapping_add(u64::from(protocol))
}

/// Writes 16 bits at a place.
pub(crate) fn put16(packet: &mut [u8], at: usize, value: u16) {
    if let Some(field) = packet.get_mut(at..).and_then(|p| p.first_chunk_mut()) {
        *field = value.to_be_bytes();
    }
}

/// Reads 16 bits at a place.
pub(crate) fn get16(packet: &[u8], at: usize) -> Option<u16> {
    packet.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// Reads 32 bits at a place.
pub(crate) fn get32(packet: &[u8], at: usize) -> Option<u32> {
    packet.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// Makes the checksum that the kernel left to us; the field holds the sum of the pseudo-header.
pub(crate) fn complete(packet: &mut [u8], header: &Header) -> Option<()> {
    let start = usize::from(header.csum_start);
    let at = start.checked_add(header.csum_offset.into())?;
    get16(packet, at)?;
    let value = !fold(sum(packet.get(start..)?));
    // for UDP 0 means none; for TCP both forms of zero are one
    put16(packet, at, if value == 0 { 0xffff } else { value });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_are_those_of_the_esp_crate(data in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(sum(&data), u64::from(ravelin::esp::checksum::sum(&data)));
        }

        #[test]
        fn folding_keeps_the_value_modulo_65535(acc in any::<u64>()) {
            prop_assert_eq!(u64::from(fold(acc)) % 0xffff, acc % 0xffff);
            prop_assert_eq!(fold(acc) == 0, acc == 0);
        }

        #[test]
        fn the_header_is_what_the_library_reads(octets in any::<[u8; LEN]>()) {
            let ours = Header::decode(octets);
            let theirs = tun_rs::VirtioNetHdr::decode(&octets).unwrap();
            prop_assert_eq!(
                (ours.flags, ours.gso_type, ours.hdr_len, ours.gso_size, ours.csum_start, ours.csum_offset),
                (theirs.flags, theirs.gso_type, theirs.hdr_len, theirs.gso_size, theirs.csum_start, theirs.csum_offset)
            );
            prop_assert_eq!(ours.encode(), octets);
        }
    }
}
