//! Seeded rule sets after the manner of ClassBench (access lists, firewalls) and of VPN gateways (hubs, host pairs),
//! and the traffic for them.
//!
//! To add a set: a variant of [`Set`], an arm in [`Set::pair`] and a line in [`Set::ALL`].

use ravelin_sa_db::spd::{Action, Policy, Priority};
use ravelin_sa_db::{AddrRange, PacketKey, PortRange, TrafficSelector};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    /// An index below `n`, Zipf-distributed with exponent 1: one of a few in most cases.
    pub(crate) fn zipf(&mut self, n: u64) -> u64 {
        let u = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (((n as f64 + 1.0).powf(u)) as u64).saturating_sub(1).min(n - 1)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Set {
    /// Access lists: mostly narrow prefixes on both sides, exact ports, some wide entries.
    Acl,
    /// Firewalls: often one side any, port ranges both ways, in random order of priority.
    Firewall,
    /// A hub: spokes of /24 below overlapping /16, /8 and 0.0.0.0/0, by specificity.
    Hub,
    /// Host to host, /32.
    Hosts,
    /// Net to net, /24.
    Nets,
    /// Prefixes, arbitrary address ranges, port ranges, protocols, in one.
    Mixed,
    /// 0.0.0.0/0 to 0.0.0.0/0, exact ports.
    PortsExact,
    /// 0.0.0.0/0 to 0.0.0.0/0, disjoint port ranges of many lengths.
    PortsDisjoint,
    /// 0.0.0.0/0 to 0.0.0.0/0, random overlapping port ranges on both sides.
    PortsOverlapping,
    /// IPv6, /64 to /64 with ports.
    Six,
}

impl Set {
    pub(crate) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Acl, "acl"),
        (Self::Firewall, "firewall"),
        (Self::Hub, "hub"),
        (Self::Hosts, "hosts"),
        (Self::Nets, "nets"),
        (Self::Mixed, "mixed"),
        (Self::Six, "six"),
    ];
    pub(crate) const PORTS: &'static [(Self, &'static str)] = &[
        (Self::PortsExact, "ports-exact"),
        (Self::PortsDisjoint, "ports-disjoint"),
        (Self::PortsOverlapping, "ports-overlap"),
    ];

    /// One pair of selectors.
    fn pair(self, rng: &mut Rng, n: u64, total: u64) -> (TrafficSelector, TrafficSelector) {
        match self {
            Self::Acl => {
                let (local, remote) = (acl_addr(rng, 10), acl_addr(rng, 20));
                let protocol = protocol(rng);
                let lp = if protocol != 0 && rng.chance(5) { ports(rng) } else { PortRange::ANY };
                let rp = if protocol != 0 && rng.chance(60) { ports(rng) } else { PortRange::ANY };
                pair(local, remote, protocol, lp, rp)
            }
            Self::Firewall => {
                let (local, remote) = (acl_addr(rng, 35), acl_addr(rng, 45));
                let protocol = protocol(rng);
                let lp = if protocol != 0 && rng.chance(30) { ports(rng) } else { PortRange::ANY };
                let rp = if protocol != 0 && rng.chance(70) { ports(rng) } else { PortRange::ANY };
                pair(local, remote, protocol, lp, rp)
            }
            Self::Hub => {
                let local = match rng.below(4) {
                    0 => AddrRange::ANY_V4,
                    1 => prefix(0x0A00_0000, 8),
                    _ => prefix(0x0A00_0000 | ((rng.below(16) as u32) << 16), 16),
                };
                let spoke = n as u32;
                let remote = match rng.below(1000) {
                    0 => prefix((20 + (spoke & 63)) << 24, 8),
                    1..10 => prefix((20 << 24) + (spoke << 8), 16),
                    10..40 => prefix((20 << 24) + (spoke << 8), 20),
                    _ => prefix((20u32 << 24).wrapping_add(spoke << 8), 24),
                };
                pair(local, remote, 0, PortRange::ANY, PortRange::ANY)
            }
            Self::Hosts => {
                let local = prefix(0x0A00_0000 | (rng.below(1 << 20) as u32), 32);
                pair(local, prefix(rng.next() as u32, 32), 0, PortRange::ANY, PortRange::ANY)
            }
            Self::Nets => {
                let local = prefix(0x0A00_0000 | ((rng.below(1 << 16) as u32) << 8), 24);
                pair(local, prefix(rng.next() as u32, 24), 0, PortRange::ANY, PortRange::ANY)
            }
            Self::Mixed => {
                let side = |rng: &mut Rng| match rng.below(100) {
                    0..2 => AddrRange::ANY_V4,
                    2..30 => {
                        let first = site(rng);
                        let len = 1u32 << rng.below(14);
                        let last = first.saturating_add(rng.below(u64::from(len)) as u32);
                        AddrRange::V4(Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last))
                    }
                    _ => prefix(site(rng), [8, 16, 16, 20, 24, 24, 24, 28, 32, 32][rng.below(10) as usize]),
                };
                let (local, remote) = (side(rng), side(rng));
                let protocol = protocol(rng);
                let some = |rng: &mut Rng| if protocol != 0 && rng.chance(40) { ports(rng) } else { PortRange::ANY };
                let (lp, rp) = (some(rng), some(rng));
                pair(local, remote, protocol, lp, rp)
            }
            Self::PortsExact => {
                let (lp, rp) = (PortRange::ANY, exact(n as u16));
                pair(AddrRange::ANY_V4, AddrRange::ANY_V4, 6, lp, rp)
            }
            Self::PortsDisjoint => {
                let width = (65536 / total.max(1)).max(1);
                let first = n * width;
                let rp = PortRange::new(first as u16, (first + rng.below(width)) as u16).unwrap_or(PortRange::ANY);
                pair(AddrRange::ANY_V4, AddrRange::ANY_V4, 6, PortRange::ANY, rp)
            }
            Self::PortsOverlapping => {
                let range = |rng: &mut Rng| {
                    let (a, b) = (rng.next() as u16, rng.next() as u16);
                    PortRange::Range(a.min(b), a.max(b))
                };
                let (lp, rp) = (range(rng), range(rng));
                pair(AddrRange::ANY_V4, AddrRange::ANY_V4, 6, lp, rp)
            }
            Self::Six => {
                let net = |rng: &mut Rng, top: u128| {
                    let a = (top << 112) | (u128::from(rng.below(1 << 24)) << 64);
                    let len = [48, 56, 64, 64, 64, 128][rng.below(6) as usize];
                    AddrRange::prefix(IpAddr::V6(Ipv6Addr::from_bits(a)), len).unwrap_or(AddrRange::ANY_V6)
                };
                let (local, remote) = (net(rng, 0xFD00), net(rng, 0x2001));
                let rp = if rng.chance(30) { exact(rng.below(1024) as u16) } else { PortRange::ANY };
                pair(local, remote, 6, PortRange::ANY, rp)
            }
        }
    }

    /// Cache lines that a lookup reads one after the other on the way to its answer, at least: the table's, with which the
    /// rule's comes; where there are several tables, a sieve's before; in a hub after a first table that is not asked.
    pub(crate) fn reads(self) -> usize {
        match self {
            Self::Hosts | Self::Nets | Self::Six => 1,
            Self::Hub => 3,
            _ => 2,
        }
    }

    fn by_specificity(self) -> bool {
        matches!(self, Self::Acl | Self::Hub | Self::Six)
    }

    /// `n` policies, no two of them with the same selectors.
    pub(crate) fn policies(self, n: usize, seed: u64) -> Vec<Policy> {
        let mut rng = Rng(seed ^ 0x5EED);
        let mut seen = HashSet::new();
        let mut out = Vec::with_capacity(n);
        let mut tries = 0u64;
        while out.len() < n && tries < 40 * n as u64 + 1000 {
            let (local, remote) = self.pair(&mut rng, tries, n as u64);
            tries += 1;
            if !seen.insert((local, remote)) {
                continue;
            }
            let mut p = Policy::new(format!("p{}", out.len()), vec![local], vec![remote], Action::Discard);
            if !self.by_specificity() {
                p.priority = Priority::At(rng.next() as u32);
            }
            out.push(p);
        }
        out
    }
}

