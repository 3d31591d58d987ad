//! Packets of one SA that are opened one by one, one after the other. What was found out for the last one is kept, so that the
//! next one needs no lookup, and no look at its inner headers and trailer but whether they are the last one's: half of the
//! instructions that a packet takes besides its cipher.
//!
//! It holds while the entry is not stale and the SA may be used. Kept is the entry itself, and packets are counted here, so
//! that the worker's memory is not needed.

use super::entry::Inbound;
use super::ingress::{Ingress, OuterInfo};
use super::lane::open::{Head, inner_unlike, parts};
use super::lane::{HEAD, TAG};
use super::tally::{Tally, octets};
use super::worker::Worker;
use super::{Plane, memory::InSlot};
use crate::packet::{Alike, protocol};
use crate::replay::Spot;
use crate::{inbound, transform};
use alloc::sync::Arc;
use ravelin_crypto::aead::Told;
use ravelin_sa_db::{Instant, Path};

/// So many packets of an SA one after the other are worth it, which costs two reference counts.
pub(super) const OFTEN: u8 = 16;

/// The least that is looked at: ESP header, inner headers with ports, ICV.
const LEAST: usize = HEAD + 24 + TAG;

/// See the head of this file.
pub(super) struct RecentIn {
    spi: u32,
    entry: Arc<Inbound>,
    tally: Tally,
    told: Told,
    spot: Spot,
    last: Last,
    held: Alike,
}

/// A payload with trailer that was good.
#[derive(Default)]
struct Last {
    octets: usize,
    /// See [`inbound::trailer_like`].
    trailer: (u128, u128),
    inner: Alike,
    /// Of the inner packet.
    len: u16,
}

impl Last {
    /// The length of the inner packet, when this is as good as that one.
    #[inline(always)]
    fn len(&self, body: &[u8]) -> Option<usize> {
        let (mask, want) = self.trailer;
        let same = body.len() == self.octets
            && u128::from_le_bytes(*body.last_chunk()?) & mask == want
            && Alike::with_length(body)? == self.inner;
        same.then_some(usize::from(self.len))
    }

    /// The same of another one, which takes its place; `held` as for [`Plane::inner_usual`].
    #[inline(never)]
    fn replace(&mut self, entry: &Inbound, held: &mut Alike, body: &[u8]) -> Option<usize> {
        let (len, _) = inbound::trailer(body).ok().filter(|(_, next)| *next == protocol::IPV4)?;
        let payload = body.get(..len)?;
        let inner = held.len(payload).or_else(|| inner_unlike(entry, held, payload))?;
        if let Some(trailer) = inbound::trailer_like(body) {
            *self =
                Self { octets: body.len(), trailer, inner: Alike::with_length(body)?, len: u16::try_from(inner).ok()? };
        }
        Some(inner)
    }
}

impl RecentIn {
    /// Of an SA that usual packets were opened of again and again, so that the lane is open and inner packets are left as they
    /// are. With volume limits each packet is counted at once.
    #[inline(never)]
    pub(super) fn new(slot: &InSlot) -> Option<Self> {
        let (entry, sa) = (&slot.entry, &slot.entry.core().sa);
        let ((_, salt), esn) = (sa.transform().usual()?, sa.esn());
        (!entry.limited).then(|| Self {
            spi: entry.spi,
            entry: Arc::clone(entry),
            tally: Tally::default(),
            told: Told { salt, iv: [0; 8], spi: entry.spi.to_be_bytes(), number: [0; 8], esn },
            spot: Spot::default(),
            last: Last::default(),
            held: Alike::default(),
        })
    }

    /// What is kept is of this SA.
    pub(super) fn is_of(&self, slot: &InSlot) -> bool {
        Arc::ptr_eq(&self.entry, &slot.entry)
    }

    /// Brings the plane's counters up to date.
    pub(super) fn flush(&mut self, plane: &Plane) {
        self.tally.flush(plane, &self.entry);
    }
}

impl Worker {
    /// Opens a packet of the SA of the last ones; false when it is not, and nothing has happened then.
    #[inline(always)]
    pub(super) fn open_again(
        &mut self,
        now: Instant,
        path: &Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
        result: &mut Ingress,
    ) -> bool {
        let Some(RecentIn { spi, entry, tally, told, spot, last, held }) = &mut self.recent_in else { return false };
        let esp = buf.get_mut(start..).filter(|esp| esp.len() >= LEAST);
        let Some((head, body, tag)) = esp.and_then(|esp| parts(esp, 0)) else { return false };
        let head = Head::of(head);
        let (plane, core) = (&*self.plane, entry.core());
        if head.spi() != *spi || !plane.is_plain(outer) || entry.is_stale() {
            return false;
        }
        let (Some((key, _)), true) = (core.sa.transform().usual(), core.usage.is_usable()) else { return false };
        let window = core.sa.window();
        let Some(begun) = window.begin_again(spot, head.number()) else { return false };
        (told.iv, told.number) = (head.iv(), begun.number.to_be_bytes());
        if let Err(e) = key.open_told(told, body, tag) {
            *result = plane.refuse_after(entry, now, *path, transform::reason(e));
            return true;
        }
        // Looked at before the window is told, which waits (`lane/open.rs`).
        let inner = last.len(body).or_else(|| last.replace(entry, held, body));
        if let Err(reason) = window.finish(&begun) {
            *result = plane.refuse_after(entry, now, *path, reason);
            return true;
        }
        let at = start.wrapping_add(HEAD);
        let Some(len) = inner else {
            let rest = inbound::trailer(body).and_then(|(len, next)| {
                plane.deliver_rest(entry, path, outer, buf, start, at..at.wrapping_add(len), next)
            });
            *result = match rest {
                Ok(range) => {
                    tally.add(plane, entry, 1, octets(range.len()), now);
                    entry.note_path(path, now, &plane.reports);
                    Ingress::Deliver { child: entry.child(), range }
                }
                Err(reason) => plane.refuse_after(entry, now, *path, reason),
            };
            return true;
        };
        tally.add(plane, entry, 1, octets(len), now);
        entry.note_path(path, now, &plane.reports);
        *result = Ingress::Deliver { child: entry.child(), range: at..at.wrapping_add(len) };
        true
    }
}

#[cfg(test)]
mod tests;
