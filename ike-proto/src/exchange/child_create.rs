//! CREATE_CHILD_SA for a new Child SA (RFC 7296 §1.3.1), with or without a key exchange of its own. [`Making`] is what
//! a new Child SA and a rekeyed one (`child_rekey.rs`) have in common as initiator.

use super::child::{self, ChildFailure, ChildOffer};
use super::sa_init::NONCE_LEN;
use super::{Cx, Draft, InFlight, Inbound, Reply, SaCore, Step, notify};
use crate::error::Reason;
use crate::event::Event;
use crate::registry::NotifyType;
use crate::wire::payload::{Nonce, Payload};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::KeId;
use ravelin_sa_db::{ChildId, PacketKey, PolicyId};

/// Retries with another key exchange method before the attempt is given up.
const MAX_RETRIES: u8 = 4;

/// The initiator's side of a CREATE_CHILD_SA exchange for a Child SA.
#[derive(Debug)]
pub struct Making {
    offer: ChildOffer,
    ni: Vec<u8>,
    retries: u8,
}

/// What came of it.
#[derive(Debug)]
pub enum Made {
    /// The pair is installed; with the lower of the two nonces (RFC 7296 §2.8.1).
    Child(ChildId, Vec<u8>),
    /// The peer wants another key exchange method.
    Again(Making, Draft),
    /// It was not made; nothing is left of it.
    Failed(ChildFailure),
}

impl Making {
    /// Adds the nonce to an offer.
    pub fn begin(cx: &mut Cx<'_>, offer: ChildOffer, mut draft: Draft) -> (Self, Draft) {
        let ni = cx.random(NONCE_LEN);
        draft.push(Payload::Nonce(Nonce { data: ni.clone() }));
        (Self { offer, ni, retries: 0 }, draft)
    }

    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.offer.policy()
    }

    /// Frees what was reserved for an attempt that ended.
    pub fn give_back(&self, cx: &Cx<'_>) {
        self.offer.give_back(cx);
    }

    /// Takes the answer.
    pub fn finish(mut self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Made {
        let p = &msg.payloads;
        if let Some(error) = p.error().filter(|_| p.sa().is_none()) {
            let group = error.data.as_slice().try_into().ok().map(u16::from_be_bytes).map(KeId);
            let wanted = group.filter(|g| error.kind == NotifyType::INVALID_KE_PAYLOAD && self.may_retry(*g));
            if let Some(Ok(mut draft)) = wanted.map(|g| self.offer.regroup(cx, g)) {
                draft.push(Payload::Nonce(Nonce { data: self.ni.clone() }));
                self.retries = self.retries.saturating_add(1);
                return Made::Again(self, draft);
            }
            self.give_back(cx);
            let reason = Reason::PeerRefused { notify: error.kind, authenticated: true, during: "CREATE_CHILD_SA" };
            return Made::Failed(ChildFailure { notify: error.kind, data: Vec::new(), reason, must_delete: false });
        }
        match self.accept(cx, core, msg) {
            Ok((child, lowest)) => Made::Child(child, lowest),
            Err(failure) => Made::Failed(failure),
        }
    }

    fn may_retry(&self, group: KeId) -> bool {
        self.retries < MAX_RETRIES && self.offer.group() != Some(group)
    }

    fn accept(
        mut self,
        cx: &mut Cx<'_>,
        core: &mut SaCore,
        msg: &Inbound<'_>,
    ) -> Result<(ChildId, Vec<u8>), ChildFailure> {
        let p = &msg.payloads;
        let nr = p.nonce().map(|n| n.data.clone()).unwrap_or_default();
        let shared = match (self.offer.take_secret(), p.ke()) {
            (Some((group, secret)), Some(ke)) if ke.method == group => match secret.0.finish(&ke.data) {
                Ok(shared) => alloc::vec![shared],
                Err(e) => {
                    self.give_back(cx);
                    let reason = Reason::BadKeyExchange { detail: e.to_string() };
                    let notify = NotifyType::INVALID_SYNTAX;
                    return Err(ChildFailure { notify, data: Vec::new(), reason, must_delete: true });
                }
            },
            _ => Vec::new(),
        };
        let Self { offer, ni, .. } = self;
        let child = child::accept(cx, core, offer, msg, &ni, &nr, &shared)?;
        Ok((child, ni.min(nr)))
    }
}

