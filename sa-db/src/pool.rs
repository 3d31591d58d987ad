//! Inner addresses for peers that ask for one (RFC 7296 §2.19, §3.15): ranges, subnets and lists of either family, what
//! is told along with an address, and who holds which one.
//!
//! An identity gets the address it had before as long as nobody else needed it. Fresh addresses go out in order; when
//! there are none, the one that has been unused for longest changes hands. To add a thing that is told along: a field
//! of [`PoolInfo`], and its attribute in `ike-proto/src/ext/config.rs`.

#[cfg(feature = "serde")]
pub(crate) mod snapshot;

use crate::AddrRange;
use crate::pad::Identity;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Unused leases that a pool remembers for their identities; beyond these the oldest is given away before fresh ones.
const REMEMBERED: usize = 1 << 16;

/// What peers are told along with an address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PoolInfo {
    /// INTERNAL_IP4_NETMASK.
    pub netmask: Option<Ipv4Addr>,
    /// Prefix length that goes with IPv6 addresses, in bits; 0 stands for 128.
    pub prefix_v6: u8,
    /// INTERNAL_IP4_DNS and INTERNAL_IP6_DNS.
    pub dns: Vec<IpAddr>,
    /// INTERNAL_IP4_NBNS.
    pub nbns: Vec<Ipv4Addr>,
    /// INTERNAL_IP4_DHCP and INTERNAL_IP6_DHCP.
    pub dhcp: Vec<IpAddr>,
    /// INTERNAL_IP4_SUBNET and INTERNAL_IP6_SUBNET: prefixes behind us. What is no prefix is not told.
    pub subnets: Vec<AddrRange>,
    /// INTERNAL_DNS_DOMAIN (RFC 8598), told to those who ask for it.
    pub domains: Vec<String>,
    /// INTERNAL_DNSSEC_TA (RFC 8598 §4.2): the value as it travels, each after the domain it belongs to by index.
    pub trust_anchors: Vec<(usize, Vec<u8>)>,
    /// Any other attribute: type and value as it travels.
    pub other: Vec<(u16, Vec<u8>)>,
}

/// Addresses to give away.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pool {
    /// For configuration; unique.
    pub name: String,
    /// The addresses, in order; both families may be mixed.
    pub ranges: Vec<AddrRange>,
    /// What is told along.
    pub info: PoolInfo,
}

impl Pool {
    /// A pool of every address in `ranges`.
    #[must_use]
    pub fn new(name: impl Into<String>, ranges: impl Into<Vec<AddrRange>>) -> Self {
        Self { name: name.into(), ranges: ranges.into(), info: PoolInfo::default() }
    }

    /// The addresses of a subnet that hosts may have: without the IPv4 network and broadcast addresses, without the
    /// IPv6 subnet-router anycast address (RFC 4291 §2.6.1), where there is room. `None` when `len` is too large.
    #[must_use]
    pub fn hosts(addr: IpAddr, len: u8) -> Option<AddrRange> {
        let whole = AddrRange::prefix(addr, len)?;
        Some(match whole {
            AddrRange::V4(a, b) if len <= 30 => AddrRange::V4(
                Ipv4Addr::from_bits(a.to_bits().saturating_add(1)),
                Ipv4Addr::from_bits(b.to_bits().saturating_sub(1)),
            ),
            AddrRange::V6(a, b) if len <= 126 => AddrRange::V6(Ipv6Addr::from_bits(a.to_bits().saturating_add(1)), b),
            other => other,
        })
    }

    /// True when the address belongs to it.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.ranges.iter().any(|r| r.contains(addr))
    }
}

/// An address that is in somebody's hands. It goes back by [`Pools::release`].
#[derive(PartialEq, Eq, Debug)]
pub struct Lease {
    /// Where it came from.
    pub pool: Arc<Pool>,
    /// The address.
    pub addr: IpAddr,
}

/// An address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(addr: IpAddr) -> Self {
        if addr.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn of_range(range: &AddrRange) -> Self {
        Self::of(range.first())
    }
}

#[derive(Clone, Debug)]
struct Held {
    identity: Identity,
    /// IKE SAs that hold it; 0: remembered only.
    holders: u32,
    /// When it became unused, as a running number.
    since: u64,
}

