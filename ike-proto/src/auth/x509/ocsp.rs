//! OCSP responses (RFC 6960) as IKE carries them (RFC 4806), or as the driver delivers them: one response about the peer's
//! own certificate, signed by its issuer or by whom the issuer has named for that. Nothing is asked for here. Read with
//! asn1-rs (by x509-parser); times, names and keys are compared here.

use super::Judge;
use super::read::Facts;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ravelin_crypto::AuthHashId;
use ravelin_crypto::sign::SignatureScheme;
use x509_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// What a response says about a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// It was not revoked.
    Good,
    /// It was.
    Revoked,
    /// The responder does not know it.
    Unknown,
}

/// id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// id-kp-OCSPSigning.
const SIGNING: &str = "1.3.6.1.5.5.7.3.9";
/// Responses without nextUpdate are good for this long, in seconds.
const FRESH: u64 = 86_400;
/// How far clocks may differ, in seconds.
const SKEW: u64 = 300;
/// Certificates of a response, and answers in it, that are looked at.
const MAX: usize = 16;

fn bad(what: &str) -> String {
    format!("OCSP: {what} (RFC 6960 section 4.2)")
}

/// One element: its octets with header, itself, and what follows.
fn cut(data: &[u8]) -> Result<(&[u8], Any<'_>, &[u8]), String> {
    let (rest, any) = Any::from_der(data).map_err(|_| bad("it is not DER"))?;
    let len = data.len().saturating_sub(rest.len());
    Ok((data.get(..len).unwrap_or_default(), any, rest))
}

fn sequence(data: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (_, any, rest) = cut(data)?;
    if any.tag() == Tag::Sequence { Ok((any.data, rest)) } else { Err(bad("expected a SEQUENCE")) }
}

/// The contents of the context tag `number`, when that stands next; and what follows.
fn optional(data: &[u8], number: u32) -> Result<(Option<&[u8]>, &[u8]), String> {
    if data.is_empty() {
        return Ok((None, data));
    }
    let (_, any, rest) = cut(data)?;
    let it = any.class() == Class::ContextSpecific && any.tag() == Tag(number);
    Ok(if it { (Some(any.data), rest) } else { (None, data) })
}

/// What was signed, the AlgorithmIdentifier, the signature, and what follows: of certificates and of responses.
struct Signed<'a> {
    body: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Signed<'a> {
    fn parse(contents: &'a [u8]) -> Result<Self, String> {
        let (body, _, rest) = cut(contents)?;
        let (algorithm, _, rest) = cut(rest)?;
        let (_, bits, rest) = cut(rest)?;
        match bits.data.split_first() {
            Some((0, signature)) if bits.tag() == Tag::BitString => Ok(Self { body, algorithm, signature, rest }),
            _ => Err(bad("there is no signature")),
        }
    }

    fn verify(&self, judge: &Judge<'_>, key: &[u8]) -> bool {
        let scheme = SignatureScheme::from_algorithm_identifier(self.algorithm).filter(|s| !s.is_legacy());
        scheme.is_some_and(|s| judge.crypto.verify(s, key, &[self.body], self.signature).is_ok())
    }
}

fn time(data: &[u8]) -> Result<(u64, &[u8]), String> {
    let (rest, time) = ASN1Time::from_der(data).map_err(|_| bad("a time cannot be read"))?;
    Ok((u64::try_from(time.timestamp()).unwrap_or(0), rest))
}

/// What `response` says about `leaf`, which one of `issuers` (all CA certificates that are at hand) has issued.
///
/// # Errors
/// Why the response says nothing: for the operator.
pub fn status(judge: &Judge<'_>, leaf: &[u8], issuers: &[&[u8]], response: &[u8]) -> Result<Status, String> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| bad("the certificate cannot be read"))?;
    let (contents, after) = sequence(response)?;
    let (_, said, rest) = cut(contents)?;
    if said.tag() != Tag::Enumerated || said.data != [0] || !after.is_empty() {
        return Err(bad("the responder gives no answer"));
    }
    let bytes = optional(rest, 0)?.0.ok_or_else(|| bad("it is empty"))?;
    let (bytes, _) = sequence(bytes)?;
    let (_, kind, rest) = cut(bytes)?;
    let (_, basic, _) = cut(rest)?;
    if kind.data != BASIC || basic.tag() != Tag::OctetString {
        return Err(bad("it is of an unknown type"));
    }
    let signed = Signed::parse(sequence(basic.data)?.0)?;
    let issuer = issuers
        .iter()
        .filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, c)| c))
        .filter(|c| c.subject().as_raw() == certificate.issuer().as_raw())
        .find(|c| is_signed(judge, &signed, c))
        .ok_or_else(|| bad("neither the certificate's issuer nor whom it names has signed it"))?;

    let (data, _) = sequence(signed.body)?;
    let (_, rest) = optional(data, 0)?;
    // responderID, producedAt.
    let (_, _, rest) = cut(rest)?;
    let (_, rest) = time(rest)?;
    let (mut answers, _) = sequence(rest)?;
    for _ in 0..MAX {
        if answers.is_empty() {
            break;
        }
        let (one, rest) = sequence(answers)?;
        answers = rest;
        let (id, rest) = sequence(one)?;
        if is_about(judge, id, &certificate, &issuer)? {
            return read(judge, rest);
        }
    }
    Err(bad("it is about other certificates"))
}

