//! From the inner packet to the wire (RFC 4301 §5.1, RFC 4303 §3.3): SA by policy and selectors, a reservation in the
//! caller's sink, one copy, sealing in place.

use super::Plane;
use super::entry::Outbound;
use crate::DropReason;
use crate::encap::udp;
use crate::mode::{OuterHeader, header, tunnel};
use crate::packet::{IpPacket, protocol};
use alloc::sync::Arc;
use ravelin_sa_db::{ChildId, Direction, Encapsulation, Instant, Mode, Path, PolicyId};

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

/// What became of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Egress {
    /// Sealed and committed.
    Sent,
    /// Dropped and counted.
    Discard(DropReason),
    /// No sending SA covers it; the control side may make one.
    NoSa,
}

impl Plane {
    /// Seals one IP packet into the sink. Octets behind the length its header claims are left out.
    #[inline]
    pub fn egress(&self, now: Instant, target: impl Into<Target>, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        let Ok(inner) = IpPacket::parse(ip) else {
            return self.discard(None, DropReason::NotIp);
        };
        let key = inner.key(Direction::Outbound);
        let found: Option<Arc<Outbound>> = match target.into() {
            Target::Policy(policy) => self.routes.find(policy, &key),
            Target::Child(child) => match self.outbound.get(&child) {
                Some(e) if !key.matches_any(&e.params.local_ts, &e.params.remote_ts) => {
                    return self.discard(Some(&e), DropReason::Selectors);
                }
                e => e,
            },
        };
        match found {
            Some(entry) => self.egress_on(&entry, now, &inner, ip, sink),
            None => Egress::NoSa,
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
            Err(reason) => self.discard(Some(entry), reason),
        }
    }

    #[inline]
    fn seal(&self, entry: &Outbound, inner: &IpPacket, ip: &[u8], sink: &mut dyn PacketSink) -> Result<(), DropReason> {
        let (core, params) = (&entry.core, &entry.params);
        if !core.usage.is_usable() {
            return Err(DropReason::Expired);
        }
        let (payload, next_header, at) = match params.mode {
            Mode::Tunnel => (0..inner.len, tunnel::next_header(inner), 0),
            Mode::Transport | Mode::Beet => return Err(DropReason::OuterHeader),
        };
        let _: usize = at;
        let payload = ip.get(payload).ok_or(DropReason::NotIp)?;
        let tfc = if params.tfc_padding { self.config.tfc_min.saturating_sub(payload.len()) } else { 0 };
        let front = self.front(entry);
        let sealed = core.sa.sealed_len(payload.len().saturating_add(tfc));
        let total = front.saturating_add(sealed);
        if total > usize::from(u16::MAX) {
            return Err(DropReason::Oversized);
        }
        let out = sink.reserve(total).and_then(|b| b.get_mut(..total)).ok_or(DropReason::NoRoom)?;
        let start = front.saturating_add(core.sa.headroom());
        let body = start..start.saturating_add(payload.len());
        out.get_mut(body.clone()).ok_or(DropReason::NoRoom)?.copy_from_slice(payload);
        let number = core.sa.sequence().take()?;
        core.sa.seal_numbered(number, out, body, tfc, next_header)?;
        entry.note_number(number, &self.reports);
        let outer = self.config.header.outer(inner, ip, params.spi.0);
        self.write_front(entry, out, &outer)?;
        sink.commit(TransmitMeta {
            child: entry.child(),
            path: entry.path,
            encapsulation: entry.encapsulation,
            protocol: protocol::ESP,
            len: total,
            outer,
        });
        Ok(())
    }

    /// Octets in front of the ESP header in this plane's output form.
    #[inline]
    pub(crate) fn front(&self, entry: &Outbound) -> usize {
        match self.config.output {
            OutputForm::Esp => 0,
            OutputForm::Ip => {
                let udp = if entry.encapsulation == Encapsulation::Udp { udp::HEADER } else { 0 };
                header::ip_header_len(&entry.path).saturating_add(udp)
            }
        }
    }

    /// Writes outer IP and UDP headers when this plane's output has them.
    #[inline]
    pub(crate) fn write_front(
        &self,
        entry: &Outbound,
        packet: &mut [u8],
        outer: &OuterHeader,
    ) -> Result<(), DropReason> {
        if self.config.output == OutputForm::Esp {
            return Ok(());
        }
        let id = entry.core.ip_id.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        let id = u16::try_from(id & 0xffff).unwrap_or(0);
        let next = if entry.encapsulation == Encapsulation::Udp { protocol::UDP } else { protocol::ESP };
        let at = header::write_ip(packet, &entry.path, next, outer, id)?;
        if next == protocol::UDP {
            let datagram = packet.get_mut(at..).ok_or(DropReason::NoRoom)?;
            udp::write_header(datagram, entry.path).ok_or(DropReason::Oversized)?;
        }
        Ok(())
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
