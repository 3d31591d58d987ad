//! Traffic selectors in the form they are compared with packets: integers instead of `IpAddr`, the common single pair
//! first. The meaning is that of [`ravelin_sa_db::PacketKey::matches_any`], which the tests hold it against.

use crate::packet::IpPacket;
use alloc::boxed::Box;
use ravelin_sa_db::{AddrRange, Direction, PortRange, SaParams, TrafficSelector};

/// One traffic selector.
#[derive(Clone, Copy, Debug)]
struct Compact {
    first: u128,
    last: u128,
    ports: (u16, u16),
    protocol: u8,
    v6: bool,
    /// All ports, which packets without ports match as well.
    any_port: bool,
    opaque: bool,
}

/// Both sides of an SA.
#[derive(Clone, Debug)]
pub(crate) struct Selectors {
    local: Side,
    remote: Side,
}

#[derive(Clone, Debug)]
struct Side {
    first: Compact,
    rest: Box<[Compact]>,
}

impl Compact {
    const NONE: Self =
        Self { first: u128::MAX, last: 0, ports: (0, 0), protocol: 0, v6: false, any_port: false, opaque: false };

    fn new(ts: &TrafficSelector) -> Self {
        let (first, last, v6) = match ts.addrs {
            AddrRange::V4(a, b) => (u128::from(a.to_bits()), u128::from(b.to_bits()), false),
            AddrRange::V6(a, b) => (a.to_bits(), b.to_bits(), true),
        };
        let (ports, opaque) = match ts.ports {
            PortRange::Range(a, b) => ((a, b), false),
            PortRange::Opaque => ((1, 0), true),
        };
        Self { first, last, ports, protocol: ts.protocol, v6, any_port: ts.ports.is_any(), opaque }
    }

    #[inline(always)]
    fn holds(&self, v6: bool, addr: u128, protocol: u8, port: u16, has_port: bool) -> bool {
        self.v6 == v6
            && self.first <= addr
            && addr <= self.last
            && (self.protocol == 0 || self.protocol == protocol)
            && (self.any_port || if has_port { self.ports.0 <= port && port <= self.ports.1 } else { self.opaque })
    }
}

impl Side {
    fn new(ts: &[TrafficSelector]) -> Self {
        let mut all = ts.iter().map(Compact::new);
        Self { first: all.next().unwrap_or(Compact::NONE), rest: all.collect() }
    }

    #[inline(always)]
    fn holds(&self, v6: bool, addr: u128, protocol: u8, port: u16, has_port: bool) -> bool {
        self.first.holds(v6, addr, protocol, port, has_port) || self.other_holds(v6, addr, protocol, port, has_port)
    }

    #[inline(never)]
    fn other_holds(&self, v6: bool, addr: u128, protocol: u8, port: u16, has_port: bool) -> bool {
        self.rest.iter().any(|c| c.holds(v6, addr, protocol, port, has_port))
    }
}

impl Selectors {
    pub(crate) fn new(params: &SaParams) -> Self {
        Self { local: Side::new(&params.local_ts), remote: Side::new(&params.remote_ts) }
    }

    /// Is the packet inside both sides?
    #[inline(always)]
    pub(crate) fn hold(&self, ip: &IpPacket, direction: Direction) -> bool {
        let (high, low) = (ip.ports >> 16, ip.ports & 0xffff);
        let (sp, dp) = (u16::try_from(high).unwrap_or(0), u16::try_from(low).unwrap_or(0));
        let (source, destination) = match direction {
            Direction::Outbound => (&self.local, &self.remote),
            Direction::Inbound => (&self.remote, &self.local),
        };
        source.holds(ip.v6, ip.source, ip.protocol, sp, ip.has_ports)
            && destination.holds(ip.v6, ip.destination, ip.protocol, dp, ip.has_ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gcm, params};
    use core::net::IpAddr;
    use proptest::prelude::*;

    fn ts() -> impl Strategy<Value = TrafficSelector> {
        let addr = (any::<bool>(), 0u8..4, 0u8..4).prop_map(|(v6, a, b)| {
            let make = |x: u8| if v6 { IpAddr::from([x; 16]) } else { IpAddr::from([x; 4]) };
            AddrRange::new(make(a.min(b)), make(a.max(b))).unwrap()
        });
        let ports = prop_oneof![
            Just(PortRange::ANY),
            Just(PortRange::Opaque),
            (0u16..4, 0u16..4).prop_map(|(a, b)| PortRange::Range(a.min(b), a.max(b)))
        ];
        (addr, prop_oneof![Just(0u8), Just(17), Just(6), Just(89)], ports)
            .prop_map(|(addrs, protocol, ports)| TrafficSelector { addrs, protocol, ports })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_the_vocabulary(local in prop::collection::vec(ts(), 1..4), remote in prop::collection::vec(ts(), 1..4), v6 in any::<bool>(), s in 0u8..4, d in 0u8..4, protocol in prop_oneof![Just(17u8), Just(6), Just(89)], sp in 0u8..4, dp in 0u8..4, out in any::<bool>()) {
            let mut p = params(1, Direction::Outbound, gcm());
            (p.local_ts, p.remote_ts) = (local.into(), remote.into());
            let mut ip = if v6 { std::vec![0x60u8, 0, 0, 0, 0, 8, protocol, 9] } else { std::vec![0x45, 0, 0, 28, 0, 0, 0, 0, 9, protocol, 0, 0] };
            let n = if v6 { 16 } else { 4 };
            ip.extend(core::iter::repeat_n(s, n).chain(core::iter::repeat_n(d, n)));
            ip.extend([0, sp, 0, dp, 0, 0, 0, 0]);
            let parsed = IpPacket::parse(&ip).unwrap();
            let direction = if out { Direction::Outbound } else { Direction::Inbound };
            prop_assert_eq!(Selectors::new(&p).hold(&parsed, direction), parsed.key(direction).matches_any(&p.local_ts, &p.remote_ts));
        }
    }
}
