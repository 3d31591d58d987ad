//! IKE_AUTH (RFC 7296 §1.2, §2.15): both sides prove who they are, and the first Child SA is made.
//!
//! The responder proves nothing and installs nothing before the initiator's AUTH is verified; the initiator installs
//! nothing before the responder's is. A Child SA that fails leaves the IKE SA up (§1.2).

use super::auth_lifetime;
use super::child::{self, ChildFailure, ChildOffer};
use super::{After, Cx, Draft, Effect, IkeSuite, InFlight, Inbound, Reply, SaCore, Step, notify};
use super::{configure, mobility};
use crate::auth::{psk, signed_octets::SignedOctets};
use crate::error::Reason;
use crate::event::{Established, Event, IkeKeyLog};
use crate::ext::ppk::{self, PpkUse};
use crate::ids::Role;
use crate::keys::SkKeys;
use crate::registry::{AuthMethod as WireMethod, NotifyType};
use crate::wire::payload::{Authentication, Identification, Payload};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::{AuthMethod, IdKind, Identity, Peer, TranscriptAuth};
use ravelin_sa_db::{PacketKey, PeerId, PolicyId};

/// Our IKE_AUTH request on the wire.
#[derive(Debug)]
pub struct Auth {
    /// The Child SA that was asked for; none for an IKE SA alone (RFC 6023).
    child: Option<ChildOffer>,
    /// Keys with our PPK in them (RFC 8784), for the case that the responder has it too.
    ppk_keys: Option<SkKeys>,
}

impl Auth {
    /// Proves our identity and asks for the first Child SA.
    ///
    /// # Errors
    /// When there is no credential or the policy is gone.
    pub fn request(
        cx: &mut Cx<'_>,
        core: &mut SaCore,
        first: Option<(PolicyId, Option<PacketKey>)>,
    ) -> Result<(InFlight, Draft), Reason> {
        let peer = Arc::clone(&core.profile);
        let idi = to_wire(&peer.local_id);
        let secret = shared_key(cx, &peer, peer.remote_id.exact())?;
        let mixed = own_ppk(cx, core, &peer)?;
        let auth = sign(core, mixed.as_ref().map_or(&core.keys, |(_, keys)| keys), Role::Initiator, &idi, &secret)?;
        let plain = sign(core, &core.keys, Role::Initiator, &idi, &secret)?;
        core.local_id = Some(peer.local_id.clone());
        let mut draft = alloc::vec![Payload::IdInitiator(idi), auth];
        draft.extend(peer.remote_id.exact().map(|id| Payload::IdResponder(to_wire(id))));
        draft.extend(common_notifies(cx, core));
        draft.extend(configure::request(core));
        if let Some((id, _)) = &mixed {
            draft.push(notify(NotifyType::PPK_IDENTITY, id.clone()));
            if !peer.ppk_required
                && let Payload::Auth(plain) = plain
            {
                draft.push(notify(NotifyType::NO_PPK_AUTH, plain.data));
            }
        }
        if core.peer.is_some_and(|p| cx.initial_contact(p)) {
            draft.push(notify(NotifyType::INITIAL_CONTACT, Vec::new()));
        }
        let child = match first {
            Some((policy, packet)) => {
                let (offer, payloads) = child::offer(cx, core, policy, packet, false)?;
                draft.extend(payloads);
                Some(offer)
            }
            None => None,
        };
        Ok((InFlight::Auth(Box::new(Self { child, ppk_keys: mixed.map(|(_, keys)| keys) })), draft))
    }

