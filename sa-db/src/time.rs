//! Time as a value. [`Instant`] counts microseconds from any fixed origin and cannot read a clock;
//! [`UnixTime`] is wall time for certificates and AUTH_LIFETIME (RFC 4478).

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// Monotonic time: microseconds since an origin of the driver's choice. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// The far future; as a deadline, "never".
    pub const NEVER: Self = Self(u64::MAX);

    /// Microseconds since the origin.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// `secs` seconds after the origin.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Time since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Wall time: seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixTime(pub u64);

/// Both times, as the driver read them just before the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic time; never goes back between calls on one node.
    pub mono: Instant,
    /// Wall time; may step.
    pub wall: UnixTime,
}

impl Now {
    /// Monotonic time only, in microseconds; wall time zero. For tests and tools.
    #[must_use]
    pub const fn at(micros: u64) -> Self {
        Self { mono: Instant(micros), wall: UnixTime(0) }
    }
}
