//! Which outbound SA carries a packet of a policy (RFC 4301 §4.4.1.1, §5.1): the SAs of a policy that send, by the
//! packet's remote address. A policy with few SAs is a short list; one with thousands (a gateway whose policy names
//! a whole network, narrowed per peer) is looked up by prefix, longest first, so that the cost does not grow with
//! the number of peers.

use super::entry::Outbound;
use super::table::Table;
use crate::packet::IpPacket;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use ravelin_sa_db::{AddrRange, Direction, PolicyId};

/// Up to this many sending SAs of one policy are kept as a list.
const SMALL: usize = 4;

/// A prefix of remote addresses within a policy; `len` 255 holds what is no prefix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RouteKey {
    policy: PolicyId,
    v6: bool,
    len: u8,
    /// The address, lowest octets first. Not `u128`, whose alignment would cost a quarter of the table.
    bits: [u8; 16],
}

impl RouteKey {
    fn new(policy: PolicyId, v6: bool, len: u8, bits: u128) -> Self {
        Self { policy, v6, len, bits: bits.to_le_bytes() }
    }
}

const NO_PREFIX: u8 = 255;

/// The published form of one policy.
pub(crate) struct PolicyRoutes {
    /// All sending SAs, when they are few.
    small: Vec<Arc<Outbound>>,
    /// Prefix lengths in use, longest first; empty when `small` is complete.
    lens: Vec<(bool, u8)>,
}

/// The published form of one prefix.
#[derive(Clone)]
pub(crate) enum Bucket {
    /// Nearly always.
    One(Arc<Outbound>),
    Many(Arc<Vec<Arc<Outbound>>>),
}

impl Bucket {
    fn iter(&self) -> core::slice::Iter<'_, Arc<Outbound>> {
        match self {
            Self::One(sa) => core::slice::from_ref(sa).iter(),
            Self::Many(all) => all.iter(),
        }
    }

    fn new(mut all: Vec<Arc<Outbound>>) -> Option<Self> {
        if all.len() > 1 {
            return Some(Self::Many(Arc::new(all)));
        }
        all.pop().map(Self::One)
    }
}

/// Readers' side.
pub(crate) struct Routes {
    policies: Table<PolicyId, Arc<PolicyRoutes>>,
    buckets: Table<RouteKey, Bucket>,
    /// Changes so far: what a worker remembers of a route holds while this stays the same.
    version: AtomicU64,
}

/// Writers' side of one policy.
#[derive(Default)]
pub(crate) struct PolicyRecord {
    active: Vec<Arc<Outbound>>,
    lens: BTreeMap<(bool, u8), usize>,
}

fn mask(bits: u128, width: u32, len: u8) -> u128 {
    let host = width.saturating_sub(u32::from(len));
    bits.checked_shr(host).and_then(|b| b.checked_shl(host)).unwrap_or(0)
}

fn addr_bits(addr: IpAddr) -> (bool, u128, u32) {
    match addr {
        IpAddr::V4(a) => (false, u128::from(a.to_bits()), 32),
        IpAddr::V6(a) => (true, a.to_bits(), 128),
    }
}

fn route_key(policy: PolicyId, addrs: &AddrRange) -> RouteKey {
    let (v6, bits, _) = addr_bits(addrs.first());
    match addrs.prefix_len() {
        Some(len) => RouteKey::new(policy, v6, len, bits),
        None => RouteKey::new(policy, v6, NO_PREFIX, 0),
    }
}

#[inline]
fn covers(sa: &Outbound, ip: &IpPacket) -> bool {
    sa.holds(ip, Direction::Outbound)
}

