//! From the TUN device to the sockets: packets are read until there are none or enough, super-packets split, all sealed
//! where they lie, and runs of one size to one peer leave in one call.

use super::split::Split;
use super::virtio::{self, Header, LEN};
use crate::sockets::{SEGMENTS, Sockets};
use crate::tun::Tun;
use arrayvec::ArrayVec;
use ravelin::TransmitMeta;
use ravelin::db::{Encapsulation, Path, PolicyId};
use ravelin::esp::plane::{BURST, SealJob};
use ravelin::esp::{Egress, Worker};
use std::io::{self, IoSlice};
use std::ops::Range;

/// Packets of one round.
const ROUND: usize = 64;
/// What a packet of ordinary size needs; larger ones take a way with a copy.
const ORDINARY: usize = 2048;
/// The largest packet.
const LARGEST: usize = 65_536;
/// Octets of UDP payload in one call; the kernel's limit is that of an IP packet.
const TOGETHER: usize = 65_000;

/// A packet in the arena.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Its own part of the arena, with the room around it.
    whole: Range<usize>,
    /// The packet in that.
    packet: Range<usize>,
    policy: Option<PolicyId>,
    sealed: Option<(Range<usize>, TransmitMeta)>,
}

/// What was not sealed, and why.
pub(crate) enum Left<'p> {
    /// No SA yet.
    NoSa(&'p [u8]),
    /// The sender is to be told.
    TooBig(&'p [u8], u16),
}

/// What is left of a packet that did not go into the arena at once.
#[derive(Debug, Clone, Copy)]
struct Pending {
    split: Option<Split>,
    len: usize,
    next: usize,
    policy: PolicyId,
}

/// Packets on their way out.
pub(crate) struct Outgoing {
    /// Packets lie here, each with room before and behind it.
    arena: Vec<u8>,
    used: usize,
    slots: Vec<Slot>,
    /// A super-packet before it is split.
    big: Vec<u8>,
    pending: Option<Pending>,
    /// How many of the round came one by one.
    singles: usize,
    before: usize,
    behind: usize,
}

impl Outgoing {
    /// `room`: octets that sealing needs before and behind a packet.
    pub(crate) fn new((before, behind): (usize, usize)) -> Self {
        let each = before.saturating_add(behind).saturating_add(ORDINARY);
        let largest = before.saturating_add(behind).saturating_add(LARGEST);
        Self {
            arena: vec![0; each.saturating_mul(ROUND).saturating_add(largest)],
            used: 0,
            slots: Vec::with_capacity(ROUND),
            big: vec![0; ORDINARY.saturating_add(LARGEST)],
            pending: None,
            singles: 0,
            before: before.max(LEN),
            behind,
        }
    }

    /// Reads a round of packets; false when the device had no more. `judge` says under which policy a packet goes out, if
    /// any; the segments of a super-packet go out as it does.
    pub(crate) fn read(&mut self, tun: &Tun, mut judge: impl FnMut(&[u8]) -> Option<PolicyId>) -> io::Result<bool> {
        self.slots.clear();
        self.used = 0;
        self.singles = 0;
        while self.slots.len() < ROUND {
            if self.pending.is_some() {
                if !self.unpack() {
                    return Ok(true);
                }
                continue;
            }
            let start = self.used.saturating_add(self.before);
            let room = start.saturating_sub(LEN)..start.saturating_add(ORDINARY);
            let Some(near) = self.arena.get_mut(room) else { return Ok(true) };
            let Some(far) = self.big.get_mut(ORDINARY..) else { return Ok(true) };
            let Some((header, len)) = tun.receive(near, far)? else { return Ok(false) };
            let Some((_, near)) = near.split_first_chunk_mut::<LEN>() else { return Ok(true) };
            if header.gso_type == virtio::gso::NONE && len <= ORDINARY {
                let Some(packet) = near.get_mut(..len) else { continue };
                if header.flags & virtio::NEEDS_CSUM != 0 && virtio::complete(packet, &header).is_none() {
                    tracing::debug!(?header, "a packet with a checksum outside of it");
                    continue;
                }
                if let Some(policy) = judge(packet) {
                    self.push(len, policy);
                    self.singles = self.singles.saturating_add(1);
                }
                continue;
            }
            // the first octets lie in the arena
            if let Some(head) = self.big.get_mut(..ORDINARY) {
                head.copy_from_slice(near);
            }
            self.begin(header, len, &mut judge);
        }
        Ok(true)
    }

    /// Looks at a large packet, which lies in `big`.
    fn begin(&mut self, header: Header, len: usize, judge: &mut impl FnMut(&[u8]) -> Option<PolicyId>) {
        let Some(packet) = self.big.get_mut(..len) else { return };
        let split = if header.gso_type == virtio::gso::NONE {
            if header.flags & virtio::NEEDS_CSUM != 0 && virtio::complete(packet, &header).is_none() {
                return;
            }
            None
        } else {
            let split = Split::new(packet, &header);
            if split.is_none() {
                tracing::debug!(?header, len, "a super-packet that cannot be split");
                return;
            }
            split
        };
        self.pending = judge(packet).map(|policy| Pending { split, len, next: 0, policy });
    }

    /// Takes what is pending into the arena; false when it is full.
    fn unpack(&mut self) -> bool {
        let Some(mut p) = self.pending else { return true };
        let count = p.split.map_or(1, |s| s.count());
        while p.next < count {
            let len = p.split.map_or(p.len, |s| s.len(p.next));
            let start = self.used.saturating_add(self.before);
            let end = start.saturating_add(len);
            let fits = self.slots.len() < ROUND && end.saturating_add(self.behind) <= self.arena.len();
            let (Some(out), true) = (self.arena.get_mut(start..end), fits) else {
                self.pending = Some(p);
                return false;
            };
            let packet = self.big.get(..p.len).unwrap_or_default();
            let written = match &p.split {
                Some(split) => split.write(packet, p.next, out),
                None => packet.get(..len).map(|from| out.copy_from_slice(from)),
            };
            p.next = p.next.saturating_add(1);
            if written.is_some() {
                self.push(len, p.policy);
            }
        }
        self.pending = None;
        true
    }

    /// A packet of this length stands at the end of what is used.
    fn push(&mut self, len: usize, policy: PolicyId) {
        let start = self.used.saturating_add(self.before);
        let packet = start..start.saturating_add(len);
        let whole = self.used..packet.end.saturating_add(self.behind);
        self.used = whole.end;
        self.slots.push(Slot { whole, packet, policy: Some(policy), sealed: None });
    }

    /// Seals the round. `left` is told what was not.
    pub(crate) fn seal(&mut self, now: ravelin::Instant, worker: &mut Worker, mut left: impl FnMut(Left<'_>)) {
        let mut rest = self.arena.as_mut_slice();
        let mut at = 0;
        for slots in self.slots.chunks_mut(BURST) {
            let mut jobs: ArrayVec<SealJob<'_>, BURST> = ArrayVec::new();
            for slot in slots.iter() {
                let len = slot.whole.end.saturating_sub(at);
                let (Some((buf, after)), Some(policy)) = (rest.split_at_mut_checked(len), slot.policy) else { return };
                let packet = slot.packet.start.saturating_sub(at)..slot.packet.end.saturating_sub(at);
                jobs.push(SealJob::new(policy, buf, packet));
                (rest, at) = (after, slot.whole.end);
            }
            worker.seal_burst(now, &mut jobs);
            for (slot, job) in slots.iter_mut().zip(jobs) {
                let packet = job.buf.get(job.packet.clone()).unwrap_or_default();
                match job.result {
                    Ok((range, meta)) => {
                        let from = slot.whole.start;
                        slot.sealed = Some((range.start.saturating_add(from)..range.end.saturating_add(from), meta));
                    }
                    Err(Egress::NoSa) => left(Left::NoSa(packet)),
                    Err(Egress::TooBig { mtu }) => left(Left::TooBig(packet, mtu)),
                    Err(other) => tracing::trace!(?other, "packet from the TUN device"),
                }
            }
        }
    }

    /// Sends the round: how many packets, and calls for them. `sent` is told what each call was about, and whether the
    /// kernel found it too large for the path.
    pub(crate) fn send(
        &self,
        sockets: &Sockets,
        worker: usize,
        mut sent: impl FnMut(&TransmitMeta, bool),
    ) -> (usize, usize) {
        let (mut packets, mut calls) = (0usize, 0usize);
        let mut sealed = self.slots.iter().filter_map(|s| s.sealed.as_ref()).peekable();
        while let Some((range, meta)) = sealed.next() {
            let path = wire_path(meta);
            let size = range.len();
            let mut parts: ArrayVec<IoSlice<'_>, SEGMENTS> = ArrayVec::new();
            let bytes = |range: &Range<usize>| IoSlice::new(self.arena.get(range.clone()).unwrap_or_default());
            parts.push(bytes(range));
            let mut total = size;
            let class = meta.outer.traffic_class;
            let mut shorter = false;
            let bare = meta.encapsulation == Encapsulation::None;
            while let Some((next, _)) = sealed.next_if(|(r, m)| {
                let run = !shorter && r.len() <= size && total.saturating_add(r.len()) <= TOGETHER;
                (run || bare) && wire_path(m) == path && m.outer.traffic_class == class && !parts.is_full()
            }) {
                parts.push(bytes(next));
                total = total.saturating_add(next.len());
                shorter = next.len() < size;
            }
            match sockets.send_many(Some(worker), path, class, &parts) {
                Ok(refused) => sent(meta, refused),
                Err(e) => tracing::debug!(child = %meta.child, "send: {e}"),
            }
            packets = packets.saturating_add(parts.len());
            calls = calls.saturating_add(1);
        }
        (packets, calls)
    }

    /// Whether the device had a whole round of packets that were no super-packets.
    pub(crate) fn is_full_of_singles(&self) -> bool {
        self.singles == ROUND
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// Where a sealed packet leaves: bare ESP is known to the sockets by port 0.
pub(crate) fn wire_path(meta: &TransmitMeta) -> Path {
    match meta.encapsulation {
        Encapsulation::None => meta.path.with_ports(0, 0),
        _ => meta.path,
    }
}
