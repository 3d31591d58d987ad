//! The Security Policy Database (RFC 4301 §4.4.1): ordered policies that say which traffic is bypassed, discarded or
//! protected, each way. The rule of the order is in `order.rs`.
//!
//! To add an action: a variant of [`Action`], and the planes that carry it out will not compile until they do.

mod lookup;
pub mod order;
mod policy;

pub use policy::{
    Action, ChildTimes, CloseAction, Directions, Mark, Pfp, Policy, Priority, Protect, Scope, StartAction, Tfc,
};

use crate::{Direction, PacketKey, PeerId, PolicyId};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use lookup::Linear;

/// The whole order: rank, then the order of addition.
type OrderKey = (u32, u64);

/// Why a policy was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SpdError {
    /// Another policy has this name.
    DuplicateName(String),
    /// No policy has this id.
    NoSuchPolicy(PolicyId),
    /// A protect policy for one direction only.
    OneWayProtect(String),
    /// A Child SA proposal breaks a rule.
    Proposal(crate::proposal::ProposalError),
}

impl fmt::Display for SpdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName(name) => write!(f, "two policies are called \"{name}\"; expected unique names"),
            Self::NoSuchPolicy(id) => write!(f, "{id} is not in the SPD"),
            Self::OneWayProtect(name) => {
                write!(f, "policy \"{name}\" protects one direction only; expected both (RFC 4301 §4.4.1, SPD-S)")
            }
            Self::Proposal(e) => write!(f, "{e}"),
        }
    }
}

impl core::error::Error for SpdError {}

/// The policies and the indexes over them.
#[derive(Clone, Default)]
pub struct Spd {
    entries: Linear,
    by_id: BTreeMap<PolicyId, (OrderKey, Arc<Policy>)>,
    names: BTreeMap<String, PolicyId>,
    peers: BTreeMap<PeerId, BTreeSet<PolicyId>>,
    last_id: u32,
    last_sequence: u64,
}

impl Spd {
    /// An SPD without policies: every packet is without a match, which RFC 4301 §5.1 has discarded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy and gives it its id.
    ///
    /// # Errors
    /// When the name is taken, a protect policy is for one direction only, or a proposal breaks a rule.
    pub fn add(&mut self, mut policy: Policy) -> Result<PolicyId, SpdError> {
        self.check(&policy, None)?;
        self.last_id = self.last_id.saturating_add(1);
        self.last_sequence = self.last_sequence.saturating_add(1);
        policy.id = PolicyId(self.last_id);
        self.put(self.last_sequence, Arc::new(policy));
        Ok(PolicyId(self.last_id))
    }

    /// Puts another policy in the place of `id`: it keeps the id and, among policies of equal rank, the place.
    /// Returns the one that was there.
    ///
    /// # Errors
    /// As [`Spd::add`], and when `id` is not there.
    pub fn replace(&mut self, id: PolicyId, mut policy: Policy) -> Result<Arc<Policy>, SpdError> {
        self.check(&policy, Some(id))?;
        let ((_, sequence), _) = *self.by_id.get(&id).ok_or(SpdError::NoSuchPolicy(id))?;
        let old = self.remove(id).ok_or(SpdError::NoSuchPolicy(id))?;
        policy.id = id;
        self.put(sequence, Arc::new(policy));
        Ok(old)
    }

    /// Removes a policy.
    pub fn remove(&mut self, id: PolicyId) -> Option<Arc<Policy>> {
        let (key, policy) = self.by_id.remove(&id)?;
        self.entries.remove(key);
        self.names.remove(&policy.name);
        if let Some(p) = policy.protect()
            && let Some(set) = self.peers.get_mut(&p.peer)
        {
            set.remove(&id);
            if set.is_empty() {
                self.peers.remove(&p.peer);
            }
        }
        Some(policy)
    }

    /// The policy with this id.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Arc<Policy>> {
        self.by_id.get(&id).map(|(_, p)| p)
    }

    /// The policy with this name.
    #[must_use]
    pub fn find_by_name(&self, name: &str) -> Option<PolicyId> {
        self.names.get(name).copied()
    }

    /// The first policy for a packet that leaves; `None` means discard (RFC 4301 §5.1).
    #[must_use]
    pub fn lookup_out(&self, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        self.entries.lookup(Direction::Outbound, packet, scope)
    }

    /// The first policy for a packet that comes in; `None` means discard. `packet.local` is our side: the destination.
    #[must_use]
    pub fn lookup_in(&self, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        self.entries.lookup(Direction::Inbound, packet, scope)
    }

    /// All policies in the order in which they are judged.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.entries.iter()
    }

    /// The policies that protect traffic with a peer, by rising id.
    pub fn policies_of(&self, peer: PeerId) -> impl Iterator<Item = &Arc<Policy>> {
        self.peers.get(&peer).into_iter().flatten().filter_map(|id| self.policy(*id))
    }

    /// Number of policies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True without policies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn check(&self, policy: &Policy, replaces: Option<PolicyId>) -> Result<(), SpdError> {
        match self.names.get(&policy.name) {
            Some(owner) if Some(*owner) != replaces => return Err(SpdError::DuplicateName(policy.name.clone())),
            _ => {}
        }
        let Some(protect) = policy.protect() else { return Ok(()) };
        if policy.directions != Directions::Both {
            return Err(SpdError::OneWayProtect(policy.name.clone()));
        }
        protect.proposals.iter().try_for_each(|p| p.check().map_err(SpdError::Proposal))
    }

    fn put(&mut self, sequence: u64, policy: Arc<Policy>) {
        let key = (order::rank(&policy), sequence);
        self.names.insert(policy.name.clone(), policy.id);
        if let Some(p) = policy.protect() {
            self.peers.entry(p.peer).or_default().insert(policy.id);
        }
        self.entries.insert(key, Arc::clone(&policy));
        self.by_id.insert(policy.id, (key, policy));
    }
}

impl fmt::Debug for Spd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
