//! Sealing where the packet lies (RFC 4303 §3.3): the payload is encrypted in place, headers go into the room in front.

use super::Plane;
use super::entry::Outbound;
use super::sink::{Egress, OutputForm, Refusal, Target, TransmitMeta};
use crate::DropReason;
use crate::mode::{OuterHeader, beet, transport, tunnel};
use crate::packet::{IpPacket, protocol};
use core::ops::Range;
use ravelin_sa_db::{Instant, Mode, Protocol};

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

impl Plane {
    /// What of a packet in a buffer becomes the payload, in place: the range, its kind, the headers that stay outside.
    #[inline(always)]
    pub(crate) fn plan(&self, entry: &Outbound, inner: &IpPacket, ip: &[u8]) -> Result<Plan, Refusal> {
        if !entry.core().usage.is_usable() {
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
            let mtu = mtu.saturating_add(u16::try_from(skip).unwrap_or(0));
            // As `Plane::egress` has it: no sender of IPv6 goes below its minimum (RFC 8200 §5).
            let tunnel6 = entry.mode == Mode::Tunnel && inner.is_v6() && inner.len > 1280;
            return Err(Refusal::TooBig(if tunnel6 { mtu.max(1280) } else { mtu }));
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
        let sa = &entry.core().sa;
        let number = sa.sequence().take()?;
        let esp = sa.seal_numbered(number, buf, payload, plan.tfc, plan.next_header)?;
        entry.note_number(number, &self.reports);
        Ok(self.finish_in_place(entry, buf, esp, &plan, kept.as_ref().map_or(&[], Kept::as_slice))?)
    }

    /// Octets that [`Plane::seal_in_place`] may need before and behind an IP packet.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        // Before: headers, UDP, ESP header and 16 octets of IV. Behind: padding to 16 or more, trailer, 32 octets of ICV.
        let padding = usize::from(self.config.pad_to).saturating_add(64);
        (KEPT.saturating_add(32), self.config.tfc_min.saturating_add(padding))
    }
}