#[derive(Clone, Debug)]
struct State {
    pool: Arc<Pool>,
    held: BTreeMap<IpAddr, Held>,
    by_identity: BTreeSet<(Identity, IpAddr)>,
    /// Unused leases, the oldest first.
    idle: BTreeSet<(u64, IpAddr)>,
    /// Next fresh address: index of the range and the address as a number.
    fresh: BTreeMap<Family, (usize, Option<u128>)>,
    clock: u64,
}

/// All pools, by name. Leasing works on `&self`, as the reservation of SPIs does: the pools belong to the control thread.
#[derive(Clone, Default)]
pub struct Pools {
    pools: RefCell<BTreeMap<String, State>>,
}

impl Pools {
    /// Adds a pool; false when its name is taken.
    pub fn add(&mut self, pool: Pool) -> bool {
        let pools = self.pools.get_mut();
        if pools.contains_key(&pool.name) {
            return false;
        }
        pools.insert(pool.name.clone(), State::new(Arc::new(pool)));
        true
    }

    /// Adds a pool, or gives the one of this name other addresses or other things to tell. Whoever has an address keeps it,
    /// also one that is no part of the pool any more, until it is let go.
    pub fn replace(&mut self, pool: Pool) {
        let pools = self.pools.get_mut();
        match pools.get_mut(&pool.name) {
            Some(state) => state.become_(Arc::new(pool)),
            None => drop(pools.insert(pool.name.clone(), State::new(Arc::new(pool)))),
        }
    }

    /// All pools, by name.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Pool>> {
        self.pools.borrow().values().map(|s| Arc::clone(&s.pool)).collect::<Vec<_>>().into_iter()
    }

    /// Removes a pool. Addresses that are in use stay with their holders until they let go.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Pool>> {
        self.pools.get_mut().remove(name).map(|s| s.pool)
    }

    /// The pool with this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<Arc<Pool>> {
        self.pools.borrow().get(name).map(|s| Arc::clone(&s.pool))
    }

    /// An address of `family` for `identity` from the first of the pools `names` that has one. `wish` is given when it
    /// is free, or when `identity` holds it already (an IKE SA that replaces its predecessor keeps the address).
    /// `None` when all are exhausted.
    #[must_use]
    pub fn lease(&self, names: &[String], family: Family, identity: &Identity, wish: Option<IpAddr>) -> Option<Lease> {
        let mut pools = self.pools.borrow_mut();
        let wish = wish.filter(|w| Family::of(*w) == family);
        for step in [State::again, State::wished, State::any] {
            for name in names {
                let Some(state) = pools.get_mut(name) else { continue };
                if let Some(addr) = step(state, family, identity, wish) {
                    state.hold(addr, identity);
                    return Some(Lease { pool: Arc::clone(&state.pool), addr });
                }
            }
        }
        None
    }

    /// Gives an address back. Its identity gets it again if nobody else needs it first.
    #[allow(clippy::needless_pass_by_value, reason = "a lease that was given back must not be used any more")]
    pub fn release(&self, lease: Lease) {
        if let Some(state) = self.pools.borrow_mut().get_mut(&lease.pool.name) {
            state.let_go(lease.addr);
        }
    }

    /// Addresses in use and remembered, of one pool; zeros when there is none of this name.
    #[must_use]
    pub fn usage(&self, name: &str) -> (usize, usize) {
        let pools = self.pools.borrow();
        pools.get(name).map_or((0, 0), |s| (s.held.len().saturating_sub(s.idle.len()), s.idle.len()))
    }

    /// Who holds or held which address of a pool: address, identity, IKE SAs that hold it.
    #[must_use]
    pub fn leases(&self, name: &str) -> Vec<(IpAddr, Identity, u32)> {
        let pools = self.pools.borrow();
        let held = pools.get(name).map(|s| &s.held).into_iter().flatten();
        held.map(|(a, h)| (*a, h.identity.clone(), h.holders)).collect()
    }
}

