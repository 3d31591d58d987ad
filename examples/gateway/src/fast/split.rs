//! Segments of a super-packet that the kernel handed over (TSO and USO): what a network card does. The library that
//! opens the device has this too; here segments may be made a few at a time, so that a small MSS needs no more memory
//! than a large one (the test compares the two).

use super::virtio::{Header, NEEDS_CSUM, PSH, TCP, UDP, fold, get16, get32, gso, pseudo, put16, sum};

const FIN: u8 = 0x01;
const CWR: u8 = 0x80;

/// How a super-packet falls apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    v6: bool,
    protocol: u8,
    /// Where the transport header starts.
    start: usize,
    /// Length of all headers.
    head: usize,
    /// Payload of each segment but the last.
    size: usize,
    /// Payload of all.
    payload: usize,
    /// Sum of addresses and protocol.
    pseudo: u64,
}

impl Split {
    /// `None` for what is no super-packet.
    pub(crate) fn new(packet: &[u8], header: &Header) -> Option<Self> {
        let v6 = match packet.first()? >> 4 {
            4 => false,
            6 => true,
            _ => return None,
        };
        let protocol = match (header.gso_type & !gso::ECN, v6) {
            (gso::TCPV4, false) | (gso::TCPV6, true) => TCP,
            (gso::UDP, _) => UDP,
            _ => return None,
        };
        let start = usize::from(header.csum_start);
        // hdr_len may be that of the first part of a forwarded packet: the transport header says it better
        let transport = match protocol {
            UDP => 8,
            _ => usize::from(packet.get(start.checked_add(12)?)? >> 4).saturating_mul(4),
        };
        let least = if protocol == UDP { 8 } else { 20 };
        let head = start.checked_add(transport)?;
        let payload = packet.len().checked_sub(head)?;
        let size = usize::from(header.gso_size);
        let good = header.flags & NEEDS_CSUM != 0
            && start >= if v6 { 40 } else { 20 }
            && transport >= least
            && size != 0
            && payload != 0;
        good.then(|| Self { v6, protocol, start, head, size, payload, pseudo: pseudo(packet, v6, protocol) })
    }

    /// How many segments there are.
    pub(crate) fn count(&self) -> usize {
        self.payload.div_ceil(self.size)
    }

    /// Length of a segment with its headers.
    pub(crate) fn len(&self, index: usize) -> usize {
        let before = index.saturating_mul(self.size);
        self.head.saturating_add(self.payload.saturating_sub(before).min(self.size))
    }

