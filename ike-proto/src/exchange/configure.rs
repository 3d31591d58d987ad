//! Configuration payloads on the exchanges they ride on (RFC 7296 §2.19): leasing as responder, taking as initiator,
//! and the selectors of policies whose sides are addresses known only then.

use super::{Cx, Inbound, SaCore};
use crate::error::Reason;
use crate::event::Event;
use crate::exchange::child::ChildFailure;
use crate::ext::config::{self, Wishes};
use crate::ids::Role;
use crate::registry::{ConfigType, NotifyType};
use crate::wire::payload::Payload;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use ravelin_sa_db::pool::{Family, Lease};
use ravelin_sa_db::spd::Policy;
use ravelin_sa_db::{AddrRange, Change, TrafficSelector};

/// Our CFG_REQUEST in IKE_AUTH, if the PAD entry wants addresses.
pub(super) fn request(core: &SaCore) -> Option<Payload> {
    let had = core.assigned.as_ref().map(|a| a.addrs.as_slice()).unwrap_or_default();
    config::request(&core.profile, had).map(Payload::Cp)
}

/// Takes the CFG_REPLY of IKE_AUTH. Nothing is taken that was not asked for (RFC 7296 §2.19).
pub(super) fn take(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) {
    if !core.profile.request_v4 && !core.profile.request_v6 {
        return;
    }
    let Some(cp) = msg.payloads.cp().filter(|c| c.kind == ConfigType::REPLY) else { return };
    let mut assigned = config::read(cp);
    let wanted = |a: &IpAddr| if a.is_ipv4() { core.profile.request_v4 } else { core.profile.request_v6 };
    assigned.addrs.retain(|(a, _)| wanted(a));
    let assigned = Arc::new(assigned);
    core.assigned = Some(Arc::clone(&assigned));
    cx.out.event(Event::Assigned { sa: core.id, assigned });
}

