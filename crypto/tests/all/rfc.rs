//! The samples of the RFCs, looked up by transform id in every provider that has the algorithm.

use crate::{hex, providers};
use ravelin_crypto::{AuthHashId, EncrId, IntegId, PrfId};

/// RFC 4231 test cases 1, 2, 6 and RFC 2202 case 2 as PRF.
#[test]
fn prf_hmac() {
    let long = "aa".repeat(131);
    let cases: &[(PrfId, &str, &[u8], &str)] = &[
        (
            PrfId::HMAC_SHA2_256,
            "4a656665",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            PrfId::HMAC_SHA2_384,
            "4a656665",
            b"what do ya want for nothing?",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            PrfId::HMAC_SHA2_512,
            "4a656665",
            b"what do ya want for nothing?",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (
            PrfId::HMAC_SHA2_256,
            &long,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (PrfId::HMAC_SHA1, "4a656665", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ];
    for p in providers() {
        for (id, key, message, want) in cases {
            let got = p.prf(*id).unwrap().prf(&hex(key), &[message]);
            assert_eq!(got.expose(), hex(want), "{} {id}", p.name);
        }
    }
}

/// RFC 4868 §2.7.2.1 (key of 32, 48, 64 octets of 0x0b, "Hi There"), RFC 2202 §3 case 1.
#[test]
fn integ_hmac() {
    let cases: &[(IntegId, &str)] = &[
        (IntegId::HMAC_SHA2_256_128, "198a607eb44bfbc69903a0f1cf2bbdc5"),
        (IntegId::HMAC_SHA2_384_192, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"),
        (IntegId::HMAC_SHA2_512_256, "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"),
        (IntegId::HMAC_SHA1_96, "b617318655057264e28bc0b6"),
    ];
    for p in providers() {
        for (id, want) in cases {
            let i = p.integ(*id).unwrap();
            let key = i.key(&vec![0x0b; i.key_len()]).unwrap();
            let mut icv = vec![0; i.icv_len()];
            key.sign(&[b"Hi There"], &mut icv).unwrap();
            assert_eq!(icv, hex(want), "{} {id}", p.name);
        }
    }
}

/// RFC 3602 §4 cases 1 and 2.
#[test]
fn aes_cbc() {
    let cases = [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            hex("53696e676c6520626c6f636b206d7367"),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            (0..32).collect(),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
    ];
    for p in providers() {
        for (key, iv, plain, want) in &cases {
            let key = p.cipher(EncrId::AES_CBC, Some(128)).unwrap().key(&hex(key)).unwrap();
            let mut data = plain.clone();
            key.encrypt(&hex(iv), &mut data).unwrap();
            assert_eq!(data, hex(want), "{}", p.name);
            key.decrypt(&hex(iv), &mut data).unwrap();
            assert_eq!(&data, plain, "{}", p.name);
        }
    }
}

/// FIPS 180 samples: "abc".
#[test]
fn hashes() {
    let cases = [
        (AuthHashId::SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (AuthHashId::SHA2_256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            AuthHashId::SHA2_384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            AuthHashId::SHA2_512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for p in providers() {
        for (id, want) in &cases {
            assert_eq!(p.hash(*id).unwrap().hash(&[b"a", b"bc"]), hex(want), "{} {id}", p.name);
        }
    }
}
