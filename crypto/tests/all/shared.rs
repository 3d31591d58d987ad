//! Wycheproof files of the shared vectors folder, read in place; absent, each test says so and passes.

use crate::{hex, providers};
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, CryptoError, EncrId, PrfId};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder of shared vectors: `RAVELIN_VECTORS`, or `shared/vectors` beside the project.
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("RAVELIN_VECTORS").map(PathBuf::from);
    let beside = ["../../shared/vectors", "../../../shared/vectors"].map(|p| root.join(p));
    named.into_iter().chain(beside).find(|p| p.is_dir())
}

/// Calls `check` with every (group, case) of a file.
fn each_case(file: &str, mut check: impl FnMut(&Value, &Value)) {
    let Some(path) = folder().map(|f| f.join(file)).filter(|p| p.is_file()) else {
        println!("shared vectors absent: {file} not run");
        return;
    };
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut count = 0;
    for group in json["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            count += 1;
            check(group, case);
        }
    }
    assert_eq!(Some(count), json["numberOfTests"].as_u64(), "every case of {file}");
}

fn field(case: &Value, name: &str) -> Vec<u8> {
    hex(case[name].as_str().unwrap())
}

fn aead(file: &str, id: EncrId) {
    let providers = providers();
    each_case(file, |group, case| {
        let bits = id.needs_key_length().then(|| group["keySize"].as_u64().unwrap() as u16);
        for p in &providers {
            let what = format!("{} {file} tcId {}", p.name, case["tcId"]);
            let a = p.aead(id, bits).unwrap();
            let key = a.key(&field(case, "key")).unwrap();
            let (nonce, aad, plain) = (field(case, "iv"), field(case, "aad"), field(case, "msg"));
            let (sealed, tag) = (field(case, "ct"), field(case, "tag"));
            let mut data = sealed.clone();
            let opened = key.open(&nonce, &aad, &mut data, &tag);
            if nonce.len() != a.nonce_len() {
                assert_eq!(opened, Err(CryptoError::Length), "{what}");
            } else if case["result"] == "valid" {
                assert_eq!(opened, Ok(()), "{what}");
                assert_eq!(data, plain, "{what}");
                let (mut data, mut out) = (plain, vec![0; a.tag_len()]);
                key.seal(&nonce, &aad, &mut data, &mut out).unwrap();
                assert_eq!((data, out), (sealed, tag), "{what}");
            } else {
                assert_eq!(opened, Err(CryptoError::Integrity), "{what}");
            }
        }
    });
}

#[test]
fn aes_gcm() {
    aead("wycheproof/aes_gcm_test.json", EncrId::AES_GCM_16);
}

#[test]
fn chacha20_poly1305() {
    aead("wycheproof/chacha20_poly1305_test.json", EncrId::CHACHA20_POLY1305);
}

#[test]
fn hmac_sha256_as_prf() {
    let providers = providers();
    each_case("wycheproof/hmac_sha256_test.json", |_, case| {
        let want = field(case, "tag");
        for p in &providers {
            let got = p.prf(PrfId::HMAC_SHA2_256).unwrap().prf(&field(case, "key"), &[&field(case, "msg")]);
            let same = got.expose().get(..want.len()) == Some(&want[..]);
            assert_eq!(same, case["result"] == "valid", "{} tcId {}", p.name, case["tcId"]);
        }
    });
}

/// SKEYSEED = prf(Ni | Nr, g^ir) and its rekey form (RFC 7296 §2.14, §2.18), NIST samples. prf+ is `ike-proto`'s.
#[test]
fn nist_skeyseed() {
    let Some(path) = folder().map(|f| f.join("ike-kdf/nist-ikev2-kdf.json")).filter(|p| p.is_file()) else {
        println!("shared vectors absent: ike-kdf not run");
        return;
    };
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for v in json["vectors"].as_array().unwrap() {
        let id = match v["prf"].as_str().unwrap() {
            "PRF_HMAC_SHA1" => PrfId::HMAC_SHA1,
            "PRF_HMAC_SHA2_256" => PrfId::HMAC_SHA2_256,
            other => panic!("{other}"),
        };
        for p in providers() {
            let prf = p.prf(id).unwrap();
            let (ni, nr) = (field(v, "ni"), field(v, "nr"));
            let seed = prf.prf(&[&ni[..], &nr[..]].concat(), &[&field(v, "g_ir")]);
            assert_eq!(seed.expose(), field(v, "skeyseed"));
            let seed = prf.prf(&field(v, "sk_d"), &[&field(v, "g_ir_new"), &ni, &nr]);
            assert_eq!(seed.expose(), field(v, "skeyseed_rekey"));
        }
    }
}

/// Every provider takes exactly the valid ones; what a file calls acceptable is either.
fn signatures(file: &str, scheme: SignatureScheme) {
    let providers = providers();
    each_case(file, |group, case| {
        let key = hex(group["publicKeyDer"].as_str().unwrap());
        let (message, signature) = (field(case, "msg"), field(case, "sig"));
        for provider in &providers {
            let taken = provider.verify(scheme, &key, &[&message], &signature).is_ok();
            let result = case["result"].as_str().unwrap();
            let fits = result == "acceptable" || taken == (result == "valid");
            assert!(fits, "{} {file} {}: {taken}, expected {result}", provider.name, case["tcId"]);
        }
    });
}

#[test]
fn shared_ecdsa_p256() {
    signatures("wycheproof/ecdsa_secp256r1_sha256_test.json", SignatureScheme::Ecdsa(AuthHashId::SHA2_256));
}

#[test]
fn shared_ed25519() {
    signatures("wycheproof/ed25519_test.json", SignatureScheme::Ed25519);
}

#[test]
fn shared_rsa_pkcs1() {
    signatures("wycheproof/rsa_signature_2048_sha256_test.json", SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256));
}

#[test]
fn shared_rsa_pss() {
    signatures("wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json", SignatureScheme::RsaPss(AuthHashId::SHA2_256));
}