/// The same policy with prefixes of IPv6 in place of those of IPv4, 32 bits longer.
pub(crate) fn over_ipv6(policy: &mut Policy) {
    let locals = policy.local.iter_mut().map(|ts| (ts, 0xFD00));
    for (ts, top) in locals.chain(policy.remote.iter_mut().map(|ts| (ts, 0x2001))) {
        if let AddrRange::V4(first, last) = ts.addrs {
            let up = |addr: Ipv4Addr, low: u64| {
                Ipv6Addr::from_bits((top << 112) | (u128::from(addr.to_bits()) << 64) | u128::from(low))
            };
            ts.addrs = AddrRange::V6(up(first, 0), up(last, u64::MAX));
        }
    }
}

fn pair(l: AddrRange, r: AddrRange, protocol: u8, lp: PortRange, rp: PortRange) -> (TrafficSelector, TrafficSelector) {
    (TrafficSelector { addrs: l, protocol, ports: lp }, TrafficSelector { addrs: r, protocol, ports: rp })
}

fn prefix(addr: u32, len: u8) -> AddrRange {
    AddrRange::prefix(IpAddr::V4(Ipv4Addr::from_bits(addr)), len).unwrap_or(AddrRange::ANY_V4)
}

/// An address that shares its upper bits with many others, as addresses of real networks do.
fn site(rng: &mut Rng) -> u32 {
    let top = [10u32, 172, 192, 100][rng.zipf(4) as usize] << 24;
    let mid = (rng.zipf(256) as u32) << 16;
    top | mid | (rng.next() as u32 & 0xFFFF)
}

