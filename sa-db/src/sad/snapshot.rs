//! One SA in a snapshot: what a data plane needs to carry on, keys only when they were asked for.
//!
//! A counter-mode nonce must never be used twice with a key (RFC 4106 §3.1, RFC 8750 §5). Whoever restores an outbound
//! SA starts at [`SaSnapshot::sequence`], and whoever exported it must not send on it again.

use crate::snapshot::Octets;
use crate::{
    ChildId, CipherSuite, Direction, Encapsulation, Lifetime, Mode, Path, PolicyId, Protocol, SaParams, Spi,
    TrafficSelector,
};
use alloc::vec::Vec;
use ravelin_crypto::{EncrId, IntegId, Secret};
use serde::{Deserialize, Serialize};

/// One direction of a Child SA.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SaSnapshot {
    /// The pair it belongs to.
    pub child: ChildId,
    /// The SPI, in host order.
    pub spi: u32,
    /// Which way.
    pub direction: Direction,
    /// ESP or AH.
    pub protocol: Protocol,
    /// Tunnel, transport or BEET.
    pub mode: Mode,
    /// Outer addresses and ports.
    pub path: Path,
    /// UDP or TCP encapsulation.
    pub encapsulation: Encapsulation,
    /// Encryption transform ID (IANA).
    pub encr: u16,
    /// Its Key Length attribute in bits.
    pub key_bits: Option<u16>,
    /// Integrity transform ID (IANA); 0 with an AEAD.
    pub integ: u16,
    /// Keys; `None`: left out.
    pub keys: Option<KeySnapshot>,
    /// Extended sequence numbers.
    pub esn: bool,
    /// Replay window in packets.
    pub replay_window: u32,
    /// Selectors, our side.
    pub local_ts: Vec<TrafficSelector>,
    /// Selectors, the peer's side.
    pub remote_ts: Vec<TrafficSelector>,
    /// The policy that called for it.
    pub policy: PolicyId,
    /// Volume and idle limits.
    pub lifetime: Lifetime,
    /// The peer takes TFC padding.
    pub tfc_padding: bool,
    /// Interface id.
    pub if_id: u32,
    /// Packet mark.
    pub mark: u32,
    /// Resource id (RFC 9611).
    pub resource: Octets,
    /// Outbound: the lowest sequence number that may be used from now on. Inbound: the highest that was authenticated;
    /// a restored window must refuse it and everything below.
    pub sequence: u64,
}

/// Keys as in KEYMAT (RFC 7296 §2.17).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeySnapshot {
    /// Encryption key and salt.
    #[serde(with = "crate::snapshot::secret")]
    pub encr: Secret,
    /// Integrity key.
    #[serde(with = "crate::snapshot::secret")]
    pub integ: Secret,
}

impl SaSnapshot {
    /// Of an SA with its keys, at this sequence number (see [`SaSnapshot::sequence`]).
    #[must_use]
    pub fn new(p: &SaParams, sequence: u64) -> Self {
        Self {
            child: p.child,
            spi: p.spi.0,
            direction: p.direction,
            protocol: p.protocol,
            mode: p.mode,
            path: p.path,
            encapsulation: p.encapsulation,
            encr: p.suite.encr.0,
            key_bits: p.suite.key_bits,
            integ: p.suite.integ.0,
            keys: Some(KeySnapshot { encr: p.suite.encr_key.clone(), integ: p.suite.integ_key.clone() }),
            esn: p.esn,
            replay_window: p.replay_window,
            local_ts: p.local_ts.to_vec(),
            remote_ts: p.remote_ts.to_vec(),
            policy: p.policy,
            lifetime: p.lifetime,
            tfc_padding: p.tfc_padding,
            if_id: p.if_id,
            mark: p.mark,
            resource: Octets(p.resource.clone()),
            sequence,
        }
    }

    /// The same without keys.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.keys = None;
        self
    }

    /// What a data plane installs; `None` when the keys were left out.
    #[must_use]
    pub fn params(&self) -> Option<SaParams> {
        let keys = self.keys.as_ref()?;
        Some(SaParams {
            child: self.child,
            spi: Spi(self.spi),
            direction: self.direction,
            protocol: self.protocol,
            mode: self.mode,
            path: self.path,
            encapsulation: self.encapsulation,
            suite: CipherSuite {
                encr: EncrId(self.encr),
                key_bits: self.key_bits,
                integ: IntegId(self.integ),
                encr_key: keys.encr.clone(),
                integ_key: keys.integ.clone(),
            },
            esn: self.esn,
            replay_window: self.replay_window,
            local_ts: self.local_ts.as_slice().into(),
            remote_ts: self.remote_ts.as_slice().into(),
            policy: self.policy,
            lifetime: self.lifetime,
            tfc_padding: self.tfc_padding,
            if_id: self.if_id,
            mark: self.mark,
            resource: self.resource.0.clone(),
        })
    }
}