    /// Verifies the responder and installs the Child SA.
    pub fn response(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Step {
        let (Some(idr), Some(auth)) = (msg.payloads.id_responder(), msg.payloads.auth()) else {
            self.give_back(cx);
            return refused(msg);
        };
        if let Err(reason) = self.take_ppk(core, msg).and_then(|()| verify_responder(cx, core, idr, auth)) {
            self.give_back(cx);
            return Step::FailAndTell(reason, Some(NotifyType::AUTHENTICATION_FAILED));
        }
        agree(core, msg);
        establish(cx, core, false);
        configure::take(cx, core, msg);
        auth_lifetime::read(cx, core, msg);
        if let Some(offer) = self.child {
            let (ni, nr) = (core.opening.ni.clone(), core.opening.nr.clone());
            let policy = offer.policy();
            if let Err(failure) = child::accept(cx, core, offer, msg, &ni, &nr, &[]) {
                let tell = failure.must_delete;
                cx.out.event(Event::ChildRefused { sa: core.id, policy: Some(policy), reason: failure.reason.clone() });
                if tell {
                    return Step::FailAndTell(failure.reason, None);
                }
            }
        }
        core.opening = super::Opening::default();
        Step::Done
    }

    /// The responder says by PPK_IDENTITY that it used the PPK (RFC 8784 §3).
    fn take_ppk(&self, core: &mut SaCore, msg: &Inbound<'_>) -> Result<(), Reason> {
        match &self.ppk_keys {
            Some(keys) if msg.notify(NotifyType::PPK_IDENTITY).is_some() => {
                core.keys = keys.clone();
                core.ppk_used = true;
            }
            _ => {}
        }
        ppk_satisfied(core, &core.profile)
    }

    /// The policy of the Child SA that was asked for.
    #[must_use]
    pub fn policy(&self) -> Option<PolicyId> {
        self.child.as_ref().map(ChildOffer::policy)
    }

    /// Frees what was reserved for an attempt that ended.
    pub fn give_back(&self, cx: &mut Cx<'_>) {
        if let Some(offer) = &self.child {
            offer.give_back(cx);
        }
    }
}

/// A response without IDr and AUTH: an error notify, or nonsense. It came under SK keys, so it is the peer's own word.
fn refused(msg: &Inbound<'_>) -> Step {
    let reason = match msg.payloads.error() {
        Some(n) => Reason::PeerRefused { notify: n.kind, authenticated: true, during: "IKE_AUTH" },
        None => {
            return Step::FailAndTell(
                malformed("IKE_AUTH response without IDr and AUTH"),
                Some(NotifyType::INVALID_SYNTAX),
            );
        }
    };
    Step::Fail(reason)
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed { detail: format!("{what} (RFC 7296 section 1.2)") }
}

fn verify_responder(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    idr: &Identification,
    auth: &Authentication,
) -> Result<(), Reason> {
    let remote = from_wire(idr);
    let peer = Arc::clone(&core.profile);
    if !peer.remote_id.matches(&remote) {
        return Err(Reason::WrongIdentity { expected: peer.remote_id.to_string(), came: remote.to_string() });
    }
    verify(cx, core, &core.keys, &peer, Role::Responder, idr, auth)?;
    core.remote_id = Some(remote);
    Ok(())
}

/// Answers the peer's IKE_AUTH request.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Reply {
    let idi = msg.payloads.id_initiator();
    let (Some(idi), Some(auth)) = (idi, msg.payloads.auth()) else {
        let reason = match idi {
            Some(_) => Reason::WrongAuthMethod {
                expected: "an AUTH payload".to_string(),
                came: "none: the peer wants EAP".to_string(),
            },
            None => malformed("IKE_AUTH request without IDi"),
        };
        return Reply::refuse(NotifyType::AUTHENTICATION_FAILED, reason);
    };
    if !core.pending.ke.is_empty() {
        let detail = "IKE_AUTH before the additional key exchanges are done (RFC 9370 section 2.2.2)".to_string();
        return Reply::refuse(NotifyType::INVALID_SYNTAX, Reason::Unexpected { detail });
    }
    let (id, peer) = match authenticate_initiator(cx, core, msg, idi, auth) {
        Ok(found) => found,
        Err(reason) => return Reply::refuse(NotifyType::AUTHENTICATION_FAILED, reason),
    };
    let own = match answer_auth(cx, core, &peer) {
        Ok(own) => own,
        Err(reason) => return Reply::refuse(NotifyType::AUTHENTICATION_FAILED, reason),
    };
    if !mobility::nats_are_fine(msg) {
        let detail = "a NAT stands between, and the peer allows none (RFC 4555 section 3.9)".to_string();
        return Reply::refuse(NotifyType::UNEXPECTED_NAT_DETECTED, Reason::Unexpected { detail });
    }
    core.peer = Some(id);
    core.profile = peer;
    core.remote_id = Some(from_wire(idi));
    core.path = msg.path;
    agree(core, msg);
    let mut draft = own;
    draft.extend(common_notifies(cx, core));
    draft.extend(auth_lifetime::offer(core));
    establish(cx, core, msg.notify(NotifyType::INITIAL_CONTACT).is_some());
    let (ni, nr) = (core.opening.ni.clone(), core.opening.nr.clone());
    if msg.payloads.sa().is_some() {
        let configured = configure::lease(cx, core, msg).map(|cp| draft.extend(cp));
        match configured.and_then(|()| child::answer(cx, core, msg, &ni, &nr, false)) {
            Ok(payloads) => draft.extend(payloads),
            Err(ChildFailure { notify: kind, data, reason, .. }) => {
                draft.push(notify(kind, data));
                cx.out.event(Event::ChildRefused { sa: core.id, policy: None, reason });
            }
        }
    }
    core.opening = super::Opening::default();
    Reply { draft, after: After::Stay }
}

