//! A post-quantum PSK in IKE_AUTH (RFC 8784). Nothing here changes the IKE SA: the caller puts the keys into force once
//! everything is verified.

use super::super::ppk::{self as source, Ppk};
use super::super::{Cx, Inbound, SaCore};
use super::no_keys;
use crate::ask::Halt;
use crate::error::Reason;
use crate::ext::ppk::{self, PpkUse};
use crate::keys::SkKeys;
use crate::registry::NotifyType;
use alloc::vec::Vec;
use ravelin_sa_db::pad::Peer;

/// Our PPK_ID and the keys with our PPK mixed in, when RFC 8784 was agreed on.
pub(super) fn own(cx: &Cx<'_>, core: &SaCore, peer: &Peer) -> Result<Option<(Vec<u8>, SkKeys)>, Halt> {
    if core.agreed.ppk != PpkUse::Auth {
        return Ok(None);
    }
    let Some(Ppk { id, secret }) = source::own(cx, core, peer)? else { return Ok(None) };
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    Ok(Some((id, ppk::mix_auth(suite.prf, &secret, &core.keys).map_err(Reason::from)?)))
}

/// The keys with the PPK that the initiator names, when we have it (RFC 8784 §3).
pub(super) fn peers(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<Option<SkKeys>, Halt> {
    let named = msg.notify(NotifyType::PPK_IDENTITY).filter(|_| core.agreed.ppk == PpkUse::Auth);
    let Some(named) = named else { return Ok(None) };
    let Some(Ppk { secret, .. }) = source::by_id(cx, core, &named.data)? else { return Ok(None) };
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    Ok(Some(ppk::mix_auth(suite.prf, &secret, &core.keys).map_err(Reason::from)?))
}

/// A mandatory PPK must be in the keys.
pub(super) fn satisfied(used: bool, peer: &Peer) -> Result<(), Reason> {
    if peer.ppk_required && !used {
        return Err(source::missing(peer));
    }
    Ok(())
}
