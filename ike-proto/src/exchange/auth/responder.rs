//! IKE_AUTH as responder. A request with AUTH is proved at once; one without begins EAP, whose rounds are in `eap.rs`.
//! Whatever the way, [`finish`] is the only place that makes the IKE SA established, and both callers have verified an
//! AUTH payload of the initiator just before.

use super::super::child::{self, ChildFailure};
use super::super::{After, Cx, Draft, Inbound, Reply, SaCore, auth_lifetime, configure, mobility, notify};
use super::initiator::certificates;
use super::proof::{self, Claim};
use super::{agree, check_suite, common_notifies, credential, eap, establish, from_wire, malformed, ppk, rounds};
use crate::ask::Halt;
use crate::error::Reason;
use crate::event::Event;
use crate::ext::ppk::PpkUse;
use crate::ids::Role;
use crate::keys::SkKeys;
use crate::registry::NotifyType;
use crate::wire::payload::{Authentication, Identification, Payload};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::PeerId;
use ravelin_sa_db::pad::{AuthMethod, Childless, Peer, TranscriptAuth};

/// Answers the peer's IKE_AUTH request.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Reply {
    let result = match core.eap.take() {
        None if core.round.is_some() => rounds::second(cx, core, msg),
        None => first(cx, core, msg),
        Some(mut server) => {
            let result = server.round(cx, core, msg);
            // Put back also when it failed: what comes afterwards is refused there.
            core.eap = core.established.is_none().then_some(server);
            result
        }
    };
    match result {
        Ok(draft) => {
            core.answers.clear();
            Reply { draft, after: After::Stay }
        }
        Err(Halt::Ask(ask)) => Reply { draft: Vec::new(), after: After::Wait(ask) },
        Err(Halt::Refuse(reason)) => {
            core.answers.clear();
            let kind = match &reason {
                Reason::Unexpected { detail } if detail == UNWANTED_NAT => NotifyType::UNEXPECTED_NAT_DETECTED,
                Reason::Malformed { .. } | Reason::Unexpected { .. } => NotifyType::INVALID_SYNTAX,
                _ => NotifyType::AUTHENTICATION_FAILED,
            };
            let mut reply = Reply::refuse(kind, reason);
            // The client learns of a failure of EAP by EAP too (RFC 7296 §2.16).
            reply.draft.extend(core.eap.as_mut().and_then(|e| e.failure()).map(Payload::Eap));
            reply
        }
    }
}

/// What the operator reads when the peer allows no NAT.
const UNWANTED_NAT: &str = "a NAT stands between, and the peer allows none (RFC 4555 section 3.9)";