fn acl_addr(rng: &mut Rng, any_percent: u64) -> AddrRange {
    if rng.chance(any_percent) {
        return AddrRange::ANY_V4;
    }
    if rng.chance(6) {
        let first = site(rng);
        return AddrRange::V4(
            Ipv4Addr::from_bits(first),
            Ipv4Addr::from_bits(first.saturating_add(rng.below(300) as u32)),
        );
    }
    let len = [8, 16, 16, 20, 22, 24, 24, 24, 24, 27, 28, 30, 32, 32, 32, 32][rng.below(16) as usize];
    prefix(site(rng), len)
}

fn protocol(rng: &mut Rng) -> u8 {
    [6, 6, 6, 6, 6, 6, 17, 17, 0, 1][rng.below(10) as usize]
}

fn exact(p: u16) -> PortRange {
    PortRange::Range(p, p)
}

fn ports(rng: &mut Rng) -> PortRange {
    match rng.below(10) {
        0..6 => exact([80, 443, 53, 22, 25, 123, 389, 3306, 8080, 1433][rng.zipf(10) as usize]),
        6 => PortRange::Range(1024, 65535),
        7 => PortRange::Range(0, 1023),
        _ => {
            let first = rng.next() as u16;
            PortRange::Range(first, first.saturating_add(rng.below(2000) as u16))
        }
    }
}

/// How the packets of a trace are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Draw {
    /// Any policy, any packet inside it.
    Uniform,
    /// Few policies most of the time.
    Zipf,
    /// Addresses that no set uses: a miss unless a policy with ANY holds the packet.
    Miss,
}

pub(crate) fn trace(policies: &[Policy], draw: Draw, n: usize, seed: u64) -> Vec<PacketKey> {
    let mut rng = Rng(seed);
    let inside = |r: &AddrRange, rng: &mut Rng| match r {
        AddrRange::V4(a, b) => {
            let span = u64::from(b.to_bits() - a.to_bits()) + 1;
            IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() + rng.below(span) as u32))
        }
        AddrRange::V6(a, b) => {
            let span = b.to_bits() - a.to_bits();
            let low = (u128::from(rng.next()) << 64 | u128::from(rng.next())) & span;
            IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() + low))
        }
    };
    let port = |p: PortRange, rng: &mut Rng| match p {
        PortRange::Range(a, b) => Some((u64::from(a) + rng.below(u64::from(b - a) + 1)) as u16),
        PortRange::Opaque => None,
    };
    (0..n)
        .map(|_| {
            let at = match draw {
                Draw::Zipf => rng.zipf(policies.len() as u64),
                _ => rng.below(policies.len() as u64),
            };
            let p = &policies[at as usize];
            let (l, r) = (&p.local[0], &p.remote[0]);
            let protocol = if l.protocol == 0 { 6 } else { l.protocol };
            let (mut local, remote) = (inside(&l.addrs, &mut rng), inside(&r.addrs, &mut rng));
            if draw == Draw::Miss {
                local = match local {
                    IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(0xE000_0000 | (a.to_bits() & 0x0FFF_FFFF))),
                    IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() ^ (1 << 126))),
                };
            }
            PacketKey {
                local,
                remote,
                protocol,
                local_port: port(l.ports, &mut rng),
                remote_port: port(r.ports, &mut rng),
            }
        })
        .collect()
}
