//! Which payload may stand how often in which exchange and direction (RFC 7296 appendix C, RFC 5723, 8019, 9242, 9370).
//!
//! Checked before any other code sees a message. Order is free (RFC 7296 §3), Notify and Vendor ID may stand
//! anywhere, unknown payloads are skipped unless critical. Which *stage* IKE_AUTH is in is the exchange's to know;
//! here a message must fit one of the stages' forms.
//! To add an exchange: one block in [`forms`].
use super::payload::Payload;
use crate::registry::{ExchangeType, PayloadType};
use core::fmt;

use PayloadType as P;

/// Without an upper limit.
pub const MANY: u8 = u8::MAX;

/// One row of the table: a payload, and how often it may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The payload.
    pub payload: PayloadType,
    /// At least so often.
    pub min: u8,
    /// At most so often; [`MANY`] is no limit.
    pub max: u8,
}

/// One legal form of a message. Payloads without a row may not stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The form is meant when this payload is there; `None`: when no form before was.
    pub when: Option<PayloadType>,
    /// The rows.
    pub rows: &'static [Row],
    /// Of these, all or none must be there.
    pub together: &'static [PayloadType],
    /// Of these, at least one must be there (no condition when empty).
    pub any: &'static [PayloadType],
    /// Where the form is defined.
    pub section: &'static str,
}

const fn one(payload: PayloadType) -> Row {
    Row { payload, min: 1, max: 1 }
}
const fn opt(payload: PayloadType) -> Row {
    Row { payload, min: 0, max: 1 }
}
const fn many(payload: PayloadType) -> Row {
    Row { payload, min: 0, max: MANY }
}
const fn some(payload: PayloadType) -> Row {
    Row { payload, min: 1, max: MANY }
}

const CHILD: &[P] = &[P::SA, P::TSi, P::TSr];

const fn form(when: Option<P>, rows: &'static [Row], section: &'static str) -> Form {
    Form { when, rows, together: &[], any: &[], section }
}

const SA_INIT_REQUEST: &[Form] =
    &[form(None, &[one(P::SA), one(P::KE), one(P::NONCE), opt(P::PS)], "RFC 7296 appendix C.1")];

const SA_INIT_RESPONSE: &[Form] =
    &[form(None, &[one(P::SA), one(P::KE), one(P::NONCE), many(P::CERTREQ)], "RFC 7296 appendix C.1")];

/// Without SA and selectors the IKE SA is childless (RFC 6023); without AUTH, EAP (RFC 7296 §2.16) or a password
/// method (RFC 6467) follows.
const AUTH_REQUEST: &[Form] = &[
    Form {
        when: Some(P::IDi),
        rows: &[
            one(P::IDi),
            many(P::CERT),
            many(P::CERTREQ),
            opt(P::IDr),
            opt(P::AUTH),
            opt(P::GSPM),
            opt(P::CP),
            opt(P::SA),
            opt(P::TSi),
            opt(P::TSr),
            opt(P::PS),
        ],
        together: CHILD,
        any: &[],
        section: "RFC 7296 appendix C.2 and C.3",
    },
    form(Some(P::EAP), &[one(P::EAP)], "RFC 7296 appendix C.3"),
    form(Some(P::GSPM), &[one(P::GSPM), opt(P::AUTH)], "RFC 6467 section 3"),
    // Empty, it lets a responder go on that proves itself a second time (RFC 4739 section 2.2).
    form(None, &[opt(P::AUTH)], "RFC 7296 appendix C.3"),
];

const AUTH_RESPONSE: &[Form] = &[
    Form {
        when: Some(P::IDr),
        rows: &[
            one(P::IDr),
            many(P::CERT),
            opt(P::AUTH),
            opt(P::EAP),
            opt(P::GSPM),
            opt(P::CP),
            opt(P::SA),
            opt(P::TSi),
            opt(P::TSr),
        ],
        together: CHILD,
        any: &[P::AUTH, P::EAP, P::GSPM],
        section: "RFC 7296 appendix C.2 and C.3",
    },
    form(Some(P::EAP), &[one(P::EAP)], "RFC 7296 appendix C.3"),
    form(Some(P::GSPM), &[one(P::GSPM), opt(P::AUTH)], "RFC 6467 section 3"),
    Form {
        when: None,
        // After a second authentication that is no EAP the responder has nothing left to prove (RFC 4739 section 2.2).
        rows: &[opt(P::AUTH), opt(P::CP), opt(P::SA), opt(P::TSi), opt(P::TSr)],
        together: CHILD,
        any: &[P::AUTH, P::SA],
        section: "RFC 7296 appendix C.3",
    },
];

