//! Counters for people: per SA and for the plane, each cause of a drop apart.

use crate::DropReason;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};
use ravelin_sa_db::{ChildId, Encapsulation, Instant, Mode, Path, PolicyId, Spi};
use spin::Once;

/// One counter for each [`DropReason`].
#[derive(Debug)]
pub(crate) struct Drops([AtomicU64; DropReason::COUNT]);

impl Drops {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; DropReason::COUNT])
    }

    #[cold]
    pub(crate) fn count(&self, reason: DropReason) {
        if let Some(c) = self.0.get(usize::from(reason as u8)) {
            c.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> DropCounts {
        let mut out = [0; DropReason::COUNT];
        for (to, from) in out.iter_mut().zip(&self.0) {
            *to = from.load(Ordering::Relaxed);
        }
        DropCounts(out)
    }
}

/// The same for an SA: most SAs never drop anything, and have no counters until they do.
#[derive(Debug, Default)]
pub(crate) struct SaDrops(Once<Box<Drops>>);

impl SaDrops {
    #[cold]
    pub(crate) fn count(&self, reason: DropReason) {
        self.0.call_once(|| Box::new(Drops::new())).count(reason);
    }

    pub(crate) fn snapshot(&self) -> DropCounts {
        self.0.get().map_or(DropCounts([0; DropReason::COUNT]), |d| d.snapshot())
    }
}

/// How many packets were dropped for each cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DropCounts([u64; DropReason::COUNT]);

impl DropCounts {
    /// Packets dropped for this cause.
    #[must_use]
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0.get(usize::from(reason as u8)).copied().unwrap_or(0)
    }

    /// All causes that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().copied().zip(self.0.iter().copied()).filter(|(_, n)| *n != 0)
    }

    /// All drops together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |a, b| a.saturating_add(*b))
    }
}

/// One direction of one Child SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectionStats {
    /// Its SPI.
    pub spi: Spi,
    /// Packets carried.
    pub packets: u64,
    /// Octets of inner packets carried.
    pub bytes: u64,
    /// When the last one was; the installation before the first.
    pub last: Instant,
    /// Outbound: the last number used. Inbound: the highest number accepted.
    pub sequence: u64,
    /// Outer addresses now.
    pub path: Path,
    /// Encapsulation now.
    pub encapsulation: Encapsulation,
    /// Drops by cause.
    pub drops: DropCounts,
}

/// A Child SA as `show` prints it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildStats {
    /// Which.
    pub child: ChildId,
    /// Its policy.
    pub policy: PolicyId,
    /// Its mode.
    pub mode: Mode,
    /// From the peer, when installed.
    pub inbound: Option<DirectionStats>,
    /// To the peer, when installed.
    pub outbound: Option<DirectionStats>,
    /// True when its policy's packets are sent on it.
    pub active: bool,
}
