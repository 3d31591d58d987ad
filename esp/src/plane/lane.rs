//! The usual packet's way: ESP in tunnel mode, an IP packet with ports and without options. What the general way decides
//! for each packet is decided here when the SA is installed, and the combined modes with the IV of 8 octets and the ICV
//! of 16 (RFC 4106, RFC 7634), which nearly all SAs have, are put together in registers. Both ways make the same octets
//! and the same decisions (`lane_tests.rs`); whatever is not usual in a packet is left to the general way, untouched.
//!
//! To widen the lane: its conditions in [`Front::new`] and `packet::usual`, and the tests' list of suites.

use super::entry::{Inbound, Outbound};
use super::ingress::{Frame, OuterInfo};
use super::sink::OutputForm;
use super::{Plane, PlaneConfig};
use crate::encap::udp;
use crate::mode::{OuterHeader, header, tunnel};
use crate::packet::{self, IpPacket, protocol};
use crate::{DropReason, InboundSa, checksum, inbound, outbound, transform};
use alloc::boxed::Box;
use core::net::IpAddr;
use core::ops::Range;
use core::sync::atomic::Ordering;
use ravelin_crypto::aead::AeadKey;
use ravelin_sa_db::{Direction, Encapsulation, Mode, Path, Protocol};

/// The ESP header with its IV.
const HEAD: usize = 16;
/// The ICV.
const TAG: usize = 16;
/// Outer IPv4, outer IPv6.
const V4: usize = 20;
const V6: usize = 40;

/// The outer headers of one SA as far as they are the same in each packet.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct Front {
    /// IPv4: octets 8 to 15 without the checksum, the destination, both ports.
    middle: u64,
    dst: [u8; 4],
    ports: u32,
    /// Of the IPv4 header, without length, traffic class, identification and flags.
    sum: u32,
    /// Octets written in front of the ESP header.
    len: u8,
    /// Octets that will be in front of it on the wire.
    around: u8,
    /// The lane is open for the SA.
    pub(crate) usual: bool,
    /// IPv6, which is as long as all the rest.
    octets: Option<Box<[u8; V6]>>,
}

impl Front {
    pub(crate) fn new(
        mode: Mode,
        protocol: Protocol,
        path: &Path,
        encapsulation: Encapsulation,
        config: &PlaneConfig,
    ) -> Self {
        let udp = encapsulation == Encapsulation::Udp;
        let mut octets = [0; V6];
        let dst = [0; 4];
        let mut front = Self { middle: 0, dst, ports: 0, sum: 0, len: 0, around: 0, usual: false, octets: None };
        let form = config.output;
        let written = match (path.local.ip(), path.remote.ip()) {
            (IpAddr::V4(_), IpAddr::V4(_)) => V4,
            // The checksum of UDP over IPv6 covers the whole packet.
            (IpAddr::V6(_), IpAddr::V6(_)) if !udp || form == OutputForm::Esp => V6,
            _ => return front,
        };
        let ends = matches!(encapsulation, Encapsulation::None | Encapsulation::Udp);
        let plain = config.mss_clamp == 0 && config.tfc_min == 0 && ends;
        let around = written.saturating_add(if udp { udp::HEADER } else { 0 });
        front.usual = plain && mode == Mode::Tunnel && protocol == Protocol::Esp;
        front.around = u8::try_from(around).unwrap_or(0);
        if form == OutputForm::Esp {
            return front;
        }
        front.len = front.around;
        let next = if udp { protocol::UDP } else { protocol::ESP };
        let outer = OuterHeader { hop_limit: config.header.hop_limit.max(1), ..OuterHeader::default() };
        front.usual &= octets.get_mut(..around).is_some_and(|room| {
            let ip = header::write_ip(room, path, next, &outer, 0);
            let datagram = ip.ok().and_then(|at| room.get_mut(at..));
            datagram.is_some_and(|d| !udp || udp::write_header(d, *path).is_some())
        });
        if written == V6 {
            front.octets = Some(Box::new(octets));
        } else if let Some((head, _)) = octets.split_first_chunk_mut::<V4>() {
            // Length and checksum of the model are its own.
            let [_, _, l0, l1, .., c0, c1, _, _, _, _, _, _, _, _] = head;
            (*l0, *l1, *c0, *c1) = (0, 0, 0, 0);
            front.sum = u32::from(checksum::sum(head));
            let [.., m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3] = *head;
            front.middle = u64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
            front.dst = [d0, d1, d2, d3];
            front.ports = u32::from(path.local.port()) << 16 | u32::from(path.remote.port());
        }
        front
    }
}

