//! Why things are down, for `gateway show`: the last reason of every peer and policy that went down or never came up.

use ravelin::db::{ChildId, PeerId, PolicyId};
use ravelin::{Event, Reason};
use std::collections::BTreeMap;

/// Last reasons, as text.
#[derive(Debug, Default)]
pub(crate) struct History {
    peers: BTreeMap<PeerId, String>,
    policies: BTreeMap<PolicyId, String>,
    up: BTreeMap<ChildId, PolicyId>,
}

impl History {
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Established(e) => drop(self.peers.remove(&e.peer)),
            Event::Closed { peer: Some(peer), reason, .. } => drop(self.peers.insert(*peer, reason.to_string())),
            Event::ChildEstablished(e) => {
                self.up.insert(e.child, e.policy);
                self.policies.remove(&e.policy);
            }
            Event::ChildClosed { child, reason, .. } => {
                // why the IKE SA went says more, and comes next
                if let Some(policy) = self.up.remove(child).filter(|_| *reason != Reason::IkeSaGone) {
                    self.policies.insert(policy, reason.to_string());
                }
            }
            Event::ChildRefused { policy: Some(policy), reason, .. } => {
                self.policies.insert(*policy, reason.to_string());
            }
            _ => {}
        }
    }

    /// Why the policy has no SA: its own last reason, or its peer's.
    pub(crate) fn why_down(&self, policy: PolicyId, peer: PeerId) -> Option<&str> {
        self.policies.get(&policy).or_else(|| self.peers.get(&peer)).map(String::as_str)
    }
}
