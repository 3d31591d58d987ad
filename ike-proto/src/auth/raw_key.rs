//! Raw public keys (RFC 7670): the CERT payload is a SubjectPublicKeyInfo, and the PAD entry names the keys it takes.

use crate::registry::CertEncoding;
use crate::wire::payload::Certificate;
use alloc::vec::Vec;

/// Keys tried for one AUTH payload at most.
const MAX: usize = 8;

/// The keys of `pinned` that a peer with these CERT payloads may sign with: those that it sent, or all when it sent
/// none.
#[must_use]
pub fn candidates(pinned: &[Vec<u8>], sent: &[&Certificate]) -> Vec<Vec<u8>> {
    let raw: Vec<&[u8]> =
        sent.iter().filter(|c| c.encoding == CertEncoding::RAW_PUBLIC_KEY).map(|c| c.data.as_slice()).collect();
    let named = |key: &&Vec<u8>| raw.is_empty() || raw.contains(&key.as_slice());
    pinned.iter().filter(named).take(MAX).cloned().collect()
}

/// The CERT payload of our own key.
#[must_use]
pub fn payload(public_key: &[u8]) -> Certificate {
    Certificate { encoding: CertEncoding::RAW_PUBLIC_KEY, data: public_key.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pinned_keys_count() {
        let pinned = [alloc::vec![1], alloc::vec![2]];
        let sent = [payload(&[2]), payload(&[3])];
        assert_eq!(candidates(&pinned, &[&sent[0]]), [[2]]);
        assert!(candidates(&pinned, &[&sent[1]]).is_empty(), "a key that is not pinned");
        assert_eq!(candidates(&pinned, &[]), pinned);
    }
}