/// What an entry knows of the lane: outbound the headers, inbound nothing but whether it is open.
pub(crate) trait Lane: From<Front> {
    /// The lane is open for the SA.
    fn is_usual(&self) -> bool;
}

impl Lane for Front {
    #[inline(always)]
    fn is_usual(&self) -> bool {
        self.usual
    }
}

/// The lane is open for an inbound SA, or not.
pub(crate) struct Usual(bool);

impl From<Front> for Usual {
    fn from(front: Front) -> Self {
        Self(front.usual)
    }
}

impl Lane for Usual {
    #[inline(always)]
    fn is_usual(&self) -> bool {
        self.0
    }
}

/// A packet that may take the lane.
pub(crate) struct Shape {
    /// Of the buffer, outer headers to ICV.
    start: usize,
    end: usize,
    /// Octets of the inner packet.
    len: usize,
    next_header: u8,
    outer: OuterHeader,
}

/// A sealed packet: where it is in the buffer.
pub(crate) struct Sealed {
    pub(crate) range: Range<usize>,
    pub(crate) outer: OuterHeader,
}

#[inline(always)]
fn high_and_low(number: u64) -> (u64, u64) {
    (number >> 32, number & 0xffff_ffff)
}

/// Two big-endian halves. Whole registers go to memory: octets put together one by one cost a third of all this.
#[inline(always)]
fn sixteen(first: u64, last: u64) -> [u8; 16] {
    (u128::from(first) << 64 | u128::from(last)).to_be_bytes()
}

/// Salt, then IV (RFC 4106 §4), in the first twelve octets.
#[inline(always)]
fn nonce(salt: u32, iv: u64) -> [u8; 16] {
    let (high, low) = high_and_low(iv);
    sixteen(u64::from(salt) << 32 | high, low << 32)
}

/// SPI and number, 64 bits of it with ESN (RFC 4106 §5), and how many octets that is.
#[inline(always)]
fn aad(spi: u64, number: u64, esn: bool) -> ([u8; 16], usize) {
    let (high, low) = high_and_low(number);
    if esn { (sixteen(spi << 32 | high, low << 32), 12) } else { (sixteen(spi << 32 | low, 0), 8) }
}

/// What ciphers take as a nonce.
#[inline(always)]
fn twelve(octets: &[u8; 16]) -> &[u8] {
    octets.get(..12).unwrap_or(&[])
}

impl Plane {
    /// May this packet take the lane, with a payload that starts at `at` of a buffer of `room` octets?
    #[inline(always)]
    fn shape(&self, entry: &Outbound, inner: &IpPacket, ip: &[u8], at: usize, room: usize) -> Option<Shape> {
        let front = &entry.front;
        if !front.usual || !entry.core().usage.is_usable() {
            return None;
        }
        let transform = entry.core().sa.transform();
        let start = at.checked_sub(usize::from(front.len).wrapping_add(transform.payload_at()))?;
        let around = transform.payload_at().wrapping_add(transform.icv_len());
        let sealed = transform.padded(inner.len).wrapping_add(around);
        let total = sealed.wrapping_add(usize::from(front.len));
        let end = start.checked_add(total)?;
        let mtu = usize::try_from(entry.core().mtu.load(Ordering::Relaxed)).unwrap_or(1);
        let fits = mtu == 0 || sealed.wrapping_add(usize::from(front.around)) <= mtu;
        if end > room || total > usize::from(u16::MAX) || !fits {
            return None;
        }
        let outer = self.config.header.outer(inner, ip, entry.spi);
        Some(Shape { start, end, len: inner.len, next_header: tunnel::next_header(inner), outer })
    }

    /// Seals in place; `None` when the packet has to go the general way, and nothing has happened to it then.
    #[inline(always)]
    pub(crate) fn seal_usual(
        &self,
        entry: &Outbound,
        inner: &IpPacket,
        buf: &mut [u8],
        at: usize,
    ) -> Option<Result<Sealed, DropReason>> {
        let shape = self.shape(entry, inner, buf.get(at..)?, at, buf.len())?;
        let packet = buf.get_mut(shape.start..shape.end)?;
        Some(
            self.seal_shaped(entry, &shape, packet)
                .map(|()| Sealed { range: shape.start..shape.end, outer: shape.outer }),
        )
    }

