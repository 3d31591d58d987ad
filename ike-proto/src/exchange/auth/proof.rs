//! AUTH payloads: made with our credential, checked against what the PAD entry allows. Every way to be proved goes
//! through [`verify`] or, after EAP, [`verify_key`].

use super::super::{Cx, SaCore};
use super::{credential, from_wire, no_keys};
use crate::ask::{Answer, Ask, Halt};
use crate::auth::{self, null, psk, signed_octets::SignedOctets};
use crate::error::Reason;
use crate::ids::Role;
use crate::keys::SkKeys;
use crate::registry::AuthMethod as WireMethod;
use crate::wire::payload::{Authentication, Certificate, Identification, Payload};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_crypto::prf::Prf;
use ravelin_sa_db::pad::{AuthMethod, Credential, Identity, Peer, TranscriptAuth};

/// What `role` signs in this IKE SA, in one piece: for signatures.
fn octets(core: &SaCore, keys: &SkKeys, role: Role, id: &Identification) -> Result<Vec<u8>, Reason> {
    with_octets(core, keys, role, id, |_, parts| parts.concat())
}

/// The same in parts, with the PRF: for the formula of shared keys.
fn with_octets<R>(
    core: &SaCore,
    keys: &SkKeys,
    role: Role,
    id: &Identification,
    mut then: impl FnMut(&'static dyn Prf, &[&[u8]]) -> R,
) -> Result<R, Reason> {
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    let o = &core.opening;
    let mut rest_of_id = Vec::with_capacity(id.data.len().saturating_add(4));
    id.emit(&mut rest_of_id);
    let int_auth = core.int_auth.octets();
    let (real_message, other, nonce, sk_p) = match role {
        Role::Initiator => (&o.message1, &o.message2, &o.nr, keys.pi()),
        Role::Responder => (&o.message2, &o.message1, &o.ni, keys.pr()),
    };
    let signed = SignedOctets {
        real_message,
        other_message: core.agreed.transcript.then_some(other.as_slice()),
        nonce,
        sk_p,
        rest_of_id: &rest_of_id,
        int_auth: &int_auth,
    };
    let mut result = None;
    signed.with_parts(suite.prf, &mut |parts| result = Some(then(suite.prf, parts)));
    result.ok_or_else(no_keys)
}

/// SK_p of a side.
fn sk_p(keys: &SkKeys, role: Role) -> &[u8] {
    match role {
        Role::Initiator => keys.pi(),
        Role::Responder => keys.pr(),
    }
}

/// Our AUTH payload as `role`, with the CERT payloads that go with it. `remote` is the peer, as far as it is known.
pub(super) fn make(
    cx: &mut Cx<'_>,
    core: &SaCore,
    keys: &SkKeys,
    peer: &Peer,
    role: Role,
    remote: Option<&Identity>,
) -> Result<Vec<Payload>, Halt> {
    let id = super::to_wire(&peer.local_id);
    match peer.local_auth {
        AuthMethod::Psk => {
            let secret = credential::shared_key(cx, core, &peer.local_id, remote.unwrap_or(&Identity::null()))?;
            let sign = |prf: &dyn Prf, octets: &[&[u8]]| psk::sign(prf, secret.expose(), octets).expose().to_vec();
            let data = with_octets(core, keys, role, &id, sign)?;
            Ok(alloc::vec![Payload::Auth(Authentication::new(WireMethod::SHARED_KEY, data))])
        }
        AuthMethod::Null => {
            let sign = |prf: &dyn Prf, octets: &[&[u8]]| null::sign(prf, sk_p(keys, role), octets).expose().to_vec();
            let data = with_octets(core, keys, role, &id, sign)?;
            Ok(alloc::vec![Payload::Auth(Authentication::new(WireMethod::NULL, data))])
        }
        AuthMethod::Pubkey => {
            let credential = credential::own(cx, core, peer)?;
            let octets = octets(core, keys, role, &id)?;
            let mut payloads = credential::payloads(core, &credential);
            payloads.push(Payload::Auth(signature(cx, core, &credential, octets)?));
            Ok(payloads)
        }
        other => {
            let detail = format!("peer {} authenticates us by {other}, which is not possible here", peer.name);
            Err(Reason::Configuration { detail }.into())
        }
    }
}

fn signature(cx: &mut Cx<'_>, core: &SaCore, credential: &Credential, octets: Vec<u8>) -> Result<Authentication, Halt> {
    let (hashes, announced) = (&core.agreed.said.signature_hashes, &core.agreed.said.auth_methods);
    let Some((method, scheme)) = auth::choose(&credential.schemes, hashes, announced) else {
        let detail = format!("our key signs {:?}, the peer takes hashes {hashes:?}", credential.schemes);
        return Err(Reason::Configuration { detail }.into());
    };
    let signature = match &credential.key {
        Some(key) => {
            let rng: &mut dyn ravelin_crypto::CryptoRng = &mut *cx.rng;
            key.sign(scheme, rng, &[&octets]).map_err(Reason::from)?
        }
        None => match core.answers.to(Ask::Sign { public_key: credential.public_key.clone(), scheme, octets })? {
            Answer::Signature(signature) => signature.clone(),
            _ => return Err(Reason::Unanswered { why: "no signature came".to_string() }.into()),
        },
    };
    if method != WireMethod::DIGITAL_SIGNATURE {
        return Ok(Authentication::new(method, signature));
    }
    let identifier = scheme.algorithm_identifier().unwrap_or_default();
    Authentication::digital_signature(&identifier, &signature)
        .map_err(|e| Reason::Configuration { detail: e.to_string() }.into())
}

/// The kind of a method, as the PAD speaks of it.
fn kind(method: WireMethod) -> Option<AuthMethod> {
    match method {
        WireMethod::SHARED_KEY => Some(AuthMethod::Psk),
        WireMethod::NULL => Some(AuthMethod::Null),
        method if auth::is_signature(method) => Some(AuthMethod::Pubkey),
        _ => None,
    }
}

/// True when the PAD entry takes this AUTH payload's method.
pub(super) fn is_allowed(allowed: &[AuthMethod], auth: &Authentication) -> bool {
    kind(auth.method).is_some_and(|k| allowed.contains(&k))
}

/// Claims of the side that is to be proved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    /// The side.
    pub(super) role: Role,
    /// Its ID payload.
    pub(super) id: &'a Identification,
    /// Its AUTH payload.
    pub(super) auth: &'a Authentication,
    /// Its CERT payloads.
    pub(super) certs: &'a [&'a Certificate],
    /// Methods that are allowed.
    pub(super) allowed: &'a [AuthMethod],
}

