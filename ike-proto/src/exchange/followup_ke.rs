//! IKE_FOLLOWUP_KE (RFC 9370 §2.2.4): the additional key exchanges that a CREATE_CHILD_SA exchange agreed on, one per
//! exchange, in order. [`Chain`] is the initiator's half. The responder keeps an [`Unfinished`] SA under an opaque link
//! for a bounded time; a request with a link that it does not know is answered STATE_NOT_FOUND.
//!
//! Who goes on when both sides rekey the same SA is decided in `sa/collision.rs`; what a finished SA is then done with,
//! in `sa/followup.rs`.

use super::child::{ChildFailure, Plan};
use super::ike_rekey::NewIke;
use super::sa_init::{SecretHalf, key_pair};
use super::{Cx, Draft, Inbound, Reply, SaCore, notify};
use crate::error::Reason;
use crate::event::Event;
use crate::registry::NotifyType;
use crate::wire::payload::{KeyExchange, Payload};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::{CryptoError, KeId, Secret};
use ravelin_sa_db::{ChildId, Instant};

/// Octets of our links: enough that nobody guesses the link of an earlier exchange.
const LINK_LEN: usize = 8;
/// Unfinished SAs that one IKE SA keeps for its peer.
pub const MAX_UNFINISHED: usize = 4;
/// After so many STATE_NOT_FOUND in a row the IKE SA is given up (RFC 9370 §2.2.4).
pub const MAX_LOST: u8 = 3;

/// The initiator's half: what is on the wire, what is to come, and the secrets so far.
#[derive(Debug)]
pub struct Chain {
    now: (KeId, SecretHalf),
    rest: VecDeque<KeId>,
    shared: Vec<Secret>,
}

/// What an answer leads to.
#[derive(Debug)]
pub enum Turn {
    /// The next request.
    Next(Chain, Draft),
    /// All secrets, the one of CREATE_CHILD_SA first.
    Done(Vec<Secret>),
}

impl Chain {
    /// Goes on after the CREATE_CHILD_SA response `msg`, whose key exchange gave `shared`.
    ///
    /// # Errors
    /// When the response has no link, or the provider lacks a method.
    pub fn begin(
        cx: &mut Cx<'_>,
        methods: Vec<KeId>,
        shared: Vec<Secret>,
        msg: &Inbound<'_>,
    ) -> Result<(Self, Draft), Reason> {
        match step(cx, methods.into(), shared, msg)? {
            Turn::Next(chain, draft) => Ok((chain, draft)),
            Turn::Done(_) => Err(malformed("no additional key exchange to go on with")),
        }
    }

    /// Takes the answer to the request on the wire; no error notify.
    ///
    /// # Errors
    /// When its key exchange value is refused or missing, or a link is missing: the IKE SA cannot go on.
    pub fn turn(mut self, cx: &mut Cx<'_>, msg: &Inbound<'_>) -> Result<Turn, Reason> {
        let (method, secret) = self.now;
        let ke = msg.payloads.ke().filter(|k| k.method == method);
        let ke = ke.ok_or_else(|| malformed(&format!("expected a KE payload of {method}")))?;
        let shared = secret.0.finish(&ke.data);
        self.shared.push(shared.map_err(|e| Reason::BadKeyExchange { detail: format!("{method}: {e}") })?);
        step(cx, self.rest, self.shared, msg)
    }
}

fn step(cx: &mut Cx<'_>, mut rest: VecDeque<KeId>, shared: Vec<Secret>, msg: &Inbound<'_>) -> Result<Turn, Reason> {
    let Some(method) = rest.pop_front() else { return Ok(Turn::Done(shared)) };
    let link = msg.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE).filter(|n| !n.data.is_empty());
    let link = link.ok_or_else(|| malformed("expected ADDITIONAL_KEY_EXCHANGE, since more key exchanges are due"))?;
    let (secret, public) = key_pair(cx, method)?;
    let draft = alloc::vec![
        Payload::Ke(KeyExchange::new(method, public)),
        notify(NotifyType::ADDITIONAL_KEY_EXCHANGE, link.data.clone()),
    ];
    Ok(Turn::Next(Chain { now: (method, secret), rest, shared }, draft))
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed { detail: format!("{what} (RFC 9370 section 2.2.4)") }
}

