//! The Security Policy Database (RFC 4301 §4.4.1): ordered policies that say which traffic is bypassed, discarded or
//! protected, each way. The rule of the order is in `order.rs`.
//!
//! To add an action: a variant of [`Action`], and the planes that carry it out will not compile until they do.

mod bind;
mod classify;
pub mod decorrelate;
pub mod explain;
pub mod flow;
pub mod order;
mod policy;
#[cfg(feature = "serde")]
pub(crate) mod snapshot;
mod view;

#[cfg(feature = "std")]
pub use view::SpdPublisher;
pub use view::SpdView;

pub use policy::{
    Action, ChildTimes, CloseAction, Directions, Mark, Pfp, Policy, Priority, Protect, Scope, StartAction, Tfc,
};

use crate::{Direction, PacketKey, PeerId, PolicyId};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
pub use classify::Instructions;
use classify::{Classifier, Entry};
use core::fmt;
use core::hash::BuildHasher;
pub use flow::FlowCache;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

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
    classifier: Classifier,
    free: Vec<u32>,
    slots: HashMap<PolicyId, u32>,
    /// Slots by name.
    names: HashTable<u32>,
    hasher: DefaultHashBuilder,
    peers: BTreeMap<PeerId, BTreeSet<PolicyId>>,
    bound: bind::Bound,
    last_id: u32,
    last_sequence: u32,
    /// Changes not yet published; kept only once readers were asked for.
    log: Option<Vec<view::Op>>,
}

