//! IKE_AUTH (RFC 7296 §1.2, §2.15, §2.16): both sides prove who they are, and the first Child SA is made.
//!
//! The responder installs nothing before the initiator is proved; the initiator installs nothing before the responder
//! is. `proof.rs` makes and checks AUTH payloads, `credential.rs` finds keys and certificates, `ppk.rs` the post-quantum
//! key, `eap.rs` carries EAP as responder. A Child SA that fails leaves the IKE SA up (§1.2).

mod credential;
pub mod eap;
mod initiator;
mod ppk;
mod proof;
mod responder;
mod rounds;

pub use credential::{announced, announcements, certificate_request, requested};
pub use initiator::Auth;
pub use responder::respond;
pub use rounds::Round;

use super::{Cx, Draft, Effect, IkeSuite, Inbound, SaCore, mobility};
use crate::error::Reason;
use crate::event::{Established, Event, IkeKeyLog};
use crate::registry::NotifyType;
use crate::wire::payload::Identification;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::pad::{IdKind, Identity, Peer};

fn malformed(what: &str) -> Reason {
    Reason::Malformed { detail: format!("{what} (RFC 7296 section 1.2)") }
}

fn no_keys() -> Reason {
    Reason::Unexpected { detail: "IKE_AUTH before IKE_SA_INIT".to_string() }
}

/// Status notifies that both roles send in IKE_AUTH.
fn common_notifies(cx: &Cx<'_>, core: &mut SaCore) -> Draft {
    if core.profile.mobike && core.agreed.nat.supported { mobility::offer(cx, core) } else { Draft::new() }
}

/// Reads the peer's status notifies of IKE_AUTH.
fn agree(core: &mut SaCore, msg: &Inbound<'_>) {
    core.agreed.mobike =
        core.profile.mobike && core.agreed.nat.supported && msg.notify(NotifyType::MOBIKE_SUPPORTED).is_some();
    if core.agreed.mobike {
        mobility::learn(core, msg);
    }
}

/// Both sides are proved.
fn establish(cx: &mut Cx<'_>, core: &mut SaCore, initial_contact: bool) {
    core.established = Some(cx.now.mono);
    core.start_schedule(cx);
    let (Some(local_id), Some(remote_id), Some(peer)) = (core.local_id().cloned(), core.remote_id.clone(), core.peer)
    else {
        return;
    };
    let Some(suite) = &core.suite else { return };
    export_keys(cx, core, suite);
    let proposal = cx.common.suite_name(suite);
    cx.out.event(Event::Established(Arc::new(Established {
        sa: core.id,
        peer,
        role: core.role,
        path: core.path,
        local_id,
        remote_id,
        spis: (core.spi_i, core.spi_r),
        proposal,
        nat: (core.agreed.nat.local, core.agreed.nat.remote),
    })));
    cx.effects.push(Effect::Established { initial_contact });
}

/// For Wireshark, only when asked for.
pub(crate) fn export_keys(cx: &mut Cx<'_>, core: &SaCore, suite: &IkeSuite) {
    if !cx.config.export_keys {
        return;
    }
    cx.out.event(Event::IkeKeys(key_log(core, suite)));
}

/// The same for an IKE SA that is not authenticated yet, each time its keys change.
pub(crate) fn export_handshake_keys(cx: &mut Cx<'_>, core: &SaCore) {
    if let Some(suite) = core.suite.as_ref().filter(|_| cx.config.export_keys) {
        cx.out.event(Event::HandshakeKeys(key_log(core, suite)));
    }
}

fn key_log(core: &SaCore, suite: &IkeSuite) -> Arc<IkeKeyLog> {
    let k = &core.keys;
    Arc::new(IkeKeyLog {
        sa: core.id,
        spis: (core.spi_i, core.spi_r),
        encr: suite.encr,
        integ: suite.integ,
        sk_ei: k.ei().into(),
        sk_er: k.er().into(),
        sk_ai: k.ai().into(),
        sk_ar: k.ar().into(),
    })
}

/// The IKE suite was chosen for a candidate known by address alone; the entry it turned out to be must allow it too.
fn check_suite(core: &SaCore, peer: &Peer) -> Result<(), Reason> {
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    let allowed = peer.proposals.iter().any(|p| {
        p.encr.contains(&suite.encr)
            && p.prf.contains(&suite.prf.id())
            && p.ke.contains(&suite.ke)
            && (p.integ.contains(&suite.integ) || suite.encr.id.is_aead())
    });
    if allowed {
        return Ok(());
    }
    let ours = peer.proposals.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
    Err(Reason::NoProposal { ours, theirs: suite.to_string() })
}

/// An identity as an ID payload.
fn to_wire(id: &Identity) -> Identification {
    Identification::new(crate::registry::IdType(id.kind.0), id.data.clone())
}

/// An ID payload as an identity.
fn from_wire(id: &Identification) -> Identity {
    Identity::new(IdKind(id.kind.0), id.data.clone())
}