/// Our CREATE_CHILD_SA request for a new Child SA on the wire.
#[derive(Debug)]
pub struct CreateChild {
    making: Making,
    packet: Option<PacketKey>,
}

impl CreateChild {
    /// Asks for a Child SA for `policy`.
    ///
    /// # Errors
    /// When the policy is gone or not usable.
    pub fn request(
        cx: &mut Cx<'_>,
        core: &SaCore,
        policy: PolicyId,
        packet: Option<PacketKey>,
    ) -> Result<(InFlight, Draft), Reason> {
        let (offer, draft) = child::offer(cx, core, policy, packet, true)?;
        let (making, draft) = Making::begin(cx, offer, draft);
        Ok((InFlight::CreateChild(Box::new(Self { making, packet })), draft))
    }

    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.making.policy()
    }

    /// The packet that called for it.
    #[must_use]
    pub fn packet(&self) -> Option<PacketKey> {
        self.packet
    }

    /// Frees what was reserved for an attempt that ended.
    pub fn give_back(&self, cx: &Cx<'_>) {
        self.making.give_back(cx);
    }

    /// Takes the answer.
    pub fn response(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Step {
        let (policy, packet) = (self.policy(), self.packet);
        let failure = match self.making.finish(cx, core, msg) {
            Made::Child(..) => return Step::Done,
            Made::Again(making, draft) => {
                return Step::Next(InFlight::CreateChild(Box::new(Self { making, packet })), draft);
            }
            Made::Failed(failure) => failure,
        };
        // A busy peer is asked again (RFC 7296 §2.25); that is no refusal yet.
        if failure.notify != NotifyType::TEMPORARY_FAILURE {
            cx.out.event(Event::ChildRefused { sa: core.id, policy: Some(policy), reason: failure.reason.clone() });
        }
        if failure.must_delete { Step::FailAndTell(failure.reason, None) } else { Step::Done }
    }
}

/// Answers a CREATE_CHILD_SA request for a new Child SA.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Reply {
    let ni = match peers_nonce(msg) {
        Ok(ni) => ni,
        Err(reply) => return reply,
    };
    let nr = cx.random(NONCE_LEN);
    match child::answer(cx, core, msg, &ni, &nr, true) {
        Ok(mut draft) => {
            draft.push(Payload::Nonce(Nonce { data: nr }));
            Reply::stay(draft)
        }
        Err(failure) => refuse(cx, core, failure),
    }
}

/// The nonce of a request, or what is said to one without.
pub(super) fn peers_nonce(msg: &Inbound<'_>) -> Result<Vec<u8>, Reply> {
    msg.payloads.nonce().map(|n| n.data.clone()).ok_or_else(|| {
        let detail = "CREATE_CHILD_SA request without a nonce (RFC 7296 section 1.3.1)".to_string();
        Reply::refuse(NotifyType::INVALID_SYNTAX, Reason::Malformed { detail })
    })
}

/// A refusal, told to the operator and in short to the peer.
pub(super) fn refuse(cx: &mut Cx<'_>, core: &SaCore, failure: ChildFailure) -> Reply {
    // INVALID_KE_PAYLOAD is the way to a common method, not a refusal (RFC 7296 §1.3.1).
    if failure.notify != NotifyType::INVALID_KE_PAYLOAD {
        cx.out.event(Event::ChildRefused { sa: core.id, policy: None, reason: failure.reason });
    }
    Reply::stay(alloc::vec![notify(failure.notify, failure.data)])
}
