//! What went wrong, in words an operator can act on, sorted by whose fault it is. What the wire hears of it is one
//! table in [`reaction`]; what the embedding program did wrong is [`ApiError`].
//! To add a reason: one variant, its [`Fault`], its text.

pub mod api;
pub mod reaction;

pub use api::ApiError;

use crate::registry::NotifyType;
use alloc::string::String;
use core::fmt;

/// Whose fault a [`Reason`] is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Nobody's: an operator or peer wanted it.
    Intended,
    /// The peer sent octets that are no IKEv2.
    Malformed,
    /// The peer sent well-formed messages that break the protocol.
    Misbehaved,
    /// Both are sane, but their configurations do not meet.
    Incompatible,
    /// The peer said no.
    Refused,
    /// Somebody did not answer.
    TimedOut,
    /// Authentication or a cryptographic check failed.
    Authentication,
    /// Our own configuration or resources.
    Local,
}

/// Why something ended or was refused. `Display` gives the whole story; peers never hear more than a notify.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The operator or the embedding program asked for it.
    Requested,
    /// The peer sent a Delete payload (RFC 7296 §1.4.1).
    PeerDeleted,
    /// The IKE SA that carried it is gone.
    IkeSaGone,
    /// A newer SA took its place.
    Replaced,
    /// An SA to the same identity took its place (INITIAL_CONTACT or uniqueness policy).
    Unique,
    /// No answer after all retransmissions.
    Silent {
        /// Datagrams sent.
        tries: u32,
        /// What was being waited for.
        waiting_for: &'static str,
    },
    /// A half-open SA was not completed in time.
    HalfOpenExpired,
    /// A hard lifetime was reached.
    LifetimeExpired,
    /// The peer answered with an error notify.
    PeerRefused {
        /// Which.
        notify: NotifyType,
        /// True when it came under the protection of the IKE SA.
        authenticated: bool,
        /// During what.
        during: &'static str,
    },
    /// No proposal is common to both sides.
    NoProposal {
        /// What we would take.
        ours: String,
        /// What the peer offered or chose.
        theirs: String,
    },
    /// No traffic selector is common to both sides.
    NoSelectors {
        /// What our policies hold.
        ours: String,
        /// What the peer asked for.
        theirs: String,
    },
    /// No PAD entry fits the peer.
    UnknownPeer {
        /// Identity it claimed, or its address when it has not said.
        claimed: String,
        /// Identity it asked us to have, if any.
        asked_for: Option<String>,
    },
    /// The peer's identity is not the one its PAD entry asks for.
    WrongIdentity {
        /// What was expected.
        expected: String,
        /// What came.
        came: String,
    },
    /// There is no credential to authenticate with.
    NoCredential {
        /// Which kind.
        kind: &'static str,
        /// For whom.
        identity: String,
    },
    /// The AUTH payload does not verify.
    AuthenticationFailed {
        /// The peer's identity.
        identity: String,
        /// What was checked, and the usual cause.
        detail: String,
    },
    /// The peer's certificates were refused.
    Certificate {
        /// The peer's identity.
        identity: String,
        /// What is wrong, with which certificate.
        detail: String,
    },
    /// EAP did not succeed.
    Eap {
        /// The user, or the identity when none was said.
        user: String,
        /// What happened.
        detail: String,
    },
    /// Whoever was asked said no, or nothing in time.
    Unanswered {
        /// Its words.
        why: String,
    },
    /// The peer authenticates by a method that the PAD entry does not allow.
    WrongAuthMethod {
        /// What was expected.
        expected: String,
        /// What came.
        came: String,
    },
    /// Something that policy demands is missing from the peer's messages: it does not have it, or somebody on the way
    /// took it out.
    Downgrade {
        /// Which notify or transform.
        what: String,
    },
    /// The peer's key exchange value was refused (RFC 6989).
    BadKeyExchange {
        /// Method and what is wrong.
        detail: String,
    },
    /// A message that cannot be decoded or breaks the rules of its exchange.
    Malformed {
        /// Which payload, what was expected, what came, RFC section.
        detail: String,
    },
    /// A message that is well-formed and not allowed now.
    Unexpected {
        /// What, and when.
        detail: String,
    },
    /// A limit of ours was reached.
    Limit {
        /// Which.
        what: &'static str,
    },
    /// Our own configuration does not allow it.
    Configuration {
        /// What to change.
        detail: String,
    },
    /// An algorithm failed.
    Crypto(ravelin_crypto::CryptoError),
    /// The data plane could not take or keep the SA.
    DataPlane,
    /// The endpoint is shutting down.
    ShuttingDown,
}

