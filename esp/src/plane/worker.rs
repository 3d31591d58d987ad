//! One thread's way through a shared [`Plane`]: it remembers the SAs and routes it used, so that a packet costs no
//! lock and no reference count, and it counts packets of one SA together.
//!
//! What is remembered holds while the entry is not stale (`entry.rs`) and the routes have not changed (`routes.rs`).
//! Counters reach the plane after 32 packets of an SA, with the first call ten milliseconds later, by
//! [`Worker::flush`], and when the worker is dropped; SAs with volume limits are counted packet by packet. A worker
//! about to sleep calls [`Worker::quiesce`], which also lets go of removed SAs, so that their keys are wiped.

use super::Plane;
use super::entry::{Entry, Inbound, Outbound};
use super::ingress::{Frame, Ingress, OuterInfo};
use super::sink::{Egress, PacketSink, Target, TransmitMeta};
use crate::DropReason;
use crate::packet::IpPacket;
use alloc::boxed::Box;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
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
    /// True when this is the first packet since the last flush.
    #[inline]
    fn add<S>(&mut self, plane: &Plane, entry: &Entry<S>, packets: u32, bytes: u64, now: Instant) -> bool {
        if entry.core.usage.is_limited() {
            entry.account(u64::from(packets), bytes, now, &plane.reports);
            return false;
        }
        let first = self.packets == 0;
        self.packets = self.packets.saturating_add(packets);
        self.bytes = self.bytes.saturating_add(bytes);
        self.last = now;
        if self.packets >= TOGETHER {
            self.flush(plane, entry);
            return false;
        }
        first
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
    memory: Memory,
    flush_at: Instant,
    /// Value of the plane's count of retired entries when the memory was last swept.
    swept: u64,
}

/// What a worker remembers, borrowed apart from its plane.
pub(super) struct Memory {
    inbound: Box<[Option<InSlot>]>,
    flows: Box<[Option<Flow>]>,
    /// Slots with counts that the plane does not know of yet.
    dirty_in: ArrayVec<u32, DIRTY>,
    dirty_out: ArrayVec<u32, DIRTY>,
}

/// SAs and flows remembered by a worker that was not told otherwise.
const SLOTS: usize = 4096;
/// Slots whose counts may wait at once.
const DIRTY: usize = 64;

