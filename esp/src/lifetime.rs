//! Volume and idle lifetimes (RFC 4301 §4.4.2.1): octets and packets per SA, when it was last used, and the limits
//! that yield reports once. Time limits are IKE's. Counting is apart from sealing and opening, so that a worker may
//! count a whole burst at once. To add a limit: a flag in `flag`, a comparison in `Usage::add`.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use ravelin_sa_db::{Instant, Lifetime, Limits};

/// What has been said or decided about an SA, each once.
pub(crate) mod flag {
    /// Soft limit reported.
    pub(crate) const SOFT: u32 = 1;
    /// Hard limit reported; the SA carries nothing any more.
    pub(crate) const HARD: u32 = 2;
    /// Sequence number low reported.
    pub(crate) const SEQUENCE: u32 = 4;
    /// Idle reported; cleared by the next packet.
    pub(crate) const IDLE: u32 = 8;
    /// Removed from the plane.
    pub(crate) const REMOVED: u32 = 16;
}

/// Counters and limits of one SA.
#[derive(Debug)]
pub struct Usage {
    packets: AtomicU64,
    bytes: AtomicU64,
    last: AtomicU64,
    flags: AtomicU32,
    /// True when octets or packets are limited.
    limited: bool,
    /// The limits, when there are any.
    life: Option<Box<Lifetime>>,
}

/// What counting found, to be reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Crossed {
    pub(crate) soft: bool,
    pub(crate) hard: bool,
    /// It was reported as idle and is not any more.
    pub(crate) woke: bool,
}

impl Usage {
    /// Nothing used yet; the idle clock starts at `now`.
    #[must_use]
    pub fn new(life: Lifetime, now: Instant) -> Self {
        let none = Limits::default();
        Self {
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last: AtomicU64::new(now.micros()),
            flags: AtomicU32::new(0),
            limited: life.soft != none || life.hard != none,
            life: (life != Lifetime::default()).then(|| Box::new(life)),
        }
    }

    /// Packets counted.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Octets of inner packets counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the last packet was counted; the installation before the first.
    #[must_use]
    pub fn last(&self) -> Instant {
        Instant(self.last.load(Ordering::Relaxed))
    }

    /// True when volume limits are watched: then every packet must be counted at once.
    #[must_use]
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    /// False when the SA carries nothing any more.
    #[inline]
    pub(crate) fn is_usable(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (flag::HARD | flag::REMOVED) == 0
    }

    /// Counts, and says which limit was crossed for the first time.
    #[inline]
    pub(crate) fn add(&self, packets: u64, bytes: u64, now: Instant) -> Crossed {
        let p = self.packets.fetch_add(packets, Ordering::Relaxed).saturating_add(packets);
        let b = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let mut woke = false;
        if self.last.load(Ordering::Relaxed) < now.micros() {
            self.last.store(now.micros(), Ordering::Relaxed);
            if self.flags.load(Ordering::Relaxed) & flag::IDLE != 0 {
                woke = self.flags.fetch_and(!flag::IDLE, Ordering::Relaxed) & flag::IDLE != 0;
            }
        }
        let Some(life) = self.life.as_deref().filter(|_| self.limited) else {
            return Crossed { woke, ..Crossed::default() };
        };
        let over = |l: Limits| (l.packets != 0 && p >= l.packets) || (l.bytes != 0 && b >= l.bytes);
        Crossed {
            soft: over(life.soft) && self.raise(flag::SOFT),
            hard: over(life.hard) && self.raise(flag::HARD),
            woke,
        }
    }

    /// Sets a flag; true for the one who did.
    pub(crate) fn raise(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag == 0 && self.flags.fetch_or(flag, Ordering::Relaxed) & flag == 0
    }

    /// When the idle limit passes; `None` when it is not watched or has been reported.
    #[must_use]
    pub fn idle_deadline(&self) -> Option<Instant> {
        let idle = self.life.as_deref().map(|l| l.idle).filter(|idle| !idle.is_zero())?;
        let watched = self.flags.load(Ordering::Relaxed) & flag::IDLE == 0;
        watched.then(|| self.last() + idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_once() {
        let life = Lifetime {
            soft: Limits { bytes: 100, packets: 0 },
            hard: Limits { bytes: 0, packets: 3 },
            ..Lifetime::default()
        };
        let u = Usage::new(life, Instant(0));
        assert_eq!(u.add(1, 99, Instant(1)), Crossed::default());
        assert_eq!(u.add(1, 1, Instant(2)), Crossed { soft: true, ..Crossed::default() });
        assert!(u.is_usable());
        assert_eq!(u.add(1, 1, Instant(3)), Crossed { hard: true, ..Crossed::default() });
        assert_eq!(u.add(1, 1, Instant(3)), Crossed::default());
        assert!(!u.is_usable());
    }
}
