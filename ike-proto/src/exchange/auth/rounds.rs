//! Second authentications (RFC 4739), of either side in either role: as many as the PAD entry wants, neither more nor less.
//! The first is that of `initiator.rs` and `responder.rs`; its request is answered when all is proved. The initiator's second
//! may be EAP, whose rounds are in `eap.rs`. Every proof goes through `proof::verify`, and [`responder::finish`] comes after
//! the last one. A third authentication would be a counter in the place of [`Round`] and of `Auth`'s `owed`.

use super::super::{Cx, Draft, Inbound, SaCore};
use super::initiator::{certificates, refused};
use super::proof::{self, Claim};
use super::{eap, from_wire, malformed, responder, to_wire};
use crate::ask::Halt;
use crate::error::Reason;
use crate::ids::Role;
use crate::registry::NotifyType;
use crate::wire::payload::{Identification, Payload};
use crate::wire::{Header, Payloads};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::pad::{AuthMethod, Identity, Peer};
use ravelin_sa_db::{Path, PeerId};

/// The entry as it holds for our second authentication (RFC 4739): another identity, another method.
pub(super) fn again(peer: &Peer) -> Option<Peer> {
    let (id, method) = peer.second.local.as_ref()?;
    Some(Peer { local_id: id.clone(), local_auth: *method, ..peer.clone() })
}

/// Two authentications are configured and cannot be done.
pub(super) fn unfit(peer: &Peer, why: &str) -> Reason {
    let detail = format!("peer {}: two authentications are configured (RFC 4739), but {why}", peer.name);
    Reason::Configuration { detail }
}

/// The peer gives two proofs, or one, where the entry wants it the other way.
pub(super) fn other_rounds(two: bool) -> Reason {
    let words = |two: bool| if two { "two authentications (RFC 4739)" } else { "one authentication" }.to_string();
    Reason::WrongAuthMethod { expected: words(two), came: words(!two) }
}

/// The entry as it holds for our second authentication, when it wants one (RFC 4739); what cannot be is found out here.
pub(super) fn ours(core: &SaCore, peer: &Peer) -> Result<Option<Box<Peer>>, Reason> {
    if !peer.second.is_wanted() {
        return Ok(None);
    }
    if peer.local_auth == AuthMethod::Eap {
        return Err(unfit(peer, "the first is EAP; expected another method first"));
    }
    if !core.agreed.multiple_auth {
        return Err(unfit(peer, "the peer does not say MULTIPLE_AUTH_SUPPORTED"));
    }
    Ok(again(peer).map(Box::new))
}

/// One authentication of the responder, or the first of two (RFC 4739), as the entry wants it.
pub(super) fn as_wanted(two: bool, msg: &Inbound<'_>) -> Result<(), Reason> {
    let follows = msg.notify(NotifyType::ANOTHER_AUTH_FOLLOWS).is_some();
    if follows == two { Ok(()) } else { Err(other_rounds(two)) }
}

/// The second authentication of the responder: another identity, with its proof. Gives its IDr.
pub(super) fn verify(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<Identification, Halt> {
    let expected = "expected IDr and AUTH of the responder's second authentication (RFC 4739 section 2.2)";
    let (Some(idr), Some(auth), Some((pattern, allowed))) =
        (msg.payloads.id_responder(), msg.payloads.auth(), &core.profile.second.remote)
    else {
        return Err(refused(msg, expected).into());
    };
    if msg.notify(NotifyType::ANOTHER_AUTH_FOLLOWS).is_some() {
        return Err(malformed("a third authentication of the responder").into());
    }
    let identity = from_wire(idr);
    if !pattern.matches(&identity) {
        return Err(Reason::WrongIdentity { expected: pattern.to_string(), came: identity.to_string() }.into());
    }
    let methods: Vec<AuthMethod> = allowed.iter().copied().filter(|m| *m != AuthMethod::Eap).collect();
    let certs = certificates(msg);
    let claim = Claim { role: Role::Responder, id: idr, auth, certs: &certs, allowed: &methods };
    proof::verify(cx, core, &core.keys, &core.profile, claim)?;
    Ok(idr.clone())
}

/// The first authentication of two, of either side: its request is answered when the second is done (RFC 4739 §2.2).
#[derive(Clone, Debug)]
pub struct Round {
    pub(super) header: Header,
    pub(super) payloads: Payloads,
    pub(super) path: Path,
    /// Who the initiator proved to be.
    pub(super) remote: Identity,
    pub(super) id: PeerId,
    pub(super) peer: Arc<Peer>,
}

/// The second authentication: another identity of the initiator with a proof, or with EAP, and of ours; either or both.
pub(super) fn second(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Draft, Halt> {
    let Some(round) = core.round.clone() else { return Err(malformed("no second authentication is awaited").into()) };
    if msg.notify(NotifyType::ANOTHER_AUTH_FOLLOWS).is_some() {
        return Err(malformed("a third authentication").into());
    }
    match &round.peer.second.remote {
        Some((pattern, allowed)) => {
            let idi = msg.payloads.id_initiator().ok_or_else(|| malformed("the second authentication has no IDi"))?;
            let identity = from_wire(idi);
            if !pattern.matches(&identity) {
                return Err(Reason::WrongIdentity { expected: pattern.to_string(), came: identity.to_string() }.into());
            }
            let Some(auth) = msg.payloads.auth() else {
                if !allowed.contains(&AuthMethod::Eap) {
                    return Err(responder::no_eap(&round.peer).into());
                }
                let (draft, idr) = prove_again(cx, core, &round)?;
                return eap::again(cx, core, &round, idi, draft, idr);
            };
            let certs = certificates(msg);
            let methods: Vec<AuthMethod> = allowed.iter().copied().filter(|m| *m != AuthMethod::Eap).collect();
            let claim = Claim { role: Role::Initiator, id: idi, auth, certs: &certs, allowed: &methods };
            proof::verify(cx, core, &core.keys, &round.peer, claim)?;
        }
        // The initiator has nothing left to say.
        None if msg.payloads.id_initiator().is_none() && msg.payloads.auth().is_none() => {}
        None => return Err(other_rounds(false).into()),
    }
    let (draft, _) = prove_again(cx, core, &round)?;
    core.round = None;
    core.peer = Some(round.id);
    core.profile = Arc::clone(&round.peer);
    core.remote_id = Some(round.remote.clone());
    let request = Inbound { header: round.header, payloads: round.payloads, raw: &[], path: round.path };
    responder::finish(cx, core, &request, draft)
}

/// IDr and AUTH of our second authentication, where the entry has one; and who we are then.
fn prove_again(cx: &mut Cx<'_>, core: &SaCore, round: &Round) -> Result<(Draft, Identity), Halt> {
    let Some(peer) = again(&round.peer) else { return Ok((Draft::new(), round.peer.local_id.clone())) };
    if peer.local_auth == AuthMethod::Eap {
        return Err(unfit(&peer, "EAP proves initiators; expected another method for a responder's second").into());
    }
    let mut draft = alloc::vec![Payload::IdResponder(to_wire(&peer.local_id))];
    draft.extend(proof::make(cx, core, &core.keys, &peer, Role::Responder, Some(&round.remote))?);
    Ok((draft, peer.local_id))
}
