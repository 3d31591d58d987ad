//! Numbers that cross a language boundary: one list, so that C and Python cannot drift. Numbers are never changed and
//! never used twice; the test holds them to a golden list. Drop reasons have their own stable numbers
//! (`ravelin_esp::DropReason as u8`).
//!
//! To add one: the next free number, here and in the golden list, then in both bindings.

use crate::{ApiError, Event, Output};
use ravelin_crypto::AuthHashId;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_esp::PlaneError;
use ravelin_ike_proto::Ask;
use ravelin_ike_proto::sa::{Lifecycle, Why};
use ravelin_sa_db::{Change, Report};

/// A status of the C ABI; an exception class in Python.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer that must not be NULL is NULL.
    NullPointer = 1,
    /// A length, a number or a text is outside its range.
    InvalidArgument = 2,
    /// A configuration value is not acceptable; the last error says which and why.
    Configuration = 3,
    /// The buffer is too small; nothing was lost.
    BufferTooSmall = 4,
    /// There is nothing.
    Nothing = 5,
    /// The handle is in use by another thread, against the rule.
    Busy = 6,
    /// A bug of the library; the handle must not be used again.
    Panic = 7,
    /// The handle is not a live one of this kind (freed before, or never made).
    NoHandle = 8,
    /// No IKE SA has this id.
    UnknownSa = 16,
    /// No Child SA has this id.
    UnknownChild = 17,
    /// No peer has this id.
    UnknownPeer = 18,
    /// No protect policy of that peer has this id.
    UnknownPolicy = 19,
    /// The peer has no remote address.
    NoRemoteAddress = 20,
    /// The peer has no local address.
    NoLocalAddress = 21,
    /// No proposal is usable.
    NoProposal = 22,
    /// The IKE SA is not established.
    NotEstablished = 23,
    /// The ticket is unknown or expired.
    UnknownTicket = 24,
    /// Not allowed now.
    NotAllowed = 25,
    /// The answer is of another kind than the question.
    WrongAnswer = 26,
    /// The provider has no such transform.
    UnsupportedTransform = 32,
    /// The key material has another length than the transform takes.
    KeyLength = 33,
    /// Neither cipher nor integrity would protect the packets, or a cipher without integrity.
    NoProtection = 34,
    /// The SPI is reserved or another SA has it.
    SpiTaken = 35,
    /// The octets are no message as RFC 7296 has it; the error text says where and why.
    Malformed = 48,
}

impl Status {
    /// Every status with its name, in order of number.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Ok, "ok"),
        (Self::NullPointer, "null pointer"),
        (Self::InvalidArgument, "invalid argument"),
        (Self::Configuration, "configuration not acceptable"),
        (Self::BufferTooSmall, "buffer too small"),
        (Self::Nothing, "nothing there"),
        (Self::Busy, "handle in use by another thread"),
        (Self::Panic, "internal error"),
        (Self::NoHandle, "not a live handle"),
        (Self::UnknownSa, "no IKE SA has this id"),
        (Self::UnknownChild, "no Child SA has this id"),
        (Self::UnknownPeer, "no peer has this id"),
        (Self::UnknownPolicy, "no protect policy of this peer has this id"),
        (Self::NoRemoteAddress, "the peer has no remote address"),
        (Self::NoLocalAddress, "the peer has no local address"),
        (Self::NoProposal, "no proposal is usable"),
        (Self::NotEstablished, "the IKE SA is not established"),
        (Self::UnknownTicket, "the ticket is unknown or expired"),
        (Self::NotAllowed, "not allowed now"),
        (Self::WrongAnswer, "the answer is of another kind than the question"),
        (Self::UnsupportedTransform, "the provider has no such transform"),
        (Self::KeyLength, "the transform takes keys of another length"),
        (Self::NoProtection, "packets would not be protected"),
        (Self::SpiTaken, "the SPI is reserved or taken"),
        (Self::Malformed, "malformed message"),
    ];

    /// The status with this number.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().map(|(s, _)| *s).find(|s| *s as i32 == code)
    }

    /// Words for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("unknown status", |(_, n)| n)
    }
}

impl From<ApiError> for Status {
    fn from(e: ApiError) -> Self {
        match e {
            ApiError::UnknownSa => Self::UnknownSa,
            ApiError::UnknownChild => Self::UnknownChild,
            ApiError::UnknownPeer => Self::UnknownPeer,
            ApiError::UnknownPolicy => Self::UnknownPolicy,
            ApiError::NoRemoteAddress => Self::NoRemoteAddress,
            ApiError::NoLocalAddress => Self::NoLocalAddress,
            ApiError::NoProposal => Self::NoProposal,
            ApiError::NotEstablished => Self::NotEstablished,
            ApiError::UnknownTicket => Self::UnknownTicket,
            ApiError::WrongAnswer => Self::WrongAnswer,
            _ => Self::NotAllowed,
        }
    }
}

impl From<PlaneError> for Status {
    fn from(e: PlaneError) -> Self {
        match e {
            PlaneError::UnsupportedTransform => Self::UnsupportedTransform,
            PlaneError::KeyLength => Self::KeyLength,
            PlaneError::NoProtection | PlaneError::NoIntegrity => Self::NoProtection,
            PlaneError::Spi => Self::SpiTaken,
            PlaneError::UnknownChild => Self::UnknownChild,
            _ => Self::NotAllowed,
        }
    }
}

/// What kind of output it is: 1 to 9 are things to do, 32 and up are events.
#[must_use]
pub fn output_kind(output: &Output) -> u32 {
    match output {
        Output::Transmit(_) => 1,
        Output::Esp(_) => 2,
        Output::Change(_) => 3,
        Output::Ask(..) => 4,
        Output::Event(e) => event_kind(e),
    }
}