    /// Seals a copy of `ip` in the room that `reserve` gives.
    #[inline(always)]
    pub(crate) fn copy_usual<'a>(
        &self,
        entry: &Outbound,
        inner: &IpPacket,
        ip: &[u8],
        reserve: impl FnOnce(usize) -> Option<&'a mut [u8]>,
    ) -> Option<Result<Sealed, DropReason>> {
        let at = usize::from(entry.front.len).wrapping_add(entry.core().sa.headroom());
        let shape = self.shape(entry, inner, ip, at, usize::MAX)?;
        let ip = ip.get(..inner.len)?;
        let Some(packet) = reserve(shape.end).and_then(|room| room.get_mut(..shape.end)) else {
            return Some(Err(DropReason::NoRoom));
        };
        packet.get_mut(at..)?.get_mut(..ip.len())?.copy_from_slice(ip);
        Some(self.seal_shaped(entry, &shape, packet).map(|()| Sealed { range: 0..shape.end, outer: shape.outer }))
    }

    #[inline(always)]
    fn seal_shaped(&self, entry: &Outbound, shape: &Shape, packet: &mut [u8]) -> Result<(), DropReason> {
        let sa = &entry.core().sa;
        let number = sa.sequence().take()?;
        entry.note_number(number, &self.reports);
        let (front, esp) = packet.split_at_mut_checked(usize::from(entry.front.len)).ok_or(DropReason::NoRoom)?;
        match sa.transform().usual() {
            Some((key, salt)) => seal_body(entry, key, salt, number, shape, esp)?,
            None => {
                let payload = sa.headroom()..sa.headroom().wrapping_add(shape.len);
                sa.seal_numbered(number, esp, payload, 0, shape.next_header)?;
            }
        }
        write_front(entry, front, shape)
    }

    /// Opens in place and checks the inner packet; `None` when the packet has to go the general way, and nothing has
    /// happened to it or to the window then.
    #[inline(always)]
    pub(crate) fn open_usual(
        &self,
        entry: &Inbound,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
    ) -> Option<Result<Range<usize>, DropReason>> {
        if !entry.front.is_usual() || !entry.core().usage.is_usable() {
            return None;
        }
        let sa = &entry.core().sa;
        let esp = buf.get_mut(start..)?;
        let (payload, next_header) = match sa.transform().usual() {
            Some((key, salt)) => {
                let (head, rest) = esp.split_first_chunk_mut::<HEAD>()?;
                let (body, tag) = rest.split_last_chunk_mut::<TAG>()?;
                if body.len() < transform::TRAILER {
                    return None;
                }
                match open_body(sa, key, salt, head, body, tag) {
                    Ok((len, next_header)) => (HEAD..len.wrapping_add(HEAD), next_header),
                    Err(reason) => return Some(Err(reason)),
                }
            }
            None => match sa.open(esp) {
                Ok(opened) => (opened.payload, opened.next_header),
                Err(reason) => return Some(Err(reason)),
            },
        };
        let payload = payload.start.wrapping_add(start)..payload.end.wrapping_add(start);
        let version = match next_header {
            protocol::IPV4 => 4,
            protocol::IPV6 => 6,
            _ => return Some(self.deliver_rest(entry, path, outer, buf, start, payload, next_header)),
        };
        let usual = buf.get_mut(payload.clone()).and_then(|ip| {
            let inner = packet::usual(ip)?;
            let plain = inner.v6 == (version == 6) && outer.traffic_class & 3 == 0 && self.config.mss_clamp == 0;
            (plain && entry.facts.selectors.hold(&inner, Direction::Inbound)).then_some(inner.len)
        });
        match usual {
            Some(len) => Some(Ok(payload.start..payload.start.wrapping_add(len))),
            None => Some(self.deliver_rest(entry, path, outer, buf, start, payload, next_header)),
        }
    }

    #[cold]
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "all of it describes one packet")]
    fn deliver_rest(
        &self,
        entry: &Inbound,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, DropReason> {
        self.deliver(entry, path, outer, buf, Frame::esp(start), payload, next_header)
    }
}

