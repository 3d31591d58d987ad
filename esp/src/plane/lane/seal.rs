//! The lane outwards: header, trailer and outer headers around a packet, and the cipher.

use super::super::Plane;
use super::super::entry::Outbound;
use super::{Front, HEAD, TAG, V4, V6, image, second, sixteen};
use crate::encap::udp;
use crate::mode::{OuterHeader, tunnel};
use crate::packet::{Alike, IpPacket, protocol};
use crate::transform::Padding;
use crate::{DropReason, OutboundSa, outbound};
use core::ops::Range;
use core::sync::atomic::Ordering;
use ravelin_crypto::aead::{AeadKey, Told};

/// Where a packet goes that is like another one, with the same headers.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Of the buffer, outer headers to ICV.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Octets of the inner packet.
    pub(crate) len: usize,
}

/// A packet that may take the lane.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Of the buffer, outer headers to ICV.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Octets of the inner packet.
    pub(crate) len: usize,
    next_header: u8,
    pub(crate) outer: OuterHeader,
}

type Core = super::super::entry::Core<OutboundSa>;

impl Plane {
    /// May this packet take the lane, with a payload that starts at `at` of a buffer of `room` octets? Without `at` it
    /// starts where it has to, and is found there. `None` when it has to go another way. `MOST` is the code for most
    /// SAs, in which nothing stands that calls for results in memory; without it, all that the lane can do.
    #[inline(always)]
    pub(crate) fn shape<const MOST: bool>(
        &self,
        entry: &Outbound,
        core: &Core,
        inner: &IpPacket,
        ip: &[u8],
        at: Option<usize>,
        room: usize,
    ) -> Option<Shape> {
        let (front, transform) = (&entry.front, core.sa.transform());
        if !front.usual || !core.usage.is_usable() {
            return None;
        }
        let (outer, head, icv) = if MOST {
            transform.usual()?;
            (self.quick.as_ref()?.outer(inner), HEAD, TAG)
        } else {
            (self.config.header.outer(inner, ip, entry.spi), transform.payload_at(), transform.icv_len())
        };
        let measure = Measure::new(front, core, head.wrapping_add(icv), head);
        let start = at.unwrap_or(measure.before);
        let (start, end) = measure.fit(inner.len, start, room)?;
        Some(Shape { start, end, len: inner.len, next_header: tunnel::next_header(inner), outer })
    }

    /// Seals `packet`, which is what [`Plane::shape`] said.
    #[inline(always)]
    pub(crate) fn seal_shaped<const MOST: bool>(
        &self,
        entry: &Outbound,
        core: &Core,
        shape: &Shape,
        packet: &mut [u8],
    ) -> Result<(), DropReason> {
        let number = core.sa.sequence().take()?;
        entry.note_number(number, &self.reports);
        let (front, esp) = packet.split_at_mut_checked(usize::from(entry.front.len)).ok_or(DropReason::NoRoom)?;
        match core.sa.transform().usual() {
            Some((key, salt)) => seal_body(entry.spi, core, key, salt, number, shape, esp)?,
            None if MOST => return Err(DropReason::Provider),
            None => {
                let payload = core.sa.headroom()..core.sa.headroom().wrapping_add(shape.len);
                core.sa.seal_numbered(number, esp, payload, 0, shape.next_header)?;
            }
        }
        let (mut header, total) = (Header::new(&entry.front, shape.outer), shape.end.wrapping_sub(shape.start));
        header.write(entry, front, total, || core.ip_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Copies `ip` into the room that `reserve` gives, and seals it there.
    #[inline(always)]
    pub(crate) fn copy_shaped<'a, const MOST: bool>(
        &self,
        entry: &Outbound,
        core: &Core,
        shape: &Shape,
        ip: &[u8],
        reserve: impl FnOnce(usize) -> Option<&'a mut [u8]>,
    ) -> Result<(), DropReason> {
        let no_room = DropReason::NoRoom;
        let packet = reserve(shape.end).and_then(|room| room.get_mut(..shape.end)).ok_or(no_room)?;
        let head = if MOST { HEAD } else { core.sa.headroom() };
        let at = usize::from(entry.front.len).wrapping_add(head);
        let ip = ip.get(..shape.len).ok_or(no_room)?;
        packet.get_mut(at..at.wrapping_add(shape.len)).ok_or(no_room)?.copy_from_slice(ip);
        self.seal_shaped::<MOST>(entry, core, shape, packet)
    }
}

/// What decides where the packets of an SA go in their buffers, and whether they fit.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    /// Octets in front of the payload; those of them in front of the ESP header.
    before: usize,
    front: usize,
    /// Header, IV and ICV.
    extra: usize,
    padding: Padding,
    /// The most octets of all that is sealed.
    most: usize,
}

