//! From the wire to the inner packet (RFC 4301 §5.2, RFC 4303 §3.4): SA lookup by SPI, window check, integrity,
//! window update, decapsulation, selector check, counters. One cause, one counter; nothing is answered.

use super::Plane;
use super::entry::Inbound;
use crate::encap::udp;
use crate::mode::{beet, transport, tunnel};
use crate::packet::{Fragment, IpPacket, protocol};
use crate::{DropReason, InboundSa, ah, mss};
use core::ops::Range;
use ravelin_sa_db::{ChildId, Direction, Encapsulation, Instant, Mode, Path, Protocol, Report, Spi};

/// What the outer header said, as far as the driver knows (ancillary data of the socket).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OuterInfo {
    /// DSCP (upper six bits) and ECN (lower two); 0 when unknown.
    pub traffic_class: u8,
    /// TTL or hop limit; 0 when unknown.
    pub hop_limit: u8,
}

/// What became of one packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ingress {
    /// The inner IP packet is at `range` of the buffer.
    Deliver {
        /// The Child SA it came on.
        child: ChildId,
        /// Where.
        range: Range<usize>,
    },
    /// Dropped and counted.
    Drop(DropReason),
}

/// Where things are in a received buffer.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// ESP or AH header.
    start: usize,
    ah: bool,
    /// Length of the IP headers at the front of the buffer that transport mode keeps, and their Next Header octet.
    headers: usize,
    field: Option<usize>,
}

impl Frame {
    #[inline]
    pub(crate) fn esp(start: usize) -> Self {
        Self { start, ah: false, headers: 0, field: None }
    }

    #[inline]
    pub(crate) fn spi(&self, buf: &[u8]) -> Option<Spi> {
        let at = if self.ah { self.start.saturating_add(4) } else { self.start };
        buf.get(at..)?.first_chunk().map(|b| Spi::from_be_bytes(*b))
    }

    /// Finds ESP, AH or ESP in UDP in a whole IP packet.
    fn of(packet: &[u8]) -> Result<(Self, Path, OuterInfo, usize), DropReason> {
        let ip = IpPacket::parse(packet).map_err(|_| DropReason::OuterHeader)?;
        if ip.fragment != Fragment::Whole {
            return Err(DropReason::Fragment);
        }
        let (at, next, field) = transport::locate(packet, &ip)?;
        let frame = |start| Self { start, ah: false, headers: at, field: Some(field) };
        let (frame, ports) = match next {
            protocol::ESP => (frame(at), (0, 0)),
            protocol::AH => (Self { ah: true, ..frame(at) }, (0, 0)),
            protocol::UDP => {
                let start = at.saturating_add(udp::HEADER);
                let payload = packet.get(start..ip.len).ok_or(DropReason::Runt)?;
                match udp::classify(payload) {
                    udp::Kind::Esp => {
                        (frame(start), (ip.source_port().unwrap_or(0), ip.destination_port().unwrap_or(0)))
                    }
                    udp::Kind::Short => return Err(DropReason::Runt),
                    _ => return Err(DropReason::NotEsp),
                }
            }
            _ => return Err(DropReason::NotEsp),
        };
        let path = Path { local: (ip.destination(), ports.1).into(), remote: (ip.source(), ports.0).into() };
        let outer = OuterInfo { traffic_class: ip.traffic_class, hop_limit: ip.hop_limit };
        Ok((frame, path, outer, ip.len))
    }
}

impl Plane {
    /// Opens one ESP packet in place. `esp` starts at the SPI: the payload of UDP port 4500 or of IP protocol 50.
    /// `path` is where it came from; its ports are 0 without UDP.
    #[inline]
    pub fn ingress(&self, now: Instant, path: Path, outer: OuterInfo, esp: &mut [u8]) -> Ingress {
        self.ingress_at(now, path, outer, esp, 0)
    }

    /// As [`Plane::ingress`] for a buffer whose ESP packet starts at `start`; the octets before it are headroom.
    #[inline]
    pub fn ingress_at(&self, now: Instant, path: Path, outer: OuterInfo, buf: &mut [u8], start: usize) -> Ingress {
        self.ingress_frame(now, path, outer, buf, Frame::esp(start))
    }

    /// Opens one whole IP packet in place: protocol 50 or 51, or ESP in UDP port 4500. What AH and transport mode with
    /// IP options or extension headers need. Fragments are to be reassembled before.
    pub fn ingress_ip(&self, now: Instant, packet: &mut [u8]) -> Ingress {
        match Frame::of(packet) {
            Ok((frame, path, outer, len)) => match packet.get_mut(..len) {
                Some(packet) => self.ingress_frame(now, path, outer, packet, frame),
                None => self.refuse(None, DropReason::OuterHeader),
            },
            Err(reason) => self.refuse(None, reason),
        }
    }

