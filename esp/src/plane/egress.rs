//! From the inner packet to the wire (RFC 4301 §5.1, RFC 4303 §3.3): SA by policy and selectors, a reservation in the
//! caller's sink, one copy, sealing in place.

use super::Plane;
use super::entry::Outbound;
use crate::encap::udp;
use crate::mode::{OuterHeader, beet, header, transport, tunnel};
use crate::packet::{IpPacket, protocol};
use crate::{DropReason, ah, fragment, mss};
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;
use ravelin_sa_db::{ChildId, Direction, Encapsulation, Instant, Mode, Path, PolicyId, Protocol};

/// Which SA a packet wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The sending SA of this policy whose selectors hold the packet.
    Policy(PolicyId),
    /// This Child SA, when its selectors hold the packet.
    Child(ChildId),
}

impl From<PolicyId> for Target {
    fn from(id: PolicyId) -> Self {
        Self::Policy(id)
    }
}
impl From<ChildId> for Target {
    fn from(id: ChildId) -> Self {
        Self::Child(id)
    }
}

/// What a plane writes into sinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutputForm {
    /// From the ESP header on: a UDP payload, or what a raw socket of protocol 50 takes. The kernel writes the headers.
    #[default]
    Esp,
    /// The whole IP packet, UDP header included.
    Ip,
}

/// What a committed packet is and where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransmitMeta {
    /// The Child SA that sealed it.
    pub child: ChildId,
    /// Outer addresses and ports.
    pub path: Path,
    /// Bare, in UDP, or in TCP.
    pub encapsulation: Encapsulation,
    /// Protocol of the outer header when it is bare: 50 or 51.
    pub protocol: u8,
    /// Octets written into the reservation, from its start.
    pub len: usize,
    /// Fields of the outer header that a kernel cannot know.
    pub outer: OuterHeader,
}

/// Where sealed packets go. A reservation is filled and committed before the next one is asked for, or given up
/// by not committing it.
pub trait PacketSink {
    /// `len` octets of the caller's memory; `None` when there are none.
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]>;
    /// The last reservation holds a packet.
    fn commit(&mut self, meta: TransmitMeta);
}

/// What to do with a packet that does not fit the path MTU and whose sender allows fragments (RFC 4301 §8.2.1). IPv6
/// packets and IPv4 packets with DF are answered with [`Egress::TooBig`] in every case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fragmentation {
    /// Fragment the inner packet and protect each fragment.
    #[default]
    Before,
    /// Protect the whole and let IP fragment the result: the outer DF is clear.
    After,
    /// Drop, counted as [`DropReason::TooBig`].
    Never,
}

/// What became of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Egress {
    /// Sealed and committed.
    Sent,
    /// Dropped and counted.
    Discard(DropReason),
    /// Larger than the path carries and not to be fragmented; counted. The sender is to be told with
    /// [`crate::icmp::too_big`]; `mtu` is the largest inner packet that fits.
    TooBig {
        /// Octets.
        mtu: u16,
    },
    /// No sending SA covers it; the control side may make one.
    NoSa,
}

/// Why a packet was not sealed.
pub(crate) enum Refusal {
    Drop(DropReason),
    TooBig(u16),
}

impl From<DropReason> for Refusal {
    fn from(r: DropReason) -> Self {
        Self::Drop(r)
    }
}

/// How a packet in a buffer is sealed in place.
pub(crate) struct Plan {
    /// Octets of the packet in front of the payload.
    pub(crate) skip: usize,
    pub(crate) next_header: u8,
    /// Transport mode: the headers in front stay, and this is their Next Header octet.
    field: Option<usize>,
    pub(crate) tfc: usize,
    outer: OuterHeader,
}

/// The longest headers that in-place sealing keeps in transport mode.
const KEPT: usize = 128;

/// A copy of headers that sealing in place writes over.
pub(crate) struct Kept {
    octets: [u8; KEPT],
    len: usize,
}

impl Kept {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or(&[])
    }
}

