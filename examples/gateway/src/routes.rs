//! What the system is asked for around the TUN device: leased addresses on it, and routes into it. Routes stand in a table
//! of their own that a rule asks for every packet without our mark, so that protected traffic never leaves in the clear
//! and our own packets never come back to us. Wishes are compared with what is there; the difference goes to `ip`.

use ravelin::db::{AddrRange, ChildId, Db, PeerId, Policy, PolicyId, TrafficSelector};
use ravelin_config::Gateway;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// What peers told or were given, as far as routes follow from it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Our inner addresses, by peer.
    pub(crate) assigned: BTreeMap<PeerId, Vec<IpAddr>>,
    /// Child SAs of policies whose remote side is an address, with that address.
    pub(crate) bound: BTreeMap<ChildId, (PolicyId, Vec<TrafficSelector>)>,
}

/// Addresses on the device, and destinations of routes into it, each with a source address where there is one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wishes {
    addrs: BTreeSet<IpAddr>,
    routes: BTreeMap<(IpAddr, u8), Option<IpAddr>>,
}

impl Wishes {
    /// What the policies need. `own` are this host's addresses.
    pub(crate) fn of(db: &Db, own: &[IpAddr], known: &Known) -> Self {
        let mut wishes = Self::default();
        wishes.addrs.extend(known.assigned.values().flatten());
        for policy in db.spd.iter() {
            let Some(protect) = policy.protect() else { continue };
            let leased = known.assigned.get(&protect.peer).map(Vec::as_slice).unwrap_or_default();
            let source = |v6: bool| {
                let candidates = if policy.local.is_empty() { leased } else { own };
                let fits = |a: &&IpAddr| policy.local.is_empty() || policy.local.iter().any(|t| t.addrs.contains(**a));
                candidates.iter().filter(|a| a.is_ipv6() == v6).find(fits).copied()
            };
            for range in remote_ranges(db, policy, protect.peer, known) {
                let source = source(range.first().is_ipv6());
                wishes.routes.extend(prefixes(range).into_iter().map(|p| (p, source)));
            }
        }
        wishes
    }
}

/// Destinations of a policy: its selectors, or the addresses that peers may be leased, or those that they have.
fn remote_ranges(db: &Db, policy: &Policy, peer: PeerId, known: &Known) -> Vec<AddrRange> {
    if !policy.remote.is_empty() {
        return policy.remote.iter().map(|t| t.addrs).collect();
    }
    let pools = db.pad.peer(peer).map(|p| p.pools.as_slice()).unwrap_or_default();
    if !pools.is_empty() {
        return pools.iter().filter_map(|name| db.pools.pool(name)).flat_map(|p| p.ranges.clone()).collect();
    }
    let of_this = known.bound.values().filter(|(id, _)| *id == policy.id);
    of_this.flat_map(|(_, remote)| remote.iter().map(|t| t.addrs)).collect()
}

/// What is installed; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Routes {
    device: String,
    table: String,
    mark: String,
    have: Wishes,
    rules: BTreeSet<&'static str>,
}

impl Routes {
    pub(crate) fn new(g: &Gateway) -> Self {
        Self {
            device: g.tun.clone(),
            table: g.route_table.to_string(),
            mark: g.mark.to_string(),
            have: Wishes::default(),
            rules: BTreeSet::new(),
        }
    }

