//! One thread's way through a shared [`Plane`]: it remembers the SAs and routes it used, so that a packet costs no
//! lock and no reference count, and it counts packets of one SA together.
//!
//! What is remembered holds while the entry is not stale (`entry.rs`) and the routes have not changed (`routes.rs`).
//! Counters reach the plane after 32 packets of an SA, with the first call ten milliseconds later, by
//! [`Worker::flush`], and when the worker is dropped; SAs with volume limits are counted packet by packet. A worker
//! about to sleep calls [`Worker::quiesce`], which also lets go of removed SAs, so that their keys are wiped.

use super::Plane;
use super::entry::Core;
use super::ingress::{Frame, Ingress, OuterInfo};
use super::memory::{Memory, recall, route};
use super::recent::{OFTEN, Recent};
use super::recent_in::{self, RecentIn};
use super::sink::{Egress, PacketSink, Target, TransmitMeta};
use super::tally::octets;
use crate::packet::{self, IpPacket, protocol};
use crate::{DropReason, OutboundSa};
use alloc::sync::Arc;
use core::ops::Range;
use core::time::Duration;
use ravelin_sa_db::{Instant, Path};

/// The longest that counters lag behind while packets flow.
const LAG: Duration = Duration::from_millis(10);

/// See the head of this file. One per thread; not shared.
pub struct Worker {
    pub(super) plane: Arc<Plane>,
    pub(super) memory: Memory,
    flush_at: Instant,
    /// Where the flow is that a packet was last sealed of by itself; nowhere after one was opened by itself. Only a hint.
    pub(super) sealed: usize,
    /// How many packets of it were sealed the long way.
    times: u8,
    pub(super) recent: Option<Recent>,
    /// Where the SA is that a packet was last opened of by itself the long way, and how many of it there were before.
    opened: (usize, u8),
    pub(super) recent_in: Option<RecentIn>,
    /// Value of the plane's count of retired entries when the memory was last swept.
    swept: u64,
}

/// No place in a memory.
const NOWHERE: usize = usize::MAX;

/// SAs and flows remembered by a worker that was not told otherwise.
const SLOTS: usize = 4096;

impl Worker {
    /// A worker of this plane.
    #[must_use]
    pub fn new(plane: Arc<Plane>) -> Self {
        Self::with_memory(plane, SLOTS)
    }

    /// A worker that remembers about `slots` SAs and as many flows (128 octets for each pair, 32 more for a flow of IPv6); for hosts with
    /// tens of thousands of SAs, best twice as many slots as there are SAs. Rounded up to a power of two, 1 to 2^22.
    #[must_use]
    pub fn with_memory(plane: Arc<Plane>, slots: usize) -> Self {
        let slots = slots.clamp(1, 1 << 22).next_power_of_two();
        let swept = plane.retired();
        Self {
            plane,
            memory: Memory::new(slots),
            flush_at: Instant(0),
            sealed: NOWHERE,
            times: 0,
            recent: None,
            opened: (NOWHERE, 0),
            recent_in: None,
            swept,
        }
    }

    /// The plane it works on.
    #[must_use]
    pub fn plane(&self) -> &Arc<Plane> {
        &self.plane
    }

    /// As [`Plane::ingress_at`].
    // Always: copied out of a call, the result costs 4 ns.
    #[inline(always)]
    pub fn ingress(&mut self, now: Instant, path: Path, outer: OuterInfo, buf: &mut [u8], start: usize) -> Ingress {
        let mut result = Ingress::Drop(DropReason::Runt);
        self.tick(now);
        if !self.open_again(now, &path, outer, buf, start, &mut result) {
            self.ingress_into(now, &path, outer, buf, start, &mut result);
        }
        result
    }

