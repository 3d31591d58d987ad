//! The life of an IKE SA as a whole, apart from what is on the wire: a peer's crossing request is always answerable
//! from here. To add a stage: one variant, and every `match` will ask what it means there.

/// Where an IKE SA stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lifecycle {
    /// IKE_SA_INIT to IKE_AUTH; nothing of the peer is proved.
    Opening,
    /// Authenticated both ways.
    Established,
    /// Its successor is up (rekeyed); only its Delete is missing.
    Replaced,
    /// Our Delete is on the wire.
    Closing,
    /// Gone; to be forgotten by the endpoint at the end of the call.
    Closed,
}

impl Lifecycle {
    /// True while new exchanges of our own may start.
    #[must_use]
    pub fn may_start(self) -> bool {
        self == Self::Established
    }

    /// For `show`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "OPENING",
            Self::Established => "ESTABLISHED",
            Self::Replaced => "REPLACED",
            Self::Closing => "CLOSING",
            Self::Closed => "CLOSED",
        }
    }
}