    #[inline]
    fn ingress_frame(&self, now: Instant, path: Path, outer: OuterInfo, buf: &mut [u8], frame: Frame) -> Ingress {
        let Some(spi) = frame.spi(buf) else {
            return self.refuse(None, DropReason::Runt);
        };
        match self.inbound_of(spi, path) {
            Some(entry) => self.ingress_on(&entry, now, path, outer, buf, frame),
            None => self.unknown_spi(now, path, spi),
        }
    }

    #[inline]
    pub(crate) fn ingress_on(
        &self,
        entry: &Inbound,
        now: Instant,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        frame: Frame,
    ) -> Ingress {
        match self.open(entry, path, outer, buf, frame) {
            Ok(range) => {
                entry.account(1, range.len() as u64, now, &self.reports);
                entry.note_path(&path, now, &self.reports);
                Ingress::Deliver { child: entry.child(), range }
            }
            Err(reason) => self.refuse_after(entry, now, path, reason),
        }
    }

    #[inline(always)]
    pub(crate) fn open(
        &self,
        entry: &Inbound,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        frame: Frame,
    ) -> Result<Range<usize>, DropReason> {
        if !entry.core().usage.is_usable() {
            return Err(DropReason::Expired);
        }
        let sa: &InboundSa = &entry.core().sa;
        let start = frame.start;
        let (payload, next_header) = match (frame.ah, entry.protocol) {
            (false, Protocol::Esp) => {
                let opened = sa.open(buf.get_mut(start..).ok_or(DropReason::Runt)?)?;
                let from = opened.payload.start.saturating_add(start);
                (from..opened.payload.end.saturating_add(start), opened.next_header)
            }
            (true, Protocol::Ah) => ah::open(sa, buf, start)?,
            _ => return Err(DropReason::WrongProtocol),
        };
        self.deliver(entry, path, outer, buf, frame, payload, next_header)
    }

    /// From an authentic payload to the inner IP packet.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of it describes one packet")]
    pub(crate) fn deliver(
        &self,
        entry: &Inbound,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        frame: Frame,
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, DropReason> {
        if next_header == protocol::NO_NEXT {
            return Err(DropReason::Dummy);
        }
        let range = match entry.mode {
            Mode::Tunnel => return self.finish_tunnel(entry, payload, next_header, buf, outer),
            Mode::Transport => {
                let range = match frame.field {
                    Some(field) => transport::rejoin(buf, 0..frame.headers, field, payload, next_header)?,
                    None => {
                        let (source, destination) = (path.remote.ip(), path.local.ip());
                        transport::synthesize(buf, payload, source, destination, outer, next_header)?
                    }
                };
                if entry.encapsulation == Encapsulation::Udp {
                    transport::fix_checksum(
                        entry.facts.hosts(),
                        buf.get_mut(range.clone()).ok_or(DropReason::InnerHeader)?,
                    )?;
                }
                range
            }
            Mode::Beet => beet::decapsulate(entry.facts.hosts(), buf, payload, next_header, outer)?,
        };
        let inner = IpPacket::parse(buf.get(range.clone()).ok_or(DropReason::InnerHeader)?)?;
        if !entry.holds(&inner, Direction::Inbound) {
            return Err(DropReason::Selectors);
        }
        Ok(range)
    }

    #[inline(always)]
    fn finish_tunnel(
        &self,
        entry: &Inbound,
        payload: Range<usize>,
        next_header: u8,
        buf: &mut [u8],
        outer: OuterInfo,
    ) -> Result<Range<usize>, DropReason> {
        let range = tunnel::decapsulate(&entry.facts.selectors, payload, next_header, buf, outer.traffic_class)?;
        if self.config.mss_clamp != 0
            && let Some(ip) = buf.get_mut(range.clone())
        {
            mss::clamp(ip, self.config.mss_clamp);
        }
        Ok(range)
    }

    /// A drop on an SA. A dummy packet was authentic: it proves the peer alive and counts as traffic. So was one of
    /// transport mode that shows another address than the SA is for: IKE hears where it came from, and decides.
    #[cold]
    pub(crate) fn refuse_after(&self, entry: &Inbound, now: Instant, path: Path, reason: DropReason) -> Ingress {
        if reason == DropReason::Dummy {
            entry.account(1, 0, now, &self.reports);
            entry.note_path(&path, now, &self.reports);
        } else if reason == DropReason::Selectors && entry.is_translated() {
            entry.note_path(&path, now, &self.reports);
        }
        self.refuse(Some(entry), reason)
    }

    #[cold]
    pub(crate) fn refuse(&self, entry: Option<&Inbound>, reason: DropReason) -> Ingress {
        if let Some(e) = entry {
            e.drop_for(reason);
        }
        self.drops.count(reason);
        Ingress::Drop(reason)
    }

    #[cold]
    pub(crate) fn unknown_spi(&self, now: Instant, path: Path, spi: Spi) -> Ingress {
        if spi.is_reserved() {
            return self.refuse(None, DropReason::ReservedSpi);
        }
        if self.reports.may_hint_unknown(now) {
            self.reports.push(Report::UnknownSpi { spi, path });
        }
        self.refuse(None, DropReason::UnknownSpi)
    }
}
