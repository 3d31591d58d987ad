//! Runs: packets of one SA that follow each other in a burst and take the lane. What is the same for all of them is done
//! once: the SA is looked up, the sequence numbers are taken (RFC 4303 §3.3.3), the window is read and told of all
//! numbers that lie in one word of it (RFC 4303 §3.4.3), packets and octets are counted. The steps on memory that
//! threads share are locked ones, each of which waits for all that was stored before it, and the packet behind it for
//! the step. Each packet gets what the single call gives it (`run_tests.rs`); what is not usual ends the run and goes alone.

use super::Plane;
use super::burst::{BURST, OpenJob, SealJob};
use super::entry::Inbound;
use super::ingress::{Frame, Ingress};
use super::lane::open::{Head, open_told, parts};
use super::lane::seal::{self, Pattern, Place};
use super::lane::{HEAD, Lane};
use super::memory::{Ahead, InSlot};
use super::sink::{Target, TransmitMeta};
use super::tally::octets;
use super::worker::Worker;
use crate::mode::OuterHeader;
use crate::packet::{Alike, protocol};
use crate::{DropReason, inbound, packet};
use arrayvec::ArrayVec;
use ravelin_crypto::aead::Told;
use ravelin_sa_db::{Instant, Spi};

/// Packets of a burst that are like each other, one after the other.
struct Kind {
    /// Where the worker remembers their flow.
    at: usize,
    outer: OuterHeader,
}

/// A packet to be sealed.
struct Planned {
    /// Which of the kinds it is of.
    kind: usize,
    place: Place,
}

/// The destination of a packet of IPv4.
#[inline(always)]
fn destination(ip: &[u8]) -> Option<[u8; 4]> {
    ip.get(16..)?.first_chunk().copied()
}

/// A guess, whether two packets have one SA: what is not in a run is better off alone, and most packets to one host go
/// through one.
#[inline(always)]
fn seems_one(target: Target, to: Option<[u8; 4]>, other: Target, ip: &[u8]) -> bool {
    target == other && (matches!(target, Target::Child(_)) || to == destination(ip))
}

