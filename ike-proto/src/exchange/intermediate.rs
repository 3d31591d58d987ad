//! IKE_INTERMEDIATE (RFC 9242): between IKE_SA_INIT and IKE_AUTH, one exchange per additional key exchange (RFC 9370
//! §2.2.2), and one for a post-quantum preshared key (RFC 9867). Each gives new SK_* keys; the transcript enters AUTH.
//!
//! The answer is still sealed with the old keys: the new ones wait in `SaCore::next_keys` until it is sent.

use super::ppk::{self as source, Ppk};
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
use alloc::vec::Vec;
use ravelin_crypto::{CryptoError, KeId, Secret};
use ravelin_sa_db::{PacketKey, PolicyId};

/// Our IKE_INTERMEDIATE request on the wire.
#[derive(Debug)]
pub struct Intermediate {
    /// The additional key exchange that it carries.
    ke: Option<(KeId, SecretHalf)>,
    /// It carries the name of our PPK.
    ppk: Option<Ppk>,
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
        return Ok((InFlight::Intermediate(Box::new(Intermediate { ke, ppk: None, first })), draft));
    }
    if core.pending.ppk {
        if let Some(own) = source::own(cx, core, &core.profile)? {
            let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
            let data = ppk::identity_key(suite.prf, &own.id, &own.secret, seeds(core));
            let draft = alloc::vec![notify(NotifyType::PPK_IDENTITY_KEY, data)];
            return Ok((InFlight::Intermediate(Box::new(Intermediate { ke: None, ppk: Some(own), first })), draft));
        }
        if core.profile.ppk_required {
            return Err(source::missing(&core.profile).into());
        }
        core.pending.ppk = false;
    }
    super::auth::Auth::request(cx, core, first)
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
        match self.finish(core, msg) {
            Ok(()) => {
                super::auth::export_handshake_keys(cx, core);
                next_step(cx, core, first)
            }
            Err(reason) => Step::Fail(reason),
        }
    }

    fn finish(self, core: &mut SaCore, msg: &Inbound<'_>) -> Result<(), Reason> {
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
        if let Some(own) = self.ppk {
            core.pending.ppk = false;
            let confirmed = msg.notify(NotifyType::PPK_IDENTITY).is_some_and(|n| n.data == own.id);
            if confirmed {
                core.keys = with_ppk(core, &core.keys, &own.secret)?;
                core.ppk_used = true;
            } else if core.profile.ppk_required {
                return Err(source::missing(&core.profile));
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
    let seed = skeyseed_additional(suite.prf, core.keys.d(), shared, &core.opening.ni, &core.opening.nr);
    Ok(SkKeys::derive(suite.prf, suite.key_lengths(), &seed, seeds(core))?)
}

fn with_ppk(core: &SaCore, keys: &SkKeys, secret: &Secret) -> Result<SkKeys, Reason> {
    let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    Ok(ppk::mix_intermediate(suite.prf, secret, keys, suite.key_lengths(), seeds(core))?)
}

/// Answers a request.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Reply {
    // First what may have to be asked for: the request is then run again from the start.
    let named = match named_ppk(cx, core, msg) {
        Ok(named) => named,
        Err(Halt::Ask(ask)) => return Reply { draft: Draft::new(), after: After::Wait(ask) },
        Err(Halt::Refuse(reason)) => return Reply::refuse(NotifyType::AUTHENTICATION_FAILED, reason),
    };
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
    if let Some(found) = named {
        core.pending.ppk = false;
        if let Some(Ppk { id, secret }) = found {
            match with_ppk(core, keys.as_ref().unwrap_or(&core.keys), &secret) {
                Ok(new) => {
                    draft.push(notify(NotifyType::PPK_IDENTITY, id));
                    keys = Some(new);
                    core.ppk_used = true;
                }
                Err(reason) => return Reply::refuse(NotifyType::INVALID_SYNTAX, reason),
            }
        }
    }
    core.next_keys = keys.map(Box::new);
    Reply { draft, after: After::Stay }
}

/// The first PPK of the request that we have (RFC 9867 §3.1); none: an empty answer, or the end when policy asks for
/// one. `None` when the request is not about PPKs.
fn named_ppk(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<Option<Option<Ppk>>, Halt> {
    let offers = msg.payloads.notifies().filter(|n| n.kind == NotifyType::PPK_IDENTITY_KEY);
    let offers: Vec<&[u8]> = offers.map(|n| n.data.as_slice()).take(8).collect();
    if core.agreed.ppk != PpkUse::Intermediate || offers.is_empty() {
        return Ok(None);
    }
    let suite = core.suite.as_ref().ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    for (id, confirmation) in offers.into_iter().filter_map(ppk::split) {
        let Some(found) = source::by_id(cx, core, id)? else { continue };
        if ppk::confirms(suite.prf, &found.secret, confirmation, seeds(core)) {
            return Ok(Some(Some(found)));
        }
    }
    if core.profile.ppk_required { Err(source::missing(&core.profile).into()) } else { Ok(Some(None)) }
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
