//! CREATE_CHILD_SA for a new Child SA (RFC 7296 §1.3.1), with or without a key exchange of its own. [`Making`] is what
//! a new Child SA and a rekeyed one (`child_rekey.rs`) have in common as initiator.

use super::child::{self, ChildFailure, ChildOffer, Material, Plan, Prepared};
use super::create_ppk;
use super::followup_ke::{Chain, Turn, Unfinished, What};
use super::ppk::Ppk;
use super::sa_init::NONCE_LEN;
use super::{Cx, Draft, InFlight, Inbound, Reply, SaCore, Step, notify};
use crate::error::Reason;
use crate::event::Event;
use crate::registry::NotifyType;
use crate::wire::payload::{Nonce, Payload};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use ravelin_crypto::{KeId, Secret};
use ravelin_sa_db::{ChildId, PacketKey, PolicyId};

/// Retries with another key exchange method before the attempt is given up.
const MAX_RETRIES: u8 = 4;

/// The initiator's side of a CREATE_CHILD_SA exchange for a Child SA, and of the IKE_FOLLOWUP_KE after it.
#[derive(Debug)]
pub struct Making {
    offer: ChildOffer,
    ni: Vec<u8>,
    ppk: Option<Ppk>,
    retries: u8,
    follow: Option<Box<Follow>>,
}

/// What is known once CREATE_CHILD_SA is over and more key exchanges are due (RFC 9370 §2.2.4).
#[derive(Debug)]
struct Follow {
    plan: Plan,
    nr: Vec<u8>,
    chain: Chain,
}

/// What came of it.
#[derive(Debug)]
pub enum Made {
    /// The pair is installed; with the lower of the two nonces (RFC 7296 §2.8.1).
    Child(ChildId, Vec<u8>),
    /// An additional key exchange is due; with the lower of the two nonces.
    More(Making, Draft, Vec<u8>),
    /// The peer wants another key exchange method.
    Again(Making, Draft),
    /// It was not made; nothing is left of it.
    Failed(ChildFailure),
}

impl Making {
    /// Adds the nonce, and a PPK where one is to be mixed in, to an offer.
    pub fn begin(
        cx: &mut Cx<'_>,
        core: &SaCore,
        offer: ChildOffer,
        mut draft: Draft,
        ppk: Option<Ppk>,
    ) -> (Self, Draft) {
        let ni = cx.random(NONCE_LEN);
        let making = Self { offer, ni, ppk, retries: 0, follow: None };
        draft.extend(making.common(core));
        (making, draft)
    }

