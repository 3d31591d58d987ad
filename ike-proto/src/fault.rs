//! Fault injection, for tests of peers and of ourselves: what an endpoint sends is dropped, repeated, delayed, damaged, or
//! changed before it is protected. Only with feature `fault-injection`, and never in a release by accident: without debug
//! assertions the crate then refuses to compile unless `--cfg ravelin_fault_injection` says that it is meant.
//!
//! A [`Rule`] says which messages, how often and what. Changes to payloads, exchange type, flags and message id are made
//! before signing and sealing, so that the peer sees a well-sealed message that no honest node would send.
//! To add a fault: a variant of [`Fault`], an arm in `Faults::edit` or `Faults::datagram`.

#[cfg(not(any(debug_assertions, ravelin_fault_injection)))]
compile_error!(
    "feature `fault-injection` makes a node that misbehaves on purpose: not for a release. \
     If it is meant, build with RUSTFLAGS=\"--cfg ravelin_fault_injection\"."
);

use crate::registry::{ExchangeType, NotifyType, TransformType};
use crate::wire::payload::{Payload, Transform};
use crate::wire::{Flags, Header};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;
use ravelin_sa_db::{Instant, Path};

/// What goes wrong.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The datagram is lost.
    Drop,
    /// It is sent this often more.
    Duplicate(u8),
    /// With it the datagram that was sent this many before it is sent again (1: the last one).
    Replay(u8),
    /// It is sent later by this much.
    Delay(Duration),
    /// The octet at this place is changed by XOR. Places count from the IKE header; behind the end: the last octet.
    Corrupt {
        /// Which octet.
        at: u16,
        /// What is flipped in it.
        xor: u8,
    },
    /// It is cut after this many octets.
    Truncate(u16),
    /// This is added to the Length of the header, and nothing else changes.
    Length(i16),
    /// Payloads of this kind are left out.
    OmitPayload(crate::registry::PayloadType),
    /// Notifies of this type are left out.
    OmitNotify(NotifyType),
    /// This payload is added at the end.
    AddPayload(Payload),
    /// Transforms of this type are left out of every proposal.
    OmitTransform(TransformType),
    /// This transform is added to every proposal.
    AddTransform(Transform),
    /// Another exchange type.
    Exchange(ExchangeType),
    /// These flags are flipped.
    Flags(u8),
    /// This is added to the message id.
    MessageId(i32),
}

/// Which messages have a fault.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Of this exchange only.
    pub exchange: Option<ExchangeType>,
    /// Responses only, requests only.
    pub response: Option<bool>,
    /// So many that fit are let pass first.
    pub skip: u32,
    /// So many then have the fault; `u32::MAX`: all.
    pub times: u32,
    /// The fault.
    pub fault: Fault,
}

impl Rule {
    /// The fault in every message.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { exchange: None, response: None, skip: 0, times: u32::MAX, fault }
    }

    /// The fault in the first request or response of this exchange.
    #[must_use]
    pub fn once(exchange: ExchangeType, response: bool, fault: Fault) -> Self {
        Self { exchange: Some(exchange), response: Some(response), skip: 0, times: 1, fault }
    }

    /// True when it is this message's turn; counts.
    fn fires(&mut self, exchange: ExchangeType, flags: Flags) -> bool {
        let fits = self.exchange.is_none_or(|e| e == exchange) && self.response.is_none_or(|r| r == flags.response());
        if !fits || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip = self.skip.saturating_sub(1);
            return false;
        }
        if self.times != u32::MAX {
            self.times = self.times.saturating_sub(1);
        }
        true
    }
}

/// Datagrams that can be replayed.
const REMEMBERED: usize = 32;

/// The rules of one endpoint, and what they hold back.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
    now: Instant,
    sent: VecDeque<(Path, Vec<u8>)>,
    late: Vec<(Instant, Path, Vec<u8>)>,
    made: u64,
}