/// Header, trailer, cipher.
#[inline(always)]
fn seal_body(
    entry: &Outbound,
    key: &dyn AeadKey,
    salt: u32,
    number: u64,
    shape: &Shape,
    esp: &mut [u8],
) -> Result<(), DropReason> {
    let no_room = DropReason::NoRoom;
    let (head, rest) = esp.split_first_chunk_mut::<HEAD>().ok_or(no_room)?;
    let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(no_room)?;
    let spi = u64::from(entry.spi);
    *head = sixteen(spi << 32 | high_and_low(number).1, number);
    let (_, tail) = body.split_at_mut_checked(shape.len).ok_or(no_room)?;
    outbound::write_trailer(tail, shape.next_header)?;
    let (aad, aad_len) = aad(spi, number, entry.core().sa.transform().esn());
    let aad = aad.get(..aad_len).ok_or(no_room)?;
    key.seal(twelve(&nonce(salt, number)), aad, body, tag).map_err(|_| DropReason::Provider)
}

/// Window, cipher, window, trailer: length of the payload and what it is.
#[inline(always)]
fn open_body(
    sa: &InboundSa,
    key: &dyn AeadKey,
    salt: u32,
    head: &[u8; HEAD],
    body: &mut [u8],
    tag: &[u8; TAG],
) -> Result<(usize, u8), DropReason> {
    let head = u128::from_be_bytes(*head);
    let (first, iv) = (head >> 64, head & u128::from(u64::MAX));
    let (first, iv) = (u64::try_from(first).unwrap_or(0), u64::try_from(iv).unwrap_or(0));
    let (spi, low) = high_and_low(first);
    let number = sa.window().begin(u32::try_from(low).unwrap_or(0))?;
    let (aad, aad_len) = aad(spi, number, sa.transform().esn());
    let aad = aad.get(..aad_len).ok_or(DropReason::Runt)?;
    key.open(twelve(&nonce(salt, iv)), aad, body, tag).map_err(transform::reason)?;
    sa.window().commit(number)?;
    inbound::trailer(body)
}

/// The outer headers of one packet, from the SA's model.
#[inline(always)]
fn write_front(entry: &Outbound, room: &mut [u8], shape: &Shape) -> Result<(), DropReason> {
    if room.is_empty() {
        return Ok(());
    }
    let (model, outer) = (&entry.front, &shape.outer);
    let total = (shape.end.wrapping_sub(shape.start) as u64) & 0xffff;
    let (dscp_ecn, flow) = (u64::from(outer.traffic_class), u64::from(outer.flow_label & 0xf_ffff));
    if room.len() == V6 {
        room.copy_from_slice(model.octets.as_deref().ok_or(DropReason::NoRoom)?);
        let [.., next, hop_limit] = *room.first_chunk::<8>().ok_or(DropReason::NoRoom)?;
        let last = u64::from(u16::from_be_bytes([next, hop_limit]));
        let first = 6 << 60 | dscp_ecn << 52 | flow << 32 | total.wrapping_sub(V6 as u64) << 16 | last;
        *room.first_chunk_mut::<8>().ok_or(DropReason::NoRoom)? = first.to_be_bytes();
        return Ok(());
    }
    let (id, flags) = if outer.dont_fragment {
        (0, 0x4000)
    } else {
        // Only what may be fragmented needs an identification (RFC 6864).
        (u64::from(entry.core().ip_id.fetch_add(1, Ordering::Relaxed) & 0xffff), 0)
    };
    let sum = u64::from(model.sum).wrapping_add(dscp_ecn).wrapping_add(total).wrapping_add(id).wrapping_add(flags);
    let checksum = u64::from(!checksum::fold(sum));
    let (ip, rest) = room.split_first_chunk_mut::<16>().ok_or(DropReason::NoRoom)?;
    let (dst, datagram) = rest.split_first_chunk_mut::<4>().ok_or(DropReason::NoRoom)?;
    *ip = sixteen(0x45 << 56 | dscp_ecn << 48 | total << 32 | id << 16 | flags, model.middle | checksum << 32);
    *dst = model.dst;
    if let Some(udp) = datagram.first_chunk_mut::<{ udp::HEADER }>() {
        *udp = (u64::from(model.ports) << 32 | total.wrapping_sub(V4 as u64) << 16).to_be_bytes();
    }
    Ok(())
}
