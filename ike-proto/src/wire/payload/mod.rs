//! One file per payload (RFC 7296 §3.3 to §3.16, RFC 6467, RFC 7383, RFC 8019), and the enum of them all.
//!
//! To add a payload: its file, one variant of [`Payload`], one arm each in `kind`, `parse` and `emit`.

pub mod auth;
pub mod cert;
pub mod certreq;
pub mod cp;
pub mod cp_value;
pub mod delete;
pub mod eap;
pub mod gspm;
pub mod id;
pub mod ke;
mod list;
pub mod nonce;
pub mod notify;
pub mod proposal;
pub mod ps;
pub mod sa;
pub mod sk;
pub mod skf;
pub mod transform;
pub mod ts;
pub mod vendor;

pub use auth::Authentication;
pub use cert::Certificate;
pub use certreq::CertificateRequest;
pub use cp::{ConfigAttribute, Configuration};
pub use cp_value::ConfigValue;
pub use delete::Delete;
pub use eap::Eap;
pub use gspm::Gspm;
pub use id::Identification;
pub use ke::KeyExchange;
pub use list::Payloads;
pub use nonce::Nonce;
pub use notify::Notify;
pub use proposal::Proposal;
pub use ps::PuzzleSolution;
pub use sa::SecurityAssociation;
pub use sk::Encrypted;
pub use skf::{EncryptedFragment, Fragment};
pub use transform::{Attribute, AttributeValue, Attributes, Transform};
pub use ts::{TrafficSelectors, Ts};
pub use vendor::VendorId;

use super::chain::{CRITICAL, RawPayload};
use super::error::WireError;
use crate::registry::PayloadType;
use alloc::vec::Vec;

/// A payload that this stack does not understand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownPayload {
    /// Its number.
    pub kind: PayloadType,
    /// The critical bit and the reserved bits of its generic header.
    pub flags: u8,
    /// Its content.
    pub body: Vec<u8>,
}

impl UnknownPayload {
    /// True when the whole message must be refused (RFC 7296 §2.5).
    #[must_use]
    pub fn critical(&self) -> bool {
        self.flags & CRITICAL != 0
    }
}

/// Every payload.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each variant is documented by the type it holds")]
pub enum Payload {
    Sa(SecurityAssociation),
    Ke(KeyExchange),
    IdInitiator(Identification),
    IdResponder(Identification),
    Cert(Certificate),
    CertReq(CertificateRequest),
    Auth(Authentication),
    Nonce(Nonce),
    Notify(Notify),
    Delete(Delete),
    VendorId(VendorId),
    TsInitiator(TrafficSelectors),
    TsResponder(TrafficSelectors),
    Encrypted(Encrypted),
    Cp(Configuration),
    Eap(Eap),
    Gspm(Gspm),
    EncryptedFragment(EncryptedFragment),
    PuzzleSolution(PuzzleSolution),
    Unknown(UnknownPayload),
}

impl Payload {
    /// Its number, as the Next Payload octet before it says.
    #[must_use]
    pub fn kind(&self) -> PayloadType {
        match self {
            Self::Sa(_) => PayloadType::SA,
            Self::Ke(_) => PayloadType::KE,
            Self::IdInitiator(_) => PayloadType::IDi,
            Self::IdResponder(_) => PayloadType::IDr,
            Self::Cert(_) => PayloadType::CERT,
            Self::CertReq(_) => PayloadType::CERTREQ,
            Self::Auth(_) => PayloadType::AUTH,
            Self::Nonce(_) => PayloadType::NONCE,
            Self::Notify(_) => PayloadType::N,
            Self::Delete(_) => PayloadType::D,
            Self::VendorId(_) => PayloadType::V,
            Self::TsInitiator(_) => PayloadType::TSi,
            Self::TsResponder(_) => PayloadType::TSr,
            Self::Encrypted(_) => PayloadType::SK,
            Self::Cp(_) => PayloadType::CP,
            Self::Eap(_) => PayloadType::EAP,
            Self::Gspm(_) => PayloadType::GSPM,
            Self::EncryptedFragment(_) => PayloadType::SKF,
            Self::PuzzleSolution(_) => PayloadType::PS,
            Self::Unknown(u) => u.kind,
        }
    }

