//! Volume and idle limits of one SA (RFC 4301 §4.4.2.1), for the data plane: what was used against what is allowed.

use crate::{Instant, Lifetime, Limits};

/// What became due. Each is told once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// A soft limit was passed: rekey.
    Soft,
    /// A hard limit was passed: nothing more may be carried.
    Hard,
    /// No packet for the idle limit.
    Idle,
}

/// The use of one SA against its [`Lifetime`]. Plain values, for one thread at a time; a plane that shares an SA
/// between threads keeps its own counters and asks [`over`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meter {
    limits: Lifetime,
    used: Limits,
    last: Instant,
    soft_told: bool,
    hard_told: bool,
    idle_told: bool,
}

/// True when `used` has passed a limit; a limit of 0 is none.
#[must_use]
pub fn over(used: Limits, limit: Limits) -> bool {
    (limit.bytes != 0 && used.bytes >= limit.bytes) || (limit.packets != 0 && used.packets >= limit.packets)
}

impl Meter {
    /// Nothing used yet; idle time counts from `now`.
    #[must_use]
    pub fn new(limits: Lifetime, now: Instant) -> Self {
        Self { limits, used: Limits::default(), last: now, soft_told: false, hard_told: false, idle_told: false }
    }

    /// Counts one packet of `bytes` octets.
    pub fn count(&mut self, now: Instant, bytes: u64) -> Option<Due> {
        self.used.bytes = self.used.bytes.saturating_add(bytes);
        self.used.packets = self.used.packets.saturating_add(1);
        self.last = now;
        self.idle_told = false;
        if over(self.used, self.limits.hard) && !core::mem::replace(&mut self.hard_told, true) {
            return Some(Due::Hard);
        }
        let soft = over(self.used, self.limits.soft) && !core::mem::replace(&mut self.soft_told, true);
        (soft && !self.hard_told).then_some(Due::Soft)
    }

    /// Looks at the idle limit.
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        let idle = !self.limits.idle.is_zero() && now.since(self.last) >= self.limits.idle;
        (idle && !core::mem::replace(&mut self.idle_told, true)).then_some(Due::Idle)
    }

    /// True when a hard limit was passed and nothing more may be carried.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        over(self.used, self.limits.hard)
    }

    /// What was carried.
    #[must_use]
    pub fn used(&self) -> Limits {
        self.used
    }

    /// When the idle limit falls due if no packet comes; [`Instant::NEVER`] without one.
    #[must_use]
    pub fn idle_deadline(&self) -> Instant {
        if self.limits.idle.is_zero() || self.idle_told { Instant::NEVER } else { self.last + self.limits.idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn each_limit_is_told_once() {
        let soft = Limits { bytes: 200, packets: 0 };
        let hard = Limits { bytes: 0, packets: 4 };
        let t = Instant::from_secs;
        let mut m = Meter::new(Lifetime { soft, hard, idle: Duration::from_secs(10) }, t(0));
        assert_eq!(m.count(t(1), 100), None);
        assert_eq!(m.count(t(1), 100), Some(Due::Soft));
        assert_eq!(m.count(t(2), 100), None);
        assert_eq!(m.count(t(2), 1), Some(Due::Hard));
        assert!(m.exhausted());
        assert_eq!((m.count(t(2), 1), m.poll(t(11)), m.idle_deadline()), (None, None, t(12)));
        assert_eq!((m.poll(t(12)), m.poll(t(13)), m.idle_deadline()), (Some(Due::Idle), None, Instant::NEVER));
        assert_eq!(m.count(t(14), 1), None);
        assert_eq!(m.poll(t(24)), Some(Due::Idle));
        assert_eq!(m.used(), Limits { bytes: 303, packets: 6 });
    }

    #[test]
    fn no_limits_no_news() {
        let mut m = Meter::new(Lifetime::default(), Instant(0));
        assert_eq!(m.count(Instant(5), u64::MAX), None);
        assert_eq!(m.count(Instant(5), u64::MAX), None);
        assert_eq!(m.poll(Instant::NEVER), None);
    }
}
