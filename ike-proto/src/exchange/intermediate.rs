//! IKE_INTERMEDIATE (RFC 9242): between IKE_SA_INIT and IKE_AUTH, one exchange per additional key exchange (RFC 9370
//! §2.2.2), and one for a post-quantum preshared key (RFC 9867). Each gives new SK_* keys; the transcript enters AUTH.
//!
//! The answer is still sealed with the old keys: the new ones wait in `SaCore::next_keys` until it is sent.

use super::sa_init::{SecretHalf, key_pair};
use super::{After, Cx, Draft, InFlight, Inbound, Reply, Resume, SaCore, Step, notify};
use crate::ask::Halt;
use crate::error::Reason;
use crate::ext::ppk::{self, PpkUse};
use crate::keys::sk_schedule::{Seeds, SkKeys, skeyseed_additional};
use crate::registry::NotifyType;
use crate::wire::payload::{KeyExchange, Payload};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoError, KeId, Secret};
use ravelin_sa_db::{PacketKey, PolicyId};

/// Our IKE_INTERMEDIATE request on the wire.
#[derive(Debug)]
pub struct Intermediate {
    /// The additional key exchange that it carries.
    ke: Option<(KeId, SecretHalf)>,
    /// It carries our PPK_ID.
    ppk: bool,
    /// The Child SA that the attempt is for.
    first: Option<(PolicyId, Option<PacketKey>)>,
}

/// [`next`] as a step.
pub fn next_step(cx: &mut Cx<'_>, core: &mut SaCore, first: Option<(PolicyId, Option<PacketKey>)>) -> Step {
    match next(cx, core, first) {
        Ok((inflight, draft)) => Step::Next(inflight, draft),
        Err(Halt::Ask(ask)) => Step::Wait(Resume::Request(first), ask),
        Err(Halt::Refuse(reason)) => Step::Fail(reason),
    }
}

/// The next request between IKE_SA_INIT and an established SA: an IKE_INTERMEDIATE while something is pending, then
/// IKE_AUTH.
///
/// # Errors
/// When a method or credential is missing.
pub fn next(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    first: Option<(PolicyId, Option<PacketKey>)>,
) -> Result<(InFlight, Draft), Halt> {
    if let Some(method) = core.pending.ke.first().copied() {
        let (secret, public) = key_pair(cx, method)?;
        let ke = Some((method, secret));
        let draft = alloc::vec![Payload::Ke(KeyExchange::new(method, public))];
        return Ok((InFlight::Intermediate(Box::new(Intermediate { ke, ppk: false, first })), draft));
    }
    if core.pending.ppk {
        let (id, secret) = ppk::own(&core.profile, &cx.db.pad.secrets).ok_or_else(|| no_ppk(core))?;
        let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
        let data = ppk::identity_key(suite.prf, &id, &secret, seeds(core));
        let draft = alloc::vec![notify(NotifyType::PPK_IDENTITY_KEY, data)];
        return Ok((InFlight::Intermediate(Box::new(Intermediate { ke: None, ppk: true, first })), draft));
    }
    super::auth::Auth::request(cx, core, first)
}

fn no_ppk(core: &SaCore) -> Reason {
    Reason::NoCredential { kind: "post-quantum preshared key (RFC 8784)", identity: core.profile.name.clone() }
}

/// Nonces and SPIs of this SA.
pub(crate) fn seeds(core: &SaCore) -> Seeds<'_> {
    Seeds { ni: &core.opening.ni, nr: &core.opening.nr, spi_i: core.spi_i, spi_r: core.spi_r }
}

impl Intermediate {
    /// The policy of the Child SA that the attempt is for.
    #[must_use]
    pub fn first_policy(&self) -> Option<PolicyId> {
        self.first.as_ref().map(|(policy, _)| *policy)
    }

