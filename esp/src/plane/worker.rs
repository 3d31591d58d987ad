//! One thread's way through a shared [`Plane`]: it remembers the SAs and routes it used, so that a packet costs no
//! lock and no reference count, and it counts packets of one SA together.
//!
//! What is remembered holds while the entry is not stale (`entry.rs`) and the routes have not changed (`routes.rs`).
//! Counters reach the plane after 32 packets of an SA, with the first call ten milliseconds later, by
//! [`Worker::flush`], and when the worker is dropped; SAs with volume limits are counted packet by packet. A worker
//! about to sleep calls [`Worker::quiesce`], which also lets go of removed SAs, so that their keys are wiped.

use super::Plane;
use super::egress::{Egress, PacketSink, Target, TransmitMeta};
use super::entry::{Entry, Inbound, Outbound};
use super::ingress::{Frame, Ingress, OuterInfo};
use crate::DropReason;
use crate::packet::IpPacket;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;
use core::time::Duration;
use ravelin_sa_db::{Instant, Path, Spi};

/// Packets of one SA that are counted together.
const TOGETHER: u32 = 32;
/// The longest that counters lag behind while packets flow.
const LAG: Duration = Duration::from_millis(10);

/// Packets of one entry that the plane does not know of yet.
#[derive(Default)]
struct Tally {
    packets: u32,
    bytes: u64,
    last: Instant,
}

impl Tally {
    #[inline]
    fn add<S>(&mut self, plane: &Plane, entry: &Entry<S>, packets: u32, bytes: u64, now: Instant) {
        if entry.core.usage.is_limited() {
            return entry.account(u64::from(packets), bytes, now, &plane.reports);
        }
        self.packets = self.packets.saturating_add(packets);
        self.bytes = self.bytes.saturating_add(bytes);
        self.last = now;
        if self.packets >= TOGETHER {
            self.flush(plane, entry);
        }
    }

    fn flush<S>(&mut self, plane: &Plane, entry: &Entry<S>) {
        if self.packets != 0 {
            entry.account(u64::from(self.packets), self.bytes, self.last, &plane.reports);
            *self = Self::default();
        }
    }
}

struct InSlot {
    spi: Spi,
    entry: Arc<Inbound>,
    tally: Tally,
}

struct Flow {
    target: Target,
    key: FlowKey,
    version: u64,
    entry: Arc<Outbound>,
    tally: Tally,
}

/// See the head of this file. One per thread; not shared.
pub struct Worker {
    plane: Arc<Plane>,
    inbound: Box<[Option<InSlot>]>,
    flows: Box<[Option<Flow>]>,
    flush_at: Instant,
}

/// Remembered SAs and flows, each; powers of two.
const IN_SLOTS: usize = 4096;
const FLOWS: usize = 1024;

#[inline]
fn in_slot(spi: Spi) -> usize {
    let h = spi.0.wrapping_mul(0x9e37_79b1) >> 20;
    usize::try_from(h).unwrap_or(0)
}

/// What two packets of one flow have in common, as integers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FlowKey {
    source: (u64, u64),
    destination: (u64, u64),
    rest: u64,
}

impl FlowKey {
    #[inline]
    fn new(ip: &IpPacket) -> Self {
        let flags = u64::from(ip.has_ports) | u64::from(ip.v6) << 1;
        let rest = u64::from(ip.ports) << 16 | u64::from(ip.protocol) << 8 | flags;
        Self { source: ip.source, destination: ip.destination, rest }
    }

    #[inline]
    fn slot(&self) -> usize {
        let x = self.destination.1 ^ self.destination.0.rotate_left(32) ^ self.rest.rotate_left(20);
        let h = (x ^ self.source.1.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(h >> 40).unwrap_or(0) & (FLOWS - 1)
    }
}

impl Worker {
    /// A worker of this plane.
    #[must_use]
    pub fn new(plane: Arc<Plane>) -> Self {
        Self {
            plane,
            inbound: (0..IN_SLOTS).map(|_| None).collect(),
            flows: (0..FLOWS).map(|_| None).collect(),
            flush_at: Instant(0),
        }
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
        let frame = Frame::esp(start);
        let Some(spi) = frame.spi(buf) else {
            return self.plane.refuse(None, DropReason::Runt);
        };
        let plane = &self.plane;
        let Some(slot) = recall(plane, &mut self.inbound, spi) else {
            return plane.unknown_spi(now, path, spi);
        };
        match plane.open(&slot.entry, path, outer, buf, frame) {
            Ok(range) => slot.delivered(plane, now, path, range),
            Err(reason) => plane.refuse_after(&slot.entry, now, path, reason),
        }
    }