impl Plan {
    /// The headers that have to be put back in front, in transport mode.
    #[inline]
    pub(crate) fn keep_headers(&self, buf: &[u8], start: usize) -> Result<Option<Kept>, DropReason> {
        if self.field.is_none() { Ok(None) } else { self.copy_headers(buf, start).map(Some) }
    }

    #[inline(never)]
    fn copy_headers(&self, buf: &[u8], start: usize) -> Result<Kept, DropReason> {
        let mut octets = [0u8; KEPT];
        let from = buf.get(start..start.saturating_add(self.skip)).ok_or(DropReason::NoRoom)?;
        octets.get_mut(..self.skip).ok_or(DropReason::NoRoom)?.copy_from_slice(from);
        Ok(Kept { octets, len: self.skip })
    }
}

/// One payload on its way: what goes in front of the body, the body, and the headers that stay outside.
struct Piece<'a> {
    prefix: &'a [u8],
    body: &'a [u8],
    next_header: u8,
    /// Transport mode: the packet's own headers and their Next Header octet.
    headers: Option<(&'a [u8], usize)>,
    tfc: usize,
    outer: OuterHeader,
}

impl Plane {
    /// Seals one IP packet into the sink. Octets behind the length its header claims are left out.
    #[inline]
    pub fn egress(&self, now: Instant, target: impl Into<Target>, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        let Ok(inner) = IpPacket::parse(ip) else {
            return self.discard(None, DropReason::NotIp);
        };
        match self.select(target.into(), &inner) {
            Ok(entry) => self.egress_on(&entry, now, &inner, ip, sink),
            Err(e) => e,
        }
    }

    /// The SA for a packet.
    #[inline]
    pub(crate) fn select(&self, target: Target, ip: &IpPacket) -> Result<Arc<Outbound>, Egress> {
        match target {
            Target::Policy(policy) => self.routes.find(policy, ip).ok_or(Egress::NoSa),
            Target::Child(child) => {
                let entry = self.outbound.get(&child).ok_or(Egress::NoSa)?;
                if entry.holds(ip, Direction::Outbound) {
                    Ok(entry)
                } else {
                    Err(self.discard(Some(&entry), DropReason::Selectors))
                }
            }
        }
    }

    #[inline]
    pub(crate) fn egress_on(
        &self,
        entry: &Outbound,
        now: Instant,
        inner: &IpPacket,
        ip: &[u8],
        sink: &mut dyn PacketSink,
    ) -> Egress {
        match self.seal(entry, inner, ip, sink) {
            Ok(()) => {
                entry.account(1, inner.len as u64, now, &self.reports);
                Egress::Sent
            }
            Err(refusal) => self.refuse_egress(entry, refusal),
        }
    }

    #[cold]
    pub(crate) fn refuse_egress(&self, entry: &Outbound, refusal: Refusal) -> Egress {
        match refusal {
            Refusal::Drop(reason) => self.discard(Some(entry), reason),
            Refusal::TooBig(mtu) => {
                self.discard(Some(entry), DropReason::TooBig);
                Egress::TooBig { mtu }
            }
        }
    }