/// Where an SA is found: by its remote selectors, and in transport mode behind a NAT by the address that is seen.
fn keys_of(sa: &Outbound) -> Vec<RouteKey> {
    let policy = sa.facts.policy;
    let mut keys: Vec<_> = sa.facts.remote_ts.iter().map(|t| route_key(policy, &t.addrs)).collect();
    if sa.is_translated() {
        keys.push(route_key(policy, &AddrRange::host(sa.path().remote.ip())));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl PolicyRoutes {
    /// The SA for this packet. `bucket` looks a prefix up.
    #[inline]
    pub(crate) fn find(
        &self,
        policy: PolicyId,
        ip: &IpPacket,
        bucket: impl Fn(&RouteKey) -> Option<Bucket>,
    ) -> Option<Arc<Outbound>> {
        if self.lens.is_empty() {
            return self.small.iter().find(|sa| covers(sa, ip)).cloned();
        }
        let (v6, bits, width) = addr_bits(ip.destination());
        for &(_, len) in self.lens.iter().filter(|(six, _)| *six == v6) {
            let bits = if len == NO_PREFIX { 0 } else { mask(bits, width, len) };
            let found = bucket(&RouteKey::new(policy, v6, len, bits));
            if let Some(sa) = found.as_ref().and_then(|b| b.iter().find(|sa| covers(sa, ip))) {
                return Some(Arc::clone(sa));
            }
        }
        None
    }
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { policies: Table::new(), buckets: Table::new(), version: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn find(&self, policy: PolicyId, ip: &IpPacket) -> Option<Arc<Outbound>> {
        self.policies.get(&policy)?.find(policy, ip, |k| self.buckets.get(k))
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

impl PolicyRecord {
    /// True when an SA for the same packets is sending.
    pub(crate) fn has_equal(sa: &Outbound, routes: &Routes) -> bool {
        let Some(first) = sa.facts.remote_ts.first() else { return false };
        let bucket = routes.buckets.get(&route_key(sa.facts.policy, &first.addrs));
        bucket.is_some_and(|b| b.iter().any(|o| o.same_traffic(sa)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn is_active(&self, sa: &Outbound) -> bool {
        self.active.binary_search_by_key(&sa.child(), |o| o.child()).is_ok()
    }

    /// Lets `sa` send, or replaces the entry of the same child; published at once.
    pub(crate) fn insert(&mut self, sa: &Arc<Outbound>, routes: &Routes) {
        let mut stale = Vec::new();
        match self.active.binary_search_by_key(&sa.child(), |o| o.child()) {
            Ok(at) => {
                if let Some(slot) = self.active.get_mut(at) {
                    stale = keys_of(slot);
                    *slot = Arc::clone(sa);
                }
            }
            Err(at) => self.active.insert(at, Arc::clone(sa)),
        }
        let keys = keys_of(sa);
        for &key in &keys {
            let old = routes.buckets.get(&key);
            if old.is_none() {
                let n = self.lens.entry((key.v6, key.len)).or_insert(0);
                *n = n.saturating_add(1);
            }
            let mut all: Vec<_> = old.iter().flat_map(|b| b.iter()).cloned().collect();
            match all.iter_mut().find(|o| o.child() == sa.child()) {
                Some(slot) => *slot = Arc::clone(sa),
                None => all.push(Arc::clone(sa)),
            }
            if let Some(bucket) = Bucket::new(all) {
                routes.buckets.insert(key, bucket);
            }
        }
        stale.retain(|k| !keys.contains(k));
        self.forget(&stale, sa, routes);
        self.publish(sa.facts.policy, routes);
    }

    /// Stops `sa` sending.
    pub(crate) fn remove(&mut self, sa: &Outbound, routes: &Routes) {
        if let Ok(at) = self.active.binary_search_by_key(&sa.child(), |o| o.child()) {
            self.active.remove(at);
        }
        self.publish(sa.facts.policy, routes);
        self.forget(&keys_of(sa), sa, routes);
        self.publish(sa.facts.policy, routes);
    }

    fn forget(&mut self, keys: &[RouteKey], sa: &Outbound, routes: &Routes) {
        for &key in keys {
            let Some(old) = routes.buckets.get(&key) else { continue };
            let rest = old.iter().filter(|o| o.child() != sa.child()).cloned().collect();
            if let Some(bucket) = Bucket::new(rest) {
                routes.buckets.insert(key, bucket);
                continue;
            }
            routes.buckets.remove(&key);
            if let Some(n) = self.lens.get_mut(&(key.v6, key.len)) {
                *n = n.saturating_sub(1);
                if *n == 0 {
                    self.lens.remove(&(key.v6, key.len));
                }
            }
        }
    }

    /// Publishes the policy's own entry, which is small: the few SAs, or the prefix lengths.
    fn publish(&self, policy: PolicyId, routes: &Routes) {
        self.publish_policy(policy, routes);
        routes.version.fetch_add(1, Ordering::Release);
    }

    fn publish_policy(&self, policy: PolicyId, routes: &Routes) {
        if self.active.is_empty() {
            routes.policies.remove(&policy);
            return;
        }
        let few = self.active.len() <= SMALL;
        let small = if few { self.active.clone() } else { Vec::new() };
        // What is no prefix comes last: 255 sorts first when reversed, so it is moved behind.
        let mut lens: Vec<_> = if few { Vec::new() } else { self.lens.keys().rev().copied().collect() };
        lens.sort_by_key(|(_, len)| *len == NO_PREFIX);
        let unchanged = routes.policies.get(&policy).is_some_and(|r| !few && r.lens == lens);
        if !unchanged {
            routes.policies.insert(policy, Arc::new(PolicyRoutes { small, lens }));
        }
    }
}
