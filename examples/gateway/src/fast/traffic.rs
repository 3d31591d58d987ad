//! How many packets went and in how many calls: whether batches form, for the operator (`gateway show counters`).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of all workers together, since the start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// ESP packets sent, and calls for them.
    pub(crate) sent: Pair,
    /// Inner packets given to the TUN device, and calls for them.
    pub(crate) delivered: Pair,
}

/// Packets and calls.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    packets: AtomicU64,
    calls: AtomicU64,
}

impl Pair {
    /// Once per round.
    pub(crate) fn add(&self, packets: usize, calls: usize) {
        let add = |to: &AtomicU64, n| to.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
        add(&self.packets, packets);
        add(&self.calls, calls);
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let Self { sent, delivered } = self;
        write!(f, "{} ESP packets sent in {} calls, ", of(&sent.packets), of(&sent.calls))?;
        write!(f, "{} packets delivered in {} calls", of(&delivered.packets), of(&delivered.calls))
    }
}