impl State {
    fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            held: BTreeMap::new(),
            by_identity: BTreeSet::new(),
            idle: BTreeSet::new(),
            fresh: BTreeMap::new(),
            clock: 0,
        }
    }

    /// Other addresses and other things to tell from now on.
    fn become_(&mut self, pool: Arc<Pool>) {
        self.pool = pool;
        self.fresh.clear();
        let unused = self.held.iter().filter(|(a, h)| h.holders == 0 && !self.pool.contains(**a));
        for addr in unused.map(|(a, _)| *a).collect::<Vec<_>>() {
            self.forget(addr);
        }
    }

    fn forget(&mut self, addr: IpAddr) {
        if let Some(held) = self.held.remove(&addr) {
            self.idle.remove(&(held.since, addr));
            self.by_identity.remove(&(held.identity, addr));
        }
    }

    /// An address that this identity had before, or still has and asks for.
    fn again(&mut self, family: Family, identity: &Identity, wish: Option<IpAddr>) -> Option<IpAddr> {
        if let Some(w) = wish
            && self.by_identity.contains(&(identity.clone(), w))
        {
            return Some(w);
        }
        let lowest = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let mine = self.by_identity.range((identity.clone(), lowest)..).take_while(|(i, _)| i == identity);
        mine.map(|(_, a)| *a).find(|a| Family::of(*a) == family && self.held.get(a).is_some_and(|h| h.holders == 0))
    }

    /// The address that was asked for, when nobody holds or held it.
    fn wished(&mut self, _: Family, _: &Identity, wish: Option<IpAddr>) -> Option<IpAddr> {
        wish.filter(|w| self.pool.contains(*w) && !self.held.contains_key(w))
    }

    fn any(&mut self, family: Family, _: &Identity, _: Option<IpAddr>) -> Option<IpAddr> {
        let oldest = |s: &Self| s.idle.iter().map(|(_, a)| *a).find(|a| Family::of(*a) == family);
        let crowded = if self.idle.len() >= REMEMBERED { oldest(self) } else { None };
        crowded.or_else(|| self.next_fresh(family)).or_else(|| oldest(self))
    }

    fn next_fresh(&mut self, family: Family) -> Option<IpAddr> {
        let (mut range, mut next) = self.fresh.get(&family).copied().unwrap_or((0, None));
        let found = loop {
            let Some(r) = self.pool.ranges.get(range) else { break None };
            let (first, last) = (number(r.first()), number(r.last()));
            let at = next.unwrap_or(first);
            if Family::of_range(r) != family || at > last {
                (range, next) = (range.saturating_add(1), None);
                continue;
            }
            (range, next) =
                if at == last { (range.saturating_add(1), None) } else { (range, Some(at.saturating_add(1))) };
            let addr = address(family, at);
            if !self.held.contains_key(&addr) {
                break Some(addr);
            }
        };
        self.fresh.insert(family, (range, next));
        found
    }

    fn hold(&mut self, addr: IpAddr, identity: &Identity) {
        if let Some(held) = self.held.get_mut(&addr) {
            if held.holders == 0 {
                self.idle.remove(&(held.since, addr));
            }
            if held.identity == *identity {
                held.holders = held.holders.saturating_add(1);
                return;
            }
            self.by_identity.remove(&(held.identity.clone(), addr));
        }
        self.held.insert(addr, Held { identity: identity.clone(), holders: 1, since: 0 });
        self.by_identity.insert((identity.clone(), addr));
    }

    fn let_go(&mut self, addr: IpAddr) {
        let Some(held) = self.held.get_mut(&addr) else { return };
        held.holders = held.holders.saturating_sub(1);
        if held.holders == 0 {
            self.clock = self.clock.saturating_add(1);
            held.since = self.clock;
            self.idle.insert((self.clock, addr));
            if !self.pool.contains(addr) {
                self.forget(addr);
            }
        }
    }
}

fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

