//! Child SAs (RFC 7296 §1.3, §2.9, §2.17): the offer, the answer and the installation that IKE_AUTH and
//! CREATE_CHILD_SA have in common, cut by role. Inbound is installed before the message that lets the peer use it is sent.
//! What either side says about a Child SA in a notify goes here; what only one role does, into its file.

mod initiator;
mod install;
mod proposals;
mod responder;
mod selectors;

pub use initiator::{ChildOffer, accept, agree, offer, offer_again, offer_pair};
pub use install::{Material, Plan, conclude};
pub use responder::{Prepared, answer, prepare};

use super::{ChildState, Cx, Draft, Inbound, SaCore, notify};
use crate::error::Reason;
use crate::registry::NotifyType;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::spd::{Policy, Protect, Tfc};
use ravelin_sa_db::{Mode, PolicyId};

/// Why a Child SA was not made, and what the peer hears.
#[derive(Debug)]
pub struct ChildFailure {
    /// For the peer.
    pub notify: NotifyType,
    /// Data of that notify.
    pub data: Vec<u8>,
    /// For the operator.
    pub reason: Reason,
    /// As initiator: the peer believes that the SA is up, or broke the protocol; it cannot be left so.
    pub must_delete: bool,
}

impl ChildFailure {
    pub(crate) fn new(notify: NotifyType, reason: Reason) -> Self {
        Self { notify, data: Vec::new(), reason, must_delete: false }
    }

    pub(super) fn broken(reason: Reason) -> Self {
        Self { notify: NotifyType::INVALID_SYNTAX, data: Vec::new(), reason, must_delete: true }
    }
}

/// True when the IKE SA has as many Child SAs as it may; those that are replaced already do not count.
#[must_use]
pub fn is_full(cx: &Cx<'_>, core: &SaCore) -> bool {
    let limit = cx.config.max_children.min(core.profile.max_children);
    let there = core.children.iter().filter(|c| c.state == ChildState::Installed && c.successor.is_none()).count();
    there.saturating_add(core.unfinished.len()) >= usize::from(limit)
}

fn protecting(cx: &Cx<'_>, policy: PolicyId) -> Result<Arc<Policy>, Reason> {
    let policy = cx.db.spd.policy(policy).cloned().ok_or_else(|| configuration("the policy is gone"))?;
    if policy.protect().is_none() {
        return Err(configuration("the policy does not protect"));
    }
    Ok(policy)
}

fn configuration(detail: &str) -> Reason {
    Reason::Configuration { detail: detail.to_string() }
}

fn mode_notifies(protect: &Protect, mode: Mode, draft: &mut Draft) {
    if mode == Mode::Transport {
        draft.push(notify(NotifyType::USE_TRANSPORT_MODE, Vec::new()));
    }
    if protect.tfc == Tfc::None {
        draft.push(notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED, Vec::new()));
    }
}

fn tfc_allowed(msg: &Inbound<'_>) -> bool {
    msg.notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED).is_none()
}
