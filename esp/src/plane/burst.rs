//! Many packets at once. With many SAs, what the packets of a burst will need is asked of the memory first, for all of
//! them (see `worker.rs`). Where the provider gains from many packets of one key in one call, as a multi-buffer library
//! does, packets of one SA are brought together and sequence numbers of a group are taken in one step; with other
//! providers sorting would cost more than it saves: packets stay as they are, and those of one SA that follow each other
//! are worked on together (`run.rs`). The result of each packet is that of the single call; order within an SA is kept.

use super::Plane;
use super::entry::Outbound;
use super::in_place::Plan;
use super::ingress::{Frame, Ingress, OuterInfo};
use super::memory::Ahead;
use super::sink::{Egress, Refusal, Target, TransmitMeta};
use super::tally::octets;
use super::worker::Worker;
use crate::DropReason;
use crate::packet::IpPacket;
use crate::transform::reason;
use arrayvec::ArrayVec;
use core::ops::Range;
use ravelin_crypto::aead::AeadJob;
use ravelin_sa_db::{Instant, Path, Spi};

/// Packets that are looked at together. Longer bursts are cut.
pub const BURST: usize = 32;

/// One packet to be sealed in place.
pub struct SealJob<'a> {
    /// Policy or Child SA.
    pub target: Target,
    /// The buffer, with room around the packet (see [`Plane::room`]).
    pub buf: &'a mut [u8],
    /// The IP packet in it.
    pub packet: Range<usize>,
    /// What came of it: what to send, as a range of `buf`, and where to.
    pub result: Result<(Range<usize>, TransmitMeta), Egress>,
}

impl<'a> SealJob<'a> {
    /// A packet that has not been worked on.
    pub fn new(target: impl Into<Target>, buf: &'a mut [u8], packet: Range<usize>) -> Self {
        Self { target: target.into(), buf, packet, result: Err(Egress::NoSa) }
    }
}

/// One packet to be opened in place.
pub struct OpenJob<'a> {
    /// Where it came from.
    pub path: Path,
    /// What its outer header said.
    pub outer: OuterInfo,
    /// The buffer.
    pub buf: &'a mut [u8],
    /// Where the ESP header starts in it.
    pub start: usize,
    /// What came of it.
    pub result: Ingress,
}

impl<'a> OpenJob<'a> {
    /// A packet that has not been worked on.
    pub fn new(path: Path, outer: OuterInfo, buf: &'a mut [u8], start: usize) -> Self {
        Self { path, outer, buf, start, result: Ingress::Drop(DropReason::Runt) }
    }
}

/// A packet of a group between framing and cryptography.
struct Framed {
    index: usize,
    number: u64,
    esp: Range<usize>,
    plan: Option<Plan>,
}

