//! The responder's half of IKE_SA_INIT: the response, a refusal, and an SA that was folded up (RFC 7296 §1.2, §2.6).

use super::extensions::{Beyond, agreed, check_required, extensions, takes};
use super::proposals::acceptable;
use super::{NONCE_LEN, Parts, USUAL, derive, derive_from};
use crate::error::Reason;
use crate::exchange::{Cx, Draft, IkeSuite, Inbound, Opening, SaCore, notify};
use crate::negotiate;
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::payload::{KeyExchange, Nonce, Payload, Proposal as WireProposal, SecurityAssociation};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::{KeId, Secret};
use ravelin_sa_db::pad::Childless;

/// What the responder says to a request that it does not take. Nothing is kept of it.
#[derive(Debug)]
pub struct Refusal {
    /// The notify to answer with; none: silence.
    pub notify: Option<Payload>,
    /// For the operator.
    pub reason: Reason,
}

impl Refusal {
    /// Why an answer that is larger than its request was not sent.
    #[must_use]
    pub fn amplifies() -> Reason {
        Reason::Limit { what: "size of an answer to a source that is not proved" }
    }

    fn new(kind: NotifyType, data: Vec<u8>, reason: Reason) -> Self {
        Self { notify: Some(notify(kind, data)), reason }
    }
}

/// Answers a request: negotiates, derives the keys, fills `core`. The caller encodes the draft and stores the octets
/// in `core.opening.message2`.
///
/// # Errors
/// A [`Refusal`]; `core` must then be thrown away.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Draft, Refusal> {
    let parts = Parts::read(msg)
        .map_err(|reason| Refusal { notify: Some(notify(NotifyType::INVALID_SYNTAX, Vec::new())), reason })?;
    let intermediate = msg.notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED).is_some();
    let ours = acceptable(cx, &core.profile.proposals, intermediate);
    let ours = ours.get(&core.profile.proposals);
    let mut chosen = match negotiate::choose(ours, parts.sa, Some(parts.ke.method), cx.config.prefer_own) {
        Ok(chosen) => chosen,
        Err(reason) => {
            // The operator is told when a notify is all that is missing.
            let with = acceptable(cx, &core.profile.proposals, true);
            let with = with.get(&core.profile.proposals);
            let only = !intermediate && negotiate::choose(with, parts.sa, Some(parts.ke.method), false).is_ok();
            let what = "INTERMEDIATE_EXCHANGE_SUPPORTED (RFC 9242), which the additional key exchange needs";
            let reason = if only { Reason::Downgrade { what: what.to_string() } } else { reason };
            return Err(Refusal::new(NotifyType::NO_PROPOSAL_CHOSEN, Vec::new(), reason));
        }
    };
    let group = chosen.ke.unwrap_or(KeId::NONE);
    if parts.ke.method != group {
        let reason = Reason::BadKeyExchange { detail: format!("asked for {group} instead of {}", parts.ke.method) };
        return Err(Refusal::new(NotifyType::INVALID_KE_PAYLOAD, group.0.to_be_bytes().to_vec(), reason));
    }
    let refuse = |reason| Refusal::new(NotifyType::INVALID_SYNTAX, Vec::new(), reason);
    let method = cx.crypto.ke(group).ok_or_else(|| refuse(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported)))?;
    let suite = IkeSuite::resolve(cx.crypto, &chosen)
        .ok_or_else(|| refuse(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported)))?;
    let (public, shared) = method
        .respond(cx.rng, &parts.ke.data)
        .map_err(|e| refuse(Reason::BadKeyExchange { detail: format!("{group}: {e}") }))?;
    let nr = cx.random(NONCE_LEN);
    let takes = takes(cx, core, msg);
    core.agreed = agreed(cx, core, msg, 0, takes);
    check_required(core, &core.agreed, !chosen.addke.is_empty()).map_err(refuse)?;
    core.opening =
        Opening { ni: parts.nonce.to_vec(), nr: nr.clone(), message1: msg.raw.to_vec(), ..Opening::default() }.into();
    derive(cx, core, suite, &shared).map_err(refuse)?;
    let mut draft = Draft::with_capacity(USUAL);
    let transforms = ::core::mem::take(&mut chosen.answer.transforms);
    let answer = WireProposal::new(chosen.answer.number, ProtocolId::IKE, Vec::new(), transforms);
    draft.push(Payload::Sa(SecurityAssociation::new(alloc::vec![answer])));
    draft.push(Payload::Ke(KeyExchange::new(group, public)));
    draft.push(Payload::Nonce(Nonce { data: nr }));
    extensions(cx, core, core.spi_r, &mut draft);
    draft.extend(takes.notifies());
    if core.profile.childless != Childless::Never {
        draft.push(notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED, Vec::new()));
    }
    // Who can be met at this address may be asked for two authentications (RFC 4739 §2.1).
    if cx.db.pad.candidates(core.path.remote.ip()).take(64).any(|(_, p)| p.second.is_wanted()) {
        draft.push(notify(NotifyType::MULTIPLE_AUTH_SUPPORTED, Vec::new()));
    }
    draft.extend(crate::exchange::auth::certificate_request(cx, &core.profile));
    draft.extend(crate::exchange::auth::announcements(cx, &core.profile));
    Ok(draft)
}

/// Fills `core` again from what was said: the request, our answer to it, and SKEYSEED.
///
/// # Errors
/// When the configuration does not allow any more what was answered.
pub fn resume(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    request: &Inbound<'_>,
    answer: &Inbound<'_>,
    seed: Secret,
) -> Result<(), Reason> {
    let (asked, said) = (Parts::read(request)?, Parts::read(answer)?);
    let intermediate = request.notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED).is_some();
    let ours = acceptable(cx, &core.profile.proposals, intermediate);
    // The answer has one transform of each type: what was chosen.
    let ours = ours.get(&core.profile.proposals);
    let chosen = negotiate::choose(ours, said.sa, Some(said.ke.method), cx.config.prefer_own)?;
    let suite =
        IkeSuite::resolve(cx.crypto, &chosen).ok_or(Reason::Crypto(ravelin_crypto::CryptoError::Unsupported))?;
    core.agreed = agreed(cx, core, request, 0, Beyond::of(answer));
    core.opening = Opening {
        ni: asked.nonce.to_vec(),
        nr: said.nonce.to_vec(),
        message1: request.raw.to_vec(),
        message2: answer.raw.to_vec(),
        ..Opening::default()
    }
    .into();
    derive_from(cx, core, suite, seed)
}
