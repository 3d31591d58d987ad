//! What a worker remembers of a plane: inbound SAs by SPI, flows with the SA that carries them, and packets that were
//! not counted yet. Everything here holds while the entry is not stale (`entry.rs`) and, for flows, the routes have not
//! changed (`routes.rs`).

mod ahead;

pub(super) use ahead::Ahead;

use super::Plane;
use super::burst::BURST;
use super::entry::{Inbound, Outbound};
use super::ingress::Ingress;
use super::sink::{Egress, Target};
use super::tally::{Tally, octets};
use crate::DropReason;
use crate::packet::{Alike, IpPacket};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use ravelin_prefetch as prefetch;
use ravelin_sa_db::{Instant, Path, Spi};

#[repr(align(64))]
pub(super) struct InSlot {
    spi: Spi,
    pub(super) entry: Arc<Inbound>,
    pub(super) tally: Tally,
    /// What the last usual packet that the selectors held had in common with others.
    pub(super) held: Alike,
}

#[repr(align(64))]
pub(super) struct Flow {
    key: FlowKey,
    wide: Wide,
    version: u64,
    pub(super) entry: Arc<Outbound>,
    pub(super) tally: Tally,
}

/// What a worker remembers, borrowed apart from its plane.
pub(super) struct Memory {
    inbound: Box<[Option<InSlot>]>,
    flows: Box<[Option<Flow>]>,
    /// Slots with counts that the plane does not know of yet, [`DIRTY`] at most.
    dirty_in: Vec<u32>,
    dirty_out: Vec<u32>,
    /// Slots filled so far: with many, what a burst needs is not in the cache.
    filled: usize,
    /// Flows replaced or let go of so far.
    changes: u64,
}

/// From so many slots on, bursts ask the memory for what they need before they start.
const MANY: usize = 256;

/// Slots whose counts may wait at once. With fewer, a thousand SAs in turns would be counted packet by packet, two locked
/// steps each.
const DIRTY: usize = 1024;

/// Places that one key may have, one after the other.
const WAYS: usize = 4;

/// An odd number for multiplicative hashes.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The slot of what is looked for; when it is not there, where it should go: the first free place, else its first.
#[inline(always)]
fn way<T>(slots: &[Option<T>], first: usize, is: impl Fn(&T) -> bool) -> usize {
    let mut free = None;
    for k in 0..WAYS {
        let at = first.wrapping_add(k) & slots.len().wrapping_sub(1);
        match slots.get(at) {
            Some(Some(t)) if is(t) => return at,
            Some(None) if free.is_none() => free = Some(at),
            _ => {}
        }
    }
    free.unwrap_or(first)
}

#[inline]
fn in_slot(spi: Spi, slots: usize) -> usize {
    let h = u64::from(spi.0).wrapping_mul(MIX) >> 32;
    usize::try_from(h).unwrap_or(0) & slots.wrapping_sub(1)
}

/// What two packets of one flow have in common, as integers: of IPv4 all of it, of IPv6 all but the addresses, which
/// are mixed here and whole in [`Wide`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct FlowKey {
    addresses: u64,
    ports: u64,
    target: u64,
}

/// Source and destination of IPv6. Apart, so that a flow of IPv4 is one cache line.
type Wide = Option<Box<[u128; 2]>>;

impl FlowKey {
    #[inline(always)]
    fn new(target: Target, ip: &IpPacket) -> Self {
        let low = |a: u128| u64::try_from(a & u128::from(u64::MAX)).unwrap_or(0);
        let fold = |a: u128| low(a) ^ low(a >> 64).rotate_left(9);
        let addresses = if ip.v6 {
            fold(ip.source).wrapping_mul(MIX) ^ fold(ip.destination)
        } else {
            low(ip.source) << 32 | low(ip.destination)
        };
        let (target, child) = target.words();
        let flags = u64::from(ip.has_ports) | u64::from(ip.v6) << 1 | u64::from(child) << 2;
        Self { addresses, ports: u64::from(ip.ports) << 16 | u64::from(ip.protocol) << 8 | flags, target }
    }