    /// What every form of the request carries.
    fn common(&self, core: &SaCore) -> Draft {
        let mut draft = alloc::vec![Payload::Nonce(Nonce { data: self.ni.clone() })];
        draft.extend(self.ppk.as_ref().and_then(|ppk| create_ppk::offer(core, ppk, &self.ni)));
        draft
    }

    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.offer.policy()
    }

    /// True when IKE_FOLLOWUP_KE is on the wire.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follow.is_some()
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
                draft.extend(self.common(core));
                self.retries = self.retries.saturating_add(1);
                return Made::Again(self, draft);
            }
            self.give_back(cx);
            let during = if self.follows() { "IKE_FOLLOWUP_KE" } else { "CREATE_CHILD_SA" };
            let reason = Reason::PeerRefused { notify: error.kind, authenticated: true, during };
            return Made::Failed(ChildFailure { notify: error.kind, data: Vec::new(), reason, must_delete: false });
        }
        let spi = self.offer.spi_in();
        let result = match self.follow.take() {
            Some(follow) => self.turn(cx, core, *follow, msg),
            None => self.accept(cx, core, msg),
        };
        result.unwrap_or_else(|failure| {
            cx.db.spis.release(spi);
            Made::Failed(failure)
        })
    }

    fn may_retry(&self, group: KeId) -> bool {
        self.follow.is_none() && self.retries < MAX_RETRIES && self.offer.group() != Some(group)
    }

    fn accept(mut self, cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>) -> Result<Made, ChildFailure> {
        let p = &msg.payloads;
        let nr = p.nonce().map(|n| n.data.clone()).unwrap_or_default();
        let plan = child::agree(cx, core, &self.offer, msg)?;
        self.ppk = create_ppk::confirmed(core, self.ppk.take(), msg).map_err(ChildFailure::broken)?;
        let shared = match (self.offer.take_secret(), p.ke()) {
            (Some((group, secret)), Some(ke)) if ke.method == group => {
                let shared = secret.0.finish(&ke.data);
                let bad = |e| ChildFailure::broken(Reason::BadKeyExchange { detail: format!("{group}: {e}") });
                alloc::vec![shared.map_err(bad)?]
            }
            _ => Vec::new(),
        };
        let methods = plan.additional();
        if methods.is_empty() {
            return self.conclude(cx, core, plan, &nr, &shared);
        }
        if shared.is_empty() {
            let detail = "expected a KE payload (RFC 9370 section 2.2.4)".to_string();
            return Err(ChildFailure::broken(Reason::Malformed { detail }));
        }
        let (chain, draft) = Chain::begin(cx, methods, shared, msg).map_err(ChildFailure::broken)?;
        let lowest = self.ni.clone().min(nr.clone());
        self.follow = Some(Box::new(Follow { plan, nr, chain }));
        Ok(Made::More(self, draft, lowest))
    }

    fn turn(
        mut self,
        cx: &mut Cx<'_>,
        core: &mut SaCore,
        follow: Follow,
        msg: &Inbound<'_>,
    ) -> Result<Made, ChildFailure> {
        let Follow { plan, nr, chain } = follow;
        match chain.turn(cx, msg).map_err(ChildFailure::broken)? {
            Turn::Done(shared) => self.conclude(cx, core, plan, &nr, &shared),
            Turn::Next(chain, draft) => {
                let lowest = self.ni.clone().min(nr.clone());
                self.follow = Some(Box::new(Follow { plan, nr, chain }));
                Ok(Made::More(self, draft, lowest))
            }
        }
    }

    fn conclude(
        self,
        cx: &mut Cx<'_>,
        core: &mut SaCore,
        plan: Plan,
        nr: &[u8],
        shared: &[Secret],
    ) -> Result<Made, ChildFailure> {
        let ppk = self.ppk.as_ref().map(|p| &*p.secret);
        let child = child::conclude(cx, core, plan, &Material { ni: &self.ni, nr, shared, ppk })?;
        Ok(Made::Child(child, self.ni.min(nr.to_vec())))
    }
}

/// Agrees on a Child SA as responder, and installs it or waits for IKE_FOLLOWUP_KE; in place of `old`, or as a new one.
/// The new pair, when it is installed already, comes beside the answer, and the lower nonce.
///
/// # Errors
/// A [`ChildFailure`] with the notify for the peer.
pub(super) fn answer(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
    ni: Vec<u8>,
    old: Option<ChildId>,
    ppk: Option<Ppk>,
) -> Result<(Draft, Option<ChildId>, Vec<u8>), ChildFailure> {
    let nr = cx.random(NONCE_LEN);
    let Prepared { mut draft, plan, shared } = child::prepare(cx, core, msg, old, true)?;
    draft.push(Payload::Nonce(Nonce { data: nr.clone() }));
    draft.extend(ppk.as_ref().map(create_ppk::answer));
    let (methods, lowest) = (plan.additional(), ni.clone().min(nr.clone()));
    if methods.is_empty() {
        let secret = ppk.as_ref().map(|p| &*p.secret);
        let new = child::conclude(cx, core, plan, &Material { ni: &ni, nr: &nr, shared: &shared, ppk: secret })?;
        return Ok((draft, Some(new), lowest));
    }
    let what = What::Child(Box::new(plan), old);
    draft.push(Unfinished::keep(cx, core, what, methods, (ni, nr), shared, ppk.map(|p| p.secret))?);
    Ok((draft, None, lowest))
}