    /// Makes it so. With `again` also what should be there already: the kernel forgets routes whose source address goes.
    pub(crate) fn apply(&mut self, wishes: Wishes, again: bool) -> io::Result<()> {
        if wishes == self.have && !again {
            return Ok(());
        }
        let had = std::mem::replace(&mut self.have, wishes);
        let mut result = Ok(());
        let mut note = |r: io::Result<()>| {
            if let (Err(e), true) = (r, result.is_ok()) {
                result = Err(e);
            }
        };
        for addr in self.have.addrs.iter().filter(|a| again || !had.addrs.contains(a)) {
            note(self.address("replace", *addr));
        }
        for (to, source) in &self.have.routes {
            if again || had.routes.get(to) != Some(source) {
                note(self.route("replace", *to, *source));
            }
        }
        for (to, _) in had.routes.iter().filter(|(to, _)| !self.have.routes.contains_key(to)) {
            note(self.route("del", *to, None));
        }
        for addr in had.addrs.difference(&self.have.addrs) {
            note(self.address("del", *addr));
        }
        for v6 in [false, true] {
            let wanted = self.have.routes.keys().any(|(a, _)| a.is_ipv6() == v6);
            note(self.rule(family(v6), wanted));
        }
        result
    }

    fn address(&self, verb: &str, addr: IpAddr) -> io::Result<()> {
        let text = format!("{addr}/{}", bits(addr));
        // no duplicate address detection where nobody else can be
        let tail: &[&str] = if addr.is_ipv6() && verb != "del" { &["nodad"] } else { &[] };
        ip(&[&[family(addr.is_ipv6()), "addr", verb, &text, "dev", &self.device], tail].concat()).map(drop)
    }

    fn route(&self, verb: &str, to: (IpAddr, u8), source: Option<IpAddr>) -> io::Result<()> {
        let prefix = format!("{}/{}", to.0, to.1);
        let mut args = vec![family(to.0.is_ipv6()), "route", verb, &prefix, "dev", &self.device, "table", &self.table];
        let source = source.map(|s| s.to_string());
        if let Some(source) = &source {
            args.extend(["src", source]);
        }
        ip(&args).map(drop)
    }

    fn rule(&mut self, family: &'static str, wanted: bool) -> io::Result<()> {
        if wanted == self.rules.contains(family) {
            return Ok(());
        }
        let rule = ["not", "fwmark", &self.mark, "lookup", &self.table, "priority", &self.table];
        let with = |verb| [&[family, "rule", verb][..], &rule[..]].concat();
        if !wanted {
            self.rules.remove(family);
            return ip(&with("del")).map(drop);
        }
        let _ = ip(&with("del")); // of a run that was killed
        ip(&with("add"))?;
        self.rules.insert(family);
        Ok(())
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        if let Err(e) = self.apply(Wishes::default(), false) {
            tracing::debug!("{e}");
        }
    }
}

fn family(v6: bool) -> &'static str {
    if v6 { "-6" } else { "-4" }
}

fn bits(addr: IpAddr) -> u8 {
    if addr.is_ipv6() { 128 } else { 32 }
}

/// Runs `ip ARGS…`.
fn ip(args: &[&str]) -> io::Result<String> {
    let said = Command::new("ip").args(args).output().map_err(|e| io::Error::new(e.kind(), format!("ip: {e}")))?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    Err(io::Error::other(format!("ip {}: {}", args.join(" "), why.trim())))
}

/// The range as prefixes, as few as possible.
fn prefixes(range: AddrRange) -> Vec<(IpAddr, u8)> {
    let (mut first, last, bits) = match range {
        AddrRange::V4(a, b) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32u8),
        AddrRange::V6(a, b) => (a.to_bits(), b.to_bits(), 128),
    };
    let mut found = Vec::new();
    loop {
        // the largest block that starts here and does not pass the end
        let mut host = first.trailing_zeros().min(u32::from(bits));
        while host > 0 && block_end(first, host) > last {
            host = host.saturating_sub(1);
        }
        let addr = match range {
            AddrRange::V4(..) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(first).unwrap_or(u32::MAX))),
            AddrRange::V6(..) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        found.push((addr, bits.saturating_sub(u8::try_from(host).unwrap_or(bits))));
        let end = block_end(first, host);
        if end >= last {
            return found;
        }
        first = end.saturating_add(1);
    }
}