/// Finds the PAD entry for what the initiator claims and verifies its AUTH against it.
fn authenticate_initiator(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    idi: &Identification,
    auth: &Authentication,
) -> Result<(PeerId, Arc<Peer>), Reason> {
    let (claimed, hint) = (from_wire(idi), msg.payloads.id_responder().map(from_wire));
    let found =
        cx.db.pad.find_all(hint.as_ref(), &claimed, core.path.remote.ip()).map(|(id, p)| (id, Arc::clone(p))).next();
    let (id, peer) = found
        .ok_or_else(|| Reason::UnknownPeer { claimed: claimed.to_string(), asked_for: hint.map(|h| h.to_string()) })?;
    check_suite(core, &peer)?;
    if peer.transcript_auth == TranscriptAuth::Require && !core.agreed.transcript {
        return Err(Reason::Downgrade { what: "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH".to_string() });
    }
    let mixed = peers_ppk(cx, core, msg)?;
    match (&mixed, msg.notify(NotifyType::NO_PPK_AUTH)) {
        (Some(keys), _) => verify(cx, core, keys, &peer, Role::Initiator, idi, auth)?,
        (None, Some(plain)) if core.agreed.ppk == PpkUse::Auth && msg.notify(NotifyType::PPK_IDENTITY).is_some() => {
            let plain = Authentication::new(auth.method, plain.data.clone());
            verify(cx, core, &core.keys, &peer, Role::Initiator, idi, &plain)?;
        }
        (None, _) => verify(cx, core, &core.keys, &peer, Role::Initiator, idi, auth)?,
    }
    if let Some(keys) = mixed {
        core.keys = keys;
        core.ppk_used = true;
    }
    ppk_satisfied(core, &peer)?;
    Ok((id, peer))
}

/// Our PPK and the keys with it mixed in, when RFC 8784 was agreed on.
fn own_ppk(cx: &Cx<'_>, core: &SaCore, peer: &Peer) -> Result<Option<(Vec<u8>, SkKeys)>, Reason> {
    if core.agreed.ppk != PpkUse::Auth {
        return Ok(None);
    }
    let Some((id, secret)) = ppk::own(peer, &cx.db.pad.secrets) else { return Ok(None) };
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    Ok(Some((id, ppk::mix_auth(suite.prf, &secret, &core.keys)?)))
}

/// The keys with the PPK that the initiator names, when we have it (RFC 8784 §3).
fn peers_ppk(cx: &Cx<'_>, core: &SaCore, msg: &Inbound<'_>) -> Result<Option<SkKeys>, Reason> {
    let named = msg.notify(NotifyType::PPK_IDENTITY).filter(|_| core.agreed.ppk == PpkUse::Auth);
    let Some(secret) = named.and_then(|n| cx.db.pad.secrets.ppk(&n.data)) else { return Ok(None) };
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    Ok(Some(ppk::mix_auth(suite.prf, secret, &core.keys)?))
}

