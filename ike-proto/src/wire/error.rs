//! What was wrong with some octets: where, what was expected, what came (RFC 7296 §2.21: INVALID_SYNTAX or silence).
//!
//! To add a place: one variant and one line in [`Place::describe`].
use core::fmt;

/// The structure that was being read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the structures; `describe` says them in words")]
pub enum Place {
    Header,
    Chain,
    Sa,
    Proposal,
    Transform,
    Attribute,
    Ke,
    Id,
    Cert,
    CertReq,
    Auth,
    Nonce,
    Notify,
    NotifyData,
    Delete,
    Ts,
    Selector,
    Sk,
    Skf,
    Cp,
    CpAttribute,
    Eap,
    Ps,
}

impl Place {
    /// The structure in words and the section that defines it.
    #[must_use]
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Header => ("IKE header", "RFC 7296 section 3.1"),
            Self::Chain => ("generic payload header", "RFC 7296 section 3.2"),
            Self::Sa => ("SA payload", "RFC 7296 section 3.3"),
            Self::Proposal => ("proposal", "RFC 7296 section 3.3.1"),
            Self::Transform => ("transform", "RFC 7296 section 3.3.2"),
            Self::Attribute => ("transform attribute", "RFC 7296 section 3.3.5"),
            Self::Ke => ("KE payload", "RFC 7296 section 3.4"),
            Self::Id => ("ID payload", "RFC 7296 section 3.5"),
            Self::Cert => ("CERT payload", "RFC 7296 section 3.6"),
            Self::CertReq => ("CERTREQ payload", "RFC 7296 section 3.7"),
            Self::Auth => ("AUTH payload", "RFC 7296 section 3.8"),
            Self::Nonce => ("Nonce payload", "RFC 7296 section 3.9"),
            Self::Notify => ("Notify payload", "RFC 7296 section 3.10"),
            Self::NotifyData => ("notification data", "RFC 7296 section 3.10.1"),
            Self::Delete => ("Delete payload", "RFC 7296 section 3.11"),
            Self::Ts => ("TS payload", "RFC 7296 section 3.13"),
            Self::Selector => ("traffic selector", "RFC 7296 section 3.13.1"),
            Self::Sk => ("SK payload", "RFC 7296 section 3.14"),
            Self::Skf => ("SKF payload", "RFC 7383 section 2.5"),
            Self::Cp => ("CP payload", "RFC 7296 section 3.15"),
            Self::CpAttribute => ("configuration attribute", "RFC 7296 section 3.15.1"),
            Self::Eap => ("EAP payload", "RFC 7296 section 3.16"),
            Self::Ps => ("PS payload", "RFC 8019 section 8.2"),
        }
    }
}

/// What is wrong. Counts are octets unless the text says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Octets are missing.
    Truncated {
        /// Octets the structure asks for.
        need: usize,
        /// Octets there are.
        have: usize,
    },
    /// Octets are left over.
    Trailing {
        /// How many.
        extra: usize,
    },
    /// A length is outside its range.
    Length {
        /// The length that came.
        came: usize,
        /// The smallest legal one.
        min: usize,
        /// The largest legal one.
        max: usize,
    },
    /// A field has a value that it may not have.
    Value {
        /// The field's name in the RFC.
        field: &'static str,
        /// What may stand there, in words.
        expected: &'static str,
        /// What came.
        came: u32,
    },
    /// More substructures than this stack takes from one message.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Why octets are not a message, or a value cannot become octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The structure at fault.
    pub place: Place,
    /// Where, in octets from the start of what was given to the decoder (0 while encoding).
    pub offset: usize,
    /// What is wrong.
    pub fault: Fault,
}

impl WireError {
    /// The same error seen from `base` octets further out.
    #[must_use]
    pub(crate) fn shifted(mut self, base: usize) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, section) = self.place.describe();
        write!(f, "{name} at octet {}: ", self.offset)?;
        match self.fault {
            Fault::Truncated { need, have } => write!(f, "expected {need} octets, {have} are left")?,
            Fault::Trailing { extra } => write!(f, "expected the end, {extra} octets follow")?,
            Fault::Length { came, min, max } if min == max => {
                write!(f, "expected a length of {min} octets, came {came}")?
            }
            Fault::Length { came, min, max } => write!(f, "expected a length of {min} to {max} octets, came {came}")?,
            Fault::Value { field, expected, came } => write!(f, "expected {field} {expected}, came {came}")?,
            Fault::TooMany { what, limit } => write!(f, "expected at most {limit} {what}, more came")?,
        }
        write!(f, " ({section})")
    }
}

impl core::error::Error for WireError {}
