//! Data to control: what a data plane saw and IKE should know.

use crate::{ChildId, Instant, PacketKey, Path, PolicyId};

/// One observation of the data plane.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Report {
    /// A packet matched a protect policy that has no SA: start negotiating.
    Acquire {
        /// The policy.
        policy: PolicyId,
        /// The packet's own selector, for the first traffic selectors (RFC 7296 §2.9).
        packet: PacketKey,
    },
    /// A soft limit by bytes or packets was passed.
    SoftExpired(ChildId),
    /// A hard limit was passed; the SA carries nothing any more.
    HardExpired(ChildId),
    /// The outbound sequence number is near its end: rekey.
    SequenceLow(ChildId),
    /// No traffic for the SA's idle limit.
    Idle(ChildId),
    /// An authenticated packet came from another outer address (RFC 7296 §2.23).
    PathSeen {
        /// The pair.
        child: ChildId,
        /// The path it came on.
        path: Path,
    },
    /// The last authenticated inbound packet of the pair; proves the peer alive (RFC 7296 §2.4).
    Traffic {
        /// The pair.
        child: ChildId,
        /// When.
        last: Instant,
    },
    /// A packet came for an SPI that no SA has (RFC 7296 §1.5); a hint at most.
    UnknownSpi {
        /// The SPI.
        spi: crate::Spi,
        /// Where it came from.
        path: Path,
    },
    /// The plane could not install or keep the pair.
    Failed(ChildId),
}