impl Measure {
    #[inline(always)]
    fn new(front: &Front, core: &Core, extra: usize, head: usize) -> Self {
        let mtu = usize::try_from(core.mtu.load(Ordering::Relaxed)).unwrap_or(1);
        let (front, around) = (usize::from(front.len), usize::from(front.around));
        let mtu = if mtu == 0 { usize::MAX } else { mtu.saturating_sub(around) };
        let most = usize::from(u16::MAX).saturating_sub(front).min(mtu);
        Self { before: front.wrapping_add(head), front, extra, padding: core.sa.transform().padding(), most }
    }

    /// Start and end of what is sent, of a payload of `len` octets at `at`.
    #[inline(always)]
    fn fit(&self, len: usize, at: usize, room: usize) -> Option<(usize, usize)> {
        let start = at.checked_sub(self.before)?;
        let sealed = self.padding.of(len).wrapping_add(self.extra);
        let end = start.wrapping_add(self.front).wrapping_add(sealed);
        (end <= room && sealed <= self.most).then_some((start, end))
    }
}

/// What was decided for a packet of IPv4, for those like it.
pub(crate) struct Pattern {
    alike: Alike,
    pub(crate) outer: OuterHeader,
    measure: Measure,
    /// Where the last one began, and where it went: the next one may be as long and lie at the same place of its buffer.
    last: (usize, Place),
}

impl Pattern {
    /// The address its packets go to.
    pub(crate) fn destination(&self) -> Option<[u8; 4]> {
        Some(self.alike.destination())
    }

    /// The length of a packet that is like the others.
    #[inline(always)]
    pub(crate) fn len(&self, ip: &[u8]) -> Option<usize> {
        self.alike.len(ip)
    }

    /// Where such a packet of `len` octets at `at` goes, if it fits; its trailer is written then, which needs no number.
    #[inline(always)]
    pub(crate) fn place(&mut self, buf: &mut [u8], at: usize, len: usize) -> Option<Place> {
        if at != self.last.0 || len != self.last.1.len {
            let (start, end) = self.measure.fit(len, at, usize::MAX)?;
            self.last = (at, Place { start, end, len });
        }
        let place = self.last.1;
        let (whole, _) = buf.split_at_mut_checked(place.end)?;
        let tail = whole.get_mut(at.wrapping_add(len)..place.end.wrapping_sub(TAG))?;
        outbound::write_trailer(tail, protocol::IPV4).ok()?;
        Some(place)
    }

    /// The packet `buf[packet]`, when it is like the others and fits.
    #[inline(always)]
    pub(crate) fn prepare(&mut self, buf: &mut [u8], packet: Range<usize>) -> Option<Place> {
        let at = packet.start;
        let len = self.len(buf.get(packet)?)?;
        self.place(buf, at, len)
    }
}

/// Many packets of one SA, in two steps that are each done for all of them: a place with its trailer, then cipher and headers.
/// So the trailer was stored long before the cipher reads it. Of what was just stored in other pieces than it is read in, the
/// processor makes the reader wait.
impl Plane {
    /// May packets like this one take the lane on this SA?
    #[inline(always)]
    pub(crate) fn pattern(&self, entry: &Outbound, inner: &IpPacket, ip: &[u8]) -> Option<Pattern> {
        let core = entry.core();
        let open = entry.front.usual && core.usage.is_usable() && core.sa.transform().usual().is_some();
        let outer = self.quick.as_ref().filter(|_| open)?.outer(inner);
        let measure = Measure::new(&entry.front, core, HEAD.wrapping_add(TAG), HEAD);
        // No payload is that short.
        let last = (0, Place { start: 0, end: 0, len: 0 });
        Some(Pattern { alike: Alike::of(ip)?, outer, measure, last })
    }