impl Worker {
    /// Seals one after the other, runs at once.
    #[inline(never)]
    pub(super) fn seal_runs(&mut self, now: Instant, jobs: &mut [SealJob<'_>], ahead: &mut Ahead) {
        let mut at = 0usize;
        while let Some(rest) = jobs.get_mut(at..).filter(|rest| !rest.is_empty()) {
            self.parts().1.warm_next_out(ahead, at);
            let mut done = 0usize;
            if let [first, second, ..] = &*rest
                && let (Some(a), Some(b)) = (first.buf.get(first.packet.clone()), second.buf.get(second.packet.clone()))
                && seems_one(first.target, destination(a), second.target, b)
            {
                let mut kinds: ArrayVec<Kind, BURST> = ArrayVec::new();
                let mut planned: ArrayVec<Planned, BURST> = ArrayVec::new();
                self.plan_runs(rest, &mut kinds, &mut planned);
                while let (Some(planned), Some(jobs)) = (planned.get(done..), rest.get_mut(done..)) {
                    match self.seal_run(now, &kinds, planned, jobs) {
                        0 => break,
                        n => done = done.wrapping_add(n),
                    }
                }
            }
            // It may put another flow in the place of one that was found for the others, which are asked for again.
            if done == 0
                && let Some(SealJob { target, buf, packet, result }) = rest.first_mut()
            {
                self.seal_into(now, *target, buf, packet.clone(), result);
                done = 1;
            }
            at = at.wrapping_add(done);
        }
    }

    /// What is known before there are numbers, of all packets in front of the first one that has to go alone or does not
    /// seem to go with the one before it. So no number is taken for a packet that may be refused.
    #[inline(always)]
    fn plan_runs(
        &mut self,
        jobs: &mut [SealJob<'_>],
        kinds: &mut ArrayVec<Kind, BURST>,
        all: &mut ArrayVec<Planned, BURST>,
    ) {
        let (plane, memory) = self.parts();
        let mut last: Option<(Target, Pattern)> = None;
        for SealJob { target, buf, packet, .. } in jobs.iter_mut().take(BURST) {
            if let Some((like, pattern)) = &mut last
                && *like == *target
                && let Some(place) = pattern.prepare(buf, packet.clone())
            {
                all.push(Planned { kind: kinds.len().wrapping_sub(1), place });
                continue;
            }
            let Some(ip) = buf.get(packet.clone()) else { break };
            if last.as_ref().is_some_and(|(like, pattern)| !seems_one(*like, pattern.destination(), *target, ip)) {
                break;
            }
            let Some(inner) = packet::usual_v4(ip) else { break };
            let Some((at, flow)) = memory.look_out(plane, *target, &inner) else { break };
            let entry = &*flow.entry;
            // With volume limits each packet is counted before the next one is sealed.
            let Some(mut pattern) = plane.pattern(entry, &inner, ip).filter(|_| !entry.limited) else { break };
            let Some(place) = pattern.prepare(buf, packet.clone()) else { break };
            all.push(Planned { kind: kinds.len(), place });
            kinds.push(Kind { at, outer: pattern.outer });
            last = Some((*target, pattern));
        }
    }

    /// Seals the run at the front; gives its length.
    #[inline(always)]
    fn seal_run(&mut self, now: Instant, kinds: &[Kind], planned: &[Planned], jobs: &mut [SealJob<'_>]) -> usize {
        let (plane, memory) = self.parts();
        let Some((&Kind { at, outer }, kind)) = planned.first().and_then(|p| Some((kinds.get(p.kind)?, p.kind))) else {
            return 0;
        };
        let Some(entry) = memory.flow_at(at).map(|f| &*f.entry) else { return 0 };
        let core = entry.core();
        let (transform, sequence) = (core.sa.transform(), core.sa.sequence());
        let Some(key) = transform.usual() else { return 0 };
        // Other flows may have the same SA.
        let same = |p: &&Planned| {
            p.kind == kind
                || kinds.get(p.kind).is_some_and(|k| {
                    k.outer == outer && memory.flow_at(k.at).is_some_and(|f| core::ptr::eq(&*f.entry, entry))
                })
        };
        let wanted = u32::try_from(planned.iter().take_while(same).count()).unwrap_or(0);
        let Ok((number, got)) = sequence.take_up_to(wanted) else { return 0 };
        let end = number.wrapping_add(u64::from(got));
        entry.note_number(end.wrapping_sub(1), &plane.reports);
        let meta = plane.meta_apart(entry, 0, protocol::ESP, outer);
        let mut common = seal::Common::new(entry, key, transform.esn(), outer, got);
        let (mut packets, mut bytes) = (0u32, 0usize);
        for ((job, Planned { place, .. }), number) in jobs.iter_mut().zip(planned).zip(number..end) {
            match common.seal(plane, entry, place, job.buf, number) {
                Ok(()) => {
                    let len = place.end.wrapping_sub(place.start);
                    job.result = Ok((place.start..place.end, TransmitMeta { len, ..meta }));
                    (packets, bytes) = (packets.wrapping_add(1), bytes.wrapping_add(place.len));
                }
                Err(reason) => job.result = Err(plane.discard(Some(entry), reason)),
            }
        }
        if packets != 0
            && let Some(flow) = memory.count_at(at)
            && flow.tally.add(plane, &flow.entry, packets, octets(bytes), now)
        {
            memory.mark_out(plane, at);
        }
        usize::try_from(got).unwrap_or(0)
    }

    /// Opens one after the other, runs at once.
    #[inline(never)]
    pub(super) fn open_runs(&mut self, now: Instant, jobs: &mut [OpenJob<'_>], ahead: &mut Ahead) {
        let mut at = 0usize;
        while let Some(rest) = jobs.get_mut(at..).filter(|rest| !rest.is_empty()) {
            self.parts().1.warm_next_in(ahead, at);
            let done = self.open_run(now, rest);
            at = at.wrapping_add(done.max(1));
            if done == 0
                && let Some(OpenJob { path, outer, buf, start, result }) = rest.first_mut()
            {
                self.ingress_into(now, path, *outer, buf, *start, result);
            }
        }
    }

    /// Opens the run at the front; gives its length, which is 0 when the first packet has to go alone.
    fn open_run(&mut self, now: Instant, jobs: &mut [OpenJob<'_>]) -> usize {
        let (plane, memory) = self.parts();
        let mut spis = jobs.iter().map(|job| Frame::esp(job.start).spi(job.buf));
        let (Some(Some(spi)), next) = (spis.next(), spis.next()) else { return 0 };
        if next != Some(Some(spi)) {
            return 0;
        }
        let Some((at, slot)) = memory.known_in(spi) else { return 0 };
        let InSlot { entry, tally, held, .. } = slot;
        let Some(run) = plane.open_those(entry, held, now, spi, jobs) else { return 0 };
        if run.packets != 0 && tally.add(plane, entry, run.packets, octets(run.bytes), now) {
            memory.mark_in(plane, at);
        }
        run.done
    }
}

/// What became of a run.
struct Run {
    done: usize,
    /// To be counted.
    packets: u32,
    bytes: usize,
}

impl Plane {
    #[inline(always)]
    fn open_those(
        &self,
        entry: &Inbound,
        held: &mut Alike,
        now: Instant,
        spi: Spi,
        jobs: &mut [OpenJob<'_>],
    ) -> Option<Run> {
        let core = entry.core();
        if entry.limited || !entry.front.is_usual() || !core.usage.is_usable() {
            return None;
        }
        let (sa, window) = (&core.sa, core.sa.window());
        let (key, salt) = sa.transform().usual()?;
        let esn = sa.transform().esn();
        let mut gathered = window.gather()?;
        let mut told: ArrayVec<Told, BURST> = ArrayVec::new();
        let mut numbers: ArrayVec<u64, BURST> = ArrayVec::new();
        for job in jobs.iter_mut().take(BURST) {
            let Some((head, ..)) = parts(job.buf, job.start) else { break };
            let head = Head::of(head);
            if head.spi() != spi.0 {
                break;
            }
            let Some(number) = gathered.begin(head.number()) else { break };
            told.push(head.told(number, salt, esn));
            numbers.push(number);
        }
        if told.is_empty() {
            return None;
        }
        let mut checked: ArrayVec<Result<(), DropReason>, BURST> = ArrayVec::new();
        for ((job, told), number) in jobs.iter_mut().zip(&told).zip(&numbers) {
            let icv = open_told(key, job.buf, job.start, told);
            if icv.is_ok() {
                gathered.good(*number);
            }
            checked.push(icv);
        }
        // Nothing has come of any packet before this.
        let all = gathered.finish(window);
        let mut run = Run { done: told.len(), packets: 0, bytes: 0 };
        for ((OpenJob { path, outer, buf, start, result }, number), icv) in jobs.iter_mut().zip(numbers).zip(checked) {
            let accepted = icv.and_then(|()| if all { Ok(()) } else { window.commit(number) });
            let opened = accepted.and_then(|()| {
                let (_, body, _) = parts(buf, *start).ok_or(DropReason::Runt)?;
                let (len, next) = inbound::trailer(body)?;
                let payload = body.get(..len).ok_or(DropReason::Runt)?;
                let at = start.wrapping_add(HEAD);
                match self.inner_usual(entry, held, *outer, payload, next) {
                    Some(len) => Ok(at..at.wrapping_add(len)),
                    None => self.deliver_rest(entry, path, *outer, buf, *start, at..at.wrapping_add(len), next),
                }
            });
            match opened {
                Ok(range) => {
                    run.packets = run.packets.wrapping_add(1);
                    run.bytes = run.bytes.wrapping_add(range.len());
                    entry.note_path(path, now, &self.reports);
                    *result = Ingress::Deliver { child: entry.child(), range };
                }
                Err(reason) => *result = self.refuse_after(entry, now, *path, reason),
            }
        }
        Some(run)
    }
}
