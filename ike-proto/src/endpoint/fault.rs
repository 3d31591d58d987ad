//! The endpoint's side of fault injection (`fault.rs`): rules in, delayed datagrams out. Only with the feature.

use super::{Deadline, Endpoint};
use crate::fault::Rule;
use crate::sa::Why;
use ravelin_sa_db::Instant;

impl Endpoint {
    /// Adds a rule about what goes wrong; rules are looked at in the order they came.
    pub fn inject(&mut self, rule: Rule) {
        self.out.faults.add(rule);
    }

    /// Ends all rules. What is delayed already still goes out.
    pub fn stop_injecting(&mut self) {
        self.out.faults.clear();
    }

    /// Faults made so far.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.out.faults.made()
    }

    pub(super) fn send_delayed(&mut self, now: Instant) {
        self.out.faults.tick(now);
        for (path, bytes) in self.out.faults.due() {
            self.out.push_delayed(path, bytes);
        }
    }

    pub(super) fn with_delayed(&self, own: Option<Deadline>) -> Option<Deadline> {
        let late = self.out.faults.deadline().map(|at| Deadline { at, why: Why::Output });
        own.into_iter().chain(late).min_by_key(|d| d.at)
    }
}