    /// As [`Worker::ingress`], with the result where it is to be: in registers or in the job, not copied from one to the other.
    #[inline(always)]
    pub(super) fn ingress_into(
        &mut self,
        now: Instant,
        path: &Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
        result: &mut Ingress,
    ) {
        self.sealed = NOWHERE;
        let plane = &self.plane;
        if let Some(spi) = Frame::esp(start).spi(buf)
            && let Some((at, slot)) = self.memory.known_in(spi)
            && let Some(opened) = plane.open_usual::<true>(&slot.entry, buf, start)
        {
            match opened {
                Ok(opened) => {
                    let inner =
                        plane.inner_usual(&slot.entry, &mut slot.held, outer, opened.payload, opened.next_header);
                    if let Err(reason) = opened.accept() {
                        *result = plane.refuse_after(&slot.entry, now, *path, reason);
                        return;
                    }
                    let Some(len) = inner else {
                        let (payload, next_header) = (opened.range(), opened.next_header);
                        return self.deliver_apart(now, at, path, outer, buf, start, payload, next_header, result);
                    };
                    let first = slot.tally.add(plane, &slot.entry, 1, octets(len), now);
                    slot.entry.note_path(path, now, &plane.reports);
                    let range = opened.at..opened.at.wrapping_add(len);
                    *result = Ingress::Deliver { child: slot.entry.child(), range };
                    if first {
                        self.memory.mark_in(plane, at);
                    }
                    if self.opened.0 == at {
                        self.opened_again(at);
                    } else {
                        self.opened = (at, 0);
                    }
                }
                Err(reason) => *result = plane.refuse_after(&slot.entry, now, *path, reason),
            }
            return;
        }
        *result = self.ingress_otherwise(now, *path, outer, buf, start);
    }

    /// The next packets may be of this SA as well.
    #[inline(never)]
    fn opened_again(&mut self, at: usize) {
        self.opened.1 = self.opened.1.saturating_add(1);
        if self.opened.1 < recent_in::OFTEN {
            return;
        }
        self.opened.1 = 0;
        let Some(slot) = self.memory.slot_in(at) else { return };
        match &mut self.recent_in {
            Some(recent) if recent.is_of(slot) => {}
            recent => {
                if let Some(old) = recent {
                    old.flush(&self.plane);
                }
                *recent = RecentIn::new(slot);
            }
        }
    }

    /// An inner packet that is not the usual one.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "all of it describes one packet")]
    fn deliver_apart(
        &mut self,
        now: Instant,
        at: usize,
        path: &Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
        payload: Range<usize>,
        next_header: u8,
        result: &mut Ingress,
    ) {
        let plane = &self.plane;
        let Some(slot) = self.memory.slot_in(at) else {
            *result = plane.refuse(None, DropReason::Removed);
            return;
        };
        let entry = &slot.entry;
        let (first, delivered) = match plane.deliver_rest(entry, path, outer, buf, start, payload, next_header) {
            Ok(range) => slot.delivered(plane, now, *path, range),
            Err(reason) => (false, plane.refuse_after(entry, now, *path, reason)),
        };
        *result = delivered;
        if first {
            self.memory.mark_in(plane, at);
        }
    }

    /// The general way, out of the usual packet's code.
    #[inline(never)]
    fn ingress_otherwise(
        &mut self,
        now: Instant,
        path: Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
    ) -> Ingress {
        let frame = Frame::esp(start);
        let Some(spi) = frame.spi(buf) else {
            return self.plane.refuse(None, DropReason::Runt);
        };
        let plane = &self.plane;
        if plane.qualified.has(spi) {
            return plane.ingress_at(now, path, outer, buf, start);
        }
        let Some((at, slot)) = recall(plane, &mut self.memory, spi) else {
            return plane.unknown_spi(now, path, spi);
        };
        let opened = match plane.open_usual::<false>(&slot.entry, buf, start) {
            Some(opened) => {
                let accepted = opened.and_then(|o| o.accept().map(|()| (o.range(), o.next_header)));
                accepted.and_then(|(payload, next_header)| {
                    plane.deliver_rest(&slot.entry, &path, outer, buf, start, payload, next_header)
                })
            }
            None => plane.open(&slot.entry, path, outer, buf, frame),
        };
        match opened {
            Ok(range) => {
                let (first, delivered) = slot.delivered(plane, now, path, range);
                if first {
                    self.memory.mark_in(plane, at);
                }
                delivered
            }
            Err(reason) => plane.refuse_after(&slot.entry, now, path, reason),
        }
    }

