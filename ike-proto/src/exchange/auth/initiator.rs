//! IKE_AUTH as initiator. Each stage knows which response alone may come; nothing is installed before the responder's
//! AUTH of the last stage is verified. EAP as client runs between the first request and the last.

use super::super::child::{self, ChildOffer};
use super::super::child_create::CreateChild;
use super::super::{Cx, Draft, InFlight, Inbound, Resume, SaCore, Step, auth_lifetime, configure, notify};
use super::proof::{self, Claim};
use super::{agree, common_notifies, credential, establish, from_wire, malformed, ppk, rounds, to_wire};
use crate::ask::Halt;
use crate::eap::{Client, ClientVerdict};
use crate::error::Reason;
use crate::event::Event;
use crate::ids::Role;
use crate::keys::SkKeys;
use crate::registry::NotifyType;
use crate::wire::payload::{Certificate, Eap, Identification, Payload};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::{AuthMethod, Childless, EapMethod, Identity, Peer};
use ravelin_sa_db::{PacketKey, PolicyId};

/// Our IKE_AUTH request on the wire.
#[derive(Debug)]
pub struct Auth {
    /// The Child SA that was asked for; none for an IKE SA alone (RFC 6023).
    child: Option<ChildOffer>,
    /// The Child SA that is asked for afterwards (RFC 6023).
    later: First,
    /// The packet that called for the Child SA.
    packet: Option<PacketKey>,
    /// Our PPK_ID, and the keys with our PPK in them (RFC 8784), for the case that the responder has it too.
    ppk: Option<ppk::Own>,
    /// We are to prove ourselves once more (RFC 4739), as this entry has it.
    second: Option<Box<Peer>>,
    /// The responder is to prove itself once more, and has not yet.
    owed: bool,
    /// Who we say that we are, in the round under way.
    id: Identity,
    stage: Stage,
}

/// Which response is awaited.
#[derive(Debug)]
enum Stage {
    /// IDr and AUTH: we have proved ourselves.
    Proof,
    /// IDr, the responder's own AUTH unless EAP alone is allowed, and the first EAP packet.
    EapFirst(Box<Client>),
    /// The next EAP packet.
    Eap(Box<Client>, Box<Identification>),
    /// AUTH by the key that EAP made, or by SK_pr without one.
    EapProof(Option<Secret>, Box<Identification>),
    /// The answer to our second proof, or to an empty request for the responder's.
    Second,
}

impl Auth {
    /// Proves our identity, or asks for EAP by leaving AUTH out, and asks for the first Child SA.
    ///
    /// # Errors
    /// When there is no credential or the policy is gone, or somebody must be asked.
    pub fn request(
        cx: &mut Cx<'_>,
        core: &mut SaCore,
        first: Option<(PolicyId, Option<PacketKey>)>,
    ) -> Result<(InFlight, Draft), Halt> {
        let peer = Arc::clone(&core.profile);
        let mut draft = Draft::with_capacity(16);
        draft.push(Payload::IdInitiator(to_wire(&peer.local_id)));
        // With EAP it goes with the last AUTH, but whoever must be asked for it is asked now.
        let (ppk, mut stage) = (ppk::own(cx, core, &peer)?, Stage::Proof);
        if peer.local_auth == AuthMethod::Eap {
            ppk::satisfied(core.ppk_used || ppk.is_some(), &peer)?;
            stage = Stage::EapFirst(Box::new(eap_client(cx, core, &peer)?));
            if peer.eap.alone {
                draft.push(notify(NotifyType::EAP_ONLY_AUTHENTICATION, Vec::new()));
            }
        } else {
            draft.extend(ppk::prove(cx, core, &peer, ppk.as_ref())?);
        }
        let (second, owed) = (rounds::ours(core, &peer)?, peer.second.remote.is_some());
        if peer.second.is_wanted() {
            draft.push(notify(NotifyType::MULTIPLE_AUTH_SUPPORTED, Vec::new()));
        }
        if second.is_some() {
            draft.push(notify(NotifyType::ANOTHER_AUTH_FOLLOWS, Vec::new()));
        }
        draft.extend(credential::certificate_request(cx, &peer));
        if !core.agreed.said.auth_methods.is_empty() {
            draft.extend(credential::announcements(cx, &peer));
        }
        draft.extend(peer.remote_id.exact().map(|id| Payload::IdResponder(to_wire(id))));
        draft.extend(common_notifies(cx, core));
        draft.extend(configure::request(core));
        if core.peer.is_some_and(|p| cx.initial_contact(p)) {
            draft.push(notify(NotifyType::INITIAL_CONTACT, Vec::new()));
        }
        let packet = first.and_then(|(_, packet)| packet);
        let (first, later) = childless(core, first)?;
        let child = match first {
            Some((policy, packet)) => {
                let (offer, payloads) = child::offer(cx, core, policy, packet, false)?;
                draft.extend(payloads);
                Some(offer)
            }
            None => None,
        };
        core.answers.clear();
        let id = peer.local_id.clone();
        Ok((InFlight::Auth(Box::new(Self { child, later, packet, ppk, second, owed, id, stage })), draft))
    }