    #[inline(always)]
    fn slot(&self, slots: usize) -> usize {
        let h = (self.addresses.wrapping_mul(MIX) ^ self.ports).wrapping_mul(MIX);
        usize::try_from(h >> 32).unwrap_or(0) & slots.wrapping_sub(1)
    }
}

impl Flow {
    #[inline(always)]
    fn is(&self, key: &FlowKey, ip: &IpPacket) -> bool {
        self.key == *key && (!ip.v6 || self.wide.as_deref() == Some(&[ip.source, ip.destination]))
    }
}

impl Memory {
    /// Room for `slots` SAs and as many flows; `slots` is a power of two.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            inbound: (0..slots).map(|_| None).collect(),
            flows: (0..slots).map(|_| None).collect(),
            dirty_in: Vec::with_capacity(DIRTY),
            dirty_out: Vec::with_capacity(DIRTY),
            filled: 0,
            changes: 0,
        }
    }

    /// Lets go of what was removed or moved.
    pub(super) fn sweep(&mut self) {
        for slot in &mut self.inbound {
            slot.take_if(|s| s.entry.is_stale());
        }
        self.changes = self.changes.wrapping_add(1);
        for flow in &mut self.flows {
            flow.take_if(|f| f.entry.is_stale());
        }
    }

    #[inline(always)]
    fn way_in(&self, spi: Spi) -> usize {
        way(&self.inbound, in_slot(spi, self.inbound.len()), |s| s.spi == spi)
    }

    #[inline(always)]
    fn way_out(&self, key: &FlowKey, ip: &IpPacket) -> usize {
        way(&self.flows, key.slot(self.flows.len()), |f| f.is(key, ip))
    }

    /// What is remembered of an inbound SA and still holds.
    #[inline(always)]
    pub(super) fn known_in(&mut self, spi: Spi) -> Option<(usize, &mut InSlot)> {
        let first = in_slot(spi, self.inbound.len());
        // Apart, so that it is looked at once.
        if matches!(self.inbound.get(first), Some(Some(s)) if s.spi == spi) {
            let slot = self.inbound.get_mut(first)?.as_mut()?;
            return (!slot.entry.is_stale()).then_some((first, slot));
        }
        let at = self.other_place_in(first, spi)?;
        let slot = self.inbound.get_mut(at)?.as_mut()?;
        (!slot.entry.is_stale()).then_some((at, slot))
    }

    #[inline(never)]
    fn other_place_in(&self, first: usize, spi: Spi) -> Option<usize> {
        let at = way(&self.inbound, first, |s| s.spi == spi);
        matches!(self.inbound.get(at), Some(Some(s)) if s.spi == spi).then_some(at)
    }

    /// What [`Memory::known_in`] found, whatever became of it since.
    pub(super) fn slot_in(&mut self, at: usize) -> Option<&mut InSlot> {
        self.inbound.get_mut(at)?.as_mut()
    }

    /// What is remembered of a flow and still holds.
    #[inline(always)]
    pub(super) fn known_out(&mut self, plane: &Plane, target: Target, ip: &IpPacket) -> Option<(usize, &mut Flow)> {
        let key = FlowKey::new(target, ip);
        let at = self.find_out(plane, &key, ip)?;
        let flow = self.flows.get_mut(at)?.as_mut()?;
        Some((at, flow))
    }

    /// Where a flow is remembered that still holds.
    #[inline(always)]
    fn find_out(&self, plane: &Plane, key: &FlowKey, ip: &IpPacket) -> Option<usize> {
        let first = key.slot(self.flows.len());
        let at = match self.flows.get(first) {
            Some(Some(f)) if f.is(key, ip) => first,
            _ if ip.v6 => self.way_out(key, ip),
            _ => self.other_place_out(first, key.addresses, key.ports, key.target)?,
        };
        let flow = self.flows.get(at)?.as_ref()?;
        let holds = flow.version == plane.routes.version() && !flow.entry.is_stale();
        (holds && (!ip.v6 || flow.is(key, ip))).then_some(at)
    }

    /// [`Memory::known_out`], to look at.
    #[inline(always)]
    pub(super) fn look_out(&self, plane: &Plane, target: Target, ip: &IpPacket) -> Option<(usize, &Flow)> {
        let at = self.find_out(plane, &FlowKey::new(target, ip), ip)?;
        Some((at, self.flow_at(at)?))
    }

    /// What [`Memory::known_out`] found.
    #[inline(always)]
    pub(super) fn flow_at(&self, at: usize) -> Option<&Flow> {
        self.flows.get(at)?.as_ref()
    }

    /// As long as this is the same, a flow that was found somewhere is still there.
    #[inline(always)]
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// What [`Memory::known_out`] found, to count in.
    pub(super) fn count_at(&mut self, at: usize) -> Option<&mut Flow> {
        self.flows.get_mut(at)?.as_mut()
    }

    /// Of IPv4. Not the key itself, which were in memory for every packet then.
    #[inline(never)]
    fn other_place_out(&self, first: usize, addresses: u64, ports: u64, target: u64) -> Option<usize> {
        let key = FlowKey { addresses, ports, target };
        let at = way(&self.flows, first, |f| f.key == key);
        matches!(self.flows.get(at), Some(Some(f)) if f.key == key).then_some(at)
    }

    #[cold]
    pub(super) fn flush_in(&mut self, plane: &Plane) {
        for some in self.dirty_in.chunks(BURST) {
            let slot = |at: &u32| self.inbound.get(usize::try_from(*at).ok()?);
            some.iter().filter_map(slot).for_each(prefetch::read);
            some.iter().filter_map(slot).flatten().for_each(|s| s.entry.warm_count());
            for at in some {
                let slot = usize::try_from(*at).ok().and_then(|i| self.inbound.get_mut(i));
                if let Some(Some(s)) = slot {
                    s.tally.flush(plane, &s.entry);
                }
            }
        }
        self.dirty_in.clear();
    }

    #[cold]
    pub(super) fn flush_out(&mut self, plane: &Plane) {
        for some in self.dirty_out.chunks(BURST) {
            let slot = |at: &u32| self.flows.get(usize::try_from(*at).ok()?);
            some.iter().filter_map(slot).for_each(prefetch::read);
            some.iter().filter_map(slot).flatten().for_each(|f| f.entry.warm_count());
            for at in some {
                let slot = usize::try_from(*at).ok().and_then(|i| self.flows.get_mut(i));
                if let Some(Some(f)) = slot {
                    f.tally.flush(plane, &f.entry);
                }
            }
        }
        self.dirty_out.clear();
    }

    #[inline]
    pub(super) fn mark_in(&mut self, plane: &Plane, at: usize) {
        let at = u32::try_from(at).unwrap_or(0);
        if self.dirty_in.len() >= DIRTY {
            self.flush_in(plane);
            // The newest one is not in the list yet.
        }
        self.dirty_in.push(at);
    }

    #[inline]
    pub(super) fn mark_out(&mut self, plane: &Plane, at: usize) {
        let at = u32::try_from(at).unwrap_or(0);
        if self.dirty_out.len() >= DIRTY {
            self.flush_out(plane);
        }
        self.dirty_out.push(at);
    }

    /// True when a burst should be preceded by [`Memory::warm_in`] or [`Memory::warm_out`] (`ahead.rs`).
    #[inline]
    pub(super) fn is_large(&self) -> bool {
        self.filled > MANY
    }

    #[inline]
    pub(super) fn inbound(&mut self, plane: &Plane, spi: Spi) -> Option<&Inbound> {
        recall(plane, self, spi).map(|(_, s)| &*s.entry)
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
        let Some((at, slot)) = recall(plane, self, spi) else {
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
        route(plane, self, target, ip).map(|(_, f)| &*f.entry)
    }

    #[inline]
    pub(super) fn sent(
        &mut self,
        plane: &Plane,
        target: Target,
        ip: &IpPacket,
        packets: u32,
        bytes: u32,
        now: Instant,
    ) {
        if packets == 0 {
            return;
        }
        if let Ok((at, flow)) = route(plane, self, target, ip)
            && flow.tally.add(plane, &flow.entry, packets, bytes, now)
        {
            self.mark_out(plane, at);
        }
    }
}

