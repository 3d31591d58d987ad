//! Where PPKs come from: the PAD, or whoever drives the endpoint, so that a key-distribution system can feed them, each
//! of them for one use if it likes (RFC 8784, RFC 9867). What is done with them: `auth/ppk.rs` (IKE_AUTH),
//! `intermediate.rs` (IKE_INTERMEDIATE), `create_ppk.rs` (CREATE_CHILD_SA).

use super::{Cx, SaCore};
use crate::ask::{Answer, Ask, Halt};
use crate::error::Reason;
use crate::ext::ppk::PpkUse;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::{Peer, PpkSource};

/// A post-quantum preshared key and its name.
#[derive(Clone, Debug)]
pub struct Ppk {
    /// PPK_ID: type octet and value (RFC 8784 §5.1).
    pub id: Vec<u8>,
    /// The key.
    pub secret: Arc<Secret>,
}

/// True when we may have a PPK for this peer to begin with.
#[must_use]
pub fn may_have(cx: &Cx<'_>, peer: &Peer) -> bool {
    match peer.ppk_source {
        PpkSource::Asked => true,
        PpkSource::Configured => {
            peer.ppk.as_ref().is_some_and(|id| cx.config.asks || cx.db.pad.secrets.ppk(id).is_some())
        }
    }
}

/// True when we may know a PPK that the peer names.
#[must_use]
pub fn may_know(cx: &Cx<'_>, peer: &Peer) -> bool {
    cx.db.pad.secrets.ppks().next().is_some() || may_have(cx, peer)
}

/// The PPK with this PPK_ID: from the PAD, or asked for.
///
/// # Errors
/// [`Halt::Ask`] when somebody must be asked first.
pub fn by_id(cx: &Cx<'_>, core: &SaCore, id: &[u8]) -> Result<Option<Ppk>, Halt> {
    let found = |secret| Some(Ppk { id: id.to_vec(), secret });
    if let Some(secret) = cx.db.pad.secrets.ppk(id) {
        return Ok(found(Arc::clone(secret)));
    }
    if !cx.config.asks && core.profile.ppk_source != PpkSource::Asked {
        return Ok(None);
    }
    match core.answers.to(Ask::Ppk { id: id.to_vec() }) {
        Ok(Answer::Secret(secret)) => Ok(found(Arc::new(secret.clone()))),
        Ok(_) | Err(Halt::Refuse(_)) => Ok(None),
        Err(ask) => Err(ask),
    }
}

/// The PPK that we begin with: the one of the PAD entry, or the next one of a key-distribution system.
///
/// # Errors
/// [`Halt::Ask`] when somebody must be asked first.
pub fn own(cx: &Cx<'_>, core: &SaCore, peer: &Peer) -> Result<Option<Ppk>, Halt> {
    match peer.ppk_source {
        PpkSource::Configured => peer.ppk.as_ref().map_or(Ok(None), |id| by_id(cx, core, id)),
        PpkSource::Asked => match core.answers.to(next_of(core, peer)) {
            Ok(Answer::Ppk { id, secret }) => Ok(Some(Ppk { id: id.clone(), secret: Arc::new(secret.clone()) })),
            Ok(_) | Err(Halt::Refuse(_)) => Ok(None),
            Err(ask) => Err(ask),
        },
    }
}

/// The question for the next PPK. Whoever is established has been given a name; before, the PAD entry says ours.
fn next_of(core: &SaCore, peer: &Peer) -> Ask {
    let local = core.local_id().unwrap_or(&peer.local_id).clone();
    Ask::NextPpk { local, remote: core.remote_id.clone(), peer: peer.name.clone() }
}

/// A PPK that policy demands is missing.
#[must_use]
pub fn missing(peer: &Peer) -> Reason {
    let kind = "common post-quantum preshared key, which policy demands (RFC 8784, RFC 9867)";
    Reason::NoCredential { kind, identity: peer.name.clone() }
}

/// True when RFC 9867 was agreed on in IKE_SA_INIT.
pub(super) fn is_9867(core: &SaCore) -> bool {
    core.agreed.ppk == PpkUse::Intermediate
}