    /// As [`Plane::egress`].
    #[inline]
    pub fn egress(&mut self, now: Instant, target: impl Into<Target>, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        self.tick(now);
        let target = target.into();
        if let Some(inner) = packet::usual_v4(ip)
            && let Some(done) = self.egress_flow::<true>(now, target, &inner, ip, sink)
        {
            return done;
        }
        self.egress_otherwise(now, target, ip, sink)
    }

    /// A packet of a flow that is remembered and may take the lane; inlined where its version is known.
    #[inline(always)]
    fn egress_flow<const MOST: bool>(
        &mut self,
        now: Instant,
        target: Target,
        inner: &IpPacket,
        ip: &[u8],
        sink: &mut dyn PacketSink,
    ) -> Option<Egress> {
        let plane = &self.plane;
        let (at, flow) = self.memory.known_out(plane, target, inner)?;
        let (entry, core) = (&*flow.entry, flow.entry.core());
        let shape = plane.shape::<MOST>(entry, core, inner, ip, None, usize::MAX)?;
        if let Err(reason) = plane.copy_shaped::<MOST>(entry, core, &shape, ip, |len| sink.reserve(len)) {
            return Some(plane.discard(Some(entry), reason));
        }
        ask_next(&mut self.sealed, at, core);
        sink.commit(plane.meta(entry, shape.end, protocol::ESP, shape.outer));
        if flow.tally.add(plane, &flow.entry, 1, octets(inner.len), now) {
            self.memory.mark_out(plane, at);
        }
        Some(Egress::Sent)
    }

    #[inline(never)]
    fn egress_otherwise(&mut self, now: Instant, target: Target, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        if let Some(inner) = packet::usual(ip)
            && let Some(done) = self.egress_flow::<false>(now, target, &inner, ip, sink)
        {
            return done;
        }
        let plane = &self.plane;
        let Ok(inner) = IpPacket::parse(ip) else {
            return plane.discard(None, DropReason::NotIp);
        };
        let (at, flow) = match route(plane, &mut self.memory, target, &inner) {
            Ok(found) => found,
            Err(e) => return e,
        };
        match plane.seal(&flow.entry, &inner, ip, sink) {
            Ok(()) => {
                if flow.tally.add(plane, &flow.entry, 1, octets(inner.len), now) {
                    self.memory.mark_out(plane, at);
                }
                Egress::Sent
            }
            Err(refusal) => plane.refuse_egress(&flow.entry, refusal),
        }
    }

