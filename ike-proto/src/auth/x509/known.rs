//! What was found out about certificates before, so that each handshake does not find it out again: signatures of CAs
//! that were good, and the key hashes of our own trusted CAs.
//!
//! Only the public-key operation is spared: validity, constraints, usages, revocation and the path itself are judged
//! every time. A signature is known by a hash over algorithm, key, signature and all that is signed, and only good ones
//! are kept. A peer's own certificate is never among them, so that no crowd of peers can push the CAs out.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, Provider};
use spin::Mutex;

/// Signatures that are kept; the oldest goes first.
const MAX_SIGNATURES: usize = 256;
/// Trusted CAs whose key hash is kept.
const MAX_AUTHORITIES: usize = 1024;

/// A memory that one endpoint has.
#[derive(Default)]
pub struct Known(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    good: BTreeSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
    /// SHA-1 of the public key, by certificate (DER); none for what cannot be read.
    authorities: BTreeMap<Vec<u8>, Option<[u8; 20]>>,
}

/// The name of a signature.
pub(super) type Print = [u8; 32];

impl Known {
    /// The name of a signature over `message` with the key in `spki`; none when the provider lacks the hash.
    pub(super) fn print(
        crypto: &Provider,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Option<Print> {
        let scheme = scheme.algorithm_identifier()?;
        let len = |part: &[u8]| (part.len() as u64).to_be_bytes();
        let lens = [len(&scheme), len(spki), len(signature)].concat();
        let hash = crypto.hash(AuthHashId::SHA2_256)?;
        hash.hash(&[&lens, &scheme, spki, signature, message]).try_into().ok()
    }

    /// True when that signature was good before.
    pub(super) fn is_good(&self, print: &Print) -> bool {
        self.0.lock().good.contains(print)
    }

    /// That signature is good.
    pub(super) fn good(&self, print: Print) {
        let mut memory = self.0.lock();
        if !memory.good.insert(print) {
            return;
        }
        memory.order.push_back(print);
        if memory.order.len() > MAX_SIGNATURES
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.good.remove(&oldest);
        }
    }

    /// The key hash of one of our own CA certificates; `find` works it out.
    pub(super) fn authority(&self, der: &[u8], find: impl FnOnce() -> Option<[u8; 20]>) -> Option<[u8; 20]> {
        let mut memory = self.0.lock();
        if let Some(hash) = memory.authorities.get(der) {
            return *hash;
        }
        if memory.authorities.len() >= MAX_AUTHORITIES {
            memory.authorities.clear();
        }
        let hash = find();
        memory.authorities.insert(der.to_vec(), hash);
        hash
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} signatures)", self.0.lock().good.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_signature_goes_first() {
        let known = Known::default();
        let print = |n: usize| {
            let mut print = [0; 32];
            print[..8].copy_from_slice(&n.to_be_bytes());
            print
        };
        (0..=MAX_SIGNATURES).for_each(|n| known.good(print(n)));
        known.good(print(MAX_SIGNATURES));
        assert!(!known.is_good(&print(0)));
        assert!((1..=MAX_SIGNATURES).all(|n| known.is_good(&print(n))));
        assert_eq!(known.0.lock().order.len(), MAX_SIGNATURES);
    }

    #[test]
    fn every_part_of_a_signature_is_in_its_name() {
        let crypto = ravelin_crypto::rustcrypto::provider();
        let p = |scheme, spki: &[u8], message: &[u8], signature: &[u8]| {
            Known::print(&crypto, scheme, spki, message, signature).unwrap()
        };
        let scheme = SignatureScheme::Ecdsa(AuthHashId::SHA2_256);
        let one = p(scheme, b"key", b"message", b"signature");
        assert_eq!(one, p(scheme, b"key", b"message", b"signature"));
        let others = [
            p(SignatureScheme::Ecdsa(AuthHashId::SHA2_384), b"key", b"message", b"signature"),
            p(scheme, b"kez", b"message", b"signature"),
            p(scheme, b"key", b"messagf", b"signature"),
            p(scheme, b"key", b"message", b"signaturf"),
            p(scheme, b"keys", b"message", b"ignature"),
            p(scheme, b"key", b"emessage", b"signatur"),
        ];
        assert!(others.iter().all(|o| *o != one));
    }
}