/// What else an operator may look for when AUTH does not match: what this side has and the peer did not say, which may
/// have been taken out of IKE_SA_INIT on the way.
fn suspicion(core: &SaCore) -> String {
    let mut text = String::new();
    if core.profile.ppk.is_some() && !core.ppk_used {
        text.push_str("; or the post-quantum preshared key of this side was not used (USE_PPK missing, or taken out)");
    }
    if core.agreed.transcript {
        text.push_str("; or IKE_SA_INIT was changed on the way (IKE_SA_INIT_FULL_TRANSCRIPT_AUTH is in force)");
    } else if core.profile.transcript_auth != TranscriptAuth::Off {
        text.push_str("; the peer announced no IKE_SA_INIT_FULL_TRANSCRIPT_AUTH");
    }
    text
}

/// Verifies an AUTH payload: method, credential with all its constraints, and value.
pub(super) fn verify(cx: &Cx<'_>, core: &SaCore, keys: &SkKeys, peer: &Peer, claim: Claim<'_>) -> Result<(), Halt> {
    let identity = from_wire(claim.id);
    if !is_allowed(claim.allowed, claim.auth) {
        let expected = claim.allowed.iter().map(ToString::to_string).collect::<Vec<String>>().join(" or ");
        return Err(Reason::WrongAuthMethod { expected, came: claim.auth.method.to_string() }.into());
    }
    let failed = |detail: String| Reason::AuthenticationFailed { identity: identity.to_string(), detail };
    match kind(claim.auth.method) {
        Some(AuthMethod::Psk) => {
            let secret = credential::shared_key(cx, core, &peer.local_id, &identity)?;
            let check = |prf: &dyn Prf, o: &[&[u8]]| psk::verify(prf, secret.expose(), o, &claim.auth.data);
            if !with_octets(core, keys, claim.role, claim.id, check)? {
                let detail =
                    format!("the AUTH value does not match; usually the pre-shared keys differ{}", suspicion(core));
                return Err(failed(detail).into());
            }
            Ok(())
        }
        Some(AuthMethod::Null) => {
            // A name that nobody proved must not be taken for one (RFC 7619 §2.2).
            if identity != Identity::null() {
                return Err(failed("NULL authentication with a name; expected ID_NULL (RFC 7619)".into()).into());
            }
            let check = |prf: &dyn Prf, o: &[&[u8]]| null::verify(prf, sk_p(keys, claim.role), o, &claim.auth.data);
            if !with_octets(core, keys, claim.role, claim.id, check)? {
                return Err(failed("the AUTH value of NULL authentication does not match".into()).into());
            }
            Ok(())
        }
        Some(AuthMethod::Pubkey) => {
            let octets = octets(core, keys, claim.role, claim.id)?;
            let candidates = credential::keys_of(cx, core, peer, &identity, claim.certs)?;
            let mut last = String::new();
            for key in &candidates {
                match auth::verify(cx.crypto, claim.auth, key, &octets, peer.legacy_signatures) {
                    Ok(_) => return Ok(()),
                    Err(why) => last = why,
                }
            }
            Err(failed(last).into())
        }
        _ => Err(failed(format!("method {} is not known", claim.auth.method)).into()),
    }
}

/// The AUTH payload after EAP: the formula of shared keys with the MSK, or SK_p without one (RFC 7296 §2.16).
/// `keys` are those in force, with the PPK in them where one is used.
pub(super) fn make_key(
    core: &SaCore,
    keys: &SkKeys,
    role: Role,
    id: &Identification,
    msk: Option<&Secret>,
) -> Result<Authentication, Reason> {
    let key = msk.map_or(sk_p(keys, role), Secret::expose);
    let data = with_octets(core, keys, role, id, |prf, octets| psk::sign(prf, key, octets).expose().to_vec())?;
    Ok(Authentication::new(WireMethod::SHARED_KEY, data))
}

/// Checks the AUTH payload after EAP.
pub(super) fn verify_key(
    core: &SaCore,
    keys: &SkKeys,
    role: Role,
    id: &Identification,
    auth: &Authentication,
    msk: Option<&Secret>,
) -> Result<(), Reason> {
    let key = msk.map_or(sk_p(keys, role), Secret::expose);
    let check = |prf: &dyn Prf, octets: &[&[u8]]| psk::verify(prf, key, octets, &auth.data);
    if auth.method == WireMethod::SHARED_KEY && with_octets(core, keys, role, id, check)? {
        return Ok(());
    }
    let why = suspicion(core);
    let detail = format!("the AUTH value after EAP does not match its key (RFC 7296 section 2.16){why}");
    Err(Reason::AuthenticationFailed { identity: from_wire(id).to_string(), detail })
}
