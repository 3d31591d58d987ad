//! From the wire to the inner packet (RFC 4301 §5.2, RFC 4303 §3.4): SA lookup by SPI, window check, integrity,
//! window update, decapsulation, selector check, counters. One cause, one counter; nothing is answered.

use super::Plane;
use super::entry::Inbound;
use crate::mode::tunnel;
use crate::{DropReason, InboundSa};
use core::ops::Range;
use ravelin_sa_db::{ChildId, Instant, Mode, Path, Report, Spi};

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
        let Some(spi) = buf.get(start..).and_then(|b| b.first_chunk()).map(|b| Spi::from_be_bytes(*b)) else {
            return self.refuse(None, DropReason::Runt);
        };
        let Some(entry) = self.inbound.get(&spi) else {
            return self.unknown_spi(now, path, spi);
        };
        self.ingress_on(&entry, now, path, outer, buf, start)
    }

    #[inline]
    pub(crate) fn ingress_on(
        &self,
        entry: &Inbound,
        now: Instant,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
    ) -> Ingress {
        match self.open(entry, outer, buf, start) {
            Ok(range) => {
                entry.account(1, range.len() as u64, now, &self.reports);
                if path != entry.path {
                    entry.path_seen(path, now, &self.reports);
                }
                Ingress::Deliver { child: entry.child(), range }
            }
            Err(reason) => self.refuse_after(entry, now, path, reason),
        }
    }

    #[inline]
    fn open(
        &self,
        entry: &Inbound,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
    ) -> Result<Range<usize>, DropReason> {
        if !entry.core.usage.is_usable() {
            return Err(DropReason::Expired);
        }
        let sa: &InboundSa = &entry.core.sa;
        let esp = buf.get_mut(start..).ok_or(DropReason::Runt)?;
        let mut opened = sa.open(esp)?;
        opened.payload = opened.payload.start.saturating_add(start)..opened.payload.end.saturating_add(start);
        match entry.params.mode {
            Mode::Tunnel => tunnel::decapsulate(&entry.params, &opened, buf, outer.traffic_class),
            Mode::Transport | Mode::Beet => Err(DropReason::NextHeader),
        }
    }

    /// A drop on an SA. A dummy packet was authentic: it proves the peer alive and counts as traffic.
    #[cold]
    fn refuse_after(&self, entry: &Inbound, now: Instant, path: Path, reason: DropReason) -> Ingress {
        if reason == DropReason::Dummy {
            entry.account(1, 0, now, &self.reports);
            if path != entry.path {
                entry.path_seen(path, now, &self.reports);
            }
        }
        self.refuse(Some(entry), reason)
    }

    #[cold]
    fn refuse(&self, entry: Option<&Inbound>, reason: DropReason) -> Ingress {
        if let Some(e) = entry {
            e.drop_for(reason);
        }
        self.drops.count(reason);
        Ingress::Drop(reason)
    }

    #[cold]
    fn unknown_spi(&self, now: Instant, path: Path, spi: Spi) -> Ingress {
        if spi.is_reserved() {
            return self.refuse(None, DropReason::ReservedSpi);
        }
        if self.reports.may_hint_unknown(now) {
            self.reports.push(Report::UnknownSpi { spi, path });
        }
        self.refuse(None, DropReason::UnknownSpi)
    }
}