    #[inline]
    pub(crate) fn seal(
        &self,
        entry: &Outbound,
        inner: &IpPacket,
        ip: &[u8],
        sink: &mut dyn PacketSink,
    ) -> Result<(), Refusal> {
        if !entry.core.usage.is_usable() {
            return Err(DropReason::Expired.into());
        }
        let ip = ip.get(..inner.len).ok_or(DropReason::NotIp)?;
        let outer = self.config.header.outer(inner, ip, entry.spi);
        match entry.mode {
            Mode::Tunnel => {
                let next_header = tunnel::next_header(inner);
                let tfc = self.tfc(entry, ip.len());
                let piece = Piece { prefix: &[], body: ip, next_header, headers: None, tfc, outer };
                let too_big = self.too_big(entry, ip.len());
                match too_big {
                    None => Ok(self.emit(entry, &piece, sink)?),
                    Some(mtu) => self.oversized(entry, inner, mtu, piece, sink),
                }
            }
            Mode::Transport => {
                let split = transport::split(ip, inner)?;
                let (headers, body) = ip.split_at_checked(split.at).ok_or(DropReason::NotIp)?;
                let base = if inner.is_v6() { 40 } else { 20 };
                if headers.len() > base && self.config.output == OutputForm::Esp {
                    return Err(DropReason::NeedsHeader.into());
                }
                if let Some(mtu) = self.too_big(entry, body.len()) {
                    return Err(Refusal::TooBig(mtu.saturating_add(u16::try_from(headers.len()).unwrap_or(0))));
                }
                let headers = Some((headers, split.field));
                // The packet keeps its own header, so a driver that writes it has to write that one.
                let outer = OuterHeader {
                    traffic_class: inner.traffic_class,
                    dont_fragment: inner.dont_fragment,
                    hop_limit: inner.hop_limit,
                    flow_label: outer.flow_label,
                };
                let piece = Piece { prefix: &[], body, next_header: split.next_header, headers, tfc: 0, outer };
                Ok(self.emit(entry, &piece, sink)?)
            }
            Mode::Beet => {
                let parts = beet::split(ip, inner)?;
                let body = ip.get(parts.skip..).ok_or(DropReason::NotIp)?;
                if let Some(mtu) = self.too_big(entry, body.len().saturating_add(parts.pseudo_len())) {
                    return Err(Refusal::TooBig(mtu.saturating_add(u16::try_from(parts.skip).unwrap_or(0))));
                }
                let mut pseudo = [0u8; 48];
                let prefix = pseudo.get_mut(..parts.pseudo_len()).ok_or(DropReason::NotIp)?;
                if parts.options != 0 {
                    let options = ip.get(20..parts.skip).ok_or(DropReason::NotIp)?;
                    beet::write_pseudo(&parts, options, prefix).ok_or(DropReason::NotIp)?;
                }
                let next_header = if parts.options == 0 { parts.next_header } else { beet::PSEUDO_HEADER };
                let outer = OuterHeader { hop_limit: inner.hop_limit, ..outer };
                let piece = Piece { prefix, body, next_header, headers: None, tfc: 0, outer };
                Ok(self.emit(entry, &piece, sink)?)
            }
        }
    }

    /// What of a packet in a buffer becomes the payload, in place: the range, its kind, the headers that stay outside.
    #[inline(always)]
    pub(crate) fn plan(&self, entry: &Outbound, inner: &IpPacket, ip: &[u8]) -> Result<Plan, Refusal> {
        if !entry.core.usage.is_usable() {
            return Err(DropReason::Expired.into());
        }
        if entry.protocol == Protocol::Ah {
            return Err(DropReason::NeedsHeader.into());
        }
        let ip = ip.get(..inner.len).ok_or(DropReason::NotIp)?;
        let mut outer = self.config.header.outer(inner, ip, entry.spi);
        let (skip, next_header, field) = match entry.mode {
            Mode::Tunnel => (0, tunnel::next_header(inner), None),
            Mode::Transport => {
                let split = transport::split(ip, inner)?;
                let base = if inner.is_v6() { 40 } else { 20 };
                if split.at > base && self.config.output == OutputForm::Esp {
                    return Err(DropReason::NeedsHeader.into());
                }
                outer.hop_limit = inner.hop_limit;
                (split.at, split.next_header, Some(split.field))
            }
            Mode::Beet => {
                let parts = beet::split(ip, inner)?;
                if parts.options != 0 {
                    return Err(DropReason::NoRoom.into());
                }
                outer.hop_limit = inner.hop_limit;
                (parts.skip, parts.next_header, None)
            }
        };
        let len = inner.len.saturating_sub(skip);
        if let Some(mtu) = self.too_big(entry, len) {
            return Err(Refusal::TooBig(mtu.saturating_add(u16::try_from(skip).unwrap_or(0))));
        }
        let tfc = if entry.mode == Mode::Tunnel { self.tfc(entry, len) } else { 0 };
        Ok(Plan { skip, next_header, field, tfc, outer })
    }

