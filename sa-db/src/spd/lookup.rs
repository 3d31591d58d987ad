//! From a packet to the first policy that matches: a walk in order. The fast classifier comes in its place.

use super::{OrderKey, Policy, Scope};
use crate::{Direction, PacketKey};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// The policies in order.
#[derive(Clone, Default)]
pub(super) struct Linear {
    list: BTreeMap<OrderKey, Arc<Policy>>,
}

impl Linear {
    pub(super) fn insert(&mut self, key: OrderKey, policy: Arc<Policy>) {
        self.list.insert(key, policy);
    }

    pub(super) fn remove(&mut self, key: OrderKey) {
        self.list.remove(&key);
    }

    pub(super) fn lookup(&self, direction: Direction, packet: &PacketKey, scope: &Scope) -> Option<&Arc<Policy>> {
        self.list.values().find(|p| p.matches(direction, packet, scope))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.list.values()
    }
}
