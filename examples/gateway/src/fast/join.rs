//! Neighbouring segments of one flow become one super-packet again before they go to the kernel (GRO), so that its stack is
//! passed once for dozens of them. The octets stay where they lie: the device gathers them in one call. What comes out
//! at the other end, should the kernel forward and split it, are the very packets that came in; so only what differs in
//! nothing but sequence number, identification, PSH on the last and a shorter last is joined, and only with right
//! checksums. Order is never changed.

use super::virtio::{Header, LEN, NEEDS_CSUM, PSH, TCP, UDP, fold, get16, get32, gso, pseudo, put16, sum};
use arrayvec::ArrayVec;
use std::io::IoSlice;

/// Packets in one super-packet.
const MOST: usize = 64;
/// The longest headers: IPv4 and TCP, both with all options.
const HEAD: usize = 120;
const ACK: u8 = 0x10;
const ECE: u8 = 0x40;

/// A packet that may be part of a super-packet.
#[derive(Debug, Clone, Copy)]
struct Part {
    v6: bool,
    protocol: u8,
    /// Where the transport header starts.
    start: usize,
    /// Length of all headers.
    head: usize,
    payload: usize,
    /// Nothing may follow it.
    last: bool,
}

impl Part {
    fn of(p: &[u8], udp: bool) -> Option<Self> {
        let (v6, start, protocol) = match p.first()? >> 4 {
            4 => {
                let whole = usize::from(get16(p, 2)?) == p.len() && get16(p, 6)? & 0xbfff == 0;
                (false, whole.then_some(usize::from(p.first()? & 15).saturating_mul(4))?, *p.get(9)?)
            }
            6 => (true, (usize::from(get16(p, 4)?).saturating_add(40) == p.len()).then_some(40)?, *p.get(6)?),
            _ => return None,
        };
        let transport = p.get(start..).filter(|_| start >= 20)?;
        let (length, last) = match protocol {
            TCP => {
                let flags = *transport.get(13)?;
                let plain = flags & !(ACK | PSH | ECE) == 0 && flags & ACK != 0;
                (usize::from(*transport.get(12).filter(|_| plain)? >> 4).saturating_mul(4), flags & PSH != 0)
            }
            UDP => {
                let plain = udp && usize::from(get16(transport, 4)?) == transport.len() && get16(transport, 6)? != 0;
                (plain.then_some(8)?, false)
            }
            _ => return None,
        };
        let payload = transport.len().checked_sub(length).filter(|n| *n != 0)?;
        let good = length >= if protocol == TCP { 20 } else { 8 };
        good.then_some(Self { v6, protocol, start, head: start.saturating_add(length), payload, last })
    }

    /// Whether `p` is the packet after `first`, in place `n`, `before` octets of payload later.
    fn follows(&self, first: &[u8], p: &[u8], of: &Self, n: usize, before: usize) -> Option<bool> {
        if (self.v6, self.protocol, self.start, self.head) != (of.v6, of.protocol, of.start, of.head) {
            return None;
        }
        let same = |range: std::ops::Range<usize>| first.get(range.clone()) == p.get(range);
        let ip = if self.v6 {
            same(0..4) && same(6..40)
        } else {
            let number = u16::try_from(n).ok()?;
            // with DF the identification means nothing (RFC 6864)
            let id = p.get(6)? & 0x40 != 0 || get16(first, 4)?.wrapping_add(number) == get16(p, 4)?;
            same(0..2) && same(6..10) && same(12..self.start) && id
        };
        if !ip {
            return None;
        }
        let (a, b) = (first.get(self.start..self.head)?, p.get(self.start..self.head)?);
        let same = |range: std::ops::Range<usize>| a.get(range.clone()) == b.get(range);
        let upper = if self.protocol == UDP {
            same(0..4)
        } else {
            let flags = (a.get(13)? ^ b.get(13)?) & !PSH == 0;
            let next = get32(a, 4)?.wrapping_add(u32::try_from(before).ok()?) == get32(b, 4)?;
            next && flags && same(0..4) && same(8..13) && same(14..16) && same(18..a.len())
        };
        upper.then_some(true)
    }

    /// Whether all checksums are right: in a super-packet nobody looks at them again.
    fn is_sound(&self, p: &[u8]) -> bool {
        let header = self.v6 || p.get(..self.start).is_some_and(|h| fold(sum(h)) == 0xffff);
        let upper = p.get(self.start..).unwrap_or_default();
        let all = pseudo(p, self.v6, self.protocol).wrapping_add(upper.len() as u64).wrapping_add(sum(upper));
        header && fold(all) == 0xffff
    }
}

