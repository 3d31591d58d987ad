//! The responder's half of a Child SA: a policy, selectors, a proposal, and the answer (RFC 7296 §1.3.1, §2.9).

use super::install::{Material, Plan, conclude};
use super::proposals::accepted;
use super::selectors::{carries_fragments, from_wire, to_wire};
use super::{ChildFailure, configuration, is_full, mode_notifies, protecting, tfc_allowed};
use crate::error::Reason;
use crate::exchange::nat_transport::{self, Ends};
use crate::exchange::{Cx, Draft, Inbound, SaCore, configure, notify, pairs};
use crate::negotiate::{self, Chosen, Narrowed, selectors};
use crate::registry::NotifyType;
use crate::wire::payload::{KeyExchange, Payload, Proposal as WireProposal, SecurityAssociation};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::spd::Policy;
use ravelin_sa_db::{ChildId, Mode, TrafficSelector};

/// As responder of IKE_AUTH: finds a policy, narrows, chooses, derives keys, installs, and gives the payloads of the
/// answer.
///
/// # Errors
/// A [`ChildFailure`] with the notify for the peer.
pub fn answer(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    ni: &[u8],
    nr: &[u8],
) -> Result<Draft, ChildFailure> {
    let Prepared { draft, plan, shared } = prepare(cx, core, msg, None, false)?;
    conclude(cx, core, plan, &Material { ni, nr, shared: &shared, ppk: None })?;
    Ok(draft)
}

/// What a responder has agreed to, before there are keys.
#[derive(Debug)]
pub struct Prepared {
    /// SA, KE, TS and notify payloads of the answer.
    pub draft: Draft,
    /// What is to be installed.
    pub plan: Plan,
    /// The secret of the key exchange, when there is one.
    pub shared: Vec<Secret>,
}

/// As responder: finds a policy (that of `old`, when the new pair is to take its place, RFC 7296 §1.3.3), narrows and
/// chooses. `with_ke`: CREATE_CHILD_SA, which may have key exchanges of its own.
///
/// # Errors
/// A [`ChildFailure`] with the notify for the peer.
pub fn prepare(
    cx: &mut Cx<'_>,
    core: &SaCore,
    msg: &Inbound<'_>,
    old: Option<ChildId>,
    with_ke: bool,
) -> Result<Prepared, ChildFailure> {
    if old.is_none() && is_full(cx, core) {
        return Err(ChildFailure::new(NotifyType::NO_ADDITIONAL_SAS, Reason::Limit { what: "Child SAs per IKE SA" }));
    }
    let p = &msg.payloads;
    let (Some(sa), Some(tsi), Some(tsr)) = (p.sa(), p.ts_initiator(), p.ts_responder()) else {
        let detail = "Child SA request without SA, TSi or TSr payload (RFC 7296 section 1.3.1)".to_string();
        return Err(ChildFailure::new(NotifyType::INVALID_SYNTAX, Reason::Malformed { detail }));
    };
    let (local, claimed) = (from_wire(tsr), from_wire(tsi));
    let wants_transport = p.notify(NotifyType::USE_TRANSPORT_MODE).is_some();
    let (Selected { policy, narrowed, more }, named) = select(cx, core, (&local, &claimed), old, wants_transport)?;
    let protect = policy
        .protect()
        .ok_or_else(|| ChildFailure::new(NotifyType::TS_UNACCEPTABLE, configuration("the policy does not protect")))?;
    let ours = accepted(cx, core, &protect.proposals, with_ke);
    let group = p.ke().map(|k| k.method);
    let mut chosen = negotiate::choose(ours.get(&protect.proposals), sa, group, cx.config.prefer_own)
        .map_err(|r| ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, r))?;
    let (public, shared) = respond_ke(cx, &chosen, p.ke(), with_ke)?;
    // What packets of transport mode do not show behind a NAT passes a tunnel.
    let hidden = named.is_none() && nat_transport::is_foreign(core, &narrowed.local, &narrowed.remote);
    let mode = match protect.mode {
        Mode::Transport if !wants_transport || hidden => Mode::Tunnel,
        mode => mode,
    };
    let spi_in = cx
        .db
        .spis
        .reserve(cx.rng)
        .ok_or_else(|| ChildFailure::new(NotifyType::NO_ADDITIONAL_SAS, Reason::Limit { what: "free SPIs" }))?;
    let spi = spi_in.to_be_bytes().to_vec();
    let (number, protocol, transforms) =
        (chosen.answer.number, chosen.answer.protocol, ::core::mem::take(&mut chosen.answer.transforms));
    let answer = WireProposal::new(number, protocol, spi, transforms);
    let mut draft = Draft::with_capacity(8);
    draft.push(Payload::Sa(SecurityAssociation::new(alloc::vec![answer])));
    draft.extend(public);
    draft.push(Payload::TsInitiator(to_wire(&narrowed.remote)));
    draft.push(Payload::TsResponder(to_wire(&narrowed.local)));
    mode_notifies(protect, mode, &mut draft);
    if more {
        draft.push(notify(NotifyType::ADDITIONAL_TS_POSSIBLE, Vec::new()));
    }
    if p.notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO).is_some()
        && carries_fragments(mode, &narrowed.local, &narrowed.remote)
    {
        draft.push(notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO, Vec::new()));
    }
    let (policy, tfc) = (Arc::clone(&policy), tfc_allowed(msg));
    let plan = Plan { policy, spi_in, chosen, narrowed, mode, named, initiator: false, tfc };
    Ok(Prepared { draft, plan, shared })
}

