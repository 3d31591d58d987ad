//! What a data plane must know of one direction of one Child SA. Everything an inline plane, a kernel, VPP or an
//! ASIC needs is here; nothing of IKE is.

use crate::{ChildId, Path, PolicyId, Spi, TrafficSelector};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use ravelin_crypto::{EncrId, IntegId, Secret};

/// Which way an SA, a policy or a packet goes, seen from this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Direction {
    /// From the peer to us.
    Inbound,
    /// From us to the peer.
    Outbound,
}

/// Security protocol (RFC 7296 §3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Protocol {
    /// RFC 4303.
    #[default]
    Esp,
    /// RFC 4302.
    Ah,
}

/// How the inner packet is carried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Mode {
    /// A whole IP packet inside (RFC 4301 §5.1.2).
    #[default]
    Tunnel,
    /// The upper layer only (RFC 4301 §4.1).
    Transport,
    /// Bound end-to-end tunnel: fixed inner addresses, transport-sized packets.
    Beet,
}

/// What stands between the outer IP header and ESP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Encapsulation {
    /// Bare protocol 50 or 51.
    #[default]
    None,
    /// UDP (RFC 3948); ports are those of the SA's path.
    Udp,
    /// TCP framing (RFC 9329).
    Tcp,
}

/// Algorithms and keys of one direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CipherSuite {
    /// Encryption transform.
    pub encr: EncrId,
    /// Key Length attribute in bits, where the transform has one.
    pub key_bits: Option<u16>,
    /// Integrity transform; [`IntegId::NONE`] with an AEAD.
    pub integ: IntegId,
    /// Encryption key followed by the salt, as in KEYMAT (RFC 7296 §2.17).
    pub encr_key: Secret,
    /// Integrity key; empty with an AEAD.
    pub integ_key: Secret,
}

/// One set of limits; 0 means "no limit".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// Octets of inner packets.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

/// Volume and idle limits that the data plane watches. Time limits are watched by IKE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lifetime {
    /// Passing these yields [`crate::Report::SoftExpired`], once.
    pub soft: Limits,
    /// Passing these stops the SA and yields [`crate::Report::HardExpired`], once.
    pub hard: Limits,
    /// No packet for this long yields [`crate::Report::Idle`]; zero: not watched.
    pub idle: Duration,
}

/// One direction of one Child SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaParams {
    /// The pair it belongs to.
    pub child: ChildId,
    /// Inbound: the SPI we chose. Outbound: the SPI the peer chose.
    pub spi: Spi,
    /// Which way.
    pub direction: Direction,
    /// ESP or AH.
    pub protocol: Protocol,
    /// Tunnel, transport or BEET.
    pub mode: Mode,
    /// Outer addresses; with [`Encapsulation::Udp`] also the ports.
    pub path: Path,
    /// UDP or TCP encapsulation.
    pub encapsulation: Encapsulation,
    /// Algorithms and keys.
    pub suite: CipherSuite,
    /// Extended sequence numbers (RFC 4303 §2.2.1).
    pub esn: bool,
    /// Replay window in packets; 0 turns replay protection off. Inbound only.
    pub replay_window: u32,
    /// Negotiated selectors, our side. Never empty. In transport mode behind a NAT with the address that the peer named,
    /// which checksums were made with (RFC 3948 §3.1.2); packets show the addresses of `path`.
    pub local_ts: Arc<[TrafficSelector]>,
    /// Negotiated selectors, the peer's side; otherwise as `local_ts`.
    pub remote_ts: Arc<[TrafficSelector]>,
    /// The policy that called for it.
    pub policy: PolicyId,
    /// Volume and idle limits.
    pub lifetime: Lifetime,
    /// False when the peer said ESP_TFC_PADDING_NOT_SUPPORTED (RFC 7296 §1.3.1).
    pub tfc_padding: bool,
    /// Interface id (route-based tunnels); 0: none.
    pub if_id: u32,
    /// Packet mark; 0: none.
    pub mark: u32,
    /// Opaque resource id of a per-resource SA (RFC 9611); empty: the fallback SA.
    pub resource: Vec<u8>,
}