fn event_kind(event: &Event) -> u32 {
    match event {
        Event::Established(_) => 32,
        Event::ChildEstablished(_) => 33,
        Event::ChildClosed { .. } => 34,
        Event::ChildRefused { .. } => 35,
        Event::Rekeyed { .. } => 36,
        Event::ChildRekeyed { .. } => 37,
        Event::Moved { .. } => 38,
        Event::Alive { .. } => 39,
        Event::Closed { .. } => 40,
        Event::Noted { .. } => 41,
        Event::IkeKeys(_) => 42,
        Event::ChildKeys { .. } => 43,
        Event::Assigned { .. } => 44,
        Event::Leased { .. } => 45,
        Event::Suggested { .. } => 46,
        Event::HandshakeKeys(_) => 47,
        // An event that is newer than this list
        _ => NEWER,
    }
}

/// What is newer than this list.
pub const NEWER: u32 = 255;

/// Which step of the data plane it is.
#[must_use]
pub fn change_kind(change: &Change) -> u32 {
    match change {
        Change::InstallInbound(_) => 1,
        Change::InstallOutbound(_) => 2,
        Change::Switch { .. } => 3,
        Change::Move { .. } => 4,
        Change::Remove(_) => 5,
        Change::AddPolicy(_) => 6,
        Change::RemovePolicy(_) => 7,
        _ => NEWER,
    }
}

/// Which question it is.
#[must_use]
pub fn ask_kind(ask: &Ask) -> u32 {
    match ask {
        Ask::Sign { .. } => 1,
        Ask::VerifyChain { .. } => 2,
        Ask::SharedSecret { .. } => 3,
        Ask::Ppk { .. } => 4,
        Ask::Eap { .. } => 5,
        Ask::NextPpk { .. } => 6,
        _ => NEWER,
    }
}

/// Which observation of the data plane it is.
#[must_use]
pub fn report_kind(report: &Report) -> u32 {
    match report {
        Report::Acquire { .. } => 1,
        Report::SoftExpired(_) => 2,
        Report::HardExpired(_) => 3,
        Report::SequenceLow(_) => 4,
        Report::Idle(_) => 5,
        Report::PathSeen { .. } => 6,
        Report::Traffic { .. } => 7,
        Report::UnknownSpi { .. } => 8,
        Report::Failed(_) => 9,
        _ => NEWER,
    }
}

/// A signature scheme as two numbers: which one, and its hash (IANA's hash algorithms of RFC 7427; 5: none of its own).
#[must_use]
pub fn scheme(scheme: SignatureScheme) -> (u32, u16) {
    let kind = match scheme {
        SignatureScheme::RsaPkcs1(_) => 1,
        SignatureScheme::RsaPss(_) => 2,
        SignatureScheme::Ecdsa(_) => 3,
        SignatureScheme::EcdsaRaw(_) => 4,
        SignatureScheme::Ed25519 => 5,
        SignatureScheme::MlDsa44 => 6,
        SignatureScheme::MlDsa65 => 7,
        SignatureScheme::MlDsa87 => 8,
        _ => NEWER,
    };
    (kind, scheme.hash().0)
}

/// The scheme of these two numbers.
#[must_use]
pub fn scheme_of(kind: u32, hash: u16) -> Option<SignatureScheme> {
    let hash = AuthHashId(hash);
    Some(match kind {
        1 => SignatureScheme::RsaPkcs1(hash),
        2 => SignatureScheme::RsaPss(hash),
        3 => SignatureScheme::Ecdsa(hash),
        4 => SignatureScheme::EcdsaRaw(hash),
        5 => SignatureScheme::Ed25519,
        6 => SignatureScheme::MlDsa44,
        7 => SignatureScheme::MlDsa65,
        8 => SignatureScheme::MlDsa87,
        _ => return None,
    })
}

/// Where an IKE SA stands.
#[must_use]
pub fn lifecycle(state: Lifecycle) -> u32 {
    match state {
        Lifecycle::Opening => 1,
        Lifecycle::Established => 2,
        Lifecycle::Replaced => 3,
        Lifecycle::Closing => 4,
        Lifecycle::Closed => 5,
    }
}

/// Why a deadline exists.
#[must_use]
pub fn why(why: Why) -> u32 {
    match why {
        Why::Output => 1,
        Why::Retransmit => 2,
        Why::HalfOpen => 3,
        Why::Liveness => 4,
        Why::Keepalive => 5,
        Why::Answer => 6,
        Why::Reassembly => 7,
        Why::Rekey => 8,
        Why::Expire => 9,
        Why::Nothing => 10,
        Why::Retry => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: [i32; 25] =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 32, 33, 34, 35, 48];

    #[test]
    fn schemes_and_their_numbers_go_both_ways() {
        for kind in 1..=8 {
            let hash = if kind < 5 { 3 } else { 5 };
            assert_eq!(scheme_of(kind, hash).map(scheme), Some((kind, hash)));
        }
        assert_eq!((scheme_of(0, 2), scheme_of(9, 2)), (None, None));
    }

    #[test]
    fn numbers_are_those_of_the_golden_list() {
        let numbers: Vec<i32> = Status::ALL.iter().map(|(s, _)| *s as i32).collect();
        assert_eq!(numbers, GOLDEN);
        for (status, name) in Status::ALL {
            assert_eq!(Status::from_code(*status as i32), Some(*status));
            assert_eq!(status.name(), *name);
        }
        assert_eq!(Status::from_code(99), None);
    }
}
