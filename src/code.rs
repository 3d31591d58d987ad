//! Numbers that cross a language boundary: one list, so that C and Python cannot drift. Numbers are never changed and
//! never used twice; the test holds them to a golden list. Drop reasons have their own stable numbers
//! (`ravelin_esp::DropReason as u8`).
//!
//! To add one: the next free number, here and in the golden list, then in both bindings.

use crate::{ApiError, Event, Output};

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
        // An event that is newer than this list
        _ => 32 + 223,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_golden_list() {
        let numbers: Vec<i32> = Status::ALL.iter().map(|(s, _)| *s as i32).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
        for (status, name) in Status::ALL {
            assert_eq!(Status::from_code(*status as i32), Some(*status));
            assert_eq!(status.name(), *name);
        }
        assert_eq!(Status::from_code(99), None);
    }
}