    /// Takes the answer, changes the keys, and goes on.
    pub fn response(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Step {
        let first = self.first;
        match self.finish(cx, core, msg) {
            Ok(()) => next_step(cx, core, first),
            Err(reason) => Step::Fail(reason),
        }
    }

    fn finish(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<(), Reason> {
        if let Some(error) = msg.payloads.error() {
            return Err(Reason::PeerRefused { notify: error.kind, authenticated: true, during: "IKE_INTERMEDIATE" });
        }
        if let Some((method, secret)) = self.ke {
            let ke = msg.payloads.ke().filter(|k| k.method == method);
            let ke = ke.ok_or_else(|| malformed(&format!("expected a KE payload of {method}")))?;
            let shared =
                secret.0.finish(&ke.data).map_err(|e| Reason::BadKeyExchange { detail: format!("{method}: {e}") })?;
            core.keys = additional(core, &shared)?;
            core.pending.ke.remove(0);
        }
        if self.ppk {
            core.pending.ppk = false;
            let own = ppk::own(&core.profile, &cx.db.pad.secrets).ok_or_else(|| no_ppk(core))?;
            let confirmed = msg.notify(NotifyType::PPK_IDENTITY).is_some_and(|n| n.data == own.0);
            if confirmed {
                core.keys = with_ppk(core, &core.keys, &own.1)?;
                core.ppk_used = true;
            } else if core.profile.ppk_required {
                return Err(Reason::NoCredential {
                    kind: "common post-quantum preshared key (RFC 9867)",
                    identity: core.profile.name.clone(),
                });
            }
        }
        Ok(())
    }
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed { detail: format!("IKE_INTERMEDIATE: {what} (RFC 9370 section 2.2.2)") }
}

/// All SK_* anew after an additional key exchange.
fn additional(core: &SaCore, shared: &Secret) -> Result<SkKeys, Reason> {
    let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    let seed = skeyseed_additional(suite.prf, &core.keys.d, shared, &core.opening.ni, &core.opening.nr);
    Ok(SkKeys::derive(suite.prf, suite.key_lengths(), &seed, seeds(core))?)
}

fn with_ppk(core: &SaCore, keys: &SkKeys, secret: &Secret) -> Result<SkKeys, Reason> {
    let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    Ok(ppk::mix_intermediate(suite.prf, secret, keys, suite.key_lengths(), seeds(core))?)
}

/// Answers a request.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Reply {
    let mut draft = Draft::new();
    let mut keys = None;
    if let Some(ke) = msg.payloads.ke() {
        match respond_ke(cx, core, ke) {
            Ok((payload, new)) => {
                draft.push(payload);
                keys = Some(new);
            }
            Err(reason) => return Reply::refuse(NotifyType::INVALID_SYNTAX, reason),
        }
    } else if !core.pending.ke.is_empty() {
        return Reply::refuse(NotifyType::INVALID_SYNTAX, malformed("expected a KE payload"));
    }
    let offers: Vec<&[u8]> = msg
        .payloads
        .notifies()
        .filter(|n| n.kind == NotifyType::PPK_IDENTITY_KEY)
        .map(|n| n.data.as_slice())
        .take(8)
        .collect();
    if core.agreed.ppk == PpkUse::Intermediate && !offers.is_empty() {
        match respond_ppk(cx, core, keys.as_ref(), &offers) {
            Ok(Some((payload, new))) => {
                draft.push(payload);
                keys = Some(new);
                core.ppk_used = true;
            }
            Ok(None) => {}
            Err(reason) => return Reply::refuse(NotifyType::AUTHENTICATION_FAILED, reason),
        }
        core.pending.ppk = false;
    }
    core.next_keys = keys;
    Reply { draft, after: After::Stay }
}

fn respond_ke(cx: &mut Cx<'_>, core: &mut SaCore, ke: &KeyExchange) -> Result<(Payload, SkKeys), Reason> {
    let Some(wanted) = core.pending.ke.first().copied().filter(|m| *m == ke.method) else {
        return Err(malformed(&format!("unexpected key exchange {}", ke.method)));
    };
    let method = cx.crypto.ke(wanted).ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    let (public, shared) =
        method.respond(cx.rng, &ke.data).map_err(|e| Reason::BadKeyExchange { detail: format!("{wanted}: {e}") })?;
    let keys = additional(core, &shared)?;
    core.pending.ke.remove(0);
    Ok((Payload::Ke(KeyExchange::new(wanted, public)), keys))
}

/// The first PPK of the offer that we have (RFC 9867 §3.1). None: an empty answer, or the end when policy asks for one.
fn respond_ppk(
    cx: &Cx<'_>,
    core: &SaCore,
    keys: Option<&SkKeys>,
    offers: &[&[u8]],
) -> Result<Option<(Payload, SkKeys)>, Reason> {
    let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    let found = offers.iter().find_map(|data| ppk::find(suite.prf, &cx.db.pad.secrets, data, seeds(core)));
    match found {
        Some((id, secret)) => {
            let keys = with_ppk(core, keys.unwrap_or(&core.keys), &secret)?;
            Ok(Some((notify(NotifyType::PPK_IDENTITY, id), keys)))
        }
        None if core.profile.ppk_required => Err(Reason::NoCredential {
            kind: "post-quantum preshared key that the peer offers (RFC 9867)",
            identity: "the peer".to_string(),
        }),
        None => Ok(None),
    }
}
