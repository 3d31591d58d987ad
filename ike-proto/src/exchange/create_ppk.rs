//! A fresh PPK in CREATE_CHILD_SA (RFC 9867 §3.2): the request names PPKs by PPK_IDENTITY_KEY, the answer picks one by
//! PPK_IDENTITY, and SK_d' = prf+(PPK, SK_d) stands where SK_d stood when the new SA's keys are made. Only where both
//! sides said USE_PPK_INT in IKE_SA_INIT; the initiator begins it where its PAD entry says `ppk_rekey`.

use super::ppk::{self, Ppk};
use super::{Cx, Inbound, SaCore, notify};
use crate::ask::Halt;
use crate::error::Reason;
use crate::ext::ppk::{confirmation_of_rekey, split};
use crate::registry::NotifyType;
use crate::wire::payload::Payload;
use alloc::vec::Vec;
use subtle::ConstantTimeEq;

/// Most PPK_IDs of one request that are looked at.
const MAX_OFFERED: usize = 8;

/// The PPK that our next CREATE_CHILD_SA mixes in.
///
/// # Errors
/// [`Halt::Ask`] when a key-distribution system must be asked first; [`Halt::Refuse`] when policy demands one and there
/// is none.
pub fn own(cx: &Cx<'_>, core: &mut SaCore) -> Result<Option<Ppk>, Halt> {
    if !ppk::is_9867(core) || !core.profile.ppk_rekey {
        return Ok(None);
    }
    let found = match core.fresh_ppk.take() {
        Some(fresh) => Some(*fresh),
        None if ::core::mem::take(&mut core.without_ppk) => None,
        None => ppk::own(cx, core, &core.profile)?,
    };
    if found.is_none() && core.profile.ppk_required {
        return Err(ppk::missing(&core.profile).into());
    }
    Ok(found)
}

/// Our PPK_IDENTITY_KEY. `ni` is the nonce of the request.
pub(super) fn offer(core: &SaCore, ppk: &Ppk, ni: &[u8]) -> Option<Payload> {
    let prf = core.suite.as_ref()?.prf;
    let mut data = ppk.id.clone();
    data.extend(confirmation_of_rekey(prf, &ppk.secret, ni, core.spi_i, core.spi_r));
    Some(notify(NotifyType::PPK_IDENTITY_KEY, data))
}

/// As initiator: our PPK, when the peer took it.
///
/// # Errors
/// When policy demands a PPK and the peer took none.
pub(super) fn confirmed(core: &SaCore, own: Option<Ppk>, msg: &Inbound<'_>) -> Result<Option<Ppk>, Reason> {
    let Some(own) = own else { return Ok(None) };
    let taken = msg.notify(NotifyType::PPK_IDENTITY).is_some_and(|n| n.data == own.id);
    if !taken && core.profile.ppk_required {
        return Err(ppk::missing(&core.profile));
    }
    Ok(taken.then_some(own))
}

/// As responder: the first PPK of the request that we have.
///
/// # Errors
/// [`Halt::Ask`] when somebody must be asked first; [`Halt::Refuse`] when policy demands a fresh one and there is none.
pub fn named(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<Option<Ppk>, Halt> {
    if !ppk::is_9867(core) {
        return Ok(None);
    }
    let ni = msg.payloads.nonce().map(|n| n.data.as_slice()).unwrap_or_default();
    let suite = core.suite.as_ref().ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
    let offers = msg.payloads.notifies().filter(|n| n.kind == NotifyType::PPK_IDENTITY_KEY);
    let offers: Vec<&[u8]> = offers.map(|n| n.data.as_slice()).take(MAX_OFFERED).collect();
    for data in offers {
        let Some((id, confirmation)) = split(data) else { continue };
        let Some(found) = ppk::by_id(cx, core, id)? else { continue };
        let expected = confirmation_of_rekey(suite.prf, &found.secret, ni, core.spi_i, core.spi_r);
        if bool::from(expected.as_slice().ct_eq(confirmation)) {
            return Ok(Some(found));
        }
    }
    if core.profile.ppk_required && core.profile.ppk_rekey {
        return Err(ppk::missing(&core.profile).into());
    }
    Ok(None)
}

/// The PPK_IDENTITY of the answer.
pub(super) fn answer(ppk: &Ppk) -> Payload {
    notify(NotifyType::PPK_IDENTITY, ppk.id.clone())
}