    /// Writes a segment into `out`, which is as long as [`Split::len`] says.
    pub(crate) fn write(&self, packet: &[u8], index: usize, out: &mut [u8]) -> Option<()> {
        let before = index.checked_mul(self.size)?;
        let data = out.len().checked_sub(self.head)?;
        let from = self.head.checked_add(before)?;
        let (head, payload) = out.split_at_mut_checked(self.head)?;
        head.copy_from_slice(packet.get(..self.head)?);
        payload.copy_from_slice(packet.get(from..from.checked_add(data)?)?);
        let last = index.saturating_add(1) >= self.count();
        let number = u16::try_from(index & 0xffff).ok()?;
        let length = u16::try_from(self.head.checked_add(data)?).ok()?;
        if self.v6 {
            put16(head, 4, length.checked_sub(40)?);
        } else {
            put16(head, 2, length);
            put16(head, 4, get16(head, 4)?.wrapping_add(number));
            put16(head, 10, 0);
            let check = !fold(sum(head.get(..self.start)?));
            put16(head, 10, check);
        }
        let upper = length.checked_sub(u16::try_from(self.start).ok()?)?;
        let transport = head.get_mut(self.start..)?;
        let at = if self.protocol == TCP {
            let sequence = get32(transport, 4)?.wrapping_add(u32::try_from(before).ok()?);
            *transport.get_mut(4..)?.first_chunk_mut()? = sequence.to_be_bytes();
            let flags = transport.get_mut(13)?;
            // RFC 3168 §6.1.2: CWR is said once; the end is the end of the last
            *flags &= !(if index == 0 { 0 } else { CWR } | if last { 0 } else { FIN | PSH });
            16
        } else {
            put16(transport, 4, upper);
            6
        };
        put16(transport, at, 0);
        let covered = sum(out.get(self.start..)?);
        let check = !fold(self.pseudo.wrapping_add(u64::from(upper)).wrapping_add(covered));
        let check = if check == 0 && self.protocol == UDP { 0xffff } else { check };
        put16(out, self.start.checked_add(at)?, check);
        Some(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A TCP or UDP packet as the kernel hands it over, with its header.
    pub(crate) fn super_packet(
        v6: bool,
        udp: bool,
        options: usize,
        size: u16,
        payload: &[u8],
        flags: u8,
    ) -> (Header, Vec<u8>) {
        let start: usize = if v6 { 40 } else { 20 };
        let transport = if udp { 8 } else { 20 + 4 * options };
        let len = start + transport + payload.len();
        let mut p = vec![0; start + transport];
        if v6 {
            p[..4].copy_from_slice(&[0x62, 0x10, 0x12, 0x34]);
            p[4..6].copy_from_slice(&u16::try_from(len - 40).unwrap().to_be_bytes());
            (p[6], p[7]) = (if udp { UDP } else { TCP }, 64);
            p[8..40].copy_from_slice(&[0xfd; 32]);
            p[39] = 9;
        } else {
            p[..2].copy_from_slice(&[0x45, 2]);
            p[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            p[4..10].copy_from_slice(&[0xff, 0xfe, 0x40, 0, 63, if udp { UDP } else { TCP }]);
            p[12..20].copy_from_slice(&[10, 1, 0, 1, 10, 2, 0, 7]);
        }
        let t = &mut p[start..];
        t[..4].copy_from_slice(&[0x12, 0x34, 0xfe, 0xdc]);
        if udp {
            let l = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
            t[4..6].copy_from_slice(&l);
        } else {
            t[4..8].copy_from_slice(&0xffff_ff00u32.to_be_bytes());
            t[8..12].copy_from_slice(&77u32.to_be_bytes());
            t[12] = u8::try_from((20 + 4 * options) << 2).unwrap();
            t[13] = flags;
            t[14] = 3;
            t[20..].fill(1);
        }
        p.extend_from_slice(payload);
        let kind = match (udp, v6) {
            (true, _) => gso::UDP,
            (_, true) => gso::TCPV6,
            _ => gso::TCPV4,
        };
        let header = Header {
            flags: NEEDS_CSUM,
            gso_type: kind,
            hdr_len: u16::try_from(start + transport).unwrap(),
            gso_size: size,
            csum_start: u16::try_from(start).unwrap(),
            csum_offset: if udp { 6 } else { 16 },
        };
        (header, p)
    }

    pub(crate) fn segments(packet: &[u8], header: &Header) -> Vec<Vec<u8>> {
        let split = Split::new(packet, header).unwrap();
        let one = |i| {
            let mut out = vec![0; split.len(i)];
            split.write(packet, i, &mut out).unwrap();
            out
        };
        (0..split.count()).map(one).collect()
    }

    proptest! {
        #[test]
        fn segments_are_those_of_the_library(
            v6: bool, udp: bool, options in 0usize..=10, size in 1u16..3000, len in 1usize..20_000, flags: u8, seed: u8,
        ) {
            let size = size.max(u16::try_from(len / 500 + 1).unwrap());
            let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let (header, mut packet) = super_packet(v6, udp, options, size, &payload, flags);
            let ours = segments(&packet, &header);
            let mut theirs = vec![vec![0; 4096]; 600];
            let mut sizes = vec![0; 600];
            let hdr = tun_rs::VirtioNetHdr::decode(&header.encode()).unwrap();
            let n = tun_rs::gso_split(&mut packet, hdr, &mut theirs, &mut sizes, 0, v6).unwrap();
            prop_assert_eq!(ours.len(), n);
            for ((ours, theirs), len) in ours.iter().zip(&theirs).zip(&sizes) {
                prop_assert_eq!(ours, &theirs[..*len]);
            }
        }

        #[test]
        fn any_octets_are_safe(header in any::<[u8; 10]>(), packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let header = Header::decode(header);
            if let Some(split) = Split::new(&packet, &header) {
                for i in 0..split.count() {
                    let mut out = vec![0; split.len(i)];
                    let _ = split.write(&packet, i, &mut out);
                }
            }
            let mut packet = packet;
            let _ = super::super::virtio::complete(&mut packet, &header);
        }
    }
}