/// What the responder will make when the last exchange is done.
#[derive(Debug)]
pub enum What {
    /// A Child SA, in place of another or not.
    Child(Box<Plan>, Option<ChildId>),
    /// A new IKE SA in place of this one.
    Ike(Box<NewIke>),
}

/// An SA of the peer's asking that waits for IKE_FOLLOWUP_KE.
#[derive(Debug)]
pub struct Unfinished {
    link: Vec<u8>,
    /// Forgotten by then.
    pub until: Instant,
    rest: VecDeque<KeId>,
    /// Nonces of the CREATE_CHILD_SA exchange, initiator's and responder's.
    pub nonces: (Vec<u8>, Vec<u8>),
    /// The secrets so far.
    pub shared: Vec<Secret>,
    /// The PPK that is mixed in (RFC 9867 §3.2).
    pub ppk: Option<Arc<Secret>>,
    /// What it is to be.
    pub what: What,
}

impl Unfinished {
    /// Keeps what CREATE_CHILD_SA began; gives the notify that links the next exchange to it. One for the same old SA is
    /// forgotten: the peer begins anew.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn keep(
        cx: &mut Cx<'_>,
        core: &mut SaCore,
        what: What,
        methods: Vec<KeId>,
        nonces: (Vec<u8>, Vec<u8>),
        shared: Vec<Secret>,
        ppk: Option<Arc<Secret>>,
    ) -> Result<Payload, ChildFailure> {
        match &what {
            What::Child(_, Some(old)) => forget_child(cx, core, *old),
            What::Ike(_) => forget_ike(core),
            What::Child(_, None) => {}
        }
        if core.unfinished.len() >= MAX_UNFINISHED {
            if let What::Child(plan, _) = &what {
                plan.give_back(cx);
            }
            let reason = Reason::Limit { what: "SAs that wait for IKE_FOLLOWUP_KE" };
            return Err(ChildFailure::new(NotifyType::TEMPORARY_FAILURE, reason));
        }
        let link = cx.random(LINK_LEN);
        let payload = notify(NotifyType::ADDITIONAL_KEY_EXCHANGE, link.clone());
        let until = cx.now.mono + cx.config.followup_timeout;
        core.unfinished.push(Self { link, until, rest: methods.into(), nonces, shared, ppk, what });
        Ok(payload)
    }

    /// The lower nonce (RFC 7296 §2.8.1).
    #[must_use]
    pub fn lowest(&self) -> Vec<u8> {
        self.nonces.0.clone().min(self.nonces.1.clone())
    }

    fn give_back(&self, cx: &Cx<'_>) {
        if let What::Child(plan, _) = &self.what {
            plan.give_back(cx);
        }
    }
}

/// Answers a request. When it was the last of its chain, what is to be made comes beside the answer.
///
/// # Errors
/// The refusal to answer with.
pub fn respond(
    cx: &mut Cx<'_>,
    core: &mut SaCore,
    msg: &Inbound<'_>,
) -> Result<(Draft, Option<Box<Unfinished>>), Reply> {
    let link = msg.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE).map(|n| n.data.as_slice());
    let at = core.unfinished.iter().position(|u| Some(u.link.as_slice()) == link && u.until > cx.now.mono);
    let Some(at) = at else {
        let detail = "IKE_FOLLOWUP_KE for an exchange that is unknown or was given up (RFC 9370 section 2.2.4)";
        note(cx, core, msg, Reason::Unexpected { detail: detail.to_string() });
        return Err(Reply::stay(alloc::vec![notify(NotifyType::STATE_NOT_FOUND, Vec::new())]));
    };
    let mut open = core.unfinished.remove(at);
    match answer(cx, &mut open, msg) {
        Ok(draft) if open.rest.is_empty() => Ok((draft, Some(Box::new(open)))),
        Ok(mut draft) => {
            open.link = cx.random(LINK_LEN);
            open.until = cx.now.mono + cx.config.followup_timeout;
            draft.push(notify(NotifyType::ADDITIONAL_KEY_EXCHANGE, open.link.clone()));
            core.unfinished.push(open);
            Ok((draft, None))
        }
        Err(reason) => {
            open.give_back(cx);
            note(cx, core, msg, reason);
            Err(Reply::stay(alloc::vec![notify(NotifyType::INVALID_SYNTAX, Vec::new())]))
        }
    }
}