/// Our CREATE_CHILD_SA request for a new Child SA on the wire.
#[derive(Debug)]
pub struct CreateChild {
    making: Making,
    packet: Option<PacketKey>,
    /// It asks for one pair of addresses, since the peer said so.
    single: bool,
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
        ppk: Option<Ppk>,
    ) -> Result<(InFlight, Draft), Reason> {
        let offered = child::offer(cx, core, policy, packet, true)?;
        Ok(Self::begin(cx, core, offered, packet, ppk, false))
    }

    /// Asks for a Child SA for one pair of addresses of `policy`, after SINGLE_PAIR_REQUIRED (RFC 7296 §2.9).
    ///
    /// # Errors
    /// When the policy is gone, not usable, or has no such pair.
    pub fn request_pair(
        cx: &mut Cx<'_>,
        core: &SaCore,
        policy: PolicyId,
        packet: Option<PacketKey>,
        ppk: Option<Ppk>,
    ) -> Result<(InFlight, Draft), Reason> {
        let offered = child::offer_pair(cx, core, policy, packet)?;
        Ok(Self::begin(cx, core, offered, packet, ppk, true))
    }

    fn begin(
        cx: &mut Cx<'_>,
        core: &SaCore,
        (offer, draft): (ChildOffer, Draft),
        packet: Option<PacketKey>,
        ppk: Option<Ppk>,
        single: bool,
    ) -> (InFlight, Draft) {
        let (making, draft) = Making::begin(cx, core, offer, draft, ppk);
        (InFlight::CreateChild(Box::new(Self { making, packet, single })), draft)
    }

    /// The policy that it is for.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.making.policy()
    }

    /// True when IKE_FOLLOWUP_KE is on the wire.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.making.follows()
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
        let (policy, packet, single) = (self.policy(), self.packet, self.single);
        let ppk = self.making.ppk.clone();
        let mut failure = match self.making.finish(cx, core, msg) {
            Made::Child(..) => return Step::Done,
            Made::Again(making, draft) | Made::More(making, draft, _) => {
                return Step::Next(InFlight::CreateChild(Box::new(Self { making, packet, single })), draft);
            }
            Made::Failed(failure) => failure,
        };
        // Once: who is asked for one pair and wants one pair all the same is not asked again (RFC 7296 §2.9).
        if failure.notify == NotifyType::SINGLE_PAIR_REQUIRED && !failure.must_delete && !single {
            match Self::request_pair(cx, core, policy, packet, ppk) {
                Ok((inflight, draft)) => return Step::Next(inflight, draft),
                Err(reason) => failure.reason = reason,
            }
        }
        // A busy or forgetful peer is asked again (RFC 7296 §2.25, RFC 9370 §2.2.4); that is no refusal yet.
        if !matches!(failure.notify, NotifyType::TEMPORARY_FAILURE | NotifyType::STATE_NOT_FOUND) {
            cx.out.event(Event::ChildRefused { sa: core.id, policy: Some(policy), reason: failure.reason.clone() });
        }
        if failure.must_delete { Step::FailAndTell(failure.reason, None) } else { Step::Done }
    }
}

/// Answers a CREATE_CHILD_SA request for a new Child SA. `ppk` is the one that the request names (RFC 9867 §3.2).
pub fn respond(cx: &mut Cx<'_>, core: &mut SaCore, msg: &Inbound<'_>, ppk: Option<Ppk>) -> Reply {
    let ni = match peers_nonce(msg) {
        Ok(ni) => ni,
        Err(reply) => return reply,
    };
    match answer(cx, core, msg, ni, None, ppk) {
        Ok((draft, ..)) => Reply::stay(draft),
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
pub(crate) fn refuse(cx: &mut Cx<'_>, core: &SaCore, failure: ChildFailure) -> Reply {
    // INVALID_KE_PAYLOAD is the way to a common method, not a refusal (RFC 7296 §1.3.1).
    if failure.notify != NotifyType::INVALID_KE_PAYLOAD {
        cx.out.event(Event::ChildRefused { sa: core.id, policy: None, reason: failure.reason });
    }
    Reply::stay(alloc::vec![notify(failure.notify, failure.data)])
}
