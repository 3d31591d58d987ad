//! Narrowing beyond the intersection (RFC 7296 §2.9): policies that want one SA per pair of addresses, what a peer is asked
//! for that wants so, and what is said when more would have been possible in another SA.

use super::child::ChildFailure;
use super::{SaCore, configure};
use crate::error::Reason;
use crate::negotiate::{self, Narrowed, selectors};
use crate::registry::NotifyType;
use ::core::net::IpAddr;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::spd::Policy;
use ravelin_sa_db::{AddrRange, Db, PacketKey, TrafficSelector};

fn is_host(ts: &TrafficSelector) -> bool {
    ts.addrs.first() == ts.addrs.last()
}

/// A policy that populates addresses from the packet (RFC 4301 §4.4.1.2) takes one pair of addresses per SA: the one that
/// stands first in the offer, which is the packet that called for it.
///
/// # Errors
/// SINGLE_PAIR_REQUIRED when the offer names no single pair.
pub(super) fn by_packet(
    core: &SaCore,
    policy: &Policy,
    narrowed: Narrowed,
    offer: (&[TrafficSelector], &[TrafficSelector]),
) -> Result<Narrowed, ChildFailure> {
    let pfp = policy.protect().map(|p| p.pfp).unwrap_or_default();
    let wide = |by_addr: bool, side: &[TrafficSelector]| by_addr && (side.len() > 1 || !side.iter().all(is_host));
    if !wide(pfp.local_addr, &narrowed.local) && !wide(pfp.remote_addr, &narrowed.remote) {
        return Ok(narrowed);
    }
    let (local, remote) = offer;
    let single = match (local.first(), remote.first()) {
        (Some(l), Some(r)) if (is_host(l) || !pfp.local_addr) && (is_host(r) || !pfp.remote_addr) => {
            // Wider than the packet is fine where the policy does not ask: all of its ports and protocols.
            let lift = |ts: &TrafficSelector, addr: bool| if addr { alloc::vec![*ts] } else { alloc::vec![] };
            let l = if pfp.local_addr { lift(l, true) } else { local.to_vec() };
            let r = if pfp.remote_addr { lift(r, true) } else { remote.to_vec() };
            let (ours, theirs) = configure::sides(core, policy);
            negotiate::narrow(&ours, &theirs, &l, &r).map(|n| Narrowed { cut: true, ..n })
        }
        _ => None,
    };
    single.ok_or_else(|| {
        let ours = selectors::describe(&policy.local, &policy.remote);
        let theirs = selectors::describe(local, remote);
        ChildFailure::new(NotifyType::SINGLE_PAIR_REQUIRED, Reason::NoSelectors { ours, theirs })
    })
}

/// What a responder that said SINGLE_PAIR_REQUIRED is asked for: the part of both sides that is the packet's pair of
/// addresses, or the first pair of one family where no packet is known.
pub(super) fn single(
    (local, remote): (&[TrafficSelector], &[TrafficSelector]),
    packet: Option<PacketKey>,
) -> Option<(Vec<TrafficSelector>, Vec<TrafficSelector>)> {
    let first = |side: &[TrafficSelector]| side.iter().map(|ts| ts.addrs.first()).collect::<Vec<_>>();
    let (ours, theirs) = (first(local), first(remote));
    let family = |a: &&IpAddr| theirs.iter().find(|b| a.is_ipv4() == b.is_ipv4()).map(|b| (**a, *b));
    let pair = packet.map(|p| (p.local, p.remote)).or_else(|| ours.iter().find_map(|a| family(&a)))?;
    let only = |side: &[TrafficSelector], addr: IpAddr| -> Vec<TrafficSelector> {
        let host = TrafficSelector::any(AddrRange::host(addr));
        side.iter().filter_map(|ts| ts.intersect(&host)).collect()
    };
    let (local, remote) = (only(local, pair.0), only(remote, pair.1));
    (!local.is_empty() && !remote.is_empty()).then_some((local, remote))
}

/// True when another policy of the peer would have taken a part of what was cut off: ADDITIONAL_TS_POSSIBLE.
pub(super) fn more_possible(
    db: &Db,
    core: &SaCore,
    taken: &Arc<Policy>,
    narrowed: &Narrowed,
    offer: (&[TrafficSelector], &[TrafficSelector]),
) -> bool {
    let Some(peer) = core.peer.filter(|_| narrowed.cut) else { return false };
    if taken.protect().is_some_and(|p| p.pfp.local_addr || p.pfp.remote_addr) {
        return true;
    }
    db.spd.policies_of(peer).filter(|p| p.id != taken.id && p.protect().is_some()).any(|p| {
        let (ours, theirs) = configure::sides(core, p);
        negotiate::narrow(&ours, &theirs, offer.0, offer.1).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(list: &[&str]) -> Vec<TrafficSelector> {
        list.iter().map(|s| s.parse().unwrap()).collect()
    }

    #[test]
    fn the_packets_pair_or_the_first() {
        let (local, remote) = (side(&["fd00::/64", "10.0.1.0/24"]), side(&["10.0.2.0/24[tcp/80]", "10.0.0.0/8[udp]"]));
        let first = single((&local, &remote), None).unwrap();
        assert_eq!(first, (side(&["10.0.1.0/32"]), side(&["10.0.2.0/32[tcp/80]", "10.0.2.0/32[udp]"])));
        let mut packet = PacketKey {
            local: "10.0.1.5".parse().unwrap(),
            remote: "10.9.9.9".parse().unwrap(),
            protocol: 17,
            local_port: Some(1),
            remote_port: Some(2),
        };
        let own = single((&local, &remote), Some(packet)).unwrap();
        assert_eq!(own, (side(&["10.0.1.5/32"]), side(&["10.9.9.9/32[udp]"])));
        packet.remote = "192.0.2.1".parse().unwrap();
        assert_eq!(single((&local, &remote), Some(packet)), None);
        assert_eq!(single((&side(&["fd00::/64"]), &side(&["10.0.2.0/24"])), None), None);
    }
}