/// The super-packet that is being gathered.
struct Group<'p> {
    part: Part,
    first: &'p [u8],
    /// Payloads, the first packet's too.
    payloads: ArrayVec<&'p [u8], MOST>,
    octets: usize,
    /// Nothing may follow any more.
    closed: bool,
    /// PSH is set on the last.
    push: bool,
    /// The first packet's checksums were looked at.
    sound: Option<bool>,
}

impl<'p> Group<'p> {
    fn new(first: &'p [u8], part: Part) -> Self {
        let mut payloads = ArrayVec::new();
        payloads.push(first.get(part.head..).unwrap_or_default());
        Self { part, first, payloads, octets: part.payload, closed: part.last, push: part.last, sound: None }
    }

    /// Takes a packet in, if it is the next one.
    fn take(&mut self, p: &'p [u8], part: &Part) -> bool {
        let fits = !self.closed
            && !self.payloads.is_full()
            && part.payload <= self.part.payload
            && self.part.head.saturating_add(self.octets).saturating_add(part.payload) <= 0xffff
            && part.follows(self.first, p, &self.part, self.payloads.len(), self.octets) == Some(true);
        if !fits || !*self.sound.get_or_insert_with(|| self.part.is_sound(self.first)) || !part.is_sound(p) {
            return false;
        }
        self.payloads.push(p.get(part.head..).unwrap_or_default());
        self.octets = self.octets.saturating_add(part.payload);
        self.closed = part.last || part.payload < self.part.payload;
        self.push = part.last;
        true
    }

