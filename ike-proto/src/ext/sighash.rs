//! SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4): which hash functions a side takes in signatures of method 14.

use crate::registry::NotifyType;
use crate::wire::payload::Notify;
use alloc::vec::Vec;
use ravelin_crypto::AuthHashId;

/// What the peer announced; unknown numbers are kept, order is the peer's.
pub fn read<'a>(mut notifies: impl Iterator<Item = &'a Notify>) -> Vec<AuthHashId> {
    let Some(n) = notifies.find(|n| n.kind == NotifyType::SIGNATURE_HASH_ALGORITHMS) else { return Vec::new() };
    n.data
        .chunks_exact(2)
        .take(16)
        .filter_map(|c| c.try_into().ok())
        .map(|c| AuthHashId(u16::from_be_bytes(c)))
        .collect()
}