/// Packets that [`Spd::lookup_burst`] looks at together at least; fewer are looked up one by one.
pub const BURST: usize = classify::BURST;

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
        if self.last_sequence == u32::MAX {
            self.renumber();
        }
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
        let old = self.take(id).ok_or(SpdError::NoSuchPolicy(id))?;
        policy.id = id;
        self.put(old.key as u32, Arc::new(policy));
        Ok(old.policy)
    }

    /// Removes a policy.
    pub fn remove(&mut self, id: PolicyId) -> Option<Arc<Policy>> {
        self.unbind_all(id);
        self.take(id).map(|e| e.policy)
    }

    /// The policy with this id.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Arc<Policy>> {
        self.classifier.entry(*self.slots.get(&id)?).map(|e| &e.policy)
    }

    /// The policy with this name.
    #[must_use]
    pub fn find_by_name(&self, name: &str) -> Option<PolicyId> {
        let found = self.names.find(self.hasher.hash_one(name), |slot| self.is_called(*slot, name));
        found.and_then(|slot| self.classifier.entry(*slot)).map(|e| e.policy.id)
    }

    /// The first policy for a packet that leaves; `None` means discard (RFC 4301 §5.1).
    #[must_use]
    pub fn lookup_out(&self, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        self.lookup(Direction::Outbound, packet, scope)
    }

    /// The first policy for a packet that comes in; `None` means discard. `packet.local` is our side: the destination.
    #[must_use]
    pub fn lookup_in(&self, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        self.lookup(Direction::Inbound, packet, scope)
    }

    /// [`Spd::lookup_out`] or [`Spd::lookup_in`].
    #[must_use]
    pub fn lookup(&self, direction: Direction, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        let slot = self.classifier.lookup(direction, packet, scope)?;
        self.classifier.policy(slot)
    }

    /// [`Spd::lookup`] for packets of one scope that arrived together; `each` is called once per packet, in order.
    /// Memory latencies overlap, so this is the faster way when there are [`BURST`] packets or more, and with 200,000
    /// policies best with four times as many, of one family side by side.
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

    /// [`Spd::lookup`] with a cache in front, which one core keeps for itself.
    pub fn lookup_cached(&self, cache: &mut FlowCache, packet: &PacketKey) -> Option<&Arc<Policy>> {
        cache.lookup(&self.classifier, packet)
    }

    /// All policies in the order in which they are judged. Sorts; not for the path of packets.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        let own = |e: &&Entry| self.policy(e.policy.id).is_some_and(|p| Arc::ptr_eq(p, &e.policy));
        let mut all: Vec<&Entry> = self.classifier.entries().filter(own).collect();
        all.sort_unstable_by_key(|e| e.key);
        all.into_iter().map(|e| &e.policy)
    }

    /// The policies that protect traffic with a peer, by rising id.
    pub fn policies_of(&self, peer: PeerId) -> impl Iterator<Item = &Arc<Policy>> {
        self.peers.get(&peer).into_iter().flatten().filter_map(|id| self.policy(*id))
    }

    /// Number of policies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True without policies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Makes lookups a little quicker after many changes, without another effect: policies that no hash separates and
    /// that came lately are walked until there are some of them, and are put behind bit vectors now. Takes some 50 µs
    /// per 1,000 policies of that kind. Publication to other threads does this by itself when few changes are
    /// published, `ravelin::Node` when it is made and reloaded; call it where lookups are made on the database itself,
    /// after a bulk of changes.
    pub fn settle(&mut self) {
        self.classifier.settle(usize::MAX);
    }

    /// Has lookups made as on processors that have no more than these instructions; otherwise the best that there are are used.
    /// The answers are the same. For measurements and tests; copies made later, and those that reading threads have, follow
    /// this one.
    pub fn limit_to(&mut self, most: Instructions) {
        self.classifier.limit_to(most);
    }

    /// What lookups use on this processor.
    #[must_use]
    pub fn instructions(&self) -> Instructions {
        self.classifier.instructions()
    }

    /// Octets that the lookup structure takes, without the policies themselves.
    #[must_use]
    pub fn lookup_memory(&self) -> usize {
        self.classifier.memory()
    }

    /// For people: how the lookup structure is made up.
    #[must_use]
    pub fn describe_lookup(&self) -> String {
        self.classifier.describe()
    }

    fn check(&self, policy: &Policy, replaces: Option<PolicyId>) -> Result<(), SpdError> {
        match self.find_by_name(&policy.name) {
            Some(owner) if Some(owner) != replaces => return Err(SpdError::DuplicateName(policy.name.clone())),
            _ => {}
        }
        let Some(protect) = policy.protect() else { return Ok(()) };
        if policy.directions != Directions::Both {
            return Err(SpdError::OneWayProtect(policy.name.clone()));
        }
        protect.proposals.iter().try_for_each(|p| p.check().map_err(SpdError::Proposal))
    }

    fn is_called(&self, slot: u32, name: &str) -> bool {
        self.classifier.entry(slot).is_some_and(|e| e.policy.name == name)
    }

    /// Puts a policy into the classifier, and says so to readers.
    fn place(&mut self, slot: u32, key: u64, policy: &Arc<Policy>) {
        self.classifier.insert(slot, key, policy);
        if let Some(log) = &mut self.log {
            log.push(view::Op::Insert(slot, key, Arc::clone(policy)));
        }
    }

    /// Takes a policy out of the classifier, and says so to readers.
    fn displace(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.classifier.remove(slot)?;
        if let Some(log) = &mut self.log {
            log.push(view::Op::Remove(slot));
        }
        Some(entry)
    }

    fn put(&mut self, sequence: u32, policy: Arc<Policy>) {
        let key = (u64::from(order::rank(&policy)) << 32) | u64::from(sequence);
        if let Some(p) = policy.protect() {
            self.peers.entry(p.peer).or_default().insert(policy.id);
        }
        let slot = self.free_slot();
        self.slots.insert(policy.id, slot);
        self.place(slot, key, &policy);
        let (classifier, hasher) = (&self.classifier, &self.hasher);
        let name_of = |slot: &u32| hasher.hash_one(classifier.entry(*slot).map_or("", |e| e.policy.name.as_str()));
        self.names.insert_unique(hasher.hash_one(policy.name.as_str()), slot, name_of);
    }

    fn take(&mut self, id: PolicyId) -> Option<Entry> {
        let slot = self.slots.remove(&id)?;
        let entry = self.displace(slot)?;
        if let Ok(found) = self.names.find_entry(self.hasher.hash_one(entry.policy.name.as_str()), |s| *s == slot) {
            found.remove();
        }
        if let Some(p) = entry.policy.protect()
            && let Some(set) = self.peers.get_mut(&p.peer)
        {
            set.remove(&id);
            if set.is_empty() {
                self.peers.remove(&p.peer);
            }
        }
        self.free.push(slot);
        Some(entry)
    }

    /// Numbers the policies anew in their order: once in four thousand million additions.
    fn renumber(&mut self) {
        let policies: Vec<Arc<Policy>> = self.iter().cloned().collect();
        let bound = self.bound_policies();
        // Taken out one by one, so that the log says so as well.
        for policy in &policies {
            self.unbind_all(policy.id);
            self.take(policy.id);
        }
        self.last_sequence = 0;
        for policy in policies {
            self.last_sequence = self.last_sequence.saturating_add(1);
            self.put(self.last_sequence, policy);
        }
        bound.into_iter().for_each(|(policy, count)| self.bind_times(&policy, count));
    }
}

impl fmt::Debug for Spd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
