//! Packets of one flow that are sealed one by one, one after the other. What was decided for the last one is kept, so that the
//! next one that is like it needs no parsing, no lookup and no rules: some hundred instructions of the four hundred.
//!
//! It holds while no flow of the worker's memory was replaced, the routes have not changed, and the SA may be used and has
//! the same path MTU.

use super::Plane;
use super::entry::Outbound;
use super::lane::seal::{Header, Pattern};
use super::sink::{Egress, Target, TransmitMeta};
use super::tally::octets;
use super::worker::{Worker, ask_next};
use crate::packet;
use core::ops::Range;
use core::sync::atomic::Ordering;
use ravelin_crypto::aead::Told;
use ravelin_sa_db::Instant;

/// So many packets of a flow one after the other are worth it.
pub(super) const OFTEN: u8 = 3;

/// See the head of this file.
pub(super) struct Recent {
    target: (u64, bool),
    /// Where the worker remembers the flow.
    at: usize,
    /// What the memory and the routes were when it was found there.
    changes: u64,
    version: u64,
    mtu: u32,
    pattern: Pattern,
    header: Header,
    told: Told,
}

impl Recent {
    /// Of a packet that has the flow `at`. Told in integers: what is handed on in memory has to be there for every packet.
    #[inline(never)]
    pub(super) fn new(
        plane: &Plane,
        entry: &Outbound,
        target: (u64, bool),
        at: usize,
        changes: u64,
        ip: &[u8],
    ) -> Option<Self> {
        let (version, mtu) = (plane.routes.version(), entry.core().mtu.load(Ordering::Relaxed));
        let pattern = plane.pattern(entry, &packet::usual_v4(ip)?, ip)?;
        let header = Header::new(&entry.front, pattern.outer);
        let transform = entry.core().sa.transform();
        let (_, salt) = transform.usual()?;
        let told = Told { iv: [0; 8], number: [0; 8], salt, spi: entry.spi.to_be_bytes(), esn: transform.esn() };
        Some(Self { target, at, changes, version, mtu, pattern, header, told })
    }
}

impl Worker {
    /// Seals a packet that is like the last ones; false when it is not, and nothing has happened then.
    #[inline(always)]
    pub(super) fn seal_again(
        &mut self,
        now: Instant,
        target: Target,
        buf: &mut [u8],
        packet: &Range<usize>,
        result: &mut Result<(Range<usize>, TransmitMeta), Egress>,
    ) -> bool {
        let Some(recent) = self.recent.as_mut().filter(|r| r.target == target.words()) else { return false };
        let Some(len) = buf.get(packet.clone()).and_then(|ip| recent.pattern.len(ip)) else { return false };
        let plane = &*self.plane;
        if recent.changes != self.memory.changes() || recent.version != plane.routes.version() {
            return false;
        }
        let Some(flow) = self.memory.count_at(recent.at) else { return false };
        let (entry, core) = (&*flow.entry, flow.entry.core());
        if entry.is_stale() || !core.usage.is_usable() || core.mtu.load(Ordering::Relaxed) != recent.mtu {
            return false;
        }
        let Some((key, _)) = core.sa.transform().usual() else { return false };
        let Some(place) = recent.pattern.place(buf, packet.start, len) else { return false };
        let number = match core.sa.sequence().take() {
            Ok(number) => number,
            Err(reason) => {
                *result = Err(plane.discard(Some(entry), reason));
                return true;
            }
        };
        entry.note_number(number, &plane.reports);
        recent.told.iv = number.to_be_bytes();
        recent.told.number = number.to_be_bytes();
        let id = || core.ip_id.fetch_add(1, Ordering::Relaxed);
        if let Err(reason) = plane.seal_told(entry, key, &recent.told, &mut recent.header, &place, buf, id) {
            *result = Err(plane.discard(Some(entry), reason));
            return true;
        }
        ask_next(&mut self.sealed, recent.at, core);
        plane.sealed_usual(entry, place.start..place.end, recent.header.outer, result);
        if flow.tally.add(plane, &flow.entry, 1, octets(len), now) {
            self.memory.mark_out(plane, recent.at);
        }
        true
    }
}