    /// Cipher and headers.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of it describes one packet")]
    pub(crate) fn seal_told(
        &self,
        entry: &Outbound,
        key: &dyn AeadKey,
        told: &Told,
        header: &mut Header,
        place: &Place,
        buf: &mut [u8],
        id: impl FnOnce() -> u32,
    ) -> Result<(), DropReason> {
        let no_room = DropReason::NoRoom;
        let packet = buf.get_mut(place.start..place.end).ok_or(no_room)?;
        let total = packet.len();
        let (front, esp) = packet.split_at_mut_checked(header.len).ok_or(no_room)?;
        let (head, rest) = esp.split_first_chunk_mut::<HEAD>().ok_or(no_room)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(no_room)?;
        key.seal_told(told, body, tag).map_err(|_| DropReason::Provider)?;
        // Last, so that the processor does it while it waits for the cipher's results.
        let (spi, number) = (u64::from(u32::from_le_bytes(told.spi)), u64::from_le_bytes(told.number));
        *head = sixteen(spi | second(number), number);
        header.write(entry, front, total, id)
    }
}

/// What is the same for all packets of a run.
pub(crate) struct Common<'a> {
    key: &'a dyn AeadKey,
    told: Told,
    header: Header,
    /// The next identification of an outer IPv4 header.
    id: u32,
}

impl<'a> Common<'a> {
    /// Of `count` packets, whose identifications are taken at once.
    #[inline(always)]
    pub(crate) fn new(
        entry: &Outbound,
        (key, salt): (&'a dyn AeadKey, [u8; 4]),
        esn: bool,
        outer: OuterHeader,
        count: u32,
    ) -> Self {
        let header = Header::new(&entry.front, outer);
        let id = if header.takes_id() { entry.core().ip_id.fetch_add(count, Ordering::Relaxed) } else { 0 };
        let told = Told { salt, iv: [0; 8], spi: entry.spi.to_be_bytes(), number: [0; 8], esn };
        Self { key, told, header, id }
    }

    /// Cipher and headers of one of them.
    #[inline(always)]
    pub(crate) fn seal(
        &mut self,
        plane: &Plane,
        entry: &Outbound,
        place: &Place,
        buf: &mut [u8],
        number: u64,
    ) -> Result<(), DropReason> {
        self.told.iv = number.to_be_bytes();
        self.told.number = number.to_be_bytes();
        let id = &mut self.id;
        plane.seal_told(entry, self.key, &self.told, &mut self.header, place, buf, || {
            let now = *id;
            *id = now.wrapping_add(1);
            now
        })
    }
}

/// Header, trailer, cipher.
#[inline(always)]
fn seal_body(
    spi: u32,
    core: &Core,
    key: &dyn AeadKey,
    salt: [u8; 4],
    number: u64,
    shape: &Shape,
    esp: &mut [u8],
) -> Result<(), DropReason> {
    let no_room = DropReason::NoRoom;
    let (head, rest) = esp.split_first_chunk_mut::<HEAD>().ok_or(no_room)?;
    let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(no_room)?;
    *head = sixteen(u64::from(spi.swap_bytes()) | second(image(number)), image(number));
    let (_, tail) = body.split_at_mut_checked(shape.len).ok_or(no_room)?;
    outbound::write_trailer(tail, shape.next_header)?;
    let (spi, number, esn) = (spi.to_be_bytes(), number.to_be_bytes(), core.sa.transform().esn());
    let told = Told { salt, iv: number, spi, number, esn };
    key.seal_told(&told, body, tag).map_err(|_| DropReason::Provider)
}

/// The checksum of a header whose words add up to `sum`, seven words at most.
#[inline(always)]
fn checksum(sum: u64) -> u64 {
    let once = (sum & 0xffff).wrapping_add(sum >> 16);
    let twice = (once & 0xffff).wrapping_add(once >> 16);
    !twice & 0xffff
}

/// The outer headers of packets whose own say the same, as far as they are the same, from the SA's model.
pub(crate) struct Header {
    pub(crate) outer: OuterHeader,
    /// Octets of it.
    len: usize,
    /// IPv4: octets 0 to 7 and 8 to 15, the destination, both ports.
    first: u64,
    middle: u64,
    dst: [u8; 4],
    ports: u32,
    /// Of the IPv4 header, without length and identification.
    sum: u64,
    /// The length of the last packet, if it has no identification, and octets 0 to 15 of its header: the next one may have the
    /// same length.
    last: (usize, [u64; 2]),
}

impl Header {
    #[inline(always)]
    pub(crate) fn new(model: &Front, outer: OuterHeader) -> Self {
        let (dscp_ecn, flags) = (u64::from(outer.traffic_class), if outer.dont_fragment { 0x4000 } else { 0 });
        Self {
            outer,
            len: usize::from(model.len),
            first: 0x45 << 56 | dscp_ecn << 48 | flags,
            middle: model.middle,
            dst: model.dst,
            ports: model.ports,
            sum: u64::from(model.sum).wrapping_add(dscp_ecn).wrapping_add(flags),
            last: (0, [0; 2]),
        }
    }