#[inline]
fn in_slot(spi: Spi, slots: usize) -> usize {
    let h = u64::from(spi.0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(h).unwrap_or(0) & slots.wrapping_sub(1)
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
    fn slot(&self, slots: usize) -> usize {
        let x = self.destination.1 ^ self.destination.0.rotate_left(32) ^ self.rest.rotate_left(20);
        let h = (x ^ self.source.1.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(h >> 32).unwrap_or(0) & slots.wrapping_sub(1)
    }
}

impl Worker {
    /// A worker of this plane.
    #[must_use]
    pub fn new(plane: Arc<Plane>) -> Self {
        Self::with_memory(plane, SLOTS)
    }

    /// A worker that remembers about `slots` SAs and as many flows (some 200 octets for each pair); for hosts with
    /// tens of thousands of SAs. Rounded up to a power of two, 1 to 2^22.
    #[must_use]
    pub fn with_memory(plane: Arc<Plane>, slots: usize) -> Self {
        let slots = slots.clamp(1, 1 << 22).next_power_of_two();
        let memory = Memory {
            inbound: (0..slots).map(|_| None).collect(),
            flows: (0..slots).map(|_| None).collect(),
            dirty_in: ArrayVec::new(),
            dirty_out: ArrayVec::new(),
        };
        let swept = plane.retired();
        Self { plane, memory, flush_at: Instant(0), swept }
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
        let Some((at, slot)) = recall(plane, &mut self.memory.inbound, spi) else {
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
        let plane = &self.plane;
        let Ok(inner) = IpPacket::parse(ip) else {
            return plane.discard(None, DropReason::NotIp);
        };
        let (at, flow) = match route(plane, &mut self.memory.flows, target.into(), &inner) {
            Ok(found) => found,
            Err(e) => return e,
        };
        match plane.seal(&flow.entry, &inner, ip, sink) {
            Ok(()) => {
                if flow.tally.add(plane, &flow.entry, 1, inner.len as u64, now) {
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
        let plane = &self.plane;
        let Ok(inner) = IpPacket::parse(buf.get(packet.clone()).unwrap_or(&[])) else {
            return Err(plane.discard(None, DropReason::NotIp));
        };
        let (at, flow) = route(plane, &mut self.memory.flows, target.into(), &inner)?;
        match plane.seal_one(&flow.entry, &inner, buf, packet) {
            Ok(sealed) => {
                if flow.tally.add(plane, &flow.entry, 1, inner.len as u64, now) {
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
        for slot in &mut self.memory.inbound {
            slot.take_if(|s| s.entry.is_stale());
        }
        for flow in &mut self.memory.flows {
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
    pub(super) fn parts(&mut self) -> (&Plane, &mut Memory) {
        (&self.plane, &mut self.memory)
    }
}

impl Memory {
    #[cold]
    fn flush_in(&mut self, plane: &Plane) {
        for at in self.dirty_in.drain(..) {
            let slot = usize::try_from(at).ok().and_then(|i| self.inbound.get_mut(i));
            if let Some(Some(s)) = slot {
                s.tally.flush(plane, &s.entry);
            }
        }
    }

    #[cold]
    fn flush_out(&mut self, plane: &Plane) {
        for at in self.dirty_out.drain(..) {
            let slot = usize::try_from(at).ok().and_then(|i| self.flows.get_mut(i));
            if let Some(Some(f)) = slot {
                f.tally.flush(plane, &f.entry);
            }
        }
    }

    #[inline]
    fn mark_in(&mut self, plane: &Plane, at: usize) {
        let at = u32::try_from(at).unwrap_or(0);
        if self.dirty_in.is_full() {
            self.flush_in(plane);
            // The newest one is not in the list yet.
        }
        let _ = self.dirty_in.try_push(at);
    }

    #[inline]
    fn mark_out(&mut self, plane: &Plane, at: usize) {
        let at = u32::try_from(at).unwrap_or(0);
        if self.dirty_out.is_full() {
            self.flush_out(plane);
        }
        let _ = self.dirty_out.try_push(at);
    }

    /// Looks at what a burst will need, all at once, so that the memory's answers overlap.
    #[inline]
    pub(super) fn warm(&self, spis: impl Iterator<Item = Spi> + Clone) {
        let slots = self.inbound.len();
        let entry = |spi: Spi| self.inbound.get(in_slot(spi, slots)).and_then(|s| s.as_ref()).map(|s| &s.entry);
        for spi in spis.clone() {
            let _ = entry(spi).is_some_and(|e| e.is_stale());
        }
        for spi in spis {
            let _ = entry(spi).is_some_and(|e| e.core.usage.is_usable());
        }
    }

    #[inline]
    pub(super) fn inbound(&mut self, plane: &Plane, spi: Spi) -> Option<&Inbound> {
        recall(plane, &mut self.inbound, spi).map(|(_, s)| &*s.entry)
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
        let Some((at, slot)) = recall(plane, &mut self.inbound, spi) else {
            return plane.refuse(None, DropReason::Removed);
        };
        let (first, delivered) = slot.delivered(plane, now, path, range);
        if first {
            self.mark_in(plane, at);
        }
        delivered
    }

    #[inline]
    pub(super) fn outbound(&mut self, plane: &Plane, target: Target, ip: &IpPacket) -> Result<&Outbound, Egress> {
        route(plane, &mut self.flows, target, ip).map(|(_, f)| &*f.entry)
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
        if packets == 0 {
            return;
        }
        if let Ok((at, flow)) = route(plane, &mut self.flows, target, ip)
            && flow.tally.add(plane, &flow.entry, packets, bytes, now)
        {
            self.mark_out(plane, at);
        }
    }
}

impl InSlot {
    #[inline]
    fn delivered(&mut self, plane: &Plane, now: Instant, path: Path, range: Range<usize>) -> (bool, Ingress) {
        let first = self.tally.add(plane, &self.entry, 1, range.len() as u64, now);
        if path != self.entry.path {
            self.entry.path_seen(path, now, &plane.reports);
        }
        (first, Ingress::Deliver { child: self.entry.child(), range })
    }
}

#[inline(always)]
fn recall<'a>(plane: &Plane, slots: &'a mut [Option<InSlot>], spi: Spi) -> Option<(usize, &'a mut InSlot)> {
    let at = in_slot(spi, slots.len());
    let slot = slots.get_mut(at)?;
    let good = matches!(slot, Some(s) if s.spi == spi && !s.entry.is_stale());
    if !good {
        relearn(plane, slot, spi);
    }
    slot.as_mut().filter(|s| s.spi == spi).map(|s| (at, s))
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

#[inline(always)]
fn route<'a>(
    plane: &Plane,
    flows: &'a mut [Option<Flow>],
    target: Target,
    ip: &IpPacket,
) -> Result<(usize, &'a mut Flow), Egress> {
    let key = FlowKey::new(ip);
    let at = key.slot(flows.len());
    let slot = flows.get_mut(at).ok_or(Egress::NoSa)?;
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
    slot.as_mut().map(|f| (at, f)).ok_or(Egress::NoSa)
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.flush();
    }
}