/// A mandatory PPK must be in the keys.
fn ppk_satisfied(core: &SaCore, peer: &Peer) -> Result<(), Reason> {
    if peer.ppk_required && !core.ppk_used {
        let kind = "common post-quantum preshared key, which policy demands (RFC 8784, RFC 9867)";
        return Err(Reason::NoCredential { kind, identity: peer.name.clone() });
    }
    Ok(())
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

fn no_keys() -> Reason {
    Reason::Unexpected { detail: "IKE_AUTH before IKE_SA_INIT".to_string() }
}

/// IDr and AUTH of our answer.
fn answer_auth(cx: &mut Cx<'_>, core: &mut SaCore, peer: &Arc<Peer>) -> Result<Draft, Reason> {
    let idr = to_wire(&peer.local_id);
    let secret = shared_key(cx, peer, core.remote_id.as_ref().or(peer.remote_id.exact()))?;
    let auth = sign(core, &core.keys, Role::Responder, &idr, &secret)?;
    core.local_id = Some(peer.local_id.clone());
    let mut draft = alloc::vec![Payload::IdResponder(idr), auth];
    if core.ppk_used && core.agreed.ppk == PpkUse::Auth {
        draft.push(notify(NotifyType::PPK_IDENTITY, Vec::new()));
    }
    Ok(draft)
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
    let (Some(local_id), Some(remote_id), Some(peer)) = (core.local_id.clone(), core.remote_id.clone(), core.peer)
    else {
        return;
    };
    let Some(suite) = &core.suite else { return };
    export_keys(cx, core, suite);
    cx.out.event(Event::Established(Arc::new(Established {
        sa: core.id,
        peer,
        role: core.role,
        path: core.path,
        local_id,
        remote_id,
        spis: (core.spi_i, core.spi_r),
        proposal: suite.to_string(),
        nat: (core.agreed.nat.local, core.agreed.nat.remote),
    })));
    cx.effects.push(Effect::Established { initial_contact });
}

/// For Wireshark, only when asked for.
pub(crate) fn export_keys(cx: &mut Cx<'_>, core: &SaCore, suite: &IkeSuite) {
    if !cx.config.export_keys {
        return;
    }
    let k = &core.keys;
    cx.out.event(Event::IkeKeys(Arc::new(IkeKeyLog {
        sa: core.id,
        spis: (core.spi_i, core.spi_r),
        encr: suite.encr,
        integ: suite.integ,
        sk_ei: k.ei.clone(),
        sk_er: k.er.clone(),
        sk_ai: k.ai.clone(),
        sk_ar: k.ar.clone(),
    })));
}

/// The shared key between us and the peer.
fn shared_key(cx: &Cx<'_>, peer: &Peer, remote: Option<&Identity>) -> Result<Arc<Secret>, Reason> {
    if peer.local_auth != AuthMethod::Psk {
        let detail = format!("peer {} authenticates us by {}, which is not available", peer.name, peer.local_auth);
        return Err(Reason::Configuration { detail });
    }
    psk_between(cx, &peer.local_id, remote.unwrap_or(&Identity::new(IdKind::NULL, Vec::new())))
}

fn psk_between(cx: &Cx<'_>, local: &Identity, remote: &Identity) -> Result<Arc<Secret>, Reason> {
    let found = cx.db.pad.secret_for(local, remote);
    found
        .cloned()
        .ok_or_else(|| Reason::NoCredential { kind: "pre-shared key", identity: format!("{local} and {remote}") })
}

/// What `role` signs in this IKE SA.
fn octets(core: &SaCore, keys: &SkKeys, role: Role, id: &Identification) -> Result<Vec<u8>, Reason> {
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    let o = &core.opening;
    let mut rest_of_id = Vec::new();
    id.emit(&mut rest_of_id);
    let int_auth = core.int_auth.octets();
    let (real_message, other, nonce, sk_p) = match role {
        Role::Initiator => (&o.message1, &o.message2, &o.nr, &keys.pi),
        Role::Responder => (&o.message2, &o.message1, &o.ni, &keys.pr),
    };
    Ok(SignedOctets {
        real_message,
        other_message: core.agreed.transcript.then_some(other.as_slice()),
        nonce,
        sk_p,
        rest_of_id: &rest_of_id,
        int_auth: &int_auth,
    }
    .bytes(suite.prf))
}

/// Our AUTH payload.
fn sign(core: &SaCore, keys: &SkKeys, role: Role, id: &Identification, secret: &Secret) -> Result<Payload, Reason> {
    let octets = octets(core, keys, role, id)?;
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    let data = psk::sign(suite.prf, secret, &octets).expose().to_vec();
    Ok(Payload::Auth(Authentication::new(WireMethod::SHARED_KEY, data)))
}

/// Verifies the AUTH payload of the side that plays `role`.
fn verify(
    cx: &Cx<'_>,
    core: &SaCore,
    keys: &SkKeys,
    peer: &Peer,
    role: Role,
    id: &Identification,
    auth: &Authentication,
) -> Result<(), Reason> {
    let identity = from_wire(id);
    let wrong_method = || Reason::WrongAuthMethod {
        expected: peer.remote_auth.iter().map(ToString::to_string).collect::<Vec<String>>().join(" or "),
        came: auth.method.to_string(),
    };
    if auth.method != WireMethod::SHARED_KEY || !peer.remote_auth.contains(&AuthMethod::Psk) {
        return Err(wrong_method());
    }
    let secret = psk_between(cx, &peer.local_id, &identity)?;
    let octets = octets(core, keys, role, id)?;
    let suite = core.suite.as_ref().ok_or_else(no_keys)?;
    if psk::verify(suite.prf, &secret, &octets, &auth.data) {
        return Ok(());
    }
    let detail = "the AUTH value does not match; usually the pre-shared keys differ".to_string();
    Err(Reason::AuthenticationFailed { identity: identity.to_string(), detail })
}

/// An identity as an ID payload.
fn to_wire(id: &Identity) -> Identification {
    Identification::new(crate::registry::IdType(id.kind.0), id.data.clone())
}

/// An ID payload as an identity.
fn from_wire(id: &Identification) -> Identity {
    Identity::new(IdKind(id.kind.0), id.data.clone())
}