    /// As [`Plane::egress`].
    #[inline]
    pub fn egress(&mut self, now: Instant, target: impl Into<Target>, ip: &[u8], sink: &mut dyn PacketSink) -> Egress {
        self.tick(now);
        let plane = &self.plane;
        let Ok(inner) = IpPacket::parse(ip) else {
            return plane.discard(None, DropReason::NotIp);
        };
        let flow = match route(plane, &mut self.flows, target.into(), &inner) {
            Ok(flow) => flow,
            Err(e) => return e,
        };
        match plane.seal(&flow.entry, &inner, ip, sink) {
            Ok(()) => {
                flow.tally.add(plane, &flow.entry, 1, inner.len as u64, now);
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
        let plane = &self.plane;
        let inner = buf.get(packet.clone()).and_then(|ip| IpPacket::parse(ip).ok());
        let Some(inner) = inner else { return Err(plane.discard(None, DropReason::NotIp)) };
        let flow = route(plane, &mut self.flows, target.into(), &inner)?;
        match plane.seal_one(&flow.entry, &inner, buf, packet) {
            Ok(sealed) => {
                flow.tally.add(plane, &flow.entry, 1, inner.len as u64, now);
                Ok(sealed)
            }
            Err(refusal) => Err(plane.refuse_egress(&flow.entry, refusal)),
        }
    }

    /// Brings the plane's counters up to date.
    pub fn flush(&mut self) {
        for slot in self.inbound.iter_mut().flatten() {
            slot.tally.flush(&self.plane, &slot.entry);
        }
        for flow in self.flows.iter_mut().flatten() {
            flow.tally.flush(&self.plane, &flow.entry);
        }
    }

    /// [`Worker::flush`], and lets go of SAs that were removed or moved. For a thread that is about to sleep.
    pub fn quiesce(&mut self) {
        self.flush();
        for slot in &mut self.inbound {
            slot.take_if(|s| s.entry.is_stale());
        }
        for flow in &mut self.flows {
            flow.take_if(|f| f.entry.is_stale());
        }
    }

    #[inline]
    pub(super) fn tick(&mut self, now: Instant) {
        if now >= self.flush_at {
            self.quiesce();
            self.flush_at = now + LAG;
        }
    }

    #[inline]
    pub(super) fn parts(&mut self) -> (&Plane, Memory<'_>) {
        (&self.plane, Memory { inbound: &mut self.inbound, flows: &mut self.flows })
    }
}

/// The remembered half of a worker, borrowed apart from its plane.
pub(super) struct Memory<'a> {
    inbound: &'a mut [Option<InSlot>],
    flows: &'a mut [Option<Flow>],
}

impl Memory<'_> {
    #[inline]
    pub(super) fn inbound(&mut self, plane: &Plane, spi: Spi) -> Option<&Inbound> {
        recall(plane, self.inbound, spi).map(|s| &*s.entry)
    }

    #[inline]
    pub(super) fn delivered(
        &mut self,
        plane: &Plane,
        spi: Spi,
        now: Instant,
        path: Path,
        range: Range<usize>,
    ) -> Ingress {
        match recall(plane, self.inbound, spi) {
            Some(slot) => slot.delivered(plane, now, path, range),
            None => plane.refuse(None, DropReason::Removed),
        }
    }

    #[inline]
    pub(super) fn outbound(&mut self, plane: &Plane, target: Target, ip: &IpPacket) -> Result<&Outbound, Egress> {
        route(plane, self.flows, target, ip).map(|f| &*f.entry)
    }

    #[inline]
    pub(super) fn sent(
        &mut self,
        plane: &Plane,
        target: Target,
        ip: &IpPacket,
        packets: u32,
        bytes: u64,
        now: Instant,
    ) {
        if let Ok(flow) = route(plane, self.flows, target, ip) {
            flow.tally.add(plane, &flow.entry, packets, bytes, now);
        }
    }
}

impl InSlot {
    #[inline]
    fn delivered(&mut self, plane: &Plane, now: Instant, path: Path, range: Range<usize>) -> Ingress {
        self.tally.add(plane, &self.entry, 1, range.len() as u64, now);
        if path != self.entry.path {
            self.entry.path_seen(path, now, &plane.reports);
        }
        Ingress::Deliver { child: self.entry.child(), range }
    }
}

#[inline]
fn recall<'a>(plane: &Plane, slots: &'a mut [Option<InSlot>], spi: Spi) -> Option<&'a mut InSlot> {
    let slot = slots.get_mut(in_slot(spi) & (IN_SLOTS - 1))?;
    let good = matches!(slot, Some(s) if s.spi == spi && !s.entry.is_stale());
    if !good {
        relearn(plane, slot, spi);
    }
    slot.as_mut().filter(|s| s.spi == spi)
}

#[cold]
fn relearn(plane: &Plane, slot: &mut Option<InSlot>, spi: Spi) {
    let Some(entry) = plane.inbound.get(&spi) else {
        // A packet for nobody must not push out what another SA uses.
        if let Some(mut s) = slot.take_if(|s| s.spi == spi) {
            s.tally.flush(plane, &s.entry);
        }
        return;
    };
    if let Some(mut old) = slot.replace(InSlot { spi, entry, tally: Tally::default() }) {
        old.tally.flush(plane, &old.entry);
    }
}

#[inline]
fn route<'a>(
    plane: &Plane,
    flows: &'a mut [Option<Flow>],
    target: Target,
    ip: &IpPacket,
) -> Result<&'a mut Flow, Egress> {
    let key = FlowKey::new(ip);
    let slot = flows.get_mut(key.slot()).ok_or(Egress::NoSa)?;
    let version = plane.routes.version();
    let good =
        matches!(slot, Some(f) if f.version == version && f.key == key && f.target == target && !f.entry.is_stale());
    if !good {
        // The version is read before the route, so a change in between is noticed next time.
        let entry = plane.select(target, ip)?;
        let new = Flow { target, key, version, entry, tally: Tally::default() };
        if let Some(mut old) = slot.replace(new) {
            old.tally.flush(plane, &old.entry);
        }
    }
    slot.as_mut().ok_or(Egress::NoSa)
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.flush();
    }
}