/// Requests and responses have the same forms: a Child SA with selectors, an IKE SA without.
const CREATE_CHILD: &[Form] = &[
    form(
        Some(P::TSi),
        &[one(P::SA), one(P::NONCE), opt(P::KE), one(P::TSi), one(P::TSr), opt(P::CP)],
        "RFC 7296 appendix C.4",
    ),
    form(None, &[one(P::SA), one(P::NONCE), one(P::KE)], "RFC 7296 appendix C.5"),
];

const INFORMATIONAL: &[Form] = &[form(None, &[many(P::D), many(P::CP)], "RFC 7296 appendix C.6")];

const RESUME_REQUEST: &[Form] = &[form(None, &[one(P::NONCE), some(P::N), opt(P::PS)], "RFC 5723 section 4.3")];
const RESUME_RESPONSE: &[Form] = &[form(None, &[one(P::NONCE)], "RFC 5723 section 4.3")];

/// The content is that of the extensions in use; RFC 9370 has one KE in each message.
const INTERMEDIATE: &[Form] = &[form(None, &[opt(P::KE), many(P::CERTREQ)], "RFC 9242 section 3.2")];

const FOLLOWUP_REQUEST: &[Form] = &[form(None, &[one(P::KE), some(P::N)], "RFC 9370 section 2.2.4")];
const FOLLOWUP_RESPONSE: &[Form] = &[form(None, &[one(P::KE)], "RFC 9370 section 2.2.4")];

/// The forms of an exchange's messages; `None` for exchanges this stack does not take part in.
#[must_use]
pub fn forms(exchange: ExchangeType, response: bool) -> Option<&'static [Form]> {
    Some(match (exchange, response) {
        (ExchangeType::IKE_SA_INIT, false) => SA_INIT_REQUEST,
        (ExchangeType::IKE_SA_INIT, true) => SA_INIT_RESPONSE,
        (ExchangeType::IKE_AUTH, false) => AUTH_REQUEST,
        (ExchangeType::IKE_AUTH, true) => AUTH_RESPONSE,
        (ExchangeType::CREATE_CHILD_SA, _) => CREATE_CHILD,
        (ExchangeType::INFORMATIONAL, _) => INFORMATIONAL,
        (ExchangeType::IKE_SESSION_RESUME, false) => RESUME_REQUEST,
        (ExchangeType::IKE_SESSION_RESUME, true) => RESUME_RESPONSE,
        (ExchangeType::IKE_INTERMEDIATE, _) => INTERMEDIATE,
        (ExchangeType::IKE_FOLLOWUP_KE, false) => FOLLOWUP_REQUEST,
        (ExchangeType::IKE_FOLLOWUP_KE, true) => FOLLOWUP_RESPONSE,
        _ => return None,
    })
}

/// Which rule a message breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// This stack does not know the exchange type.
    UnknownExchange,
    /// A payload that is not understood has its critical bit set: UNSUPPORTED_CRITICAL_PAYLOAD (RFC 7296 §2.5).
    UnsupportedCritical(PayloadType),
    /// A payload stands too often or not often enough; `max` 0: it may not stand there at all.
    Count {
        /// The payload.
        payload: PayloadType,
        /// The least number.
        min: u8,
        /// The largest number.
        max: u8,
        /// How many came.
        came: usize,
    },
    /// Payloads that belong together did not all come; this one is missing.
    Together(PayloadType),
    /// None of these came.
    NoneOf(&'static [PayloadType]),
    /// The payload must be inside SK.
    NotProtected(PayloadType),
}

/// Why a message may not look as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleViolation {
    /// The exchange of the message.
    pub exchange: ExchangeType,
    /// True for a response.
    pub response: bool,
    /// The rule.
    pub broken: Broken,
    /// Where the rule stands.
    pub section: &'static str,
}

impl fmt::Display for RuleViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.exchange, if self.response { "response" } else { "request" })?;
        match self.broken {
            Broken::UnknownExchange => write!(f, "expected a known exchange type, came {}", self.exchange.0)?,
            Broken::UnsupportedCritical(p) => write!(f, "payload {p} is not understood and marked critical")?,
            Broken::Count { payload, max: 0, came, .. } => write!(f, "expected no {payload} payload, {came} came")?,
            Broken::Count { payload, min, max: MANY, came } => {
                write!(f, "expected at least {min} {payload} payload, {came} came")?;
            }
            Broken::Count { payload, min, max, came } if min == max => {
                write!(f, "expected {min} {payload} payload, {came} came")?;
            }
            Broken::Count { payload, min, max, came } => {
                write!(f, "expected {min} to {max} {payload} payloads, {came} came")?;
            }
            Broken::Together(p) => write!(f, "expected SA, TSi and TSr together, {p} is missing")?,
            Broken::NoneOf(list) => {
                f.write_str("expected at least one of")?;
                list.iter().try_for_each(|p| write!(f, " {p}"))?;
                f.write_str(", none came")?;
            }
            Broken::NotProtected(p) => write!(f, "expected payload {p} inside SK, it came in clear")?,
        }
        write!(f, " ({})", self.section)
    }
}