    fn write(&self, vnet: bool, write: &mut impl FnMut(&[IoSlice<'_>])) {
        if self.payloads.len() < 2 {
            return single(self.first, vnet, write);
        }
        let mut head = [0; HEAD];
        let Some((header, head)) = self.header(&mut head) else { return };
        let mut parts: ArrayVec<IoSlice<'_>, { MOST + 2 }> = ArrayVec::new();
        parts.push(IoSlice::new(&header));
        parts.push(IoSlice::new(head));
        parts.extend(self.payloads.iter().map(|p| IoSlice::new(p)));
        write(&parts);
    }

    /// The headers of the whole.
    fn header<'h>(&self, room: &'h mut [u8; HEAD]) -> Option<([u8; LEN], &'h [u8])> {
        let Part { v6, protocol, start, head: len, payload, .. } = self.part;
        let head = room.get_mut(..len)?;
        head.copy_from_slice(self.first.get(..len)?);
        let total = u16::try_from(len.checked_add(self.octets)?).ok()?;
        let upper = total.checked_sub(u16::try_from(start).ok()?)?;
        if v6 {
            put16(head, 4, total.checked_sub(40)?);
        } else {
            put16(head, 2, total);
            put16(head, 10, 0);
            let check = !fold(sum(head.get(..start)?));
            put16(head, 10, check);
        }
        let check = fold(pseudo(self.first, v6, protocol).wrapping_add(u64::from(upper)));
        let (gso_type, csum_offset) = match (protocol, v6) {
            (UDP, _) => (gso::UDP, 6),
            (_, true) => (gso::TCPV6, 16),
            _ => (gso::TCPV4, 16),
        };
        let transport = head.get_mut(start..)?;
        put16(transport, csum_offset.into(), check);
        if protocol == UDP {
            put16(transport, 4, upper);
        } else {
            *transport.get_mut(13)? |= if self.push { PSH } else { 0 };
        }
        let header = Header {
            flags: NEEDS_CSUM,
            gso_type,
            hdr_len: u16::try_from(len).ok()?,
            gso_size: u16::try_from(payload).ok()?,
            csum_start: u16::try_from(start).ok()?,
            csum_offset,
        };
        Some((header.encode(), head))
    }
}

fn single(p: &[u8], vnet: bool, write: &mut impl FnMut(&[IoSlice<'_>])) {
    let none = [0; LEN];
    match vnet {
        true => write(&[IoSlice::new(&none), IoSlice::new(p)]),
        false => write(&[IoSlice::new(p)]),
    }
}

/// Gives packets to `write` in order, each call one packet or super-packet as the device takes it. `vnet`: the device has
/// offloads; `udp`: for UDP too.
pub(crate) fn join<'p>(
    packets: impl Iterator<Item = &'p [u8]>,
    vnet: bool,
    udp: bool,
    mut write: impl FnMut(&[IoSlice<'_>]),
) {
    let mut group: Option<Group<'p>> = None;
    for p in packets {
        let part = if vnet { Part::of(p, udp) } else { None };
        if let (Some(group), Some(part)) = (&mut group, &part)
            && group.take(p, part)
        {
            continue;
        }
        if let Some(group) = group.take() {
            group.write(vnet, &mut write);
        }
        match part {
            Some(part) => group = Some(Group::new(p, part)),
            None => single(p, vnet, &mut write),
        }
    }
    if let Some(group) = group {
        group.write(vnet, &mut write);
    }
}

#[cfg(test)]
mod tests {
    use super::super::split::tests::{segments, super_packet};
    use super::*;
    use proptest::prelude::*;

    fn joined(packets: &[Vec<u8>], udp: bool) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        join(packets.iter().map(Vec::as_slice), true, udp, |parts| {
            out.push(parts.iter().flat_map(|p| p.iter().copied()).collect());
        });
        out
    }

    /// What a kernel makes of it that has to send it on.
    fn apart(written: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for w in written {
            let (header, packet) = w.split_first_chunk::<LEN>().unwrap();
            match Header::decode(*header) {
                h if h == Header::default() => all.push(packet.to_vec()),
                h => all.extend(segments(packet, &h)),
            }
        }
        all
    }

    /// The kernel counts identifications on when it takes a super-packet apart; with DF they mean nothing (RFC 6864 §4).
    fn without_free_id(mut p: Vec<u8>) -> Vec<u8> {
        if p.first().is_some_and(|v| v >> 4 == 4) && p.get(6).is_some_and(|f| f & 0x40 != 0) {
            p.get_mut(4..6).into_iter().for_each(|id| id.fill(0));
            p.get_mut(10..12).into_iter().for_each(|check| check.fill(0));
        }
        p
    }

    fn run(v6: bool, udp: bool, size: u16, len: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7)).collect();
        let (header, packet) = super_packet(v6, udp, 3, size, &payload, ACK | PSH);
        (packet.clone(), segments(&packet, &header))
    }

    #[test]
    fn a_run_becomes_the_super_packet_that_it_was() {
        for (v6, udp) in [(false, false), (true, false), (false, true), (true, true)] {
            let (packet, parts) = run(v6, udp, 1300, 1300 * 20 + 7);
            let written = joined(&parts, true);
            assert_eq!(written.len(), 1);
            let head = if v6 { 40 } else { 20 } + if udp { 8 } else { 32 };
            assert_eq!(written[0][LEN + head..], packet[head..]);
            assert_eq!(apart(&written), parts);
        }
        let (_, parts) = run(false, true, 1300, 13_000);
        assert_eq!(joined(&parts, false).len(), 10, "a device that takes no UDP super-packets");
    }

    #[test]
    fn what_does_not_belong_together_stays_apart() {
        let (_, parts) = run(false, false, 1000, 3000);
        let change = |at: usize, bit: u8| {
            let mut p = parts.clone();
            p[1][at] ^= bit;
            // the checksums are made right again, so that it is the field that decides
            let h = &mut p[1];
            put16(h, 10, 0);
            let check = !fold(sum(&h[..20]));
            put16(h, 10, check);
            put16(h, 36, 0);
            let check = !fold(pseudo(h, false, 6) + (h.len() as u64 - 20) + sum(&h[20..]));
            put16(h, 36, check);
            p
        };
        for (at, bit, why) in [
            (1, 4, "DSCP"),
            (1, 1, "ECN"),
            (8, 1, "TTL"),
            (6, 0x40, "DF"),
            (6, 0x20, "a fragment"),
            (15, 1, "source"),
            (19, 1, "destination"),
            (21, 1, "port"),
            (24, 1, "sequence"),
            (31, 1, "acknowledgment"),
            (33, 0x01, "FIN"),
            (33, 0x40, "ECE"),
            (33, 0x80, "CWR"),
            (33, 0x20, "URG"),
            (34, 1, "window"),
            (45, 1, "an option"),
        ] {
            let p = change(at, bit);
            let written = joined(&p, true);
            assert!(written.len() > 1, "{why}");
            assert_eq!(apart(&written), p, "{why}");
        }
        for at in [11, 37, 900] {
            let mut p = parts.clone();
            p[1][at] ^= 1;
            let written = joined(&p, true);
            assert_eq!((written.len(), apart(&written)), (3, p), "a wrong checksum at {at} stays visible");
        }
        assert_eq!(joined(&change(33, PSH), true).len(), 2, "PSH ends a super-packet");
    }

    /// Makes the checksums of a UDP packet in IPv4 right.
    fn sign(p: &mut [u8]) {
        let start = usize::from(p[0] & 15) * 4;
        put16(p, 10, 0);
        let check = !fold(sum(&p[..start]));
        put16(p, 10, check);
        put16(p, start + 6, 0);
        let check = !fold(pseudo(p, false, UDP) + (p.len() - start) as u64 + sum(&p[start..]));
        put16(p, start + 6, check);
    }

    #[test]
    fn datagrams_that_differ_stay_apart() {
        let (_, parts) = run(false, true, 1000, 3000);
        let joined_apart = |p: &[Vec<u8>], why: &str| {
            let written = joined(p, true);
            assert_eq!(apart(&written), p, "{why}");
            written.len()
        };
        assert_eq!(joined_apart(&parts, "a run"), 1);
        for (at, bits, why) in [
            (1, 0x04, "DSCP"),
            (1, 0x01, "ECN"),
            (6, 0x40, "DF"),
            (6, 0x20, "a first fragment"),
            (7, 0x10, "a later fragment"),
            (8, 0x01, "TTL"),
            (15, 0x01, "source"),
            (19, 0x01, "destination"),
            (21, 0x01, "source port"),
            (23, 0x01, "destination port"),
            (25, 0x01, "a length that lies"),
        ] {
            let mut p = parts.clone();
            p[1][at] ^= bits;
            sign(&mut p[1]);
            assert!(joined_apart(&p, why) > 1, "{why}");
        }
        let mut free = parts.clone();
        for (i, p) in free.iter_mut().enumerate() {
            p[6] = 0;
            put16(p, 4, [7, 8, 99][i]);
            sign(p);
        }
        assert_eq!(joined_apart(&free, "identifications without DF"), 2);
        let mut none = parts.clone();
        none.iter_mut().for_each(|p| put16(p, 26, 0));
        assert_eq!(joined_apart(&none, "no checksum"), 3);
        let mut options = parts.clone();
        for (p, option) in options.iter_mut().zip([1, 1, 0]) {
            p[0] = 0x46;
            p.splice(20..20, [option, 1, 1, 0]);
            let len = u16::try_from(p.len()).unwrap();
            put16(p, 2, len);
            sign(p);
        }
        assert_eq!(joined_apart(&options, "other options"), 2);
        let (_, shorter) = run(false, true, 1000, 2500);
        let mut p = shorter;
        p.extend(parts.iter().skip(1).cloned());
        p.iter_mut().enumerate().for_each(|(i, p)| {
            put16(p, 4, u16::try_from(i).unwrap());
            sign(p);
        });
        assert_eq!(joined_apart(&p, "after a shorter one"), 2);
        p.swap(0, 2);
        put16(&mut p[0], 4, 0);
        put16(&mut p[2], 4, 2);
        p.iter_mut().for_each(|p| sign(p));
        assert_eq!(joined_apart(&p, "a longer one"), 2);
    }

    #[test]
    fn without_offloads_packets_go_as_they_are() {
        let (_, parts) = run(false, false, 1000, 3000);
        let mut out: Vec<Vec<u8>> = Vec::new();
        join(parts.iter().map(Vec::as_slice), false, false, |p| out.push(p[0].to_vec()));
        assert_eq!(out, parts);
    }

    proptest! {
        /// Runs of several flows, mixed, cut and damaged: what comes out is what went in.
        #[test]
        fn nothing_is_lost_or_changed(
            flows in proptest::collection::vec((any::<bool>(), any::<bool>(), 1u16..1500, 1usize..9000), 1..4),
            picks in proptest::collection::vec((0usize..4, 1usize..8), 1..30),
            damage in proptest::collection::vec((0usize..200, 0usize..80, any::<u8>()), 0..4),
        ) {
            let mut runs: Vec<_> = flows.iter().map(|&(v6, udp, size, len)| {
                run(v6, udp, size.max(u16::try_from(len / 100 + 1).unwrap()), len).1.into_iter()
            }).collect();
            let n = runs.len();
            let mut packets: Vec<Vec<u8>> = Vec::new();
            for (f, k) in picks {
                packets.extend(runs[f % n].by_ref().take(k));
            }
            for (which, at, bits) in damage {
                let count = packets.len().max(1);
                if let Some(o) = packets.get_mut(which % count).and_then(|p| p.get_mut(at)) {
                    *o ^= bits;
                }
            }
            let told_apart = |all: Vec<Vec<u8>>| all.into_iter().map(without_free_id).collect::<Vec<_>>();
            prop_assert_eq!(told_apart(apart(&joined(&packets, true))), told_apart(packets));
        }
    }
}