impl InSlot {
    #[inline]
    pub(super) fn delivered(
        &mut self,
        plane: &Plane,
        now: Instant,
        path: Path,
        range: Range<usize>,
    ) -> (bool, Ingress) {
        let first = self.tally.add(plane, &self.entry, 1, octets(range.len()), now);
        self.entry.note_path(&path, now, &plane.reports);
        (first, Ingress::Deliver { child: self.entry.child(), range })
    }
}

#[inline(always)]
pub(super) fn recall<'a>(plane: &Plane, memory: &'a mut Memory, spi: Spi) -> Option<(usize, &'a mut InSlot)> {
    let at = memory.way_in(spi);
    let slot = memory.inbound.get_mut(at)?;
    let good = matches!(slot, Some(s) if s.spi == spi && !s.entry.is_stale());
    if !good {
        relearn(plane, slot, &mut memory.filled, spi);
    }
    slot.as_mut().filter(|s| s.spi == spi).map(|s| (at, s))
}

#[cold]
fn relearn(plane: &Plane, slot: &mut Option<InSlot>, filled: &mut usize, spi: Spi) {
    // Of an SPI that is not enough, nothing is remembered; asked after the entry was read (`qualified.rs`).
    let Some(entry) = plane.inbound.get(&spi).filter(|_| !plane.qualified.has(spi)) else {
        // A packet for nobody must not push out what another SA uses.
        if let Some(mut s) = slot.take_if(|s| s.spi == spi) {
            s.tally.flush(plane, &s.entry);
        }
        return;
    };
    match slot.replace(InSlot { spi, entry, tally: Tally::default(), held: Alike::default() }) {
        Some(mut old) => old.tally.flush(plane, &old.entry),
        None => *filled = filled.saturating_add(1),
    }
}