impl core::error::Error for RuleViolation {}

/// Checks the payloads of a message: those in clear of IKE_SA_INIT and IKE_SESSION_RESUME, those out of SK of the
/// others. Responses that carry an error notify, or nothing but notifies (COOKIE, TICKET_NACK, REDIRECT), may lack
/// every other payload; what they do carry is still checked.
pub fn check(exchange: ExchangeType, response: bool, payloads: &[Payload]) -> Result<(), RuleViolation> {
    let fail = |broken, section| Err(RuleViolation { exchange, response, broken, section });
    let Some(forms) = forms(exchange, response) else {
        return fail(Broken::UnknownExchange, "RFC 7296 section 3.1");
    };
    if let Some(kind) = critical(payloads) {
        return fail(Broken::UnsupportedCritical(kind), "RFC 7296 section 2.5");
    }
    let mut counts = [0u16; 256];
    for payload in payloads {
        if let Some(n) = counts.get_mut(usize::from(payload.kind().0)) {
            *n = n.saturating_add(1);
        }
    }
    let count = |kind: PayloadType| counts.get(usize::from(kind.0)).map_or(0, |n| usize::from(*n));
    let Some(form) = forms.iter().find(|f| f.when.is_none_or(|kind| count(kind) > 0)) else {
        return Ok(()); // cannot be: every table ends with a form without a condition
    };
    for payload in payloads {
        let kind = payload.kind();
        let free = matches!(kind, P::N | P::V | P::SK | P::SKF) || matches!(payload, Payload::Unknown(_));
        let row = form.rows.iter().find(|r| r.payload == kind);
        let max = row.map_or(if free { MANY } else { 0 }, |r| r.max);
        let came = count(kind);
        if max != MANY && came > usize::from(max) {
            return fail(Broken::Count { payload: kind, min: row.map_or(0, |r| r.min), max, came }, form.section);
        }
    }
    if response && is_refusal(payloads) {
        return Ok(());
    }
    for row in form.rows {
        let came = count(row.payload);
        if came < usize::from(row.min) {
            return fail(Broken::Count { payload: row.payload, min: row.min, max: row.max, came }, form.section);
        }
    }
    let missing = form.together.iter().find(|kind| count(**kind) == 0);
    if let (Some(missing), true) = (missing, form.together.iter().any(|kind| count(*kind) > 0)) {
        return fail(Broken::Together(*missing), form.section);
    }
    if !form.any.is_empty() && form.any.iter().all(|kind| count(*kind) == 0) {
        return fail(Broken::NoneOf(form.any), form.section);
    }
    Ok(())
}

/// Checks what stands in clear. Before SK only what must be readable without keys may stand (PS, RFC 8019 §7.2), and
/// payloads that are skipped anyway; without SK a message of a protected exchange can only be a bare notify, such as
/// INVALID_IKE_SPI from a peer that lost its state (RFC 7296 §1.5).
pub fn check_clear(
    exchange: ExchangeType,
    response: bool,
    has_sk: bool,
    clear: &[Payload],
) -> Result<(), RuleViolation> {
    let fail = |broken, section| Err(RuleViolation { exchange, response, broken, section });
    if let Some(kind) = critical(clear) {
        return fail(Broken::UnsupportedCritical(kind), "RFC 7296 section 2.5");
    }
    if exchange.is_unprotected() {
        let broken = Broken::Count { payload: P::SK, min: 0, max: 0, came: 1 };
        return if has_sk { fail(broken, "RFC 7296 section 1.2") } else { Ok(()) };
    }
    let fine = |p: &&Payload| match p {
        Payload::Notify(_) | Payload::VendorId(_) | Payload::Unknown(_) => true,
        Payload::PuzzleSolution(_) => has_sk,
        _ => false,
    };
    match clear.iter().find(|p| !fine(p)) {
        Some(p) => fail(Broken::NotProtected(p.kind()), "RFC 7296 section 3.14"),
        None => Ok(()),
    }
}

fn critical(payloads: &[Payload]) -> Option<PayloadType> {
    payloads.iter().find_map(|p| match p {
        Payload::Unknown(u) if u.critical() => Some(u.kind),
        _ => None,
    })
}

fn is_refusal(payloads: &[Payload]) -> bool {
    let error = |p: &Payload| matches!(p, Payload::Notify(n) if n.kind.is_error());
    let quiet = |p: &Payload| matches!(p, Payload::Notify(_) | Payload::VendorId(_) | Payload::Unknown(_));
    let notified = payloads.iter().any(|p| matches!(p, Payload::Notify(_)));
    payloads.iter().any(error) || (notified && payloads.iter().all(quiet))
}

#[cfg(test)]
mod tests;
