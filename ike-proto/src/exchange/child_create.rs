//! CREATE_CHILD_SA for a new Child SA (RFC 7296 §1.3.1), with or without a key exchange of its own.

use super::child::{self, ChildFailure, ChildOffer};
use super::sa_init::NONCE_LEN;
use super::{Cx, Draft, InFlight, Inbound, Reply, SaCore, Step, notify};
use crate::error::Reason;
use crate::event::Event;
use crate::registry::{NotifyType, ProtocolId};
use crate::wire::payload::{Nonce, Payload};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_sa_db::{PacketKey, PolicyId};

/// Our CREATE_CHILD_SA request on the wire.
#[derive(Debug)]
pub struct CreateChild {
    offer: ChildOffer,
    ni: Vec<u8>,
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
        let (offer, mut draft) = child::offer(cx, core, policy, packet, true)?;
        let ni = cx.random(NONCE_LEN);
        draft.insert(1, Payload::Nonce(Nonce { data: ni.clone() }));
        Ok((InFlight::CreateChild(Box::new(Self { offer, ni })), draft))
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
    pub fn response(self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Step {
        let policy = self.offer.policy();
        let Err(failure) = self.finish(cx, core, msg) else { return Step::Done };
        cx.out.event(Event::ChildRefused { sa: core.id, policy: Some(policy), reason: failure.reason.clone() });
        if failure.must_delete { Step::FailAndTell(failure.reason, None) } else { Step::Done }
    }

    fn finish(mut self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<(), ChildFailure> {
        let (p, secret) = (&msg.payloads, self.offer.take_secret());
        if let Some(error) = p.error().filter(|_| p.sa().is_none()) {
            self.give_back(cx);
            let reason = Reason::PeerRefused { notify: error.kind, authenticated: true, during: "CREATE_CHILD_SA" };
            return Err(ChildFailure { notify: error.kind, data: Vec::new(), reason, must_delete: false });
        }
        let nr = p.nonce().map(|n| n.data.clone()).unwrap_or_default();
        let shared = match (secret, p.ke()) {
            (Some((group, secret)), Some(ke)) if ke.method == group => match secret.0.finish(&ke.data) {
                Ok(shared) => alloc::vec![shared],
                Err(e) => {
                    self.give_back(cx);
                    let reason = Reason::BadKeyExchange { detail: e.to_string() };
                    return Err(ChildFailure {
                        notify: NotifyType::INVALID_SYNTAX,
                        data: Vec::new(),
                        reason,
                        must_delete: true,
                    });
                }
            },
            _ => Vec::new(),
        };
        child::accept(cx, core, self.offer, msg, &self.ni, &nr, &shared).map(|_| ())
    }
}

/// Answers a CREATE_CHILD_SA request.
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Reply {
    let p = &msg.payloads;
    let rekeys_ike = p.sa().is_some_and(|sa| sa.proposals.iter().any(|p| p.protocol == ProtocolId::IKE));
    if rekeys_ike || p.notify(NotifyType::REKEY_SA).is_some() {
        return Reply::stay(alloc::vec![notify(NotifyType::NO_ADDITIONAL_SAS, Vec::new())]);
    }
    let Some(ni) = p.nonce().map(|n| n.data.clone()) else {
        let detail = "CREATE_CHILD_SA request without a nonce (RFC 7296 section 1.3.1)".to_string();
        return Reply::refuse(NotifyType::INVALID_SYNTAX, Reason::Malformed { detail });
    };
    let nr = cx.random(NONCE_LEN);
    match child::answer(cx, core, msg, &ni, &nr, true) {
        Ok(mut draft) => {
            draft.insert(1, Payload::Nonce(Nonce { data: nr }));
            Reply::stay(draft)
        }
        Err(failure) => {
            cx.out.event(Event::ChildRefused { sa: core.id, policy: None, reason: failure.reason });
            Reply::stay(alloc::vec![notify(failure.notify, failure.data)])
        }
    }
}
