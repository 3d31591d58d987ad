//! Selectors of a Child SA and the TS payloads that say them (RFC 7296 §3.13), and whether fragments without ports pass
//! them (RFC 4301 §7).

use crate::negotiate::selectors::Side;
use crate::wire::payload::{TrafficSelectors, Ts};
use ravelin_sa_db::{AddrRange, Mode, PortRange, TrafficSelector};

/// True when non-first fragments, which have no ports, pass the selectors of a tunnel as they are. Then we ask for them
/// and agree to them; on SAs with ports we do neither, and they are not sent (RFC 4301 §7.3).
pub(super) fn carries_fragments(mode: Mode, local: &[TrafficSelector], remote: &[TrafficSelector]) -> bool {
    let portless = |ts: &TrafficSelector| ts.ports.is_any() || ts.ports == PortRange::Opaque;
    mode == Mode::Tunnel && local.iter().chain(remote).all(portless)
}

/// Selectors as a TS payload.
pub(super) fn to_wire(list: &[TrafficSelector]) -> TrafficSelectors {
    TrafficSelectors::new(list.iter().take(255).map(one_to_wire).collect())
}

fn one_to_wire(ts: &TrafficSelector) -> Ts {
    let protocol = ts.protocol;
    let (start_port, end_port) = match ts.ports {
        PortRange::Range(a, b) => (a, b),
        PortRange::Opaque => (u16::MAX, 0),
    };
    match ts.addrs {
        AddrRange::V4(start, end) => Ts::Ipv4Range { protocol, start_port, end_port, start, end },
        AddrRange::V6(start, end) => Ts::Ipv6Range { protocol, start_port, end_port, start, end },
    }
}

/// A TS payload as selectors; unknown types and impossible ranges are left out, so that they never match.
pub(super) fn from_wire(ts: &TrafficSelectors) -> Side {
    ts.selectors.iter().filter_map(one_from_wire).collect()
}

fn one_from_wire(ts: &Ts) -> Option<TrafficSelector> {
    let ports = |a: u16, b: u16| if a == u16::MAX && b == 0 { Some(PortRange::Opaque) } else { PortRange::new(a, b) };
    match ts {
        Ts::Ipv4Range { protocol, start_port, end_port, start, end } => Some(TrafficSelector {
            addrs: AddrRange::new((*start).into(), (*end).into())?,
            protocol: *protocol,
            ports: ports(*start_port, *end_port)?,
        }),
        Ts::Ipv6Range { protocol, start_port, end_port, start, end } => Some(TrafficSelector {
            addrs: AddrRange::new((*start).into(), (*end).into())?,
            protocol: *protocol,
            ports: ports(*start_port, *end_port)?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4301 §7: a later fragment passes where ports do not matter, and where they are OPAQUE.
    #[test]
    fn fragments_pass_where_there_are_no_ports() {
        let ts = |s: &str| alloc::vec![s.parse::<TrafficSelector>().unwrap()];
        let (any, opaque, web) = (ts("10.0.1.0/24"), ts("10.0.1.0/24[tcp/opaque]"), ts("10.0.2.0/24[tcp/80]"));
        assert!(carries_fragments(Mode::Tunnel, &any, &opaque));
        assert!(!carries_fragments(Mode::Tunnel, &any, &web));
        assert!(!carries_fragments(Mode::Transport, &any, &any));
    }
}