    /// The second proof, or the beginning of EAP; and what is awaited then.
    fn prove_again(
        cx: &mut Cx<'_>,
        core: &SaCore,
        keys: &SkKeys,
        peer: &Peer,
        idr: &Identification,
    ) -> Result<(Stage, Draft), Halt> {
        let mut draft = alloc::vec![Payload::IdInitiator(to_wire(&peer.local_id))];
        if peer.local_auth == AuthMethod::Eap {
            let mut client = eap_client(cx, core, peer)?;
            client.server_is_proved();
            return Ok((Stage::Eap(Box::new(client), Box::new(idr.clone())), draft));
        }
        draft.extend(proof::make(cx, core, keys, peer, Role::Initiator, Some(&from_wire(idr)))?);
        Ok((Stage::Second, draft))
    }

    /// Takes the response that this stage waits for.
    pub fn response(mut self: Box<Self>, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Step {
        match self.take(cx, core, msg) {
            Ok(Some(draft)) => Step::Next(InFlight::Auth(self), draft),
            Ok(None) => self.finish(cx, core, msg),
            Err(Halt::Ask(ask)) => {
                let payloads = msg.payloads.clone();
                Step::Wait(Resume::Response { auth: self, header: msg.header, payloads, path: msg.path }, ask)
            }
            Err(Halt::Refuse(reason)) => {
                self.give_back(cx);
                core.answers.clear();
                let refused_by_peer = msg.notify(NotifyType::AUTHENTICATION_FAILED).is_some();
                match reason {
                    Reason::PeerRefused { .. } => Step::Fail(reason),
                    // EAP-Failure beside the refusal (RFC 7296 §2.16): the IKE SA is gone there, nobody is left to be told.
                    Reason::Eap { .. } if refused_by_peer => Step::Fail(reason),
                    Reason::Malformed { .. } | Reason::Unexpected { .. } => {
                        Step::FailAndTell(reason, Some(NotifyType::INVALID_SYNTAX))
                    }
                    _ => Step::FailAndTell(reason, Some(NotifyType::AUTHENTICATION_FAILED)),
                }
            }
        }
    }

    /// Our next request, or nothing when the responder is proved.
    fn take(&mut self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Option<Draft>, Halt> {
        let p = &msg.payloads;
        match &mut self.stage {
            Stage::Proof => {
                let (Some(idr), Some(_), None) = (p.id_responder(), p.auth(), p.eap()) else {
                    return Err(refused(msg, "expected IDr and AUTH").into());
                };
                let keys = ppk::taken(self.ppk.as_ref(), core, msg)?;
                let in_force = keys.as_ref().unwrap_or(&core.keys);
                verify_responder(cx, core, in_force, idr, msg)?;
                rounds::as_wanted(self.owed, msg)?;
                let next = match &self.second {
                    Some(peer) => Some(Self::prove_again(cx, core, in_force, peer, idr)?),
                    // Nothing is left to say for us; the responder goes on in its answer.
                    None => self.owed.then(|| (Stage::Second, Draft::new())),
                };
                core.remote_id = Some(from_wire(idr));
                self.use_ppk(core, keys);
                let Some((stage, draft)) = next else { return Ok(None) };
                if let Some(peer) = self.second.take() {
                    self.id = peer.local_id;
                }
                self.stage = stage;
                core.answers.clear();
                Ok(Some(draft))
            }
            Stage::Second if p.error().is_some_and(|n| !of_child(n.kind)) => Err(refused(msg, "").into()),
            Stage::Second if self.owed => {
                rounds::verify(cx, core, msg)?;
                self.owed = false;
                if p.eap().is_some() {
                    return Err(malformed("EAP after the second authentication of the responder").into());
                }
                Ok(None)
            }
            Stage::Second => match (p.eap(), p.auth(), p.id_responder()) {
                (None, None, None) => Ok(None),
                _ => Err(refused(msg, "expected the end of the second authentication (RFC 4739)").into()),
            },
            Stage::EapFirst(client) => {
                let (Some(idr), Some(packet)) = (p.id_responder(), p.eap()) else {
                    return Err(refused(msg, "expected IDr and EAP").into());
                };
                if p.auth().is_none() && !core.profile.eap.alone {
                    let expected = "an AUTH payload of the server (RFC 7296 section 2.16)".to_string();
                    return Err(Reason::WrongAuthMethod { expected, came: "EAP alone (RFC 5998)".to_string() }.into());
                }
                if p.auth().is_some() {
                    verify_responder(cx, core, &core.keys, idr, msg)?;
                    client.server_is_proved();
                } else {
                    is_expected(&core.profile, idr)?;
                }
                let idr = Box::new(idr.clone());
                let verdict = client.take(packet, cx.rng);
                self.eap_step(core, verdict, idr)
            }
            Stage::Eap(client, idr) => {
                if self.owed {
                    // As our second authentication begins by EAP, the responder gives its own (RFC 4739 §2.2).
                    let second = rounds::verify(cx, core, msg)?;
                    self.owed = false;
                    **idr = second;
                } else if p.id_responder().is_some() || p.auth().is_some() {
                    return Err(refused(msg, "expected EAP").into());
                }
                let Some(packet) = p.eap() else { return Err(refused(msg, "expected EAP").into()) };
                let (verdict, idr) = (client.take(packet, cx.rng), idr.clone());
                self.eap_step(core, verdict, idr)
            }
            Stage::EapProof(msk, idr) => {
                let (Some(auth), None, None) = (p.auth(), p.id_responder(), p.eap()) else {
                    return Err(refused(msg, "expected AUTH").into());
                };
                let keys = ppk::taken(self.ppk.as_ref(), core, msg)?;
                let in_force = keys.as_ref().unwrap_or(&core.keys);
                proof::verify_key(core, in_force, Role::Responder, idr, auth, msk.as_ref())?;
                // With two authentications it is who the first one proved.
                core.remote_id.get_or_insert_with(|| from_wire(idr));
                self.use_ppk(core, keys);
                Ok(None)
            }
        }
    }

    /// What follows what the EAP client made of a packet.
    fn eap_step(
        &mut self,
        core: &SaCore,
        verdict: ClientVerdict,
        idr: Box<Identification>,
    ) -> Result<Option<Draft>, Halt> {
        match verdict {
            ClientVerdict::Reply(packet) => {
                let stage = core::mem::replace(&mut self.stage, Stage::Proof);
                self.stage = match stage {
                    Stage::EapFirst(client) | Stage::Eap(client, _) => Stage::Eap(client, idr),
                    other => other,
                };
                Ok(Some(alloc::vec![Payload::Eap(packet)]))
            }
            ClientVerdict::Success(msk) => {
                let draft = ppk::prove_by_eap(core, &to_wire(&self.id), self.ppk.as_ref(), msk.as_ref())?;
                self.stage = Stage::EapProof(msk, idr);
                Ok(Some(draft))
            }
            ClientVerdict::Failure(detail) => Err(Reason::Eap { user: self.id.to_string(), detail }.into()),
        }
    }

    /// The responder is proved: the IKE SA is up, and the Child SA if it agrees.
    fn finish(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Step {
        core.answers.clear();
        agree(core, msg);
        establish(cx, core, false);
        configure::take(cx, core, msg);
        auth_lifetime::read(cx, core, msg);
        let mut pair = None;
        if let Some(offer) = self.child {
            let (ni, nr) = (core.opening.ni.clone(), core.opening.nr.clone());
            let policy = offer.policy();
            match child::accept(cx, core, offer, msg, &ni, &nr) {
                Ok(_) => {}
                Err(f) if f.notify == NotifyType::SINGLE_PAIR_REQUIRED && !f.must_delete => pair = Some(policy),
                Err(failure) => {
                    let (tell, reason) = (failure.must_delete, failure.reason);
                    let told = reason.clone();
                    cx.out.event(Event::ChildRefused { sa: core.id, policy: Some(policy), reason: told });
                    if tell {
                        return Step::FailAndTell(reason, None);
                    }
                }
            }
        }
        core.forget_opening();
        // A PPK, where one is agreed on, has just come into the keys.
        let (policy, next) = match (pair, self.later) {
            // At once with one pair of addresses (RFC 7296 §2.9).
            (Some(policy), _) => (policy, CreateChild::request_pair(cx, core, policy, self.packet, None)),
            (None, Some((policy, packet))) => (policy, CreateChild::request(cx, core, policy, packet, None)),
            (None, None) => return Step::Done,
        };
        match next {
            Ok((inflight, draft)) => Step::Next(inflight, draft),
            Err(reason) => {
                cx.out.event(Event::ChildRefused { sa: core.id, policy: Some(policy), reason });
                Step::Done
            }
        }
    }

    /// Puts the keys with the PPK in them into force, once the responder is proved. What follows has no other.
    fn use_ppk(&mut self, core: &mut SaCore, keys: Option<SkKeys>) {
        self.ppk = None;
        if let Some(keys) = keys {
            core.keys = keys;
            core.ppk_used = true;
        }
    }

    /// The policy of the Child SA that was asked for.
    #[must_use]
    pub fn policy(&self) -> Option<PolicyId> {
        self.child.as_ref().map(ChildOffer::policy).or(self.later.map(|(policy, _)| policy))
    }

    /// Frees what was reserved for an attempt that ended.
    pub fn give_back(&self, cx: &mut Cx<'_>) {
        if let Some(offer) = &self.child {
            offer.give_back(cx);
        }
    }
}

/// Refusals of a Child SA alone: the IKE SA is up (RFC 7296 §1.2).
fn of_child(kind: NotifyType) -> bool {
    matches!(
        kind,
        NotifyType::NO_PROPOSAL_CHOSEN
            | NotifyType::TS_UNACCEPTABLE
            | NotifyType::SINGLE_PAIR_REQUIRED
            | NotifyType::INTERNAL_ADDRESS_FAILURE
            | NotifyType::FAILED_CP_REQUIRED
            | NotifyType::NO_ADDITIONAL_SAS
    )
}

/// A policy, and the packet that called for it.
type First = Option<(PolicyId, Option<PacketKey>)>;

/// What is asked for at once, and what after the IKE SA is up alone (RFC 6023).
fn childless(core: &SaCore, first: First) -> Result<(First, First), Reason> {
    match first {
        None if !core.agreed.childless => Err(Reason::Configuration {
            detail: "the peer sets up no IKE SA without a Child SA (RFC 6023); initiate with a policy".to_string(),
        }),
        Some(child) if core.agreed.childless && core.profile.childless == Childless::Prefer => Ok((None, Some(child))),
        first => Ok((first, None)),
    }
}

/// The EAP client of a PAD entry.
fn eap_client(cx: &Cx<'_>, core: &SaCore, peer: &Peer) -> Result<Client, Reason> {
    let user = match &peer.eap.identity {
        Some(user) => user.as_bytes().to_vec(),
        None => peer.local_id.data.clone(),
    };
    let password = cx.db.pad.secrets.eap(&user).cloned();
    // Certificates alone need none.
    let needless = peer.eap.methods.iter().all(|m| matches!(m, EapMethod::Tls | EapMethod::Aka | EapMethod::AkaPrime));
    let password = password.or_else(|| needless.then(Arc::default)).ok_or_else(|| Reason::NoCredential {
        kind: "EAP password",
        identity: peer.eap.identity.clone().unwrap_or_else(|| peer.local_id.to_string()),
    })?;
    let client = Client::new(&peer.eap.methods, user, password, peer.eap.alone).with_ttls(&peer.eap.ttls);
    let client = match cx.db.pad.secrets.aka() {
        Some(source) => client.with_aka(source, cx.crypto, &peer.eap.network),
        None => client,
    };
    #[cfg(feature = "tls")]
    let client = {
        let server = peer.eap.server.clone().or_else(|| peer.remote_id.exact().cloned());
        client.with_tls(credential::tls(cx, core, peer, server))
    };
    let _ = core;
    Ok(client)
}

/// A response that this stage does not wait for: an error notify, or nonsense. It came under SK keys, so it is the
/// peer's own word.
pub(super) fn refused(msg: &Inbound<'_>, expected: &str) -> Reason {
    match msg.payloads.error() {
        Some(n) => Reason::PeerRefused { notify: n.kind, authenticated: true, during: "IKE_AUTH" },
        None => malformed(&format!("IKE_AUTH response: {expected}")),
    }
}

fn is_expected(peer: &Peer, idr: &Identification) -> Result<(), Reason> {
    let remote = from_wire(idr);
    if peer.remote_id.matches(&remote) {
        return Ok(());
    }
    Err(Reason::WrongIdentity { expected: peer.remote_id.to_string(), came: remote.to_string() })
}

fn verify_responder(
    cx: &Cx<'_>,
    core: &SaCore,
    keys: &SkKeys,
    idr: &Identification,
    msg: &Inbound<'_>,
) -> Result<(), Halt> {
    let peer = &core.profile;
    is_expected(peer, idr)?;
    let auth = msg.payloads.auth().ok_or_else(|| refused(msg, "expected AUTH"))?;
    let certs = certificates(msg);
    let claim = Claim { role: Role::Responder, id: idr, auth, certs: &certs, allowed: &peer.remote_auth };
    proof::verify(cx, core, keys, peer, claim)
}

/// The CERT payloads of a message.
pub(super) fn certificates<'m>(msg: &'m Inbound<'_>) -> Vec<&'m Certificate> {
    msg.payloads.iter().filter_map(|p| if let Payload::Cert(c) = p { Some(c) } else { None }).collect()
}

/// An EAP packet as a payload of a message alone.
pub(super) fn alone(packet: Eap) -> Draft {
    alloc::vec![Payload::Eap(packet)]
}
