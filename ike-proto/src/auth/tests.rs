//! Choice of the scheme, and what the signature methods refuse.

use super::*;
use SignatureScheme as S;

const P256: &[S] = &[S::Ecdsa(AuthHashId::SHA2_256), S::EcdsaRaw(AuthHashId::SHA2_256), S::Ecdsa(AuthHashId::SHA2_512)];
const RSA: &[S] = &[S::RsaPss(AuthHashId::SHA2_256), S::RsaPkcs1(AuthHashId::SHA2_256)];

#[test]
fn the_peers_hashes_decide() {
    let choose = |s, h: &[AuthHashId]| super::choose(s, h, &[]);
    assert_eq!(
        choose(P256, &[AuthHashId::SHA2_512]),
        Some((AuthMethod::DIGITAL_SIGNATURE, S::Ecdsa(AuthHashId::SHA2_512)))
    );
    assert_eq!(choose(P256, &[]), Some((AuthMethod::ECDSA_256, S::EcdsaRaw(AuthHashId::SHA2_256))));
    assert_eq!(choose(RSA, &[]), Some((AuthMethod::RSA, S::RsaPkcs1(AuthHashId::SHA2_256))));
    assert_eq!(choose(&[S::Ed25519], &[AuthHashId::SHA2_256]), None);
    assert_eq!(choose(&[S::Ed25519], &[AuthHashId::IDENTITY]), Some((AuthMethod::DIGITAL_SIGNATURE, S::Ed25519)));
}

#[test]
fn announcements_narrow_the_choice() {
    let pkcs1 = S::RsaPkcs1(AuthHashId::SHA2_256).algorithm_identifier().unwrap();
    let only = [Announcement::digital_signature(0, &pkcs1).unwrap()];
    let all = [AuthHashId::SHA2_256];
    assert_eq!(choose(RSA, &all, &only), Some((AuthMethod::DIGITAL_SIGNATURE, S::RsaPkcs1(AuthHashId::SHA2_256))));
    assert_eq!(choose(P256, &all, &only), None);
    let psk = [Announcement::plain(AuthMethod::SHARED_KEY)];
    assert_eq!(choose(RSA, &all, &psk), None);
}

struct Fixed;
impl rand_core::TryRng for Fixed {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        dst.fill(7);
        Ok(())
    }
}
impl rand_core::TryCryptoRng for Fixed {}

/// Ed25519 key of RFC 8410 §10.3.
const PKCS8: [u8; 48] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20, 0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58,
    0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97,
    0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

#[test]
fn method_14_takes_exactly_what_was_signed() {
    let crypto = ravelin_crypto::rustcrypto::provider();
    let key = crypto.signing_key(&PKCS8).unwrap();
    let id = S::Ed25519.algorithm_identifier().unwrap();
    let signature = key.sign(S::Ed25519, &mut Fixed, &[b"octets"]).unwrap();
    let auth = Authentication::digital_signature(&id, &signature).unwrap();
    let check = |auth: &Authentication, octets: &[u8]| verify(&crypto, auth, key.public_key(), octets, false);
    assert_eq!(check(&auth, b"octets"), Ok(S::Ed25519));
    assert!(check(&auth, b"octetz").is_err());
    for at in 0..auth.data.len() {
        let mut bad = auth.clone();
        bad.data[at] ^= 1;
        assert!(check(&bad, b"octets").is_err(), "{at}");
        bad.data.truncate(at);
        assert!(check(&bad, b"octets").is_err(), "cut {at}");
    }
    // The same octets under another method's number.
    for method in [1, 9, 10, 11, 2, 13, 0, 255] {
        let bad = Authentication::new(AuthMethod(method), signature.clone());
        assert!(check(&bad, b"octets").is_err(), "{method}");
    }
    let weak = S::RsaPkcs1(AuthHashId::SHA1).algorithm_identifier().unwrap();
    let auth = Authentication::digital_signature(&weak, &signature).unwrap();
    assert!(check(&auth, b"octets").unwrap_err().contains("SHA-1"));
}

/// Values computed apart from this code, by Python's hmac: both sides of ours would agree on a wrong formula.
mod known {
    use super::*;
    use crate::auth::signed_octets::SignedOctets;
    use crate::auth::{null, psk};
    use alloc::vec::Vec;
    use ravelin_crypto::{PrfId, Secret};

    fn hex(b: &[u8]) -> String {
        b.iter().map(|x| alloc::format!("{x:02x}")).collect()
    }

    #[test]
    fn signed_octets_and_auth_values() {
        let crypto = ravelin_crypto::rustcrypto::provider();
        let prf = crypto.prf(PrfId::HMAC_SHA2_256).unwrap();
        let sha = crypto.hash(AuthHashId::SHA2_256).unwrap();
        let sk_p = Secret::new((0..32).collect());
        let (real, other): (Vec<u8>, Vec<u8>) = ((100..140).collect(), (40..60).collect());
        let octets = SignedOctets {
            real_message: &real,
            other_message: None,
            nonce: &[b'N'; 16],
            sk_p: sk_p.expose(),
            rest_of_id: b"\x02\0\0\0a.test",
            int_auth: &[b'I'; 8],
        };
        let plain = octets.bytes(prf);
        assert_eq!(hex(&sha.hash(&[&plain])), "b2fd6f068b598062b3da5a587a8063da6e23fe03127f1ba7866cad8be4a195b6");
        let whole = SignedOctets { other_message: Some(&other), ..octets }.bytes(prf);
        assert_eq!(hex(&sha.hash(&[&whole])), "bfbb94ea71bdba1218622bd39c69f22503dec6911d35413be929d3e008d1ba10");
        let secret = Secret::new(b"secret".to_vec());
        let auth = psk::sign(prf, secret.expose(), &[&plain]);
        assert_eq!(hex(auth.expose()), "c159e863b5a3b6f07ccad455121144ef9931043da876b1cab7ed2b7512cb79d7");
        assert_eq!(
            hex(null::sign(prf, sk_p.expose(), &[&plain]).expose()),
            "c76c48f506311a52c133ebac0043996b87d4ebbd6a8a0deba1e48c7a45fa9de7"
        );
        // Every octet counts, and so does the length.
        assert!(psk::verify(prf, secret.expose(), &[&plain], auth.expose()));
        for at in 0..32 {
            let mut wrong = auth.expose().to_vec();
            wrong[at] ^= 1;
            assert!(!psk::verify(prf, secret.expose(), &[&plain], &wrong), "octet {at}");
            assert!(!psk::verify(prf, secret.expose(), &[&plain], &auth.expose()[..at]), "{at} octets");
            assert!(!null::verify(prf, sk_p.expose(), &[&plain], &wrong));
        }
    }
}