impl Worker {
    /// Opens many packets in place.
    pub fn open_burst(&mut self, now: Instant, jobs: &mut [OpenJob<'_>]) {
        self.tick(now);
        for chunk in jobs.chunks_mut(BURST) {
            self.open_chunk(now, chunk);
        }
    }

    fn open_chunk(&mut self, now: Instant, jobs: &mut [OpenJob<'_>]) {
        let mut ahead = Ahead::default();
        if self.parts().1.is_large() && jobs.len() > 1 {
            let packets = jobs.iter().map(|j| Some((Frame::esp(j.start).spi(j.buf)?, j.buf.len())));
            self.parts().1.warm_in(packets, &mut ahead);
        }
        if !self.plane().groups {
            self.open_runs(now, jobs, &mut ahead);
            return;
        }
        self.parts().1.warm_next_in(&mut ahead, BURST);
        let mut left: ArrayVec<(usize, Spi), BURST> = ArrayVec::new();
        for (i, job) in jobs.iter_mut().enumerate().take(BURST) {
            match Frame::esp(job.start).spi(job.buf) {
                Some(spi) => left.push((i, spi)),
                None => job.result = self.plane().refuse(None, DropReason::Runt),
            }
        }
        while let Some(&(_, spi)) = left.first() {
            let mut group: ArrayVec<usize, BURST> = ArrayVec::new();
            left.retain(|(i, s)| {
                if *s == spi {
                    group.push(*i);
                }
                *s != spi
            });
            self.open_group(now, spi, &group, jobs);
        }
    }

    fn open_group(&mut self, now: Instant, spi: Spi, group: &[usize], jobs: &mut [OpenJob<'_>]) {
        let (plane, memory) = self.parts();
        if plane.qualified.has(spi) {
            for i in group {
                if let Some(job) = jobs.get_mut(*i) {
                    job.result = plane.ingress_at(now, job.path, job.outer, job.buf, job.start);
                }
            }
            return;
        }
        let Some(entry) = memory.inbound(plane, spi) else {
            for i in group {
                if let Some(job) = jobs.get_mut(*i) {
                    job.result = plane.unknown_spi(now, job.path, spi);
                }
            }
            return;
        };
        let usable = entry.core().usage.is_usable() && entry.protocol == ravelin_sa_db::Protocol::Esp;
        let sa = &entry.core().sa;
        let mut outcome: [Result<Range<usize>, DropReason>; BURST] = [const { Err(DropReason::Integrity) }; BURST];
        match sa.transform().batch().filter(|_| usable && group.len() > 1) {
            None => {
                for (i, out) in group.iter().zip(&mut outcome) {
                    let Some(job) = jobs.get_mut(*i) else { continue };
                    *out = plane.open(entry, job.path, job.outer, job.buf, Frame::esp(job.start));
                }
            }
            Some(key) => {
                let mut rooms = [[0u8; 12]; BURST];
                let mut batch: ArrayVec<AeadJob<'_>, BURST> = ArrayVec::new();
                let mut framed: ArrayVec<(usize, u64), BURST> = ArrayVec::new();
                let mut wanted = group.iter().zip(outcome.iter_mut()).zip(rooms.iter_mut()).enumerate().peekable();
                for (i, job) in jobs.iter_mut().enumerate() {
                    let Some((at, ((_, out), room))) = wanted.next_if(|(_, ((g, _), _))| **g == i) else { continue };
                    let begun = job.buf.get_mut(job.start..).ok_or(DropReason::Runt).and_then(|esp| {
                        sa.transform().inside(esp.len())?;
                        let number = sa.begin(esp)?;
                        Ok((number, sa.transform().job(number, esp, room, false).map_err(reason)?))
                    });
                    match begun {
                        Ok((number, aead)) => {
                            batch.push(aead);
                            framed.push((at, number));
                        }
                        Err(e) => *out = Err(e),
                    }
                }
                key.open_many(&mut batch);
                let results: ArrayVec<_, BURST> = batch.iter().map(|j| j.result).collect();
                drop(batch);
                for ((at, number), opened) in framed.iter().zip(results) {
                    let job = group.get(*at).and_then(|i| jobs.get_mut(*i));
                    let (Some(job), Some(out)) = (job, outcome.get_mut(*at)) else { continue };
                    *out = opened.map_err(reason).and_then(|()| {
                        let esp = job.buf.get(job.start..).ok_or(DropReason::Runt)?;
                        let o = sa.finish(*number, esp)?;
                        let payload =
                            o.payload.start.saturating_add(job.start)..o.payload.end.saturating_add(job.start);
                        plane.deliver(
                            entry,
                            job.path,
                            job.outer,
                            job.buf,
                            Frame::esp(job.start),
                            payload,
                            o.next_header,
                        )
                    });
                }
            }
        }
        for (i, out) in group.iter().zip(outcome) {
            let Some(job) = jobs.get_mut(*i) else { continue };
            job.result = match (out, memory.inbound(plane, spi)) {
                (Ok(range), _) => memory.delivered(plane, spi, now, job.path, range),
                (Err(r), Some(entry)) => plane.refuse_after(entry, now, job.path, r),
                (Err(r), None) => plane.refuse(None, r),
            };
        }
    }

    /// Seals many packets in place.
    pub fn seal_burst(&mut self, now: Instant, jobs: &mut [SealJob<'_>]) {
        self.tick(now);
        for chunk in jobs.chunks_mut(BURST) {
            self.seal_chunk(now, chunk);
        }
    }

    fn seal_chunk(&mut self, now: Instant, jobs: &mut [SealJob<'_>]) {
        let mut ahead = Ahead::default();
        if self.parts().1.is_large() && jobs.len() > 1 {
            let packets = jobs.iter().map(|j| (j.target, j.buf.get(j.packet.clone()).unwrap_or(&[])));
            self.parts().1.warm_out(packets, &mut ahead);
        }
        if !self.plane().groups {
            self.seal_runs(now, jobs, &mut ahead);
            return;
        }
        self.parts().1.warm_next_out(&mut ahead, BURST);
        let mut left: ArrayVec<(usize, u64, IpPacket), BURST> = ArrayVec::new();
        let (plane, memory) = self.parts();
        for (i, job) in jobs.iter_mut().enumerate().take(BURST) {
            let Ok(inner) = IpPacket::parse(job.buf.get(job.packet.clone()).unwrap_or(&[])) else {
                job.result = Err(plane.discard(None, DropReason::NotIp));
                continue;
            };
            match memory.outbound(plane, job.target, &inner) {
                Ok(entry) => left.push((i, entry.child().0, inner)),
                Err(e) => job.result = Err(e),
            }
        }
        while let Some(&(first, child, ref inner)) = left.first() {
            let inner = *inner;
            let Some(target) = jobs.get(first).map(|j| j.target) else { continue };
            // With volume limits each packet is counted before the next one is sealed.
            let single = memory.outbound(plane, target, &inner).is_ok_and(|e| e.limited);
            let mut group: ArrayVec<(usize, IpPacket), BURST> = ArrayVec::new();
            left.retain(|(i, c, inner)| {
                let mine = *c == child && !(single && group.len() == 1);
                if mine {
                    group.push((*i, *inner));
                }
                !mine
            });
            // The first packet's route is asked again: another one may have taken its place in the memory.
            match memory.outbound(plane, target, &inner) {
                Ok(entry) => {
                    let (packets, bytes) = seal_group(plane, entry, &group, jobs);
                    memory.sent(plane, target, &inner, packets, bytes, now);
                }
                Err(e) => {
                    for (i, _) in &group {
                        if let Some(job) = jobs.get_mut(*i) {
                            job.result = Err(e);
                        }
                    }
                }
            }
        }
    }
}

/// Seals one SA's packets; gives how many, and their octets.
fn seal_group(plane: &Plane, entry: &Outbound, group: &[(usize, IpPacket)], jobs: &mut [SealJob<'_>]) -> (u32, u32) {
    let sa = &entry.core().sa;
    let mut done = (0u32, 0u32);
    // In transport mode each packet's own headers have to be kept aside; that is done one by one.
    let batched = group.len() > 1 && entry.mode != ravelin_sa_db::Mode::Transport;
    let Some(key) = sa.transform().batch().filter(|_| batched) else {
        for (i, inner) in group {
            let Some(job) = jobs.get_mut(*i) else { continue };
            job.result =
                plane.seal_one(entry, inner, job.buf, job.packet.clone()).map_err(|r| plane.refuse_egress(entry, r));
            if job.result.is_ok() {
                done = (done.0.saturating_add(1), done.1.saturating_add(octets(inner.len)));
            }
        }
        return done;
    };
    let count = u32::try_from(group.len()).unwrap_or(0);
    let first = match sa.sequence().take_many(count) {
        Ok(first) => first,
        Err(r) => {
            for (i, _) in group {
                if let Some(job) = jobs.get_mut(*i) {
                    job.result = Err(plane.discard(Some(entry), r));
                }
            }
            return done;
        }
    };
    entry.note_number(first.saturating_add(u64::from(count)), &plane.reports);

    let mut framed: ArrayVec<Framed, BURST> = ArrayVec::new();
    for ((index, inner), number) in group.iter().zip(first..) {
        let Some(job) = jobs.get_mut(*index) else { continue };
        match frame(plane, entry, inner, job, number) {
            Ok((esp, plan)) => framed.push(Framed { index: *index, number, esp, plan: Some(plan) }),
            Err(r) => {
                job.result = Err(plane.refuse_egress(entry, r));
                framed.push(Framed { index: *index, number, esp: 0..0, plan: None });
            }
        }
    }
    let mut rooms = [[0u8; 12]; BURST];
    let mut batch: ArrayVec<AeadJob<'_>, BURST> = ArrayVec::new();
    let mut wanted = framed.iter().zip(rooms.iter_mut()).peekable();
    for (i, job) in jobs.iter_mut().enumerate() {
        let Some((f, room)) = wanted.next_if(|(f, _)| f.index == i) else { continue };
        if let Some(esp) = job.buf.get_mut(f.esp.clone()).filter(|_| f.plan.is_some())
            && let Ok(aead) = sa.transform().job(f.number, esp, room, true)
        {
            batch.push(aead);
        }
    }
    key.seal_many(&mut batch);
    // All or nothing: what did not reach the cipher must not leave.
    let expected = framed.iter().filter(|f| f.plan.is_some()).count();
    let good = batch.len() == expected && batch.iter().all(|j| j.result.is_ok());
    drop(batch);
    for (f, (_, inner)) in framed.iter().zip(group) {
        let (Some(job), Some(plan)) = (jobs.get_mut(f.index), &f.plan) else { continue };
        let sealed = if good {
            plane.finish_in_place(entry, job.buf, f.esp.clone(), plan, &[])
        } else {
            Err(DropReason::Provider)
        };
        if sealed.is_ok() {
            done = (done.0.saturating_add(1), done.1.saturating_add(octets(inner.len)));
        }
        job.result = sealed.map_err(|r| plane.discard(Some(entry), r));
    }
    done
}

fn frame(
    plane: &Plane,
    entry: &Outbound,
    inner: &IpPacket,
    job: &mut SealJob<'_>,
    number: u64,
) -> Result<(Range<usize>, Plan), Refusal> {
    let packet = job.packet.clone();
    let plan = plane.plan(entry, inner, job.buf.get(packet.clone()).ok_or(DropReason::NoRoom)?)?;
    let payload = packet.start.saturating_add(plan.skip)..packet.start.saturating_add(inner.len);
    plane.clamp(job.buf.get_mut(payload.clone()).ok_or(DropReason::NoRoom)?, plan.next_header);
    let esp = entry.core().sa.frame(number, job.buf, payload, plan.tfc, plan.next_header)?;
    Ok((esp, plan))
}
