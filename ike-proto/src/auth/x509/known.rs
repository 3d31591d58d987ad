//! What was found out about certificates before, so that each handshake does not find it out again: signatures of CAs
//! that were good, and the key hashes of our own trusted CAs.
//!
//! Only the public-key operation is spared: validity, constraints, usages, revocation, identity and the path itself are
//! judged every time, and so is the peer's AUTH. A signature is known by a hash over algorithm, issuer's key, signature
//! and all that is signed, and only good ones are kept. Those under peers' own certificates have a room of their own, so
//! that no crowd of peers can push the CAs out; the one not met for longest goes first.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, Provider};
use spin::Mutex;

/// Signatures that are kept under certificates and lists of CAs.
const MAX_OF_CAS: usize = 256;
/// Signatures that are kept under peers' own certificates.
const MAX_OF_PEERS: usize = 1024;
/// Trusted CAs whose key hash is kept.
const MAX_AUTHORITIES: usize = 1024;

/// A memory that one endpoint has.
#[derive(Default)]
pub struct Known(Mutex<Memory>);

/// Good signatures, each with the moment of its last use, counted in uses.
#[derive(Default)]
struct Room {
    good: BTreeMap<Print, u64>,
    order: BTreeMap<u64, Print>,
    uses: u64,
}

impl Room {
    /// Finds a signature, which counts as a use.
    fn find(&mut self, print: &Print) -> bool {
        let Some(last) = self.good.get_mut(print) else { return false };
        self.uses = self.uses.saturating_add(1);
        self.order.remove(last);
        *last = self.uses;
        self.order.insert(self.uses, *print);
        true
    }

    /// Keeps a signature; beyond `max` the one not used for longest goes.
    fn keep(&mut self, print: Print, max: usize) {
        if self.find(&print) {
            return;
        }
        self.uses = self.uses.saturating_add(1);
        self.good.insert(print, self.uses);
        self.order.insert(self.uses, print);
        if self.good.len() > max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.good.remove(&oldest);
        }
    }
}

#[derive(Default)]
struct Memory {
    cas: Room,
    peers: Room,
    /// SHA-1 of the public key, by certificate (DER); none for what cannot be read.
    authorities: BTreeMap<Vec<u8>, Option<[u8; 20]>>,
}

/// The name of a signature.
pub(super) type Print = [u8; 32];

/// Under what a signature stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Under {
    /// A CA's certificate, a revocation list.
    Ca,
    /// A peer's own certificate.
    Peer,
}

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
    pub(super) fn is_good(&self, under: Under, print: &Print) -> bool {
        let mut memory = self.0.lock();
        match under {
            Under::Ca => memory.cas.find(print),
            Under::Peer => memory.peers.find(print),
        }
    }

    /// That signature is good.
    pub(super) fn good(&self, under: Under, print: Print) {
        let mut memory = self.0.lock();
        match under {
            Under::Ca => memory.cas.keep(print, MAX_OF_CAS),
            Under::Peer => memory.peers.keep(print, MAX_OF_PEERS),
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
        let memory = self.0.lock();
        write!(f, "Known({} of CAs, {} of peers)", memory.cas.good.len(), memory.peers.good.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(n: usize) -> Print {
        let mut print = [0; 32];
        print[..8].copy_from_slice(&n.to_be_bytes());
        print
    }

    #[test]
    fn the_signature_not_met_for_longest_goes_first() {
        for (under, max) in [(Under::Ca, MAX_OF_CAS), (Under::Peer, MAX_OF_PEERS)] {
            let known = Known::default();
            (0..max).for_each(|n| known.good(under, print(n)));
            // 0 is met again, and 2 said again: the next two to go are 1 and 3.
            assert!(known.is_good(under, &print(0)));
            known.good(under, print(2));
            known.good(under, print(max));
            known.good(under, print(max + 1));
            let gone: Vec<usize> = (0..max + 2).filter(|n| !known.is_good(under, &print(*n))).collect();
            assert_eq!(gone, [1, 3], "{under:?}");
            let memory = known.0.lock();
            let room = if under == Under::Ca { &memory.cas } else { &memory.peers };
            assert_eq!((room.good.len(), room.order.len()), (max, max));
        }
    }

    #[test]
    fn a_crowd_of_peers_pushes_no_ca_out() {
        let known = Known::default();
        known.good(Under::Ca, print(0));
        (1..=2 * MAX_OF_PEERS).for_each(|n| known.good(Under::Peer, print(n)));
        assert!(known.is_good(Under::Ca, &print(0)));
        // Nor is what is good under a peer's certificate good under a CA's.
        assert!(!known.is_good(Under::Ca, &print(2 * MAX_OF_PEERS)));
        assert!(known.is_good(Under::Peer, &print(2 * MAX_OF_PEERS)));
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
