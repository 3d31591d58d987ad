//! Packets of one SA that a worker has carried and the plane does not know of yet: counted together, for the counters are
//! locked steps on a cache line that threads share.

use super::Plane;
use super::entry::Entry;
use super::lane::Lane;
use ravelin_sa_db::Instant;

/// Packets of one SA that are counted together.
const TOGETHER: u32 = 32;

/// Octets of one packet, which are 65,535 at most.
#[inline(always)]
pub(super) fn octets(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Packets of one entry that the plane does not know of yet.
#[derive(Default)]
pub(super) struct Tally {
    packets: u32,
    /// Of [`TOGETHER`] packets at most.
    bytes: u32,
    last: Instant,
}

impl Tally {
    /// True when this is the first packet since the last flush.
    #[inline(always)]
    pub(super) fn add<S, F: Lane>(
        &mut self,
        plane: &Plane,
        entry: &Entry<S, F>,
        packets: u32,
        bytes: u32,
        now: Instant,
    ) -> bool {
        if entry.limited {
            entry.account(u64::from(packets), u64::from(bytes), now, &plane.reports);
            return false;
        }
        let first = self.packets == 0;
        self.packets = self.packets.wrapping_add(packets);
        self.bytes = self.bytes.wrapping_add(bytes);
        self.last = now;
        if self.packets >= TOGETHER {
            self.flush(plane, entry);
            return false;
        }
        first
    }

    pub(super) fn flush<S, F: Lane>(&mut self, plane: &Plane, entry: &Entry<S, F>) {
        if self.packets != 0 {
            entry.account(u64::from(self.packets), u64::from(self.bytes), self.last, &plane.reports);
            *self = Self::default();
        }
    }
}
