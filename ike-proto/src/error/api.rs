//! The embedding program's own mistakes: the only errors that API calls return.

use core::fmt;

/// A call that cannot be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ApiError {
    /// No IKE SA has this id (any more).
    UnknownSa,
    /// No Child SA has this id (any more).
    UnknownChild,
    /// No PAD entry has this id.
    UnknownPeer,
    /// No SPD entry has this id, or it does not protect, or it belongs to another peer.
    UnknownPolicy,
    /// The PAD entry names no address to initiate to.
    NoRemoteAddress,
    /// The PAD entry or path names no local address to initiate from.
    NoLocalAddress,
    /// The configuration offers no usable proposal for this peer.
    NoProposal,
    /// The SA is closing or not established yet.
    NotEstablished,
    /// The ticket is unknown, answered or expired.
    UnknownTicket,
    /// The answer is of another kind than the question.
    WrongAnswer,
    /// The configuration does not allow initiating (initiator-only peers, shutdown).
    NotAllowed,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownSa => "no IKE SA has this id",
            Self::UnknownChild => "no Child SA has this id",
            Self::UnknownPeer => "no peer has this id",
            Self::UnknownPolicy => "no protect policy of this peer has this id",
            Self::NoRemoteAddress => "the peer has no remote address to initiate to",
            Self::NoLocalAddress => "the peer has no local address to initiate from",
            Self::NoProposal => "no proposal is usable with this provider",
            Self::NotEstablished => "the IKE SA is not established",
            Self::UnknownTicket => "the ticket is unknown or expired",
            Self::WrongAnswer => "the answer is of another kind than the question",
            Self::NotAllowed => "not allowed now",
        })
    }
}

impl core::error::Error for ApiError {}