fn address(family: Family, n: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(n).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(n)),
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pools.borrow().values().map(|s| &s.pool.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::{format, vec};

    fn pools(ranges: &[&str]) -> (Pools, Vec<String>) {
        let mut pools = Pools::default();
        let ranges: Vec<AddrRange> = ranges.iter().map(|r| AddrRange::parse(r).unwrap()).collect();
        assert!(pools.add(Pool::new("p", ranges)));
        (pools, vec!["p".to_string()])
    }

    fn who(n: u32) -> Identity {
        Identity::fqdn(&format!("user{n}.test"))
    }

    fn lease(p: &(Pools, Vec<String>), n: u32) -> Option<Lease> {
        p.0.lease(&p.1, Family::V4, &who(n), None)
    }

    #[test]
    fn a_pool_changes_while_its_addresses_are_in_use() {
        let mut p = pools(&["10.0.0.1-10.0.0.2"]);
        let (one, two) = (lease(&p, 1).unwrap(), lease(&p, 2).unwrap());
        p.0.release(two);
        p.0.replace(Pool::new("p", [AddrRange::parse("10.0.0.2-10.0.0.3").unwrap()]));
        assert_eq!(p.0.usage("p"), (1, 1), "who has an address keeps it, who may come again may come again");
        let back = lease(&p, 2).unwrap();
        assert_eq!(back.addr.to_string(), "10.0.0.2");
        p.0.release(one);
        assert_eq!(lease(&p, 1).unwrap().addr.to_string(), "10.0.0.3", "the old address is no part of the pool");
        assert_eq!(lease(&p, 4), None);
        p.0.replace(Pool::new("q", [AddrRange::parse("10.0.1.1").unwrap()]));
        assert_eq!(p.0.iter().map(|p| p.name.clone()).collect::<Vec<_>>(), ["p", "q"]);
    }

    #[test]
    fn ranges_in_order_then_exhaustion() {
        let p = pools(&["10.0.0.1-10.0.0.2", "2001:db8::/64", "10.0.0.9"]);
        let got: Vec<String> = (0..3).map(|n| lease(&p, n).unwrap().addr.to_string()).collect();
        assert_eq!(got, ["10.0.0.1", "10.0.0.2", "10.0.0.9"]);
        assert!(lease(&p, 3).is_none());
        let six = p.0.lease(&p.1, Family::V6, &who(3), None).unwrap();
        assert_eq!(six.addr.to_string(), "2001:db8::");
        assert_eq!(p.0.usage("p"), (4, 0));
        assert!(p.0.lease(&["q".to_string()], Family::V4, &who(9), None).is_none());
    }

    #[test]
    fn an_identity_keeps_its_address_until_it_is_needed() {
        let p = pools(&["10.0.0.1-10.0.0.2"]);
        let a = lease(&p, 1).unwrap();
        p.0.release(a);
        let b = lease(&p, 2).unwrap();
        assert_eq!(b.addr.to_string(), "10.0.0.2");
        let again = lease(&p, 1).unwrap();
        assert_eq!(again.addr.to_string(), "10.0.0.1");
        assert!(lease(&p, 3).is_none());
        p.0.release(b);
        p.0.release(again);
        // The one unused for longest changes hands.
        assert_eq!(lease(&p, 3).unwrap().addr.to_string(), "10.0.0.2");
        assert_eq!(lease(&p, 2).unwrap().addr.to_string(), "10.0.0.1");
    }

    #[test]
    fn two_devices_of_one_identity_get_two_addresses_but_a_successor_keeps_its_own() {
        let p = pools(&["10.0.0.0/24"]);
        let (a, b) = (lease(&p, 1).unwrap(), lease(&p, 1).unwrap());
        assert_ne!(a.addr, b.addr);
        let successor = p.0.lease(&p.1, Family::V4, &who(1), Some(a.addr)).unwrap();
        assert_eq!(successor.addr, a.addr);
        p.0.release(a);
        assert_eq!(p.0.usage("p"), (2, 0));
        p.0.release(successor);
        assert_eq!(p.0.usage("p"), (1, 1));
    }

    #[test]
    fn wishes_are_granted_when_free_and_never_from_outside() {
        let p = pools(&["10.0.0.0/24"]);
        let wish =
            |w: &str, n| p.0.lease(&p.1, Family::V4, &who(n), Some(w.parse().unwrap())).unwrap().addr.to_string();
        assert_eq!(wish("10.0.0.7", 1), "10.0.0.7");
        assert_eq!(wish("10.0.0.7", 2), "10.0.0.0");
        assert_eq!(wish("10.9.0.7", 3), "10.0.0.1");
        assert_eq!(wish("::7", 4), "10.0.0.2");
        for n in 10..14 {
            assert_ne!(lease(&p, n).unwrap().addr.to_string(), "10.0.0.7");
        }
    }

    #[test]
    fn hosts_of_a_subnet() {
        let hosts = |a: &str, len| Pool::hosts(a.parse().unwrap(), len).map(|r| format!("{}-{}", r.first(), r.last()));
        assert_eq!(hosts("10.0.0.0", 24).unwrap(), "10.0.0.1-10.0.0.254");
        assert_eq!(hosts("10.0.0.8", 31).unwrap(), "10.0.0.8-10.0.0.9");
        assert_eq!(hosts("fd00::", 126).unwrap(), "fd00::1-fd00::3");
        assert_eq!(hosts("10.0.0.0", 33), None);
    }
}
