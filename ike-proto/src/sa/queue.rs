//! What an IKE SA wants to start next. Intents wait here for room in the window and go out by priority, then by age.
//! To add an intent: one variant and its priority.

use crate::error::Reason;
use crate::exchange::rare::Rare;
use alloc::vec::Vec;
use ravelin_sa_db::{ChildId, PacketKey, PolicyId};

/// Something that this side wants to do with an exchange of its own.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Intent {
    /// Delete the IKE SA (RFC 7296 §1.4.1).
    DeleteIke(Reason),
    /// Tell the peer about new addresses (RFC 4555 §3.5).
    UpdateAddresses,
    /// See whether the peer can be reached at its new address before traffic goes there (RFC 4555 §3.7).
    CheckRoute,
    /// Tell the peer which addresses we have besides (RFC 4555 §3.6).
    AnnounceAddresses,
    /// Delete a Child SA.
    DeleteChild(ChildId, Reason),
    /// Rekey the IKE SA (RFC 7296 §1.3.2).
    RekeyIke,
    /// Rekey a Child SA (RFC 7296 §1.3.3).
    RekeyChild(ChildId),
    /// Make a Child SA for a policy (RFC 7296 §1.3.1).
    CreateChild {
        /// The policy.
        policy: PolicyId,
        /// The packet that called for it.
        packet: Option<PacketKey>,
    },
    /// Ask whether the peer is alive (RFC 7296 §2.4).
    Liveness {
        /// True when the embedding program wants the answer as an event.
        asked: bool,
    },
}

impl Intent {
    /// Lower goes first.
    fn priority(&self) -> u8 {
        match self {
            Self::DeleteIke(_) => 0,
            Self::UpdateAddresses | Self::CheckRoute => 1,
            Self::DeleteChild(..) => 2,
            Self::RekeyIke => 3,
            Self::RekeyChild(_) => 4,
            Self::CreateChild { .. } => 5,
            Self::AnnounceAddresses => 6,
            Self::Liveness { .. } => 7,
        }
    }

    /// True when `other` asks for the same thing, so that one of them is enough.
    fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::CreateChild { policy: a, .. }, Self::CreateChild { policy: b, .. }) => a == b,
            (Self::DeleteChild(a, _), Self::DeleteChild(b, _)) | (Self::RekeyChild(a), Self::RekeyChild(b)) => a == b,
            (Self::DeleteIke(_), Self::DeleteIke(_)) => true,
            (Self::Liveness { .. }, Self::Liveness { .. }) => true,
            (a, b) => a == b,
        }
    }
}

/// Most intents that one IKE SA keeps.
const MAX_INTENTS: usize = 256;

/// Waiting intents.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: Rare<Vec<Intent>>,
}

impl Queue {
    /// Adds an intent unless the same one waits already or the queue is full; false when it was not added.
    pub fn push(&mut self, intent: Intent) -> bool {
        if self.waiting.len() >= MAX_INTENTS || self.waiting.iter().any(|w| w.same_as(&intent)) {
            return false;
        }
        self.waiting.push(intent);
        true
    }

    /// Takes the most urgent intent, the oldest among equals.
    pub fn pop(&mut self) -> Option<Intent> {
        let (at, _) = self.waiting.iter().enumerate().min_by_key(|(at, i)| (i.priority(), *at))?;
        self.take(at)
    }

    /// Takes the first intent, the most urgent asked first and the oldest among equals, for which `may` is true.
    pub fn pop_if(&mut self, mut may: impl FnMut(&Intent) -> bool) -> Option<Intent> {
        let mut order: Vec<(u8, usize)> = self.waiting.iter().enumerate().map(|(at, i)| (i.priority(), at)).collect();
        order.sort_unstable();
        let at = order.into_iter().map(|(_, at)| at).find(|at| self.waiting.get(*at).is_some_and(&mut may))?;
        self.take(at)
    }

    /// Takes the intent in this place; an empty queue takes no memory.
    fn take(&mut self, at: usize) -> Option<Intent> {
        let waiting = self.waiting.there_mut()?;
        let intent = (at < waiting.len()).then(|| waiting.remove(at));
        self.waiting.tidy();
        intent
    }

    /// Drops every intent for which `keep` is false.
    pub fn retain(&mut self, keep: impl FnMut(&Intent) -> bool) {
        if let Some(waiting) = self.waiting.there_mut() {
            waiting.retain(keep);
            self.waiting.tidy();
        }
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The waiting intents, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Intent> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_first_then_oldest_and_no_doubles() {
        let mut q = Queue::default();
        assert!(q.push(Intent::Liveness { asked: false }));
        assert!(q.push(Intent::CreateChild { policy: PolicyId(2), packet: None }));
        assert!(q.push(Intent::CreateChild { policy: PolicyId(1), packet: None }));
        assert!(!q.push(Intent::CreateChild { policy: PolicyId(2), packet: None }));
        assert!(q.push(Intent::DeleteIke(Reason::Requested)));
        assert_eq!(q.pop(), Some(Intent::DeleteIke(Reason::Requested)));
        assert_eq!(q.pop(), Some(Intent::CreateChild { policy: PolicyId(2), packet: None }));
        assert_eq!(q.pop(), Some(Intent::CreateChild { policy: PolicyId(1), packet: None }));
        assert_eq!(q.pop(), Some(Intent::Liveness { asked: false }));
        assert_eq!(q.pop(), None);
    }
}