fn answer(cx: &mut Cx<'_>, open: &mut Unfinished, msg: &Inbound<'_>) -> Result<Draft, Reason> {
    let due = open.rest.front().copied().ok_or_else(|| malformed("nothing is due"))?;
    let ke = msg.payloads.ke().filter(|k| k.method == due);
    let ke = ke.ok_or_else(|| malformed(&format!("expected a KE payload of {due}")))?;
    let method = cx.crypto.ke(due).ok_or(Reason::Crypto(CryptoError::Unsupported))?;
    let made = method.respond(cx.rng, &ke.data);
    let (public, shared) = made.map_err(|e| Reason::BadKeyExchange { detail: format!("{due}: {e}") })?;
    open.rest.pop_front();
    open.shared.push(shared);
    Ok(alloc::vec![Payload::Ke(KeyExchange::new(due, public))])
}

fn note(cx: &mut Cx<'_>, core: &SaCore, msg: &Inbound<'_>, reason: Reason) {
    cx.out.event(Event::Noted { sa: Some(core.id), path: msg.path, reason });
}

/// The peer stopped, or begins anew, its rekeying of this Child SA.
pub fn forget_child(cx: &Cx<'_>, core: &mut SaCore, old: ChildId) {
    forget(cx, core, |u| matches!(&u.what, What::Child(_, Some(o)) if *o == old));
}

/// The peer stopped, or begins anew, its rekeying of the IKE SA.
pub fn forget_ike(core: &mut SaCore) {
    if core.awaits_ike() {
        core.unfinished.retain(|u| !matches!(u.what, What::Ike(_)));
    }
}

/// The IKE SA ends or was replaced: nothing of it is finished any more.
pub fn forget_all(cx: &Cx<'_>, core: &mut SaCore) {
    forget(cx, core, |_| true);
}

/// Forgets what the peer let lie; true when there was something.
pub fn expire(cx: &mut Cx<'_>, core: &mut SaCore) -> bool {
    let (before, now) = (core.unfinished.len(), cx.now.mono);
    forget(cx, core, |u| u.until <= now);
    let gone = before != core.unfinished.len();
    if gone {
        let reason = Reason::HalfOpenExpired;
        cx.out.event(Event::Noted { sa: Some(core.id), path: core.path, reason });
    }
    gone
}

fn forget(cx: &Cx<'_>, core: &mut SaCore, which: impl Fn(&Unfinished) -> bool) {
    if core.unfinished.is_empty() {
        return;
    }
    for gone in core.unfinished.extract_if(.., |u| which(u)) {
        gone.give_back(cx);
    }
    if core.unfinished.is_empty() {
        core.unfinished.clear();
    }
}

impl SaCore {
    /// The peer has begun to rekey this Child SA, and its IKE_FOLLOWUP_KE is awaited.
    #[must_use]
    pub fn awaits(&self, child: ChildId) -> bool {
        self.unfinished.iter().any(|u| matches!(&u.what, What::Child(_, Some(old)) if *old == child))
    }

    /// The peer has begun to rekey the IKE SA, and its IKE_FOLLOWUP_KE is awaited.
    #[must_use]
    pub fn awaits_ike(&self) -> bool {
        self.unfinished.iter().any(|u| matches!(u.what, What::Ike(_)))
    }

    /// When the first unfinished SA is forgotten.
    #[must_use]
    pub fn unfinished_until(&self) -> Instant {
        self.unfinished.iter().map(|u| u.until).min().unwrap_or(Instant::NEVER)
    }
}