    /// As [`Plane::seal_in_place`].
    ///
    /// # Errors
    /// Anything but [`Egress::Sent`].
    // Always: what it gives is 120 octets, written in small pieces. Copied out of a call they cost 5 ns.
    #[inline(always)]
    pub fn seal_in_place(
        &mut self,
        now: Instant,
        target: impl Into<Target>,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<(Range<usize>, TransmitMeta), Egress> {
        let mut result = Err(Egress::NoSa);
        let target = target.into();
        self.tick(now);
        if !self.seal_again(now, target, buf, &packet, &mut result) {
            self.seal_into(now, target, buf, packet, &mut result);
        }
        result
    }

    /// As [`Worker::seal_in_place`], with the result where it is to be.
    #[inline(always)]
    pub(super) fn seal_into(
        &mut self,
        now: Instant,
        target: Target,
        buf: &mut [u8],
        packet: Range<usize>,
        result: &mut Result<(Range<usize>, TransmitMeta), Egress>,
    ) {
        if let Some(inner) = buf.get(packet.clone()).and_then(packet::usual_v4)
            && self.seal_flow::<true>(now, target, &inner, buf, packet.start, result)
        {
            return;
        }
        *result = self.seal_otherwise(now, target, buf, packet);
    }

    /// As [`Worker::egress_flow`]; false when the packet has to go another way.
    #[inline(always)]
    fn seal_flow<const MOST: bool>(
        &mut self,
        now: Instant,
        target: Target,
        inner: &IpPacket,
        buf: &mut [u8],
        start: usize,
        result: &mut Result<(Range<usize>, TransmitMeta), Egress>,
    ) -> bool {
        let (plane, changes) = (&self.plane, self.memory.changes());
        let Some((at, flow)) = self.memory.known_out(plane, target, inner) else { return false };
        let (entry, core) = (&*flow.entry, flow.entry.core());
        let ip = buf.get(start..).unwrap_or(&[]);
        let Some(shape) = plane.shape::<MOST>(entry, core, inner, ip, Some(start), buf.len()) else { return false };
        self.times = if self.sealed == at { self.times.saturating_add(1) } else { 0 };
        if MOST && self.times >= OFTEN {
            self.recent = Recent::new(plane, entry, target.words(), at, changes, ip);
            self.times = 0;
        }
        let Some(packet) = buf.get_mut(shape.start..shape.end) else { return false };
        if let Err(reason) = plane.seal_shaped::<MOST>(entry, core, &shape, packet) {
            *result = Err(plane.discard(Some(entry), reason));
            return true;
        }
        ask_next(&mut self.sealed, at, core);
        plane.sealed_usual(entry, shape.start..shape.end, shape.outer, result);
        if flow.tally.add(plane, &flow.entry, 1, octets(inner.len), now) {
            self.memory.mark_out(plane, at);
        }
        true
    }

    #[inline(never)]
    fn seal_otherwise(
        &mut self,
        now: Instant,
        target: Target,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<(Range<usize>, TransmitMeta), Egress> {
        let mut result = Err(Egress::NoSa);
        if let Some(inner) = buf.get(packet.clone()).and_then(packet::usual)
            && self.seal_flow::<false>(now, target, &inner, buf, packet.start, &mut result)
        {
            return result;
        }
        let plane = &self.plane;
        let Ok(inner) = IpPacket::parse(buf.get(packet.clone()).unwrap_or(&[])) else {
            return Err(plane.discard(None, DropReason::NotIp));
        };
        let (at, flow) = route(plane, &mut self.memory, target, &inner)?;
        match plane.seal_one(&flow.entry, &inner, buf, packet) {
            Ok(sealed) => {
                if flow.tally.add(plane, &flow.entry, 1, octets(inner.len), now) {
                    self.memory.mark_out(plane, at);
                }
                Ok(sealed)
            }
            Err(refusal) => Err(plane.refuse_egress(&flow.entry, refusal)),
        }
    }

    /// Brings the plane's counters up to date.
    pub fn flush(&mut self) {
        if let Some(recent) = &mut self.recent_in {
            recent.flush(&self.plane);
        }
        self.memory.flush_in(&self.plane);
        self.memory.flush_out(&self.plane);
    }

    /// [`Worker::flush`], and lets go of SAs that were removed or moved. For a thread that is about to sleep.
    pub fn quiesce(&mut self) {
        self.flush();
        let retired = self.plane.retired();
        if retired == self.swept {
            return;
        }
        self.swept = retired;
        self.memory.sweep();
        self.recent = None;
        self.recent_in = None;
    }

    #[inline]
    pub(super) fn tick(&mut self, now: Instant) {
        if now >= self.flush_at {
            self.quiesce();
            self.flush_at = now + LAG;
        }
    }

    #[inline]
    pub(super) fn parts(&mut self) -> (&Plane, &mut Memory) {
        (&self.plane, &mut self.memory)
    }
}

/// Asks for the next sequence number's memory when packets of one flow are sealed one after the other: another thread that
/// uses the SA hands it over meanwhile, and not while the next packet waits.
#[inline(always)]
pub(super) fn ask_next(sealed: &mut usize, at: usize, core: &Core<OutboundSa>) {
    if core::mem::replace(sealed, at) == at {
        ravelin_prefetch::write(core.sa.sequence());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.flush();
    }
}