impl Reason {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Requested
            | Self::PeerDeleted
            | Self::IkeSaGone
            | Self::Replaced
            | Self::Unique
            | Self::LifetimeExpired
            | Self::ShuttingDown => Fault::Intended,
            Self::Silent { .. } | Self::HalfOpenExpired => Fault::TimedOut,
            Self::PeerRefused { .. } => Fault::Refused,
            Self::NoProposal { .. } | Self::NoSelectors { .. } => Fault::Incompatible,
            Self::UnknownPeer { .. }
            | Self::WrongIdentity { .. }
            | Self::AuthenticationFailed { .. }
            | Self::Downgrade { .. }
            | Self::Certificate { .. }
            | Self::Eap { .. }
            | Self::WrongAuthMethod { .. } => Fault::Authentication,
            Self::Malformed { .. } => Fault::Malformed,
            Self::BadKeyExchange { .. } | Self::Unexpected { .. } => Fault::Misbehaved,
            Self::NoCredential { .. }
            | Self::Unanswered { .. }
            | Self::Limit { .. }
            | Self::Configuration { .. }
            | Self::Crypto(_)
            | Self::DataPlane => Fault::Local,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::PeerDeleted => f.write_str("deleted by the peer (RFC 7296 section 1.4.1)"),
            Self::IkeSaGone => f.write_str("its IKE SA is gone"),
            Self::Replaced => f.write_str("replaced by a rekeyed SA"),
            Self::Unique => f.write_str("replaced by a newer SA of the same identities"),
            Self::Silent { tries, waiting_for } => {
                write!(
                    f,
                    "the peer did not answer: {tries} datagrams sent, waiting for {waiting_for}; check address, UDP 500/4500 and firewalls"
                )
            }
            Self::HalfOpenExpired => f.write_str("the peer did not complete the negotiation in time"),
            Self::LifetimeExpired => f.write_str("lifetime reached"),
            Self::PeerRefused { notify, authenticated, during } => {
                let how = if *authenticated { "" } else { ", not authenticated" };
                write!(f, "the peer answered {notify} during {during}{how}{}", hint(*notify))
            }
            Self::NoProposal { ours, theirs } => write!(f, "no common proposal: ours [{ours}], the peer's [{theirs}]"),
            Self::NoSelectors { ours, theirs } => {
                write!(f, "no common traffic selectors: ours [{ours}], the peer's [{theirs}]")
            }
            Self::UnknownPeer { claimed, asked_for: None } => write!(f, "no peer is configured for {claimed}"),
            Self::UnknownPeer { claimed, asked_for: Some(us) } => {
                write!(f, "no peer is configured for {claimed} that knows us as {us}")
            }
            Self::WrongIdentity { expected, came } => {
                write!(f, "wrong identity: expected {expected}, the peer is {came}")
            }
            Self::NoCredential { kind, identity } => write!(f, "no {kind} for {identity}"),
            Self::AuthenticationFailed { identity, detail } => {
                write!(f, "authentication of {identity} failed: {detail}")
            }
            Self::Certificate { identity, detail } => write!(f, "certificate of {identity} refused: {detail}"),
            Self::Eap { user, detail } => write!(f, "EAP of {user} failed: {detail}"),
            Self::Unanswered { why } => write!(f, "whoever was asked refused: {why}"),
            Self::WrongAuthMethod { expected, came } => {
                write!(f, "wrong authentication method: expected {expected}, came {came}")
            }
            Self::Downgrade { what } => {
                write!(
                    f,
                    "policy demands {what}, and the peer's IKE_SA_INIT does not have it: not supported there, or stripped on the way"
                )
            }
            Self::BadKeyExchange { detail } => write!(f, "key exchange value refused (RFC 6989): {detail}"),
            Self::Malformed { detail } => write!(f, "malformed message: {detail}"),
            Self::Unexpected { detail } => write!(f, "unexpected message: {detail}"),
            Self::Limit { what } => write!(f, "limit reached: {what}"),
            Self::Configuration { detail } => write!(f, "configuration: {detail}"),
            Self::Crypto(e) => write!(f, "cryptography: {e}"),
            Self::DataPlane => f.write_str("the data plane could not take the SA"),
            Self::ShuttingDown => f.write_str("shutting down"),
        }
    }
}

impl core::error::Error for Reason {}

impl From<ravelin_crypto::CryptoError> for Reason {
    fn from(e: ravelin_crypto::CryptoError) -> Self {
        Self::Crypto(e)
    }
}

/// What the usual cause of a refusal is.
fn hint(notify: NotifyType) -> &'static str {
    match notify {
        NotifyType::NO_PROPOSAL_CHOSEN => "; none of our proposals suits it, compare both configurations",
        NotifyType::AUTHENTICATION_FAILED => "; identity or secret do not match its configuration",
        NotifyType::TS_UNACCEPTABLE => "; its policies do not cover our traffic selectors",
        NotifyType::INVALID_KE_PAYLOAD => "; it wants another key exchange method",
        NotifyType::NO_ADDITIONAL_SAS => "; it takes no more Child SAs",
        NotifyType::TEMPORARY_FAILURE => "; it is busy rekeying, the request is repeated later",
        _ => "",
    }
}