/// The last address of the block of `host` bits that starts at `first`.
fn block_end(first: u128, host: u32) -> u128 {
    first | 1u128.checked_shl(host).map_or(u128::MAX, |b| b.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ravelin::db::{Identity, Peer, Pool, Protect};

    fn split(first: &str, last: &str) -> Vec<String> {
        let range = AddrRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap();
        prefixes(range).iter().map(|(a, l)| format!("{a}/{l}")).collect()
    }

    #[test]
    fn ranges_become_prefixes() {
        assert_eq!(split("10.0.0.0", "10.0.0.255"), ["10.0.0.0/24"]);
        assert_eq!(split("0.0.0.0", "255.255.255.255"), ["0.0.0.0/0"]);
        assert_eq!(split("10.0.0.1", "10.0.0.1"), ["10.0.0.1/32"]);
        assert_eq!(split("10.0.0.1", "10.0.0.6"), ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
        assert_eq!(split("255.255.255.254", "255.255.255.255"), ["255.255.255.254/31"]);
        assert_eq!(split("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ["::/0"]);
        assert_eq!(split("fd00::", "fd00::1:ffff"), ["fd00::/111"]);
    }

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    fn ts(s: &str) -> TrafficSelector {
        s.parse().unwrap()
    }

    /// The destinations and sources of a database with one peer and one policy.
    fn routes(
        local: &[&str],
        remote: &[&str],
        pools: &[&str],
        known: impl Fn(PeerId, PolicyId) -> Known,
    ) -> Vec<String> {
        let mut db = Db::new();
        db.pools.add(Pool::new("p", [AddrRange::parse("10.3.0.0/24").unwrap()]));
        let mut peer = Peer::new("x", Identity::fqdn("a"), Identity::fqdn("b"));
        peer.pools = pools.iter().map(ToString::to_string).collect();
        let id = db.pad.add(peer).unwrap();
        let (local, remote): (Vec<_>, Vec<_>) =
            (local.iter().map(|s| ts(s)).collect(), remote.iter().map(|s| ts(s)).collect());
        let policy = db.spd.add(Policy::new("x/y", local, remote, Protect::new(id).into())).unwrap();
        let wishes = Wishes::of(&db, &[ip("192.0.2.1"), ip("10.1.0.1")], &known(id, policy));
        let shown = |((a, l), s): (&(IpAddr, u8), &Option<IpAddr>)| format!("{a}/{l} {s:?}");
        wishes.addrs.iter().map(ToString::to_string).chain(wishes.routes.iter().map(shown)).collect()
    }

    #[test]
    fn routes_of_policies() {
        let nothing = |_, _| Known::default();
        assert_eq!(routes(&["10.1.0.0/16"], &["10.2.0.0/16"], &[], nothing), ["10.2.0.0/16 Some(10.1.0.1)"]);
        assert_eq!(routes(&["10.9.0.0/16"], &["fd00::1"], &[], nothing), ["fd00::1/128 None"]);
        // Without the address that is to come nothing leaves in the clear; with it, it is the source.
        assert_eq!(routes(&[], &["10.2.0.0/16"], &[], nothing), ["10.2.0.0/16 None"]);
        let assigned =
            |peer, _| Known { assigned: [(peer, vec![ip("fd03::7"), ip("10.3.0.7")])].into(), ..Known::default() };
        assert_eq!(routes(&[], &["10.2.0.0/16"], &[], assigned), ["10.3.0.7", "fd03::7", "10.2.0.0/16 Some(10.3.0.7)"]);
        // Leased addresses: the whole pool. Outer ones: as they come.
        assert_eq!(routes(&["10.1.0.0/16"], &[], &["p"], nothing), ["10.3.0.0/24 Some(10.1.0.1)"]);
        assert_eq!(routes(&["10.1.0.0/16"], &[], &[], nothing), Vec::<String>::new());
        let bound = |_, id| Known { bound: [(ChildId(3), (id, vec![ts("192.0.2.9")]))].into(), ..Known::default() };
        assert_eq!(routes(&["10.1.0.0/16"], &[], &[], bound), ["192.0.2.9/32 Some(10.1.0.1)"]);
    }
}
