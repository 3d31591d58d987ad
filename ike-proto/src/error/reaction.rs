//! What the wire hears of an error (RFC 7296 §2.21), in one table.

use super::{Fault, Reason};
use crate::registry::NotifyType;

/// What is sent when something ends for a reason of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// Nothing.
    Silence,
    /// A Delete payload.
    Delete,
    /// This notify.
    Notify(NotifyType),
}

/// The reaction to a reason, for an established or half-open IKE SA with keys. Peers never hear more than this.
#[must_use]
pub fn reaction(reason: &Reason) -> Reaction {
    match reason.fault() {
        Fault::Intended | Fault::Local => Reaction::Delete,
        Fault::Malformed | Fault::Misbehaved => Reaction::Notify(NotifyType::INVALID_SYNTAX),
        Fault::Incompatible => Reaction::Notify(NotifyType::NO_PROPOSAL_CHOSEN),
        Fault::Authentication => Reaction::Notify(NotifyType::AUTHENTICATION_FAILED),
        Fault::Refused | Fault::TimedOut => Reaction::Silence,
    }
}
