//! Policies whose selectors are known only per IKE SA: an empty side of a policy stands for the address that a peer was
//! leased or that we were assigned (RFC 7296 §2.19). Each such address puts a copy of the policy with the selectors
//! filled in beside it, under the same id, for as long as somebody holds it.

use super::{Policy, Spd, order};
use crate::{PolicyId, TrafficSelector};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What tells copies of one policy apart: its id and both sides.
type Key = (PolicyId, Vec<TrafficSelector>, Vec<TrafficSelector>);

/// Copies by key: slot in the classifier, and how often it was bound.
pub(super) type Bound = BTreeMap<Key, (u32, u32)>;

fn key(policy: &Policy) -> Key {
    (policy.id, policy.local.clone(), policy.remote.clone())
}

impl Spd {
    /// Puts a copy of the policy `policy.id`, with selectors filled in, beside it. Lookups find the copy, which has the
    /// id of the original. Binding the same copy again is counted. False when there is no such policy.
    pub fn bind(&mut self, policy: &Arc<Policy>) -> bool {
        let known = self.slots.contains_key(&policy.id);
        if known {
            self.bind_times(policy, 1);
        }
        known
    }

    pub(super) fn bind_times(&mut self, policy: &Arc<Policy>, times: u32) {
        if let Some((_, count)) = self.bound.get_mut(&key(policy)) {
            *count = count.saturating_add(times);
            return;
        }
        let original = self.slots.get(&policy.id).and_then(|slot| self.classifier.entry(*slot));
        let Some(sequence) = original.map(|e| e.key & u64::from(u32::MAX)) else { return };
        let rank = (u64::from(order::rank(policy)) << 32) | sequence;
        let slot = self.free_slot();
        self.place(slot, rank, policy);
        self.bound.insert(key(policy), (slot, times));
    }

    /// Takes a copy away when it was unbound as often as it was bound; false when it was not there.
    pub fn unbind(&mut self, policy: &Policy) -> bool {
        let key = key(policy);
        let Some((slot, count)) = self.bound.get_mut(&key) else { return false };
        *count = count.saturating_sub(1);
        if *count == 0 {
            let slot = *slot;
            self.bound.remove(&key);
            self.displace(slot);
            self.free.push(slot);
        }
        true
    }

    /// Copies of policies that are bound now.
    #[must_use]
    pub fn bound_len(&self) -> usize {
        self.bound.len()
    }

    pub(super) fn unbind_all(&mut self, id: PolicyId) {
        let keys: Vec<Key> = self
            .bound
            .range((id, Vec::new(), Vec::new())..)
            .map(|(k, _)| k.clone())
            .take_while(|k| k.0 == id)
            .collect();
        for key in keys {
            if let Some((slot, _)) = self.bound.remove(&key) {
                self.displace(slot);
                self.free.push(slot);
            }
        }
    }

    pub(super) fn bound_policies(&self) -> Vec<(Arc<Policy>, u32)> {
        let copy = |(slot, count): &(u32, u32)| Some((Arc::clone(&self.classifier.entry(*slot)?.policy), *count));
        self.bound.values().filter_map(copy).collect()
    }

    /// A slot that neither a policy nor a copy uses.
    pub(super) fn free_slot(&mut self) -> u32 {
        let used = self.slots.len().saturating_add(self.bound.len());
        self.free.pop().unwrap_or_else(|| u32::try_from(used).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spd::{Protect, Scope};
    use crate::{AddrRange, PacketKey, PeerId};
    use alloc::vec;

    fn host(s: &str) -> Vec<TrafficSelector> {
        vec![TrafficSelector::any(AddrRange::parse(s).unwrap())]
    }

    fn packet(to: &str) -> PacketKey {
        PacketKey {
            local: "10.1.0.5".parse().unwrap(),
            remote: to.parse().unwrap(),
            protocol: 17,
            local_port: Some(1),
            remote_port: Some(2),
        }
    }

    #[test]
    fn copies_are_found_under_the_id_of_the_original_as_long_as_they_are_bound() {
        let mut spd = Spd::new();
        let id = spd.add(Policy::new("clients", host("10.1.0.0/16"), [], Protect::new(PeerId(1)).into())).unwrap();
        let find = |spd: &Spd, to| spd.lookup_out(&packet(to), &Scope::default()).map(|p| p.id);
        assert_eq!(find(&spd, "10.9.0.1"), None);
        let copy = |to: &str| Arc::new(Policy { remote: host(to), ..Policy::clone(spd.policy(id).unwrap()) });
        let (one, two) = (copy("10.9.0.1"), copy("10.9.0.2"));
        assert!(spd.bind(&one) && spd.bind(&one) && spd.bind(&two));
        assert_eq!(
            (find(&spd, "10.9.0.1"), find(&spd, "10.9.0.2"), find(&spd, "10.9.0.3")),
            (Some(id), Some(id), None)
        );
        assert_eq!((spd.iter().count(), spd.bound_len()), (1, 2));
        assert!(spd.unbind(&one) && find(&spd, "10.9.0.1").is_some());
        assert!(spd.unbind(&one) && find(&spd, "10.9.0.1").is_none() && !spd.unbind(&one));
        // A policy added later takes a slot of its own.
        let other = spd.add(Policy::new("x", host("10.1.0.0/16"), host("10.8.0.0/16"), Protect::new(PeerId(1)).into()));
        assert_eq!(find(&spd, "10.8.0.1"), Some(other.unwrap()));
        assert_eq!(find(&spd, "10.9.0.2"), Some(id));
        spd.remove(id);
        assert_eq!((find(&spd, "10.9.0.2"), spd.bound_len()), (None, 0));
        assert!(!spd.bind(&two));
    }
}
