//! Decorrelated views (RFC 4301 §4.4.1 and appendix B): the ordered policies as boxes of which no two share a packet,
//! so that their order no longer counts. SPD-S is what is protected, SPD-O and SPD-I what is bypassed or discarded on
//! the way out and in.
//!
//! Decorrelation can multiply the number of entries, so it is bounded by the caller. Lookups do not need it; it is for
//! planes that take unordered rules, for caches and for people.

use super::{Action, Policy, Scope, Spd};
use crate::{AddrRange, Direction, PacketKey, PortRange, TrafficSelector};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A part of the SPD (RFC 4301 §4.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum View {
    /// Protected traffic, outbound order.
    S,
    /// Inbound traffic that is bypassed or discarded.
    I,
    /// Outbound traffic that is bypassed or discarded.
    O,
}

/// Ports of a piece: an inclusive range, and whether packets without a port are inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ports {
    /// First and last; `None`: no packet that shows a port.
    pub range: Option<(u16, u16)>,
    /// Packets whose port is not available are inside.
    pub opaque: bool,
}

/// One decorrelated entry: no other entry of its view holds any of its packets.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Our addresses.
    pub local: AddrRange,
    /// The other side's addresses.
    pub remote: AddrRange,
    /// First and last protocol number.
    pub protocol: (u8, u8),
    /// Our ports.
    pub local_ports: Ports,
    /// The other side's ports.
    pub remote_ports: Ports,
    /// The policy that decides for all of it.
    pub policy: Arc<Policy>,
}

impl Piece {
    /// True when the packet is inside.
    #[must_use]
    pub fn holds(&self, packet: &PacketKey) -> bool {
        let within = |ports: &Ports, port: Option<u16>| match port {
            Some(p) => ports.range.is_some_and(|(a, b)| a <= p && p <= b),
            None => ports.opaque,
        };
        self.local.contains(packet.local)
            && self.remote.contains(packet.remote)
            && self.protocol.0 <= packet.protocol
            && packet.protocol <= self.protocol.1
            && within(&self.local_ports, packet.local_port)
            && within(&self.remote_ports, packet.remote_port)
    }
}

/// The bound on the number of entries was passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyPieces {
    /// The bound.
    pub limit: usize,
}

impl fmt::Display for TooManyPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policies overlap so much that decorrelation needs more than {} entries", self.limit)
    }
}

impl core::error::Error for TooManyPieces {}

/// A box in five fields, inclusive; the families are kept apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cube {
    families: (bool, bool),
    fields: [(u128, u128); 5],
}

const OPAQUE: u128 = 1 << 16;

fn ends(range: &AddrRange) -> (bool, (u128, u128)) {
    match range {
        AddrRange::V4(a, b) => (false, (u128::from(a.to_bits()), u128::from(b.to_bits()))),
        AddrRange::V6(a, b) => (true, (a.to_bits(), b.to_bits())),
    }
}

impl Cube {
    fn new(local: &TrafficSelector, remote: &TrafficSelector) -> Option<Self> {
        let protocol = match (local.protocol, remote.protocol) {
            (0, 0) => (0, 255),
            (0, p) | (p, 0) => (u128::from(p), u128::from(p)),
            (a, b) => (a == b).then_some((u128::from(a), u128::from(a)))?,
        };
        let ports = |p: PortRange| match p {
            PortRange::Range(0, u16::MAX) => (0, OPAQUE),
            PortRange::Range(a, b) => (u128::from(a), u128::from(b)),
            PortRange::Opaque => (OPAQUE, OPAQUE),
        };
        let ((lv6, l), (rv6, r)) = (ends(&local.addrs), ends(&remote.addrs));
        Some(Self { families: (lv6, rv6), fields: [l, r, protocol, ports(local.ports), ports(remote.ports)] })
    }

