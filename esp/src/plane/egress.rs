//! From the inner packet to the wire (RFC 4301 §5.1, RFC 4303 §3.3): SA by policy and selectors, a reservation in the
//! caller's sink, one copy, sealing in place there. Packets that may be overwritten go through `in_place.rs`.

use super::Plane;
use super::entry::Outbound;
use super::sink::{Egress, Fragmentation, OutputForm, PacketSink, Refusal, Target, TransmitMeta};
use crate::encap::udp;
use crate::mode::{OuterHeader, beet, header, transport, tunnel};
use crate::packet::{IpPacket, protocol};
use crate::{DropReason, ah, fragment, mss};
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;
use ravelin_sa_db::{ChildId, Direction, Encapsulation, Instant, Mode, Protocol};

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
        if !entry.core().usage.is_usable() {
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

    #[inline]
    pub(crate) fn tfc(&self, entry: &Outbound, payload: usize) -> usize {
        if entry.tfc_padding { self.config.tfc_min.saturating_sub(payload) } else { 0 }
    }

    /// The largest payload, when the path MTU is known and this payload does not fit.
    #[inline(always)]
    pub(crate) fn too_big(&self, entry: &Outbound, payload: usize) -> Option<u16> {
        let mtu = entry.core().mtu.load(Ordering::Relaxed);
        if mtu == 0 {
            return None;
        }
        let udp = if entry.encapsulation == Encapsulation::Udp { udp::HEADER } else { 0 };
        let around = header::ip_header_len(&entry.path()).saturating_add(udp);
        let room = usize::try_from(mtu).unwrap_or(0).saturating_sub(around);
        if entry.core().sa.sealed_len(payload) <= room {
            return None;
        }
        Some(u16::try_from(entry.core().sa.payload_within(room)).unwrap_or(u16::MAX))
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
        let core = entry.core();
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
        let (child, path, encapsulation) = (entry.child(), entry.path(), entry.encapsulation);
        TransmitMeta { child, path, encapsulation, protocol, len, outer }
    }

    /// [`Plane::meta`] in memory, from where it is copied in large pieces.
    #[inline(never)]
    pub(crate) fn meta_apart(&self, entry: &Outbound, len: usize, protocol: u8, outer: OuterHeader) -> TransmitMeta {
        self.meta(entry, len, protocol, outer)
    }

    /// As [`Plane::meta`], to be written where it is to be: addresses of IPv4 go there straight.
    #[inline(always)]
    pub(crate) fn sealed_usual(
        &self,
        entry: &Outbound,
        range: Range<usize>,
        outer: OuterHeader,
        result: &mut Result<(Range<usize>, TransmitMeta), Egress>,
    ) {
        let (child, encapsulation, protocol) = (entry.child(), entry.encapsulation, protocol::ESP);
        let len = range.end.wrapping_sub(range.start);
        match entry.path_v4() {
            Some(path) => *result = Ok((range, TransmitMeta { child, path, encapsulation, protocol, len, outer })),
            None => *result = Ok((range, self.meta(entry, len, protocol, outer))),
        }
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
            None => entry.path().remote.is_ipv6(),
        };
        let ah_len = ah::header_len(entry.core().sa.icv_len(), v6);
        let payload_len = piece.prefix.len().saturating_add(piece.body.len());
        let total = front.saturating_add(ah_len).saturating_add(payload_len);
        if total > usize::from(u16::MAX) {
            return Err(DropReason::Oversized);
        }
        let out = sink.reserve(total).and_then(|b| b.get_mut(..total)).ok_or(DropReason::NoRoom)?;
        self.fill(out.get_mut(front.saturating_add(ah_len)..).ok_or(DropReason::NoRoom)?, piece)?;
        self.write_front(entry, out, &piece.outer, piece.headers, protocol::AH)?;
        let number = ah::seal(&entry.core().sa, out, front, piece.next_header)?;
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
                own.unwrap_or_else(|| header::ip_header_len(&entry.path())).saturating_add(udp)
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
                let id = if outer.dont_fragment { 0 } else { entry.core().ip_id.fetch_add(1, Ordering::Relaxed) };
                let id = u16::try_from(id & 0xffff).unwrap_or(0);
                header::write_ip(packet, &entry.path(), next, outer, id)?
            }
        };
        if next == protocol::UDP {
            let datagram = packet.get_mut(at..).ok_or(DropReason::NoRoom)?;
            udp::write_header(datagram, entry.path()).ok_or(DropReason::Oversized)?;
        }
        Ok(())
    }

    /// Makes a dummy packet (RFC 4303 §2.6): `len` octets of no meaning under Next Header 59, for traffic flow
    /// confidentiality. The receiver throws it away.
    pub fn egress_dummy(&self, child: ChildId, len: usize, sink: &mut dyn PacketSink) -> Egress {
        let Some(entry) = self.outbound.get(&child) else { return Egress::NoSa };
        if entry.protocol != Protocol::Esp || !entry.core().usage.is_usable() {
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
