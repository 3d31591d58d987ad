//! What the SAD keeps of an SA beside the plane's own object: where to find it again.

use crate::{ChildId, Direction, PacketKey, PolicyId, SaParams, Spi, TrafficSelector};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

/// How an inbound SA is addressed (RFC 4301 §4.1): SPI alone for unicast; destination and source for multicast and
/// manual keys. The longest match wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InboundKey {
    /// The SPI.
    pub spi: Spi,
    /// Destination address that the packet must have, if that counts.
    pub dst: Option<IpAddr>,
    /// Source address that the packet must have, if that counts; only together with `dst`.
    pub src: Option<IpAddr>,
}

impl InboundKey {
    /// By SPI alone.
    #[must_use]
    pub const fn spi(spi: Spi) -> Self {
        Self { spi, dst: None, src: None }
    }
}

/// An inbound SA.
#[derive(Debug)]
pub struct InboundSa<T> {
    /// How it is addressed.
    pub key: InboundKey,
    /// The pair.
    pub child: ChildId,
    /// The plane's object.
    pub sa: Arc<T>,
}

/// An outbound SA.
#[derive(Debug)]
pub struct OutboundSa<T> {
    /// The pair.
    pub child: ChildId,
    /// The policy that called for it.
    pub policy: PolicyId,
    /// The peer's SPI.
    pub spi: Spi,
    /// Negotiated selectors, our side.
    pub local_ts: Vec<TrafficSelector>,
    /// Negotiated selectors, the peer's side.
    pub remote_ts: Vec<TrafficSelector>,
    /// Resource id of a per-resource SA (RFC 9611); empty: the fallback SA.
    pub resource: Vec<u8>,
    /// True when it carries traffic; false while a rekeyed SA waits for its turn or for its end.
    pub active: bool,
    /// The plane's object.
    pub sa: Arc<T>,
}

// Not derived: the object behind `Arc` need not be `Clone`.
impl<T> Clone for InboundSa<T> {
    fn clone(&self) -> Self {
        Self { key: self.key, child: self.child, sa: Arc::clone(&self.sa) }
    }
}

impl<T> Clone for OutboundSa<T> {
    fn clone(&self) -> Self {
        Self {
            child: self.child,
            policy: self.policy,
            spi: self.spi,
            local_ts: self.local_ts.clone(),
            remote_ts: self.remote_ts.clone(),
            resource: self.resource.clone(),
            active: self.active,
            sa: Arc::clone(&self.sa),
        }
    }
}

impl<T> OutboundSa<T> {
    /// From what IKE installs; `sa` is the plane's object.
    #[must_use]
    pub fn new(params: &SaParams, active: bool, sa: Arc<T>) -> Self {
        Self {
            child: params.child,
            policy: params.policy,
            spi: params.spi,
            local_ts: params.local_ts.to_vec(),
            remote_ts: params.remote_ts.to_vec(),
            resource: params.resource.clone(),
            active,
            sa,
        }
    }

    /// True when the packet is inside the negotiated selectors.
    #[must_use]
    pub fn covers(&self, packet: &PacketKey) -> bool {
        packet.matches_any(&self.local_ts, &self.remote_ts)
    }
}

/// Why an SA was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SadError {
    /// Another inbound SA is addressed the same way.
    DuplicateKey(InboundKey),
    /// The pair has this direction already.
    DuplicateChild(ChildId, Direction),
    /// SPIs below 256 are reserved (RFC 4303 §2.1).
    ReservedSpi(Spi),
}

impl core::fmt::Display for SadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::DuplicateKey(key) => write!(f, "SPI {} is taken by another inbound SA", key.spi),
            Self::DuplicateChild(child, direction) => write!(f, "{child} has an SA {direction:?} already"),
            Self::ReservedSpi(spi) => write!(f, "SPI {spi} is reserved; expected 00000100 or above (RFC 4303 §2.1)"),
        }
    }
}

impl core::error::Error for SadError {}