impl Faults {
    /// Adds a rule behind the others.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// No more faults; what is delayed still goes out.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Faults made so far.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Time as the endpoint knows it.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// When the next delayed datagram goes out.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.late.iter().map(|(at, ..)| *at).min()
    }

    /// Delayed datagrams whose time has come.
    pub(crate) fn due(&mut self) -> Vec<(Path, Vec<u8>)> {
        let now = self.now;
        let (due, late) = core::mem::take(&mut self.late).into_iter().partition(|(at, ..)| *at <= now);
        self.late = late;
        let due: Vec<(Instant, Path, Vec<u8>)> = due;
        due.into_iter().map(|(_, path, bytes)| (path, bytes)).collect()
    }

    /// Changes a message before it is written and protected.
    pub(crate) fn edit(&mut self, header: &mut Header, draft: &mut Vec<Payload>) {
        let (exchange, flags) = (header.exchange, header.flags);
        for rule in self.rules.iter_mut().filter(|r| !r.fault.is_of_datagrams()) {
            if !rule.fires(exchange, flags) {
                continue;
            }
            self.made = self.made.saturating_add(1);
            match &rule.fault {
                Fault::OmitPayload(kind) => draft.retain(|p| p.kind() != *kind),
                Fault::OmitNotify(kind) => draft.retain(|p| !matches!(p, Payload::Notify(n) if n.kind == *kind)),
                Fault::AddPayload(payload) => draft.push(payload.clone()),
                Fault::OmitTransform(kind) => proposals(draft, |t| t.retain(|t| t.kind != *kind)),
                Fault::AddTransform(transform) => proposals(draft, |t| t.push(transform.clone())),
                Fault::Exchange(other) => header.exchange = *other,
                Fault::Flags(flip) => header.flags.0 ^= flip,
                Fault::MessageId(d) => header.message_id = header.message_id.wrapping_add_signed(*d),
                _ => {}
            }
        }
    }

    /// What becomes of a datagram: it, nothing, or more than it.
    pub(crate) fn datagram(&mut self, path: Path, mut bytes: Vec<u8>) -> Vec<(Path, Vec<u8>)> {
        let start = if bytes.starts_with(&[0; 4]) { 4usize } else { 0 };
        let Ok(header) = Header::parse(bytes.get(start..).unwrap_or_default()) else {
            return alloc::vec![(path, bytes)];
        };
        let (mut copies, mut more) = (1u8, Vec::new());
        let mut delay = None;
        for rule in self.rules.iter_mut().filter(|r| r.fault.is_of_datagrams()) {
            if !rule.fires(header.exchange, header.flags) {
                continue;
            }
            self.made = self.made.saturating_add(1);
            match &rule.fault {
                Fault::Drop => copies = 0,
                Fault::Duplicate(n) => copies = copies.saturating_add(*n),
                Fault::Replay(n) => {
                    let at = self.sent.len().checked_sub(usize::from(*n).max(1));
                    more.extend(at.and_then(|at| self.sent.get(at)).cloned());
                }
                Fault::Delay(by) => delay = Some(*by),
                Fault::Corrupt { at, xor } => {
                    let last = bytes.len().saturating_sub(1);
                    let at = start.saturating_add(usize::from(*at)).min(last);
                    if let Some(octet) = bytes.get_mut(at) {
                        *octet ^= xor;
                    }
                }
                Fault::Truncate(len) => bytes.truncate(start.saturating_add(usize::from(*len))),
                Fault::Length(d) => {
                    let length = header.length.wrapping_add_signed(i32::from(*d)).to_be_bytes();
                    let field = start.saturating_add(24)..start.saturating_add(28);
                    if let Some(field) = bytes.get_mut(field) {
                        field.copy_from_slice(&length);
                    }
                }
                _ => {}
            }
        }
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((path, bytes.clone()));
        let mut out: Vec<(Path, Vec<u8>)> = (0..copies).map(|_| (path, bytes.clone())).collect();
        out.extend(more);
        if let Some(by) = delay {
            let at = self.now + by;
            self.late.extend(out.drain(..).map(|(path, bytes)| (at, path, bytes)));
        }
        out
    }
}

impl Fault {
    /// Made on datagrams; the others are made on messages.
    fn is_of_datagrams(&self) -> bool {
        matches!(
            self,
            Self::Drop
                | Self::Duplicate(_)
                | Self::Replay(_)
                | Self::Delay(_)
                | Self::Corrupt { .. }
                | Self::Truncate(_)
                | Self::Length(_)
        )
    }
}

/// Changes the transforms of every proposal.
fn proposals(draft: &mut [Payload], mut f: impl FnMut(&mut Vec<Transform>)) {
    for payload in draft {
        if let Payload::Sa(sa) = payload {
            sa.proposals.iter_mut().for_each(|p| f(&mut p.transforms));
        }
    }
}
