//! Algorithm strength (the rule that evaluation profiles ask for): where the PAD entry says so, no Child SA may encrypt
//! with a longer key than the IKE SA that makes it, since whoever breaks that one has both.

use alloc::vec::Vec;
use ravelin_crypto::EncrId;
use ravelin_sa_db::proposal::{EncrAlg, Proposal};

/// Bits of security that an encryption transform's key can give.
#[must_use]
pub fn bits(alg: EncrAlg) -> u16 {
    match (alg.id, alg.key_bits) {
        (EncrId::NULL, _) => 0,
        (EncrId::TRIPLE_DES, _) => 112,
        (_, Some(bits)) => bits,
        // ChaCha20, and what else has one size.
        (_, None) => 256,
    }
}

/// Takes out what is stronger than the IKE SA's cipher, and proposals of which nothing is left.
pub fn cap(ike: EncrAlg, proposals: &mut Vec<Proposal>) {
    for p in proposals.iter_mut() {
        let had = !p.encr.is_empty();
        p.encr.retain(|e| bits(*e) <= bits(ike));
        if had && p.encr.is_empty() {
            // Nothing else of it may be negotiated.
            p.integ.clear();
        }
    }
    proposals.retain(|p| !p.encr.is_empty() || !p.integ.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ravelin_sa_db::proposal::ProposalProtocol;

    fn esp(text: &str) -> Vec<Proposal> {
        Proposal::parse_list(ProposalProtocol::Esp, text).unwrap()
    }

    #[test]
    fn nothing_stronger_is_left() {
        let ike = esp("aes128gcm16")[0].encr[0];
        let mut list = esp("aes256gcm16-aes128gcm16,chacha20poly1305,aes256-sha256,null-sha256");
        cap(ike, &mut list);
        assert_eq!(list.len(), 2, "{list:?}");
        assert!(list.iter().flat_map(|p| &p.encr).all(|e| bits(*e) <= 128));
        let mut all = esp("aes256gcm16,chacha20poly1305");
        cap(esp("aes256gcm16")[0].encr[0], &mut all);
        assert_eq!(all.len(), 2);
    }
}
