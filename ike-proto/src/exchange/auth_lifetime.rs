//! AUTH_LIFETIME (RFC 4478): the responder says when the initiator must have authenticated anew, in IKE_AUTH or later in
//! INFORMATIONAL. Who does not is deleted (`IkeTimes::over` after that).

use super::{Cx, Inbound, SaCore};
use crate::ids::Role;
use crate::registry::NotifyType;
use crate::wire::notify::{AuthLifetime, NotifyData};
use crate::wire::payload::Payload;
use core::time::Duration;

/// What we tell the initiator, when our configuration has a time for it.
#[must_use]
pub fn offer(core: &SaCore) -> Option<Payload> {
    let granted = core.granted.as_ref().and_then(|g| g.lifetime);
    let reauth = match core.profile.times.reauth {
        own if own.is_zero() => granted.unwrap_or_default(),
        own => own.min(granted.unwrap_or(own)),
    };
    let seconds = u32::try_from(reauth.as_secs()).ok().filter(|s| *s != 0)?;
    Some(Payload::Notify(AuthLifetime { seconds }.to_notify()))
}

/// Takes the responder's word: reauthenticate before then, a tenth of the time early.
pub fn read(cx: &Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) {
    let said = msg.notify(NotifyType::AUTH_LIFETIME).and_then(|n| AuthLifetime::parse(&n.data).ok());
    let Some(lifetime) = said.filter(|_| core.first_role == Role::Initiator) else { return };
    let early = Duration::from_secs(u64::from(lifetime.seconds)).saturating_mul(9) / 10;
    core.schedule.reauth_at = core.schedule.reauth_at.min(cx.now.mono + early);
}