    /// Puts the outer headers in front of a sealed packet in place; gives the range of what is to be sent.
    #[inline(always)]
    pub(crate) fn finish_in_place(
        &self,
        entry: &Outbound,
        buf: &mut [u8],
        esp: Range<usize>,
        plan: &Plan,
        headers: &[u8],
    ) -> Result<(Range<usize>, TransmitMeta), DropReason> {
        let own = plan.field.map(|field| (headers, field));
        let front = self.front(entry, own.map(|(h, _)| h.len()));
        let start = esp.start.checked_sub(front).ok_or(DropReason::NoRoom)?;
        let range = start..esp.end;
        let packet = buf.get_mut(range.clone()).ok_or(DropReason::NoRoom)?;
        if packet.len() > usize::from(u16::MAX) {
            return Err(DropReason::Oversized);
        }
        self.write_front(entry, packet, &plan.outer, own, protocol::ESP)?;
        Ok((range, self.meta(entry, esp.end.saturating_sub(start), protocol::ESP, plan.outer)))
    }

    /// Seals the IP packet `buf[packet]` in place, with the octets before and behind it as room (see
    /// [`Plane::room`]). Gives what is to be sent as a range of `buf`, and where to. Packets above a known path MTU
    /// are refused with [`Egress::TooBig`]; AH and BEET with IPv4 options need [`Plane::egress`].
    ///
    /// # Errors
    /// Anything but [`Egress::Sent`].
    pub fn seal_in_place(
        &self,
        now: Instant,
        target: impl Into<Target>,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<(Range<usize>, TransmitMeta), Egress> {
        let inner = buf.get(packet.clone()).and_then(|ip| IpPacket::parse(ip).ok());
        let Some(inner) = inner else { return Err(self.discard(None, DropReason::NotIp)) };
        let entry = self.select(target.into(), &inner)?;
        let sealed = self.seal_one(&entry, &inner, buf, packet).map_err(|r| self.refuse_egress(&entry, r))?;
        entry.account(1, inner.len as u64, now, &self.reports);
        Ok(sealed)
    }

    #[inline(always)]
    pub(crate) fn seal_one(
        &self,
        entry: &Outbound,
        inner: &IpPacket,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<(Range<usize>, TransmitMeta), Refusal> {
        let plan = self.plan(entry, inner, buf.get(packet.clone()).ok_or(DropReason::NoRoom)?)?;
        let kept = plan.keep_headers(buf, packet.start)?;
        let payload = packet.start.saturating_add(plan.skip)..packet.start.saturating_add(inner.len);
        self.clamp(buf.get_mut(payload.clone()).ok_or(DropReason::NoRoom)?, plan.next_header);
        let sa = &entry.core.sa;
        let number = sa.sequence().take()?;
        let esp = sa.seal_numbered(number, buf, payload, plan.tfc, plan.next_header)?;
        entry.note_number(number, &self.reports);
        Ok(self.finish_in_place(entry, buf, esp, &plan, kept.as_ref().map_or(&[], Kept::as_slice))?)
    }

    /// Octets that [`Plane::seal_in_place`] may need before and behind an IP packet.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        // Before: headers, UDP, ESP header and 16 octets of IV. Behind: padding to 16, trailer, 32 octets of ICV.
        (KEPT.saturating_add(32), self.config.tfc_min.saturating_add(64))
    }

    #[inline]
    pub(crate) fn tfc(&self, entry: &Outbound, payload: usize) -> usize {
        if entry.tfc_padding { self.config.tfc_min.saturating_sub(payload) } else { 0 }
    }

    /// The largest payload, when the path MTU is known and this payload does not fit.
    #[inline(always)]
    pub(crate) fn too_big(&self, entry: &Outbound, payload: usize) -> Option<u16> {
        let mtu = entry.core.mtu.load(Ordering::Relaxed);
        if mtu == 0 {
            return None;
        }
        let udp = if entry.encapsulation == Encapsulation::Udp { udp::HEADER } else { 0 };
        let around = header::ip_header_len(&entry.path).saturating_add(udp);
        let room = usize::try_from(mtu).unwrap_or(0).saturating_sub(around);
        if entry.core.sa.sealed_len(payload) <= room {
            return None;
        }
        Some(u16::try_from(entry.core.sa.payload_within(room)).unwrap_or(u16::MAX))
    }

    /// A tunnel packet above the path MTU (RFC 4301 §8.2).
    #[cold]
    fn oversized(
        &self,
        entry: &Outbound,
        inner: &IpPacket,
        mtu: u16,
        piece: Piece<'_>,
        sink: &mut dyn PacketSink,
    ) -> Result<(), Refusal> {
        // Below IPv6's own minimum the sender cannot help: the outer packet is fragmented (RFC 2473 §7.1).
        let small_v6 = inner.is_v6() && inner.len <= 1280;
        match self.config.fragmentation {
            _ if small_v6 => {}
            _ if inner.dont_fragment => return Err(Refusal::TooBig(if inner.is_v6() { mtu.max(1280) } else { mtu })),
            Fragmentation::Never => return Err(DropReason::TooBig.into()),
            Fragmentation::After => {}
            Fragmentation::Before => {
                return Ok(fragment::split_v4(piece.body, usize::from(mtu), |head, body| {
                    self.emit(entry, &Piece { prefix: head, body, ..piece }, sink)
                })?);
            }
        }
        let outer = OuterHeader { dont_fragment: false, ..piece.outer };
        Ok(self.emit(entry, &Piece { outer, ..piece }, sink)?)
    }

    /// One packet into the sink.
    #[inline]
    fn emit(&self, entry: &Outbound, piece: &Piece<'_>, sink: &mut dyn PacketSink) -> Result<(), DropReason> {
        if entry.protocol == Protocol::Ah {
            return self.emit_ah(entry, piece, sink);
        }
        let core = &entry.core;
        let front = self.front(entry, piece.headers.map(|(h, _)| h.len()));
        let payload_len = piece.prefix.len().saturating_add(piece.body.len());
        let total = front.saturating_add(core.sa.sealed_len(payload_len.saturating_add(piece.tfc)));
        if total > usize::from(u16::MAX) {
            return Err(DropReason::Oversized);
        }
        let out = sink.reserve(total).and_then(|b| b.get_mut(..total)).ok_or(DropReason::NoRoom)?;
        let start = front.saturating_add(core.sa.headroom());
        let at = start..start.saturating_add(payload_len);
        self.fill(out.get_mut(at.clone()).ok_or(DropReason::NoRoom)?, piece)?;
        let number = core.sa.sequence().take()?;
        core.sa.seal_numbered(number, out, at, piece.tfc, piece.next_header)?;
        entry.note_number(number, &self.reports);
        self.write_front(entry, out, &piece.outer, piece.headers, protocol::ESP)?;
        sink.commit(self.meta(entry, total, protocol::ESP, piece.outer));
        Ok(())
    }

    #[inline]
    fn fill(&self, room: &mut [u8], piece: &Piece<'_>) -> Result<(), DropReason> {
        let (prefix, body) = room.split_at_mut_checked(piece.prefix.len()).ok_or(DropReason::NoRoom)?;
        prefix.copy_from_slice(piece.prefix);
        body.copy_from_slice(piece.body);
        self.clamp(room, piece.next_header);
        Ok(())
    }

    /// Lowers the MSS of what goes through a tunnel.
    #[inline]
    pub(crate) fn clamp(&self, inner: &mut [u8], next_header: u8) {
        if self.config.mss_clamp != 0 && matches!(next_header, protocol::IPV4 | protocol::IPV6) {
            mss::clamp(inner, self.config.mss_clamp);
        }
    }

    #[inline(always)]
    pub(crate) fn meta(&self, entry: &Outbound, len: usize, protocol: u8, outer: OuterHeader) -> TransmitMeta {
        let (child, path, encapsulation) = (entry.child(), entry.path, entry.encapsulation);
        TransmitMeta { child, path, encapsulation, protocol, len, outer }
    }

    /// AH covers the IP header, so only whole packets can be made.
    #[cold]
    fn emit_ah(&self, entry: &Outbound, piece: &Piece<'_>, sink: &mut dyn PacketSink) -> Result<(), DropReason> {
        if self.config.output != OutputForm::Ip {
            return Err(DropReason::NeedsHeader);
        }
        let front = self.front(entry, piece.headers.map(|(h, _)| h.len()));
        let v6 = match piece.headers {
            Some((h, _)) => h.first().is_some_and(|b| b >> 4 == 6),
            None => entry.path.remote.is_ipv6(),
        };
        let ah_len = ah::header_len(entry.core.sa.icv_len(), v6);
        let payload_len = piece.prefix.len().saturating_add(piece.body.len());
        let total = front.saturating_add(ah_len).saturating_add(payload_len);
        if total > usize::from(u16::MAX) {
            return Err(DropReason::Oversized);
        }
        let out = sink.reserve(total).and_then(|b| b.get_mut(..total)).ok_or(DropReason::NoRoom)?;
        self.fill(out.get_mut(front.saturating_add(ah_len)..).ok_or(DropReason::NoRoom)?, piece)?;
        self.write_front(entry, out, &piece.outer, piece.headers, protocol::AH)?;
        let number = ah::seal(&entry.core.sa, out, front, piece.next_header)?;
        entry.note_number(number, &self.reports);
        sink.commit(self.meta(entry, total, protocol::AH, piece.outer));
        Ok(())
    }

    /// Octets in front of the ESP header in this plane's output form; `own` is the length of headers that are kept.
    #[inline(always)]
    pub(crate) fn front(&self, entry: &Outbound, own: Option<usize>) -> usize {
        match self.config.output {
            OutputForm::Esp => 0,
            OutputForm::Ip => {
                let udp = if entry.encapsulation == Encapsulation::Udp { udp::HEADER } else { 0 };
                own.unwrap_or_else(|| header::ip_header_len(&entry.path)).saturating_add(udp)
            }
        }
    }

    /// Writes outer IP and UDP headers when this plane's output has them.
    #[inline(always)]
    pub(crate) fn write_front(
        &self,
        entry: &Outbound,
        packet: &mut [u8],
        outer: &OuterHeader,
        own: Option<(&[u8], usize)>,
        bare: u8,
    ) -> Result<(), DropReason> {
        if self.config.output == OutputForm::Esp {
            return Ok(());
        }
        let next = if entry.encapsulation == Encapsulation::Udp { protocol::UDP } else { bare };
        let at = match own {
            Some((headers, field)) => {
                packet.get_mut(..headers.len()).ok_or(DropReason::NoRoom)?.copy_from_slice(headers);
                transport::rewrite(packet, field, next)?;
                headers.len()
            }
            None => {
                // Only what may be fragmented needs an identification (RFC 6864).
                let id = if outer.dont_fragment { 0 } else { entry.core.ip_id.fetch_add(1, Ordering::Relaxed) };
                let id = u16::try_from(id & 0xffff).unwrap_or(0);
                header::write_ip(packet, &entry.path, next, outer, id)?
            }
        };
        if next == protocol::UDP {
            let datagram = packet.get_mut(at..).ok_or(DropReason::NoRoom)?;
            udp::write_header(datagram, entry.path).ok_or(DropReason::Oversized)?;
        }
        Ok(())
    }

    /// Makes a dummy packet (RFC 4303 §2.6): `len` octets of no meaning under Next Header 59, for traffic flow
    /// confidentiality. The receiver throws it away.
    pub fn egress_dummy(&self, child: ChildId, len: usize, sink: &mut dyn PacketSink) -> Egress {
        let Some(entry) = self.outbound.get(&child) else { return Egress::NoSa };
        if entry.protocol != Protocol::Esp || !entry.core.usage.is_usable() {
            return self.discard(Some(&entry), DropReason::Expired);
        }
        let outer = OuterHeader { hop_limit: self.config.header.hop_limit.max(1), ..OuterHeader::default() };
        let piece = Piece { prefix: &[], body: &[], next_header: protocol::NO_NEXT, headers: None, tfc: len, outer };
        match self.emit(&entry, &piece, sink) {
            Ok(()) => Egress::Sent,
            Err(reason) => self.discard(Some(&entry), reason),
        }
    }

    #[cold]
    pub(crate) fn discard(&self, entry: Option<&Outbound>, reason: DropReason) -> Egress {
        if let Some(e) = entry {
            e.drop_for(reason);
        }
        self.drops.count(reason);
        Egress::Discard(reason)
    }
}
