//! When a worker rests. A sender of UDP is not slowed down by what is lost, so one that sends all it can keeps the queue of
//! the TUN device full. On a core that others want too, a worker that then reads round after round only takes from them
//! what they need to carry on with what it sends: the losses move from the queue, where they cost nothing, to the other
//! ends, after all the work. So it sleeps for a moment after each full round; the queue holds what comes meanwhile. A sleep,
//! and no `sched_yield`: beside other busy threads that keeps it from the core for long (docs/performance.md, End to end).

use nix::sys::resource::{UsageWho, getrusage};
use ravelin::Instant;
use std::time::Duration;

/// How long to rest; the kernel's timer slack adds about 50 microseconds.
const REST: Duration = Duration::from_micros(1);
/// How long a core counts as wanted by others after this thread had to leave it.
const WANTED: Duration = Duration::from_millis(500);

/// What a worker remembers about its core.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// How often this thread was made to leave its core.
    pushed: i64,
    /// Until when others want the core.
    until: Instant,
}

impl Pause {
    /// After a round that found the queue full of datagrams.
    pub(crate) fn after_full_round(&mut self, now: Instant) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD)
            && self.is_due(usage.involuntary_context_switches(), now)
        {
            std::thread::sleep(REST);
        }
    }

    fn is_due(&mut self, pushed: i64, now: Instant) -> bool {
        if std::mem::replace(&mut self.pushed, pushed) != pushed {
            self.until = now + WANTED;
        }
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_core_that_others_want_is_given_up() {
        let mut pause = Pause::default();
        let at = |ms: u64| Instant(1_000 * ms);
        assert!(!pause.is_due(0, at(0)) && !pause.is_due(0, at(1)), "nobody else is there");
        assert!(pause.is_due(1, at(2)) && pause.is_due(1, at(501)));
        assert!(!pause.is_due(1, at(502)), "they have gone");
        assert!(pause.is_due(2, at(503)));
    }

    #[test]
    fn the_kernel_tells_about_the_thread() {
        let mut pause = Pause::default();
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        assert!(usage.involuntary_context_switches() >= 0);
        pause.after_full_round(Instant::from_secs(1));
    }
}
