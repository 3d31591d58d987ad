//! Which proposals of a policy are offered and taken: what the provider has, without key exchanges in IKE_AUTH
//! (RFC 7296 §1.2), and not stronger than the IKE SA where the PAD entry wants that.

use crate::exchange::sa_init::offers;
use crate::exchange::{Cx, SaCore};
use crate::ext::strength;
use crate::negotiate::Offered;
use alloc::vec::Vec;
use ravelin_sa_db::proposal::Proposal;
use ravelin_sa_db::spd::Policy;

/// Proposals reduced to what the provider has; without key exchanges in IKE_AUTH, whose Child SA has none of its own.
fn usable(cx: &Cx<'_>, proposals: &[Proposal], with_ke: bool) -> Vec<Proposal> {
    let strip = |p: &Proposal| {
        let mut p = p.clone();
        if !with_ke {
            p.ke.clear();
            p.addke = Default::default();
        }
        p.supported_by(cx.crypto)
    };
    proposals.iter().filter_map(strip).collect()
}

/// The proposals of a policy.
pub(super) fn configured(policy: &Policy) -> &[Proposal] {
    policy.protect().map_or(&[][..], |p| &p.proposals)
}

/// What is offered for a policy.
pub(super) fn offered(cx: &Cx<'_>, core: &SaCore, policy: &Policy, with_ke: bool) -> Offered {
    let configured = configured(policy);
    let make = || {
        let mut proposals = if with_ke { offers(cx, configured) } else { usable(cx, configured, false) };
        cap(core, &mut proposals);
        proposals
    };
    Offered::of(configured, |p| !p.has_addke() && stands(cx, core, p, with_ke), make)
}

/// What is taken for a policy.
pub(super) fn accepted(cx: &Cx<'_>, core: &SaCore, proposals: &[Proposal], with_ke: bool) -> Offered {
    let make = || {
        let mut proposals = usable(cx, proposals, with_ke);
        cap(core, &mut proposals);
        proposals
    };
    Offered::of(proposals, |p| stands(cx, core, p, with_ke), make)
}

/// True when [`usable`] and [`cap`] would change nothing.
fn stands(cx: &Cx<'_>, core: &SaCore, p: &Proposal, with_ke: bool) -> bool {
    !core.profile.strength_rule && (with_ke || (p.ke.is_empty() && !p.has_addke())) && p.is_supported_by(cx.crypto)
}

/// Takes out what is stronger than the IKE SA, where the PAD entry wants that.
fn cap(core: &SaCore, proposals: &mut Vec<Proposal>) {
    if let Some(suite) = core.suite.as_ref().filter(|_| core.profile.strength_rule) {
        strength::cap(suite.encr, proposals);
    }
}
