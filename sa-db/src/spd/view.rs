//! The SPD as reading threads see it: lookups only, at one moment.

use super::classify::Classifier;
use super::flow::FlowCache;
use super::{Policy, Scope};
use crate::{Direction, PacketKey};
use alloc::sync::Arc;

/// One change to a classifier, as reading threads repeat it.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "std"),
    allow(dead_code, unreachable_pub, reason = "there are no reading threads without the feature")
)]
pub enum Op {
    Insert(u32, u64, Arc<Policy>),
    Remove(u32),
}

impl core::fmt::Debug for Op {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Insert(_, _, policy) => write!(f, "insert {policy}"),
            Self::Remove(slot) => write!(f, "remove the policy in slot {slot}"),
        }
    }
}

/// The policies at one moment, for lookups from any thread.
#[derive(Clone)]
pub struct SpdView {
    classifier: Classifier,
}

impl SpdView {
    /// [`super::Spd::lookup`].
    #[must_use]
    pub fn lookup(&self, direction: Direction, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        let slot = self.classifier.lookup(direction, packet, scope)?;
        self.classifier.policy(slot)
    }

    /// [`super::Spd::lookup_burst`].
    pub fn lookup_burst<'a>(
        &'a self,
        direction: Direction,
        packets: &[PacketKey],
        scope: &Scope,
        mut each: impl FnMut(Option<&'a Arc<Policy>>),
    ) {
        self.classifier.lookup_burst(direction, packets, scope, |slot| {
            each(slot.and_then(|s| self.classifier.policy(s)));
        });
    }

    /// [`super::Spd::lookup_cached`].
    pub fn lookup_cached(&self, cache: &mut FlowCache, packet: &PacketKey) -> Option<&Arc<Policy>> {
        cache.lookup(&self.classifier, packet)
    }
}

impl core::fmt::Debug for SpdView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SpdView(generation {})", self.classifier.generation())
    }
}

#[cfg(feature = "std")]
mod publish {
    use super::{Op, SpdView};
    use crate::shared::{Published, Reader, Replay, Shared};
    use crate::spd::Spd;
    use alloc::vec::Vec;

    /// Groups of policies that one publication puts in order; see [`Spd::settle`].
    const GROUPS: usize = 2;

    impl Replay for SpdView {
        type Op = Op;

        fn replay(&mut self, op: &Op) {
            match op {
                Op::Insert(slot, key, policy) => self.classifier.insert(*slot, *key, policy),
                Op::Remove(slot) => drop(self.classifier.remove(*slot)),
            }
        }

        fn settle(&mut self) {
            self.classifier.settle(GROUPS);
        }
    }

    /// Hands versions of one [`Spd`] to reading threads. Made by [`Spd::publisher`].
    #[derive(Debug)]
    pub struct SpdPublisher {
        shared: Shared<SpdView>,
    }

    impl SpdPublisher {
        /// A reader's end for another thread.
        #[must_use]
        pub fn reader(&self) -> Reader<SpdView> {
            self.shared.reader()
        }

        /// Makes the changes of `spd` since the last publication visible to readers, all at once. `spd` is the one
        /// that made this publisher.
        pub fn publish(&mut self, spd: &mut Spd) -> Published {
            match &mut spd.log {
                Some(log) => self.shared.publish(log),
                None => Published::Now,
            }
        }
    }

    impl Spd {
        /// From now on changes are kept for publication to reading threads. One publisher at a time: a second one
        /// takes the place of the first. Copies the lookup structure twice.
        pub fn publisher(&mut self) -> SpdPublisher {
            self.log = Some(Vec::new());
            SpdPublisher { shared: Shared::new(&SpdView { classifier: self.classifier.clone() }) }
        }
    }
}
#[cfg(feature = "std")]
pub use publish::SpdPublisher;
