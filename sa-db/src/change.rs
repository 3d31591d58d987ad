//! Control to data: what IKE wants done to SAs and policies. `Node` applies these to its inline plane at once; a
//! driver with a plane of its own (XFRM, VPP, an ASIC) takes them from the output queue, in order.
//!
//! Order matters and is kept: the inbound SA is installed before the message that lets the peer use it is sent.

use crate::spd::Policy;
use crate::{ChildId, Direction, Encapsulation, Path, SaParams, Spi};
use alloc::sync::Arc;

/// Names one direction of one Child SA in a way every plane can look up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SaRef {
    /// The pair.
    pub child: ChildId,
    /// Which half.
    pub direction: Direction,
    /// Its SPI (the receiver's).
    pub spi: Spi,
    /// Outer addresses as last told.
    pub path: Path,
}

/// One step for the data plane.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Accept packets on this SA from now on.
    InstallInbound(Arc<SaParams>),
    /// Have this SA ready for sending. It carries traffic of its policy when that policy has no other active SA, or
    /// after [`Change::Switch`].
    InstallOutbound(Arc<SaParams>),
    /// Send on `to` what was sent on `from` (rekeying); `from` stays installed inbound.
    Switch {
        /// The pair that stops sending.
        from: ChildId,
        /// The pair that sends from now on.
        to: ChildId,
    },
    /// Both directions of a pair have new outer addresses or another encapsulation (RFC 4555, RFC 7296 §2.23).
    Move {
        /// The pair.
        child: ChildId,
        /// New path; local and remote as seen from this host.
        path: Path,
        /// New encapsulation.
        encapsulation: Encapsulation,
    },
    /// Forget one direction and wipe its keys.
    Remove(SaRef),
    /// A policy with an empty side has got its selectors for one IKE SA (a leased address, RFC 7296 §2.19): this copy
    /// of it, with the same id, holds from now on beside the others ([`crate::Spd::bind`]). Precedes the SA.
    AddPolicy(Arc<Policy>),
    /// That copy is gone ([`crate::Spd::unbind`]).
    RemovePolicy(Arc<Policy>),
}