    fn meets(&self, other: &Self) -> bool {
        let both = self.fields.iter().zip(&other.fields);
        self.families == other.families && both.clone().all(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
    }

    /// What is left of `self` without `other`: at most ten boxes, field by field.
    fn without(mut self, other: &Self, out: &mut Vec<Self>) {
        if !self.meets(other) {
            return out.push(self);
        }
        for at in 0..5 {
            let (Some((first, last)), Some((from, to))) = (self.fields.get(at).copied(), other.fields.get(at).copied())
            else {
                return;
            };
            let mut piece = |range: (u128, u128)| {
                let mut part = self;
                part.fields.get_mut(at).into_iter().for_each(|f| *f = range);
                out.push(part);
            };
            if first < from {
                piece((first, from.saturating_sub(1)));
            }
            if to < last {
                piece((to.saturating_add(1), last));
            }
            self.fields.get_mut(at).into_iter().for_each(|f| *f = (first.max(from), last.min(to)));
        }
    }

    fn piece(&self, policy: &Arc<Policy>) -> Option<Piece> {
        let range = |v6: bool, (a, b): (u128, u128)| {
            let addr = |x: u128| match v6 {
                true => Some(IpAddr::from(Ipv6Addr::from_bits(x))),
                false => u32::try_from(x).ok().map(|x| IpAddr::from(Ipv4Addr::from_bits(x))),
            };
            AddrRange::new(addr(a)?, addr(b)?)
        };
        let ports = |(a, b): (u128, u128)| Ports {
            range: u16::try_from(a).ok().zip(u16::try_from(b.min(OPAQUE.saturating_sub(1))).ok()),
            opaque: b == OPAQUE,
        };
        let [l, r, protocol, lp, rp] = self.fields;
        Some(Piece {
            local: range(self.families.0, l)?,
            remote: range(self.families.1, r)?,
            protocol: (u8::try_from(protocol.0).ok()?, u8::try_from(protocol.1).ok()?),
            local_ports: ports(lp),
            remote_ports: ports(rp),
            policy: Arc::clone(policy),
        })
    }
}

impl Spd {
    /// A decorrelated view for packets of one scope, in the order of the policies it came from.
    ///
    /// # Errors
    /// When it has more than `limit` entries, or needs as many on the way.
    pub fn decorrelated(&self, view: View, scope: &Scope, limit: usize) -> Result<Vec<Piece>, TooManyPieces> {
        let direction = if view == View::I { Direction::Inbound } else { Direction::Outbound };
        let mut taken: Vec<Cube> = Vec::new();
        let mut out = Vec::new();
        let here = |p: &&Arc<Policy>| {
            let same = p.vrf == scope.vrf && p.if_id == scope.if_id && p.mark.matches(scope.mark);
            same && p.directions.covers(direction)
        };
        for policy in self.iter().filter(here) {
            let protects = matches!(policy.action, Action::Protect(_));
            for local in &policy.local {
                for cube in policy.remote.iter().filter_map(|remote| Cube::new(local, remote)) {
                    let mut left = alloc::vec![cube];
                    for above in taken.iter().filter(|t| t.meets(&cube)) {
                        let mut next = Vec::new();
                        left.into_iter().for_each(|part| part.without(above, &mut next));
                        left = next;
                        if left.len() > limit {
                            return Err(TooManyPieces { limit });
                        }
                    }
                    if protects == (view == View::S) {
                        out.extend(left.iter().filter_map(|part| part.piece(policy)));
                    }
                    taken.push(cube);
                    if out.len() > limit {
                        return Err(TooManyPieces { limit });
                    }
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerId;
    use crate::spd::{Directions, Priority, Protect};
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = Policy> {
        let selector = (0u32..4, 0u32..4, prop_oneof![Just(0u8), Just(6)], 0u16..4, 0u16..4, 0u8..5).prop_map(
            |(a, n, protocol, p, q, kind)| {
                let ports = match kind {
                    0 => PortRange::Opaque,
                    1 => PortRange::Range(p.min(q), p.max(q)),
                    _ => PortRange::ANY,
                };
                let addrs = match kind {
                    4 => AddrRange::ANY_V4,
                    _ => AddrRange::V4(Ipv4Addr::from_bits(a), Ipv4Addr::from_bits(a + n)),
                };
                TrafficSelector { addrs, protocol, ports }
            },
        );
        (prop::collection::vec(selector.clone(), 1..3), selector, 0u32..5, 0u8..4).prop_map(
            |(local, remote, at, kind)| {
                let action = if kind == 0 { Protect::new(PeerId(1)).into() } else { Action::Bypass };
                let mut p = Policy::new("", local, [remote], action);
                p.priority = Priority::At(at);
                p.directions =
                    [Directions::Both, Directions::Both, Directions::Inbound, Directions::Outbound][usize::from(kind)];
                p
            },
        )
    }

    proptest! {
        #[test]
        fn every_packet_is_in_the_one_piece_of_its_policy(policies in prop::collection::vec(policy(), 1..9), packets in prop::collection::vec((0u32..9, 0u32..9, prop_oneof![Just(6u8), Just(1), Just(0)], prop::option::of(0u16..6), prop::option::of(0u16..6)), 40)) {
            let mut spd = Spd::new();
            for (n, mut p) in policies.into_iter().enumerate() {
                p.name = alloc::format!("{n}");
                spd.add(p).unwrap();
            }
            let scope = Scope::default();
            let view = |v| spd.decorrelated(v, &scope, 100_000).unwrap();
            let (s, i, o) = (view(View::S), view(View::I), view(View::O));
            for (l, r, protocol, local_port, remote_port) in packets {
                let addr = |a| IpAddr::from(Ipv4Addr::from_bits(a));
                let key = PacketKey { local: addr(l), remote: addr(r), protocol, local_port, remote_port };
                let out: Vec<_> = s.iter().chain(&o).filter(|p| p.holds(&key)).map(|p| p.policy.id).collect();
                prop_assert_eq!(out, spd.lookup_out(&key, &scope).map(|p| p.id).into_iter().collect::<Vec<_>>());
                let inward: Vec<_> = i.iter().filter(|p| p.holds(&key)).map(|p| p.policy.id).collect();
                let found = spd.lookup_in(&key, &scope).filter(|p| p.protect().is_none()).map(|p| p.id);
                prop_assert_eq!(inward, found.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_bound_holds() {
        let mut spd = Spd::new();
        for n in 0..40u32 {
            let ts = TrafficSelector::any(AddrRange::host(Ipv4Addr::from_bits(2 * n).into()));
            spd.add(Policy::new(alloc::format!("{n}"), [ts], [ts], Action::Bypass)).unwrap();
        }
        let any = TrafficSelector::any(AddrRange::ANY_V4);
        spd.add(Policy::new("any", [any], [any], Action::Discard)).unwrap();
        assert_eq!(spd.decorrelated(View::O, &Scope::default(), 50).unwrap_err(), TooManyPieces { limit: 50 });
        assert!(spd.decorrelated(View::O, &Scope::default(), 5000).is_ok());
        assert!(spd.decorrelated(View::S, &Scope::default(), 5000).unwrap().is_empty());
    }
}
