//! NAT detection (RFC 7296 §2.23): each side sends hashes of the addresses it believes in; a mismatch is a NAT.

use crate::registry::NotifyType;
use crate::wire::payload::{Notify, Payload};
use core::net::{IpAddr, SocketAddr};
use ravelin_crypto::{AuthHashId, Provider};
use ravelin_sa_db::Path;

/// Where NATs stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NatState {
    /// The peer supports NAT traversal (it sent the notifies).
    pub supported: bool,
    /// We are behind a NAT.
    pub local: bool,
    /// The peer is behind a NAT, or pretends to be.
    pub remote: bool,
}

impl NatState {
    /// True when some NAT stands between.
    #[must_use]
    pub fn any(&self) -> bool {
        self.local || self.remote
    }
}

/// Octets of SHA-1.
const SHA1_LEN: usize = 20;

/// SHA-1(SPIi | SPIr | address | port); zeros when the provider has no SHA-1.
fn hash(crypto: &Provider, spi_i: u64, spi_r: u64, end: SocketAddr) -> [u8; SHA1_LEN] {
    let mut out = [0; SHA1_LEN];
    let Some(sha1) = crypto.hash(AuthHashId::SHA1) else { return out };
    let (i, r, port) = (spi_i.to_be_bytes(), spi_r.to_be_bytes(), end.port().to_be_bytes());
    let mut take = |hash: &[u8]| out.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    match end.ip() {
        IpAddr::V4(a) => sha1.hash_with(&[&i, &r, &a.octets(), &port], &mut take),
        IpAddr::V6(a) => sha1.hash_with(&[&i, &r, &a.octets(), &port], &mut take),
    }
    out
}

/// The two notifies of a message sent on `path`. With `pretend` the source hash is made wrong on purpose, so that both
/// sides use UDP encapsulation (forced encapsulation).
#[must_use]
pub fn offer(crypto: &Provider, spi_i: u64, spi_r: u64, path: Path, pretend: bool) -> [Payload; 2] {
    let source = if pretend { SocketAddr::new(path.local.ip(), 0) } else { path.local };
    let make = |kind, end| Payload::Notify(Notify::new(kind, hash(crypto, spi_i, spi_r, end).to_vec()));
    [make(NotifyType::NAT_DETECTION_SOURCE_IP, source), make(NotifyType::NAT_DETECTION_DESTINATION_IP, path.remote)]
}

/// Reads the peer's notifies in a message that came on `path` (local: where it arrived).
///
/// Several source hashes may be there, for the addresses the sender may use; one match is enough.
pub fn judge<'a>(
    crypto: &Provider,
    spi_i: u64,
    spi_r: u64,
    path: Path,
    notifies: impl Iterator<Item = &'a Notify>,
) -> NatState {
    let (theirs, ours) = (hash(crypto, spi_i, spi_r, path.remote), hash(crypto, spi_i, spi_r, path.local));
    let (mut source_seen, mut source_match, mut destination_seen, mut destination_match) = (false, false, false, false);
    for n in notifies {
        if n.kind == NotifyType::NAT_DETECTION_SOURCE_IP {
            source_seen = true;
            source_match |= n.data == theirs;
        } else if n.kind == NotifyType::NAT_DETECTION_DESTINATION_IP {
            destination_seen = true;
            destination_match |= n.data == ours;
        }
    }
    let supported = source_seen && destination_seen;
    NatState { supported, local: supported && !destination_match, remote: supported && !source_match }
}