/// The responder's half of a key exchange of the Child SA's own (RFC 7296 §1.3.1).
fn respond_ke(
    cx: &mut Cx<'_>,
    chosen: &Chosen,
    ke: Option<&KeyExchange>,
    with_ke: bool,
) -> Result<(Option<Payload>, Vec<Secret>), ChildFailure> {
    let Some(group) = chosen.ke.filter(|_| with_ke) else {
        if with_ke && !chosen.addke.is_empty() {
            let detail = "additional key exchanges without a first one (RFC 9370 section 2.2.4)".to_string();
            return Err(ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, Reason::BadKeyExchange { detail }));
        }
        return Ok((None, Vec::new()));
    };
    let wrong = |reason| ChildFailure {
        notify: NotifyType::INVALID_KE_PAYLOAD,
        data: group.0.to_be_bytes().to_vec(),
        reason,
        must_delete: false,
    };
    let Some(ke) = ke.filter(|k| k.method == group) else {
        return Err(wrong(Reason::BadKeyExchange { detail: alloc::format!("asked for {group}") }));
    };
    let unsupported =
        ChildFailure::new(NotifyType::NO_PROPOSAL_CHOSEN, Reason::Crypto(ravelin_crypto::CryptoError::Unsupported));
    let method = cx.crypto.ke(group).ok_or(unsupported)?;
    let bad = |e| {
        ChildFailure::new(NotifyType::INVALID_SYNTAX, Reason::BadKeyExchange { detail: alloc::format!("{group}: {e}") })
    };
    let (public, shared) = method.respond(cx.rng, &ke.data).map_err(bad)?;
    Ok((Some(Payload::Ke(KeyExchange::new(group, public))), alloc::vec![shared]))
}

/// What serves a request.
struct Selected {
    policy: Arc<Policy>,
    narrowed: Narrowed,
    more: bool,
}

/// Both sides of a request, ours first.
type Sides<'a> = (&'a [TrafficSelector], &'a [TrafficSelector]);

