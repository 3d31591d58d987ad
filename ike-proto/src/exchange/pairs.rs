//! Narrowing beyond the intersection (RFC 7296 §2.9): policies that want one SA per pair of addresses, and what is said
//! when more would have been possible in another SA.

use super::child::ChildFailure;
use super::{SaCore, configure};
use crate::error::Reason;
use crate::negotiate::{self, Narrowed, selectors};
use crate::registry::NotifyType;
use alloc::sync::Arc;
use ravelin_sa_db::spd::Policy;
use ravelin_sa_db::{Db, TrafficSelector};

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
