//! One thread's way through a shared [`Plane`]: it remembers the SAs and routes it used, so that a packet costs no
//! lock and no reference count, and it counts packets of one SA together.
//!
//! What is remembered holds while the entry is not stale (`entry.rs`) and the routes have not changed (`routes.rs`).
//! Counters reach the plane after 32 packets of an SA, with the first call ten milliseconds later, by
//! [`Worker::flush`], and when the worker is dropped; SAs with volume limits are counted packet by packet. A worker
//! about to sleep calls [`Worker::quiesce`], which also lets go of removed SAs, so that their keys are wiped.

use super::Plane;
use super::ingress::{Frame, Ingress, OuterInfo};
use super::lane::Sealed;
use super::memory::{Memory, octets, recall, route};
use super::sink::{Egress, PacketSink, Target, TransmitMeta};
use crate::DropReason;
use crate::packet::{self, IpPacket, protocol};
use alloc::sync::Arc;
use core::ops::Range;
use core::time::Duration;
use ravelin_sa_db::{Instant, Path};

/// The longest that counters lag behind while packets flow.
const LAG: Duration = Duration::from_millis(10);

/// See the head of this file. One per thread; not shared.
pub struct Worker {
    plane: Arc<Plane>,
    memory: Memory,
    flush_at: Instant,
    /// Value of the plane's count of retired entries when the memory was last swept.
    swept: u64,
}

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
        Self { plane, memory: Memory::new(slots), flush_at: Instant(0), swept }
    }

    /// The plane it works on.
    #[must_use]
    pub fn plane(&self) -> &Arc<Plane> {
        &self.plane
    }

    /// As [`Plane::ingress_at`].
    #[inline]
    pub fn ingress(&mut self, now: Instant, path: Path, outer: OuterInfo, buf: &mut [u8], start: usize) -> Ingress {
        self.tick(now);
        let plane = &self.plane;
        if let Some(spi) = Frame::esp(start).spi(buf)
            && let Some((at, slot)) = self.memory.known_in(spi)
            && let Some(opened) = plane.open_usual(&slot.entry, path, outer, buf, start)
        {
            let range = match opened {
                Ok(range) => range,
                Err(reason) => return plane.refuse_after(&slot.entry, now, path, reason),
            };
            let first = slot.tally.add(plane, &slot.entry, 1, octets(range.len()), now);
            slot.entry.note_path(path, now, &plane.reports);
            let child = slot.entry.child();
            if first {
                self.memory.mark_in(plane, at);
            }
            return Ingress::Deliver { child, range };
        }
        self.ingress_otherwise(now, path, outer, buf, start)
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
        match plane.open(&slot.entry, path, outer, buf, frame) {
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
        let plane = &self.plane;
        if let Some(inner) = packet::usual(ip)
            && let Some((at, flow)) = self.memory.known_out(plane, target, &inner)
            && let Some(sealed) = plane.copy_usual(&flow.entry, &inner, ip, |len| sink.reserve(len))
        {
            let Sealed { range, outer } = match sealed {
                Ok(sealed) => sealed,
                Err(reason) => return plane.discard(Some(&flow.entry), reason),
            };
            sink.commit(plane.meta(&flow.entry, range.len(), protocol::ESP, outer));
            if flow.tally.add(plane, &flow.entry, 1, octets(inner.len), now) {
                self.memory.mark_out(plane, at);
            }
            return Egress::Sent;
        }
        self.egress_otherwise(now, target, ip, sink)
    }

    #[inline(never)]
    fn egress_otherwise(&mut self, now: Instant, target: Target, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
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
    #[inline]
    pub fn seal_in_place(
        &mut self,
        now: Instant,
        target: impl Into<Target>,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<(Range<usize>, TransmitMeta), Egress> {
        self.tick(now);
        let target = target.into();
        let plane = &self.plane;
        if let Some(ip) = buf.get(packet.clone())
            && let Some(inner) = packet::usual(ip)
            && let Some((at, flow)) = self.memory.known_out(plane, target, &inner)
            && let Some(sealed) = plane.seal_usual(&flow.entry, &inner, buf, packet.start)
        {
            let Sealed { range, outer } = match sealed {
                Ok(sealed) => sealed,
                Err(reason) => return Err(plane.discard(Some(&flow.entry), reason)),
            };
            let first = flow.tally.add(plane, &flow.entry, 1, octets(inner.len), now);
            let meta = plane.meta(&flow.entry, range.len(), protocol::ESP, outer);
            if first {
                self.memory.mark_out(plane, at);
            }
            return Ok((range, meta));
        }
        self.seal_otherwise(now, target, buf, packet)
    }

    #[inline(never)]
    fn seal_otherwise(
        &mut self,
        now: Instant,
        target: Target,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Result<(Range<usize>, TransmitMeta), Egress> {
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

impl Drop for Worker {
    fn drop(&mut self) {
        self.flush();
    }
}