/// The first request.
fn first(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Draft, Halt> {
    let idi = msg.payloads.id_initiator().ok_or_else(|| malformed("IKE_AUTH request without IDi"))?;
    if !core.pending.ke.is_empty() {
        let detail = "IKE_AUTH before the additional key exchanges are done (RFC 9370 section 2.2.2)".to_string();
        return Err(Reason::Unexpected { detail }.into());
    }
    let (authorities, ocsp) = credential::requested(msg);
    core.agreed.ocsp = ocsp;
    if !authorities.is_empty() {
        core.agreed.said.authorities = authorities;
    }
    let Some(auth) = msg.payloads.auth() else {
        return eap::begin(cx, core, msg, idi);
    };
    let (id, peer, keys) = authenticate(cx, core, msg, idi, auth)?;
    let remote = from_wire(idi);
    let follows = msg.notify(NotifyType::ANOTHER_AUTH_FOLLOWS).is_some();
    if follows != peer.second.remote.is_some() {
        return Err(rounds::other_rounds(!follows).into());
    }
    let ours = peer.second.local.is_some();
    if ours && msg.notify(NotifyType::MULTIPLE_AUTH_SUPPORTED).is_none() {
        return Err(rounds::unfit(&peer, "the peer does not say MULTIPLE_AUTH_SUPPORTED").into());
    }
    let mut draft = Draft::with_capacity(16);
    draft.push(Payload::IdResponder(super::to_wire(&peer.local_id)));
    let own_keys = keys.as_ref().unwrap_or(&core.keys);
    draft.extend(proof::make(cx, core, own_keys, &peer, Role::Responder, Some(&remote))?);
    if core.agreed.ppk == PpkUse::Auth && keys.is_some() {
        draft.push(notify(NotifyType::PPK_IDENTITY, Vec::new()));
    }
    // From here on nothing is asked, and the IKE SA may change.
    if let Some(keys) = keys {
        core.keys = keys;
        core.ppk_used = true;
    }
    core.path = msg.path;
    if ours {
        draft.push(notify(NotifyType::ANOTHER_AUTH_FOLLOWS, Vec::new()));
    }
    if follows || ours {
        let payloads = msg.payloads.clone();
        core.round = Some(Box::new(rounds::Round { header: msg.header, payloads, path: msg.path, remote, id, peer }));
        return Ok(draft);
    }
    core.peer = Some(id);
    core.profile = peer;
    core.remote_id = Some(remote);
    finish(cx, core, msg, draft)
}

/// The initiator is proved and `draft` proves us: the IKE SA is up, and the Child SA of `request` if we agree.
pub(super) fn finish(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    request: &Inbound<'_>,
    mut draft: Draft,
) -> Result<Draft, Halt> {
    if !mobility::nats_are_fine(request) {
        return Err(Reason::Unexpected { detail: UNWANTED_NAT.to_string() }.into());
    }
    if request.payloads.sa().is_none() && core.profile.childless == Childless::Never {
        let detail = "an IKE SA without Child SA, which is not allowed (RFC 6023 section 3)".to_string();
        return Err(Reason::Unexpected { detail }.into());
    }
    agree(core, request);
    draft.extend(common_notifies(cx, core));
    draft.extend(auth_lifetime::offer(core));
    establish(cx, core, request.notify(NotifyType::INITIAL_CONTACT).is_some());
    let (ni, nr) = (core.opening.ni.clone(), core.opening.nr.clone());
    if request.payloads.sa().is_none() {
        // A childless IKE SA may still get addresses for the Child SAs to come.
        if let Ok(cp) = configure::lease(cx, core, request) {
            draft.extend(cp);
        }
    } else {
        let configured = configure::lease(cx, core, request).map(|cp| draft.extend(cp));
        match configured.and_then(|()| child::answer(cx, core, request, &ni, &nr)) {
            Ok(payloads) => draft.extend(payloads),
            Err(ChildFailure { notify: kind, data, reason, .. }) => {
                draft.push(notify(kind, data));
                cx.out.event(Event::ChildRefused { sa: core.id, policy: None, reason });
            }
        }
    }
    core.forget_opening();
    Ok(draft)
}

/// The PAD entry for what the initiator claims: the first that `fits`, else the first of all, whose refusal then says
/// what was expected.
pub(super) fn entry(
    cx: &Cx<'_>,
    core: &SaCore,
    msg: &Inbound<'_>,
    idi: &Identification,
    fits: impl Fn(&Peer) -> bool,
) -> Result<(PeerId, Arc<Peer>), Reason> {
    let (claimed, hint) = (from_wire(idi), msg.payloads.id_responder().map(from_wire));
    let all = || cx.db.pad.find_all(hint.as_ref(), &claimed, core.path.remote.ip()).take(MAX_ENTRIES);
    let found = all().find(|(_, p)| fits(p)).or_else(|| all().next()).map(|(id, p)| (id, Arc::clone(p)));
    let (id, peer) = found
        .ok_or_else(|| Reason::UnknownPeer { claimed: claimed.to_string(), asked_for: hint.map(|h| h.to_string()) })?;
    check_suite(core, &peer)?;
    if peer.transcript_auth == TranscriptAuth::Require && !core.agreed.transcript {
        return Err(Reason::Downgrade { what: "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH".to_string() });
    }
    Ok((id, peer))
}

/// PAD entries looked at for one claim.
const MAX_ENTRIES: usize = 64;

/// Finds the PAD entry and verifies AUTH against it. Gives the keys with the PPK in them, when one is used.
fn authenticate(
    cx: &mut Cx<'_>,
    core: &SaCore,
    msg: &Inbound<'_>,
    idi: &Identification,
    auth: &Authentication,
) -> Result<(PeerId, Arc<Peer>, Option<SkKeys>), Halt> {
    let (id, peer) = entry(cx, core, msg, idi, |p| proof::is_allowed(&p.remote_auth, auth))?;
    let mixed = ppk::peers(cx, core, msg)?;
    let certs = certificates(msg);
    // EAP is no method of an AUTH payload: such an entry takes the others that it names.
    let allowed: Vec<AuthMethod> = peer.remote_auth.iter().copied().filter(|m| *m != AuthMethod::Eap).collect();
    let claim = Claim { role: Role::Initiator, id: idi, auth, certs: &certs, allowed: &allowed };
    let plain = ppk::plain(core, msg, auth).filter(|_| mixed.is_none());
    let auth = plain.as_ref().unwrap_or(auth);
    proof::verify(cx, core, mixed.as_ref().unwrap_or(&core.keys), &peer, Claim { auth, ..claim })?;
    ppk::satisfied(core.ppk_used || mixed.is_some(), &peer)?;
    Ok((id, peer, mixed))
}

/// What an entry that takes no EAP answers to a request without AUTH.
pub(super) fn no_eap(peer: &Peer) -> Reason {
    let came = "none: the peer wants EAP".to_string();
    Reason::WrongAuthMethod { expected: alloc::format!("an AUTH payload ({})", credential::expected(peer)), came }
}