/// By the issuer's key, or by a certificate that the issuer made for this.
fn is_signed(judge: &Judge<'_>, signed: &Signed<'_>, issuer: &X509Certificate<'_>) -> bool {
    if signed.verify(judge, issuer.public_key().raw) {
        return true;
    }
    let certificates = optional(signed.rest, 0).ok().and_then(|(c, _)| sequence(c?).ok());
    let Some((mut list, _)) = certificates else { return false };
    let mut delegates: Vec<&[u8]> = Vec::new();
    while let Ok((der, _, rest)) = cut(list) {
        delegates.push(der);
        list = rest;
        if delegates.len() >= MAX || list.is_empty() {
            break;
        }
    }
    delegates.into_iter().any(|der| delegate_signs(judge, signed, issuer, der).unwrap_or(false))
}

fn delegate_signs(
    judge: &Judge<'_>,
    signed: &Signed<'_>,
    issuer: &X509Certificate<'_>,
    der: &[u8],
) -> Result<bool, String> {
    let (_, delegate) = X509Certificate::from_der(der).map_err(|_| bad("a certificate in it cannot be read"))?;
    let now = i64::try_from(judge.now.0).ok().and_then(|n| ASN1Time::from_timestamp(n).ok());
    let usage = delegate.extended_key_usage().map_err(|_| bad("a certificate in it cannot be read"))?;
    let may = usage.is_some_and(|u| u.value.ocsp_signing || u.value.other.iter().any(|o| o.to_id_string() == SIGNING));
    Ok(may
        && now.is_some_and(|n| delegate.validity().is_valid_at(n))
        && delegate.issuer().as_raw() == issuer.subject().as_raw()
        && Signed::parse(sequence(der)?.0)?.verify(judge, issuer.public_key().raw)
        && signed.verify(judge, delegate.public_key().raw))
}

/// CertID: hash algorithm, hashes of the issuer's name and key, serial number.
fn is_about(
    judge: &Judge<'_>,
    id: &[u8],
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<bool, String> {
    let (algorithm, rest) = sequence(id)?;
    let (_, name, rest) = cut(rest)?;
    let (_, key, rest) = cut(rest)?;
    let (_, serial, _) = cut(rest)?;
    let hash = match cut(algorithm)?.1.data {
        [0x2B, 0x0E, 3, 2, 0x1A] => AuthHashId::SHA1,
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1] => AuthHashId::SHA2_256,
        _ => return Ok(false),
    };
    let Some(hash) = judge.crypto.hash(hash) else { return Ok(false) };
    Ok(serial.data == certificate.raw_serial()
        && hash.hash(&[certificate.issuer().as_raw()]) == name.data
        && hash.hash(&[&issuer.public_key().subject_public_key.data]) == key.data)
}

/// certStatus and times.
fn read(judge: &Judge<'_>, rest: &[u8]) -> Result<Status, String> {
    let (_, status, rest) = cut(rest)?;
    let (from, rest) = time(rest)?;
    let until = match optional(rest, 0)?.0 {
        Some(next) => time(next)?.0,
        None => from.saturating_add(FRESH),
    };
    let now = judge.now.0;
    if from > now.saturating_add(SKEW) || until.saturating_add(SKEW) < now {
        return Err(format!("OCSP: it holds from {from} to {until}, now is {now} (seconds since 1970)"));
    }
    match (status.class(), status.tag()) {
        (Class::ContextSpecific, Tag(0)) => Ok(Status::Good),
        (Class::ContextSpecific, Tag(1)) => Ok(Status::Revoked),
        (Class::ContextSpecific, Tag(2)) => Ok(Status::Unknown),
        _ => Err(bad("the status cannot be read")),
    }
}

/// What all responses together say about the first certificate of a chain: true when one says that it is good.
///
/// # Errors
/// When one says that it is revoked.
pub(super) fn judge(judge: &Judge<'_>, leaf: &[u8], others: &[&[u8]], facts: &Facts) -> Result<bool, String> {
    let issuers: Vec<&[u8]> = judge.anchors.iter().chain(others).copied().collect();
    let mut good = false;
    for response in judge.ocsp.iter().take(MAX) {
        match status(judge, leaf, &issuers, response) {
            Ok(Status::Revoked) => return Err(format!("{}: revoked, says OCSP (RFC 6960)", facts.subject())),
            Ok(Status::Good) => good = true,
            Ok(Status::Unknown) | Err(_) => {}
        }
    }
    Ok(good)
}