    /// Only what may be fragmented needs an identification (RFC 6864).
    #[inline(always)]
    fn takes_id(&self) -> bool {
        self.len != 0 && self.len != V6 && !self.outer.dont_fragment
    }

    /// Octets 0 to 15 of IPv4, of a packet of `total` octets with it.
    #[inline(always)]
    fn make(&mut self, total: usize, id: impl FnOnce() -> u32) {
        let (known, id) = if self.outer.dont_fragment { (total, 0) } else { (0, u64::from(id() & 0xffff)) };
        let total = total as u64 & 0xffff;
        let sum = self.sum.wrapping_add(total).wrapping_add(id);
        let first = self.first | total << 32 | id << 16;
        self.last = (known, [image(first), image(self.middle | checksum(sum) << 32)]);
    }

    /// In front of a packet of `total` octets together with it.
    #[inline(always)]
    fn write(
        &mut self,
        entry: &Outbound,
        room: &mut [u8],
        total: usize,
        id: impl FnOnce() -> u32,
    ) -> Result<(), DropReason> {
        if room.is_empty() {
            return Ok(());
        }
        if room.len() == V6 {
            return write_front_v6(&entry.front, room, self.outer, total);
        }
        if total != self.last.0 {
            self.make(total, id);
        }
        let total = total as u64 & 0xffff;
        let (ip, rest) = room.split_first_chunk_mut::<16>().ok_or(DropReason::NoRoom)?;
        let (dst, datagram) = rest.split_first_chunk_mut::<4>().ok_or(DropReason::NoRoom)?;
        let (_, [first, middle]) = self.last;
        *ip = sixteen(first, middle);
        *dst = self.dst;
        if let Some(udp) = datagram.first_chunk_mut::<{ udp::HEADER }>() {
            *udp = (u64::from(self.ports) << 32 | total.wrapping_sub(V4 as u64) << 16).to_be_bytes();
        }
        Ok(())
    }
}

#[inline(never)]
fn write_front_v6(model: &Front, room: &mut [u8], outer: OuterHeader, total: usize) -> Result<(), DropReason> {
    let total = total as u64 & 0xffff;
    let (dscp_ecn, flow) = (u64::from(outer.traffic_class), u64::from(outer.flow_label & 0xf_ffff));
    room.copy_from_slice(model.octets.as_deref().ok_or(DropReason::NoRoom)?);
    let [.., next, hop_limit] = *room.first_chunk::<8>().ok_or(DropReason::NoRoom)?;
    let last = u64::from(u16::from_be_bytes([next, hop_limit]));
    let first = 6 << 60 | dscp_ecn << 52 | flow << 32 | total.wrapping_sub(V6 as u64) << 16 | last;
    *room.first_chunk_mut::<8>().ok_or(DropReason::NoRoom)? = first.to_be_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::checksum;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn two_folds_are_enough(sum in 0u64..7 * 0xffff) {
            prop_assert_eq!(checksum(sum), u64::from(!crate::checksum::fold(sum)));
        }
    }
}
