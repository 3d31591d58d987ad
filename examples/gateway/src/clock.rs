//! The clock: the only place of the daemon that reads time.

use ravelin::db::{Instant, Now, UnixTime};
use std::time::{Duration, SystemTime};

/// Reads both times; the origin of the monotonic one is the daemon's start.
#[derive(Clone, Copy)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn now(&self) -> Now {
        let mono = u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Now { mono: Instant(mono), wall: UnixTime(wall) }
    }

    /// How long until `at`; zero when it has passed, `None` for never. Rounded up, so that it has come afterwards.
    pub(crate) fn until(&self, at: Instant) -> Option<Duration> {
        let micros = at.micros().saturating_sub(self.now().mono.micros());
        (at != Instant::NEVER).then(|| Duration::from_millis(micros.div_ceil(1000)))
    }
}
