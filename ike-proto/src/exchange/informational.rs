//! INFORMATIONAL (RFC 7296 §1.4): deletes, liveness, error notifies of an established IKE SA.
//!
//! Delete of an IKE SA is answered with an empty message and takes everything with it; Delete of ESP or AH names the
//! sender's inbound SPIs and is answered with ours of the same pairs (§1.4.1).

use super::{After, ChildState, Cx, Draft, Effect, Inbound, Reply, SaCore, configure, mobility};
use crate::error::Reason;
use crate::event::Event;
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::payload::{Delete, Payload};
use alloc::vec::Vec;
use ravelin_sa_db::{Change, ChildId, Direction, Protocol, SaRef, Spi};

/// Answers a request.
///
/// `names_ours` says whether the answer to a Delete of a Child SA in that state names our SPI (RFC 7296 §2.25.1).
pub fn respond(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    names_ours: fn(Option<ChildState>) -> bool,
) -> Reply {
    let mut draft = Draft::new();
    let mut after = After::Stay;
    for payload in &msg.payloads {
        match payload {
            Payload::Delete(d) if d.protocol == ProtocolId::IKE => after = After::Close(Reason::PeerDeleted),
            Payload::Delete(d) => draft.extend(delete_children(cx, core, d, names_ours)),
            Payload::Notify(n)
                if n.kind == NotifyType::AUTHENTICATION_FAILED || n.kind == NotifyType::INVALID_SYNTAX =>
            {
                // The peer gave up on us after our last message (RFC 7296 §2.21.2).
                after =
                    After::Close(Reason::PeerRefused { notify: n.kind, authenticated: true, during: "INFORMATIONAL" });
            }
            Payload::Notify(n) if n.kind == NotifyType::AUTH_LIFETIME => super::auth_lifetime::read(cx, core, msg),
            Payload::Notify(n) if n.kind.is_error() => {
                let reason = Reason::PeerRefused { notify: n.kind, authenticated: true, during: "INFORMATIONAL" };
                cx.out.event(Event::Noted { sa: Some(core.id), path: msg.path, reason });
            }
            _ => {}
        }
    }
    draft.extend(configure::inform(cx, core, msg));
    draft.extend(mobility::respond(cx, core, msg));
    Reply { draft, after }
}

/// Deletes the pairs whose outbound SPI the peer names; answers with our inbound SPIs of those that we were not
/// deleting ourselves (RFC 7296 §1.4.1: in a crossing both sides answer without the SPIs they already named).
fn delete_children(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    delete: &Delete,
    names_ours: fn(Option<ChildState>) -> bool,
) -> Option<Payload> {
    let protocol = match delete.protocol {
        ProtocolId::ESP => Protocol::Esp,
        ProtocolId::AH => Protocol::Ah,
        _ => return None,
    };
    let mut answer = Vec::new();
    let heir = core.heir;
    for spi in delete.child_spis().map(Spi) {
        let found = core
            .children
            .iter()
            .find(|c| c.protocol == protocol && c.spi_out == spi)
            .map(|c| (c.id, c.state, c.spi_in));
        let Some((id, state, spi_in)) = found else {
            match heir {
                Some(heir) => cx.effects.push(Effect::PeerDeleted { heir, protocol, spi }),
                None => core.note_early_delete(spi),
            }
            continue;
        };
        if names_ours(Some(state)) {
            answer.push(spi_in.0);
        }
        if state == ChildState::Installed {
            closed_by_peer(cx, core, id);
        }
        let reason = if state == ChildState::Replaced { Reason::Replaced } else { Reason::PeerDeleted };
        remove_child(cx, core, id, reason);
    }
    if answer.is_empty() {
        return None;
    }
    Delete::child(delete.protocol, &answer).ok().map(Payload::Delete)
}

/// The peer ends a Child SA that carried traffic: its policy says what then, unless another pair serves it.
fn closed_by_peer(cx: &mut Cx<'_>, core: &SaCore, id: ChildId) {
    let Some(policy) = core.child(id).map(|c| c.policy) else { return };
    if !core.children.iter().any(|c| c.id != id && c.policy == policy && c.state == ChildState::Installed) {
        cx.effects.push(Effect::PeerClosed(policy));
    }
}

/// The payload of our own Delete of a Child SA; `None` when it is gone already. We stop sending on it at once, since the
/// peer forgets it with our Delete; what the peer sent before is taken until it answers.
pub fn delete_child_request(cx: &mut Cx<'_>, core: &mut SaCore, id: ChildId) -> Option<Draft> {
    stop_sending(cx, core, id);
    let child = core.child_mut(id)?;
    child.state = ChildState::Deleting;
    let protocol = match child.protocol {
        Protocol::Esp => ProtocolId::ESP,
        Protocol::Ah => ProtocolId::AH,
    };
    let delete = Delete::child(protocol, &[child.spi_in.0]).ok()?;
    Some(alloc::vec![Payload::Delete(delete)])
}

/// The payload of our own Delete of the IKE SA.
#[must_use]
pub fn delete_ike_request() -> Draft {
    alloc::vec![Payload::Delete(Delete::ike())]
}

/// Takes a Child SA out of the data plane and out of the IKE SA, frees its SPI, and says so.
pub fn remove_child(cx: &mut Cx<'_>, core: &mut SaCore, id: ChildId, reason: Reason) {
    stop_sending(cx, core, id);
    let Some(at) = core.children.iter().position(|c| c.id == id) else { return };
    let child = core.children.remove(at);
    let path = core.child_path();
    cx.out.change(Change::Remove(SaRef { child: id, direction: Direction::Inbound, spi: child.spi_in, path }));
    configure::unbind(cx, core, &child);
    cx.common.translated.remove(&child);
    cx.db.spis.release(child.spi_in);
    cx.effects.push(Effect::ChildDown(id));
    cx.out.event(Event::ChildClosed { sa: core.id, child: id, reason });
}

/// Takes the outbound half out of the data plane, once. If something was to take its place, now it does.
pub(crate) fn stop_sending(cx: &mut Cx<'_>, core: &mut SaCore, id: ChildId) {
    let path = core.child_path();
    let Some(child) = core.child_mut(id).filter(|c| c.sends) else { return };
    child.sends = false;
    let (spi, next) = (child.spi_out, child.successor.filter(|s| !s.switched).map(|s| s.child));
    if let Some(to) = next.filter(|n| core.child(*n).is_some_and(|c| c.sends)) {
        cx.out.change(Change::Switch { from: id, to });
    }
    cx.out.change(Change::Remove(SaRef { child: id, direction: Direction::Outbound, spi, path }));
}

/// The peer deleted the pair with this SPI of its own, by a message of the IKE SA that was replaced.
pub fn remove_by_peer_spi(cx: &mut Cx<'_>, core: &mut SaCore, protocol: Protocol, spi: Spi) {
    let found = core.children.iter().find(|c| c.protocol == protocol && c.spi_out == spi).map(|c| c.id);
    if let Some(id) = found {
        remove_child(cx, core, id, Reason::PeerDeleted);
    }
}

/// Takes all Child SAs down with their IKE SA.
pub fn remove_children(cx: &mut Cx<'_>, core: &mut SaCore, reason: &Reason) {
    while let Some(id) = core.children.first().map(|c| c.id) {
        remove_child(cx, core, id, reason.clone());
    }
}