/// Answers the CFG_REQUEST of IKE_AUTH with addresses from the peer's pools. Without pools it is as if nobody had asked.
///
/// # Errors
/// INTERNAL_ADDRESS_FAILURE when not one address could be leased, FAILED_CP_REQUIRED when the peer did not ask and only
/// leased addresses are allowed (RFC 7296 §3.15.4). The IKE SA stays, the Child SA is not made.
pub(super) fn lease(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Option<Payload>, ChildFailure> {
    let granted = core.granted.as_ref().is_some_and(|g| g.pool.is_some());
    if core.profile.pools.is_empty() && !granted {
        return Ok(None);
    }
    let Some(request) = msg.payloads.cp().filter(|c| c.kind == ConfigType::REQUEST) else {
        let needed = core.peer.is_some_and(|p| cx.db.spd.policies_of(p).any(|p| p.remote.is_empty()));
        let reason = Reason::Configuration {
            detail: "the peer must ask for an inner address and did not (RFC 7296 section 2.19)".into(),
        };
        return if needed { Err(ChildFailure::new(NotifyType::FAILED_CP_REQUIRED, reason)) } else { Ok(None) };
    };
    let wishes = config::wishes(request);
    take_leases(cx, core, &wishes);
    let asked = !wishes.v4.is_empty() || !wishes.v6.is_empty();
    if core.leases.is_empty() && asked {
        let reason = Reason::Limit { what: "addresses of the peer's pools" };
        return Err(ChildFailure::new(NotifyType::INTERNAL_ADDRESS_FAILURE, reason));
    }
    if !core.leases.is_empty() {
        let addrs = core.leases.iter().map(|l| l.addr).collect();
        cx.out.event(Event::Leased { sa: core.id, addrs });
    }
    Ok(Some(Payload::Cp(config::reply(&core.leases, &wishes))))
}

fn take_leases(cx: &Cx<'_>, core: &mut SaCore, wishes: &Wishes) {
    let Some(identity) = core.remote_id.clone() else { return };
    let profile = Arc::clone(&core.profile);
    let granted = core.granted.as_ref().and_then(|g| g.pool.clone());
    for (family, wanted) in [(Family::V4, &wishes.v4), (Family::V6, &wishes.v6)] {
        // What the EAP server gives goes before our own pools.
        if let Some(pool) = &granted {
            let addrs = pool.ranges.iter().map(AddrRange::first).filter(|a| Family::of(*a) == family);
            let leases: Vec<Lease> =
                addrs.take(wanted.len()).map(|addr| Lease { pool: Arc::clone(pool), addr }).collect();
            if !leases.is_empty() {
                core.leases.extend(leases);
                continue;
            }
        }
        // The addresses of one request differ: a wish that was just granted is not granted twice.
        for wish in wanted {
            let wish = wish.filter(|w| !core.leases.iter().any(|l| l.addr == *w));
            core.leases.extend(cx.db.pools.lease(&profile.pools, family, &identity, wish));
        }
    }
}

/// Answers a CP payload in INFORMATIONAL.
pub(super) fn inform(cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Option<Payload> {
    let cp = msg.payloads.cp()?;
    match cp.kind {
        ConfigType::REQUEST => Some(Payload::Cp(config::inform(cp, &cx.config.application_version))),
        ConfigType::SET => {
            // What a peer would like us to use is told to the owner and never taken by itself.
            cx.out.event(Event::Suggested { sa: core.id, assigned: Arc::new(config::read(cp)) });
            Some(Payload::Cp(config::acknowledge()))
        }
        _ => None,
    }
}

/// Gives the leased addresses back.
pub(crate) fn release(cx: &Cx<'_>, core: &mut SaCore) {
    for lease in core.leases.take() {
        cx.db.pools.release(lease);
    }
}

/// Both sides of a policy for this IKE SA. An empty side is an address: ours the one we were assigned (while it is
/// asked for: any), else the outer one; the peer's the one it was leased, else the outer one.
pub(crate) fn sides(core: &SaCore, policy: &Policy) -> (Vec<TrafficSelector>, Vec<TrafficSelector>) {
    let host = |a: IpAddr| TrafficSelector::any(AddrRange::host(a));
    let local = match &core.assigned {
        _ if !policy.local.is_empty() => policy.local.clone(),
        Some(a) if !a.addrs.is_empty() => a.addrs.iter().map(|(a, _)| host(*a)).collect(),
        None if core.first_role == Role::Initiator && (core.profile.request_v4 || core.profile.request_v6) => {
            let any = [(core.profile.request_v4, AddrRange::ANY_V4), (core.profile.request_v6, AddrRange::ANY_V6)];
            any.into_iter().filter(|(wanted, _)| *wanted).map(|(_, r)| TrafficSelector::any(r)).collect()
        }
        _ => alloc::vec![host(core.path.local.ip())],
    };
    let remote = if !policy.remote.is_empty() {
        policy.remote.clone()
    } else if core.leases.is_empty() {
        alloc::vec![host(core.path.remote.ip())]
    } else {
        core.leases.iter().map(|l| host(l.addr)).collect()
    };
    (local, remote)
}

/// The policy as it holds for these selectors, when it has an empty side.
fn concrete(policy: &Policy, local: &[TrafficSelector], remote: &[TrafficSelector]) -> Option<Arc<Policy>> {
    if !policy.local.is_empty() && !policy.remote.is_empty() {
        return None;
    }
    let mut copy = policy.clone();
    copy.local = if policy.local.is_empty() { local.to_vec() } else { copy.local };
    copy.remote = if policy.remote.is_empty() { remote.to_vec() } else { copy.remote };
    Some(Arc::new(copy))
}

/// Before a Child SA of a policy with an empty side is installed: packets must find that policy. The first one binds.
pub(super) fn bind(
    cx: &mut Cx<'_>,
    core: &SaCore,
    policy: &Policy,
    local: &[TrafficSelector],
    remote: &[TrafficSelector],
) {
    let there = core.children.iter().any(|c| c.policy == policy.id && *c.local_ts == *local && *c.remote_ts == *remote);
    if let Some(copy) = concrete(policy, local, remote).filter(|_| !there) {
        cx.out.change(Change::AddPolicy(copy));
    }
}

/// After the last such Child SA is gone.
pub(super) fn unbind(cx: &mut Cx<'_>, core: &SaCore, gone: &super::Child) {
    let same =
        |c: &super::Child| c.policy == gone.policy && c.local_ts == gone.local_ts && c.remote_ts == gone.remote_ts;
    let Some(policy) = cx.db.spd.policy(gone.policy).filter(|_| !core.children.iter().any(same)) else { return };
    if let Some(copy) = concrete(policy, &gone.local_ts, &gone.remote_ts) {
        cx.out.change(Change::RemovePolicy(copy));
    }
}