    /// Looks into a raw payload. Offsets of errors count from where `raw` was cut out.
    pub fn parse(raw: &RawPayload<'_>) -> Result<Self, WireError> {
        let b = raw.body;
        let payload = match raw.kind {
            PayloadType::SA => SecurityAssociation::parse(b).map(Self::Sa),
            PayloadType::KE => KeyExchange::parse(b).map(Self::Ke),
            PayloadType::IDi => Identification::parse(b).map(Self::IdInitiator),
            PayloadType::IDr => Identification::parse(b).map(Self::IdResponder),
            PayloadType::CERT => Certificate::parse(b).map(Self::Cert),
            PayloadType::CERTREQ => CertificateRequest::parse(b).map(Self::CertReq),
            PayloadType::AUTH => Authentication::parse(b).map(Self::Auth),
            PayloadType::NONCE => Nonce::parse(b).map(Self::Nonce),
            PayloadType::N => Notify::parse(b).map(Self::Notify),
            PayloadType::D => Delete::parse(b).map(Self::Delete),
            PayloadType::V => Ok(Self::VendorId(VendorId::parse(b))),
            PayloadType::TSi => TrafficSelectors::parse(b).map(Self::TsInitiator),
            PayloadType::TSr => TrafficSelectors::parse(b).map(Self::TsResponder),
            PayloadType::SK => Ok(Self::Encrypted(Encrypted { first: raw.next, body: b.to_vec() })),
            PayloadType::CP => Configuration::parse(b).map(Self::Cp),
            PayloadType::EAP => Eap::parse(b).map(Self::Eap),
            PayloadType::GSPM => Ok(Self::Gspm(Gspm::parse(b))),
            PayloadType::SKF => EncryptedFragment::parse(raw.next, b).map(Self::EncryptedFragment),
            PayloadType::PS => PuzzleSolution::parse(b).map(Self::PuzzleSolution),
            kind => Ok(Self::Unknown(UnknownPayload { kind, flags: raw.flags, body: b.to_vec() })),
        };
        payload.map_err(|e| e.shifted(raw.offset))
    }

    /// Appends the body, without the generic header.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            Self::Sa(p) => p.emit(out)?,
            Self::Ke(p) => p.emit(out),
            Self::IdInitiator(p) | Self::IdResponder(p) => p.emit(out),
            Self::Cert(p) => p.emit(out),
            Self::CertReq(p) => p.emit(out),
            Self::Auth(p) => p.emit(out),
            Self::Nonce(p) => p.emit(out),
            Self::Notify(p) => p.emit(out)?,
            Self::Delete(p) => p.emit(out),
            Self::VendorId(p) => p.emit(out),
            Self::TsInitiator(p) | Self::TsResponder(p) => p.emit(out)?,
            Self::Encrypted(p) => p.emit(out),
            Self::Cp(p) => p.emit(out)?,
            Self::Eap(p) => p.emit(out),
            Self::Gspm(p) => p.emit(out),
            Self::EncryptedFragment(p) => p.emit(out),
            Self::PuzzleSolution(p) => p.emit(out),
            Self::Unknown(p) => out.extend_from_slice(&p.body),
        }
        Ok(())
    }
}

macro_rules! into_payload {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Payload { fn from(p: $from) -> Self { Self::$variant(p) } })*
    };
}
into_payload! {
    SecurityAssociation => Sa, KeyExchange => Ke, Certificate => Cert, CertificateRequest => CertReq,
    Authentication => Auth, Nonce => Nonce, Notify => Notify, Delete => Delete, VendorId => VendorId,
    Configuration => Cp, Eap => Eap, Gspm => Gspm, PuzzleSolution => PuzzleSolution,
}