#[inline(always)]
pub(super) fn route<'a>(
    plane: &Plane,
    memory: &'a mut Memory,
    target: Target,
    ip: &IpPacket,
) -> Result<(usize, &'a mut Flow), Egress> {
    let key = FlowKey::new(target, ip);
    let at = memory.way_out(&key, ip);
    let slot = memory.flows.get_mut(at).ok_or(Egress::NoSa)?;
    let version = plane.routes.version();
    let good = matches!(slot, Some(f) if f.version == version && f.is(&key, ip) && !f.entry.is_stale());
    if !good {
        memory.changes = memory.changes.wrapping_add(1);
        reroute(plane, slot, &mut memory.filled, version, target, key, ip)?;
    }
    slot.as_mut().map(|f| (at, f)).ok_or(Egress::NoSa)
}

#[cold]
#[inline(never)]
fn reroute(
    plane: &Plane,
    slot: &mut Option<Flow>,
    filled: &mut usize,
    version: u64,
    target: Target,
    key: FlowKey,
    ip: &IpPacket,
) -> Result<(), Egress> {
    // The version was read before the route, so a change in between is noticed next time.
    let entry = plane.select(target, ip)?;
    let wide = ip.v6.then(|| Box::new([ip.source, ip.destination]));
    match slot.replace(Flow { key, wide, version, entry, tally: Tally::default() }) {
        Some(mut old) => old.tally.flush(plane, &old.entry),
        None => *filled = filled.saturating_add(1),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::entry::{Core, Facts};
    use crate::{InboundSa, OutboundSa};
    use core::mem::{offset_of, size_of};

    /// What a packet touches, in cache lines of 64 octets: with many SAs each of them is a wait.
    #[test]
    fn hot_parts_lie_together() {
        assert_eq!([size_of::<Option<Flow>>(), size_of::<Option<InSlot>>()], [64, 64]);
        // An SA is one piece of memory, behind the counts of its `Arc`; what comes last of it is rare.
        let count = 2 * size_of::<usize>();
        let cold = size_of::<Core<OutboundSa>>() - offset_of!(Core<OutboundSa>, drops);
        assert!(count + size_of::<Outbound>() - cold <= 200 && cold == 32);
        let cold = size_of::<Core<InboundSa>>() - offset_of!(Core<InboundSa>, drops);
        assert!(count + size_of::<Inbound>() - cold <= 184 && cold == 32);
        assert_eq!(offset_of!(Facts, policy), 128);
    }
}
