//! A post-quantum PSK in IKE_AUTH (RFC 8784 §3). It goes with the initiator's AUTH: with EAP that is the last of its
//! requests, so that the responder's first AUTH is made without it. Nothing here changes the IKE SA: the caller puts the
//! keys into force once everything is verified.

use super::super::ppk::{self as source, Ppk};
use super::super::{Cx, Draft, Inbound, SaCore, notify};
use super::{no_keys, proof};
use crate::ask::Halt;
use crate::error::Reason;
use crate::ext::ppk::{self, PpkUse};
use crate::ids::Role;
use crate::keys::SkKeys;
use crate::registry::NotifyType;
use crate::wire::payload::{Authentication, Identification, Payload};
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::Peer;

/// Our PPK_ID, and the keys with our PPK mixed in.
pub(super) type Own = (Vec<u8>, SkKeys);

/// Our PPK and the keys, when RFC 8784 was agreed on.
pub(super) fn own(cx: &Cx<'_>, core: &SaCore, peer: &Peer) -> Result<Option<Own>, Halt> {
    if core.agreed.ppk != PpkUse::Auth {
        return Ok(None);
    }
    let Some(Ppk { id, secret }) = source::own(cx, core, peer)? else { return Ok(None) };
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    Ok(Some((id, ppk::mix_auth(suite.prf, &secret, &core.keys).map_err(Reason::from)?)))
}

/// CERT and AUTH of the initiator, with the PPK's notifies; without EAP.
pub(super) fn prove(cx: &mut Cx<'_>, core: &SaCore, peer: &Peer, ppk: Option<&Own>) -> Result<Draft, Halt> {
    let remote = peer.remote_id.exact();
    let Some((id, keys)) = ppk else {
        return proof::make(cx, core, &core.keys, peer, Role::Initiator, remote);
    };
    let mut draft = proof::make(cx, core, keys, peer, Role::Initiator, remote)?;
    draft.push(notify(NotifyType::PPK_IDENTITY, id.clone()));
    if !peer.ppk_required {
        let plain = proof::make(cx, core, &core.keys, peer, Role::Initiator, remote)?;
        let plain = plain.into_iter().find_map(|p| if let Payload::Auth(a) = p { Some(a.data) } else { None });
        draft.extend(plain.map(|data| notify(NotifyType::NO_PPK_AUTH, data)));
    }
    Ok(draft)
}

/// AUTH of the initiator by the key of EAP, with the PPK's notifies.
pub(super) fn prove_by_eap(
    core: &SaCore,
    id: &Identification,
    ppk: Option<&Own>,
    msk: Option<&Secret>,
) -> Result<Draft, Reason> {
    let made = |keys| proof::make_key(core, keys, Role::Initiator, id, msk);
    let Some((name, keys)) = ppk else { return Ok(alloc::vec![Payload::Auth(made(&core.keys)?)]) };
    let mut draft = alloc::vec![Payload::Auth(made(keys)?), notify(NotifyType::PPK_IDENTITY, name.clone())];
    if !core.profile.ppk_required {
        draft.push(notify(NotifyType::NO_PPK_AUTH, made(&core.keys)?.data));
    }
    Ok(draft)
}

/// The keys with our PPK in them, when the responder says by PPK_IDENTITY that it used it.
pub(super) fn taken(ppk: Option<&Own>, core: &SaCore, msg: &Inbound<'_>) -> Result<Option<SkKeys>, Reason> {
    let used = ppk.filter(|_| msg.notify(NotifyType::PPK_IDENTITY).is_some());
    satisfied(core.ppk_used || used.is_some(), &core.profile)?;
    Ok(used.map(|(_, keys)| keys.clone()))
}

/// The keys with the PPK that the initiator names, when we have it (RFC 8784 §3).
pub(super) fn peers(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<Option<SkKeys>, Halt> {
    let named = msg.notify(NotifyType::PPK_IDENTITY).filter(|_| core.agreed.ppk == PpkUse::Auth && !core.ppk_used);
    let Some(named) = named else { return Ok(None) };
    let Some(Ppk { secret, .. }) = source::by_id(cx, core, &named.data)? else { return Ok(None) };
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    Ok(Some(ppk::mix_auth(suite.prf, &secret, &core.keys).map_err(Reason::from)?))
}

/// The AUTH value that the initiator made without the PPK that it names, for a responder that does not have it.
pub(super) fn plain(core: &SaCore, msg: &Inbound<'_>, auth: &Authentication) -> Option<Authentication> {
    let named = core.agreed.ppk == PpkUse::Auth && msg.notify(NotifyType::PPK_IDENTITY).is_some();
    let plain = msg.notify(NotifyType::NO_PPK_AUTH).filter(|_| named)?;
    Some(Authentication::new(auth.method, plain.data.clone()))
}

/// A mandatory PPK must be in the keys.
pub(super) fn satisfied(used: bool, peer: &Peer) -> Result<(), Reason> {
    if peer.ppk_required && !used {
        return Err(source::missing(peer));
    }
    Ok(())
}
