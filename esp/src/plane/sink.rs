//! What goes into and comes out of the plane on the way to the wire: targets, sinks, forms of output, results.

use crate::DropReason;
use crate::mode::OuterHeader;
use ravelin_sa_db::{ChildId, Encapsulation, Path, PolicyId};

/// Which SA a packet wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The sending SA of this policy whose selectors hold the packet.
    Policy(PolicyId),
    /// This Child SA, when its selectors hold the packet.
    Child(ChildId),
}

impl Target {
    /// The number, and whether it is that of a Child SA.
    #[inline(always)]
    pub(super) fn words(self) -> (u64, bool) {
        match self {
            Self::Policy(policy) => (u64::from(policy.0), false),
            Self::Child(child) => (child.0, true),
        }
    }
}

impl From<PolicyId> for Target {
    fn from(id: PolicyId) -> Self {
        Self::Policy(id)
    }
}
impl From<ChildId> for Target {
    fn from(id: ChildId) -> Self {
        Self::Child(id)
    }
}

/// What a plane writes into sinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutputForm {
    /// From the ESP header on: a UDP payload, or what a raw socket of protocol 50 takes. The kernel writes the headers.
    #[default]
    Esp,
    /// The whole IP packet, UDP header included.
    Ip,
}

/// What a committed packet is and where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransmitMeta {
    /// The Child SA that sealed it.
    pub child: ChildId,
    /// Outer addresses and ports.
    pub path: Path,
    /// Bare, in UDP, or in TCP.
    pub encapsulation: Encapsulation,
    /// Protocol of the outer header when it is bare: 50 or 51.
    pub protocol: u8,
    /// Octets written into the reservation, from its start.
    pub len: usize,
    /// Fields of the outer header that a kernel cannot know.
    pub outer: OuterHeader,
}

/// Where sealed packets go. A reservation is filled and committed before the next one is asked for, or given up
/// by not committing it.
pub trait PacketSink {
    /// `len` octets of the caller's memory; `None` when there are none.
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]>;
    /// The last reservation holds a packet.
    fn commit(&mut self, meta: TransmitMeta);
}

/// What to do with a packet that does not fit the path MTU and whose sender allows fragments (RFC 4301 §8.2.1). IPv6
/// packets and IPv4 packets with DF are answered with [`Egress::TooBig`] in every case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fragmentation {
    /// Fragment the inner packet and protect each fragment.
    #[default]
    Before,
    /// Protect the whole and let IP fragment the result: the outer DF is clear.
    After,
    /// Drop, counted as [`DropReason::TooBig`].
    Never,
}

/// What became of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Egress {
    /// Sealed and committed.
    Sent,
    /// Dropped and counted.
    Discard(DropReason),
    /// Larger than the path carries and not to be fragmented; counted. The sender is to be told with
    /// [`crate::icmp::too_big`]; `mtu` is the largest inner packet that fits.
    TooBig {
        /// Octets.
        mtu: u16,
    },
    /// No sending SA covers it; the control side may make one.
    NoSa,
}

/// Why a packet was not sealed.
pub(crate) enum Refusal {
    Drop(DropReason),
    TooBig(u16),
}

impl From<DropReason> for Refusal {
    fn from(r: DropReason) -> Self {
        Self::Drop(r)
    }
}