/// Finds what serves a request. Transport mode behind a NAT is judged by the addresses that are seen here, for policies in
/// transport mode; without one of these the request is judged as it came, for a tunnel (RFC 7296 §2.23.1).
fn select(
    cx: &Cx<'_>,
    core: &SaCore,
    sides: Sides<'_>,
    old: Option<ChildId>,
    wants_transport: bool,
) -> Result<(Selected, Option<Ends>), ChildFailure> {
    let seen = if wants_transport { nat_transport::as_seen(core, sides.0, sides.1) } else { None };
    if let Some(t) = &seen {
        let transport = |p: &Policy| p.protect().is_some_and(|p| p.mode == Mode::Transport);
        if let Ok(found) = select_among(cx, core, (&t.local, &t.remote), old, &transport) {
            let narrowed = &found.narrowed;
            return match cx.common.translated.rival(core, &narrowed.local, &narrowed.remote) {
                Some(rival) => Err(ChildFailure::new(NotifyType::TS_UNACCEPTABLE, rival)),
                None => Ok((found, Some(t.named))),
            };
        }
    }
    match select_among(cx, core, sides, old, &|_| true) {
        Ok(found) => Ok((found, None)),
        Err(failure) => {
            let reason = nat_transport::explained(failure.reason, seen.as_ref());
            Err(ChildFailure { reason, ..failure })
        }
    }
}

fn select_among(
    cx: &Cx<'_>,
    core: &SaCore,
    (local, claimed): Sides<'_>,
    old: Option<ChildId>,
    fits: &dyn Fn(&Policy) -> bool,
) -> Result<Selected, ChildFailure> {
    let remote = core.profile.constrain(claimed);
    let same = old.and_then(|old| same_policy(cx, core, old, local, &remote)).filter(|(policy, _)| fits(policy));
    let (policy, narrowed) = match same {
        Some(found) => found,
        None => {
            let (policy, narrowed) = find_policy(cx, core, local, &remote, fits)?;
            let narrowed = pairs::by_packet(core, &policy, narrowed, (local, &remote))?;
            (policy, narrowed)
        }
    };
    let more = pairs::more_possible(cx.db, core, &policy, &narrowed, (local, &remote));
    Ok(Selected { policy, narrowed, more })
}

/// The policy that a pair serves, when it still serves what is asked for in its place.
fn same_policy(
    cx: &Cx<'_>,
    core: &SaCore,
    old: ChildId,
    local: &[TrafficSelector],
    remote: &[TrafficSelector],
) -> Option<(Arc<Policy>, Narrowed)> {
    let policy = protecting(cx, core.child(old)?.policy).ok()?;
    let allowed = core.profile.constrain(remote);
    let narrowed = negotiate::narrow(&policy.local, &policy.remote, local, &allowed)?;
    Some((policy, narrowed))
}

/// The policy of this peer that serves what was asked for: one that takes all of it, else the first that takes a part.
fn find_policy(
    cx: &Cx<'_>,
    core: &SaCore,
    local: &[TrafficSelector],
    remote: &[TrafficSelector],
    fits: &dyn Fn(&Policy) -> bool,
) -> Result<(Arc<Policy>, Narrowed), ChildFailure> {
    let peer = core.peer.ok_or_else(|| ChildFailure::new(NotifyType::TS_UNACCEPTABLE, configuration("no peer")))?;
    let mut part: Option<(Arc<Policy>, Narrowed)> = None;
    for policy in cx.db.spd.policies_of(peer) {
        if policy.protect().is_none() || !fits(policy) {
            continue;
        }
        let (ours, theirs) = configure::sides(core, policy);
        match negotiate::narrow(&ours, &theirs, local, remote) {
            Some(n) if !n.cut => return Ok((Arc::clone(policy), n)),
            Some(n) if part.is_none() => part = Some((Arc::clone(policy), n)),
            _ => {}
        }
    }
    part.ok_or_else(|| {
        let ours = cx
            .db
            .spd
            .policies_of(peer)
            .take(8)
            .map(|p| configure::sides(core, p))
            .map(|(l, r)| selectors::describe(&l, &r))
            .collect::<Vec<_>>()
            .join("; ");
        let theirs = selectors::describe(local, remote);
        ChildFailure::new(NotifyType::TS_UNACCEPTABLE, Reason::NoSelectors { ours, theirs })
    })
}
