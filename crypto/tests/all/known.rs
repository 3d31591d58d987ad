//! Answers computed with other implementations (OpenSSL by way of Python's `cryptography`; Python's integers for MODP)
//! for what the RFCs and Wycheproof have no samples of.

use crate::{Fixed, hex, providers};
use ravelin_crypto::{AuthHashId, EncrId, KeId};

/// Key 00 01 02 …, nonce 64 65 66 …, AAD 00 … 0b, plaintext 00 … 20; (id, key bits, sealed and tag).
const AEADS: &[(EncrId, u16, &str)] = &[
    (EncrId::AES_CCM_8, 128, "6c275cd156b172d8fb116aeb9eb3c0d12430c8a6604b60b8c4b522dd896929db9354fd89203c4c5e08"),
    (
        EncrId::AES_CCM_12,
        128,
        "6c275cd156b172d8fb116aeb9eb3c0d12430c8a6604b60b8c4b522dd896929db93202096160eed9da2e06d52d9",
    ),
    (
        EncrId::AES_CCM_16,
        128,
        "6c275cd156b172d8fb116aeb9eb3c0d12430c8a6604b60b8c4b522dd896929db93db5faa30ecd01217c2c492925d57c1f6",
    ),
    (EncrId::AES_CCM_8, 192, "444f9a2e523d9649fdace03c3db401df0332521568d8914a00848c993e235259646d412e135f7898c4"),
    (
        EncrId::AES_CCM_12,
        192,
        "444f9a2e523d9649fdace03c3db401df0332521568d8914a00848c993e235259646d0e128c2bf6ac331f11794e",
    ),
    (
        EncrId::AES_CCM_16,
        192,
        "444f9a2e523d9649fdace03c3db401df0332521568d8914a00848c993e235259645b0f437e6916089a956df8008382f78d",
    ),
    (EncrId::AES_CCM_8, 256, "5c7b58cf384ecfd7e7856ccb142e4863aa0a3d8f2492b873ddaadaf82f0263477ae38878e672845a4d"),
    (
        EncrId::AES_CCM_12,
        256,
        "5c7b58cf384ecfd7e7856ccb142e4863aa0a3d8f2492b873ddaadaf82f0263477af1847c789c2972bbf2c73b80",
    ),
    (
        EncrId::AES_CCM_16,
        256,
        "5c7b58cf384ecfd7e7856ccb142e4863aa0a3d8f2492b873ddaadaf82f0263477aaa43bd96b73a75bb173e2ac60533e933",
    ),
    (EncrId::AES_CCM_8_IIV, 128, "6c275cd156b172d8fb116aeb9eb3c0d12430c8a6604b60b8c4b522dd896929db9354fd89203c4c5e08"),
    (
        EncrId::AES_GCM_16,
        128,
        "1a634ca6df07befd93375d1b8ac725e320996aec86bccb4dec76ab8ca0efe9ec9af976334494080d1ccf0513ec94b417e1",
    ),
    (
        EncrId::AES_GCM_16,
        192,
        "e969b97f56aa083fdbd8e80af6ff95b1cd484cd9ee9c67f8995a52d1aa73865f7a578473eae4a55a8908c702248c28c3cb",
    ),
    (
        EncrId::AES_GCM_16,
        256,
        "481adc657dec5099366b55e3d66864f252d314199f79e565bfc8b653e7bebb57b4096ead965903384fb03e08184089c622",
    ),
    (
        EncrId::AES_GCM_12,
        128,
        "1a634ca6df07befd93375d1b8ac725e320996aec86bccb4dec76ab8ca0efe9ec9af976334494080d1ccf0513ec",
    ),
    (EncrId::AES_GCM_8, 256, "481adc657dec5099366b55e3d66864f252d314199f79e565bfc8b653e7bebb57b4096ead965903384f"),
    (
        EncrId::AES_GCM_16_IIV,
        256,
        "481adc657dec5099366b55e3d66864f252d314199f79e565bfc8b653e7bebb57b4096ead965903384fb03e08184089c622",
    ),
];

#[test]
fn aeads() {
    let octets: Vec<u8> = (0..=255).collect();
    for p in providers() {
        for (id, bits, want) in AEADS {
            let a = p.aead(*id, Some(*bits)).unwrap();
            let key = a.key(&octets[..a.key_len()]).unwrap();
            let (mut data, mut tag) = (octets[..33].to_vec(), vec![0; a.tag_len()]);
            key.seal(&octets[100..100 + a.nonce_len()], &octets[..12], &mut data, &mut tag).unwrap();
            assert_eq!([data, tag].concat(), hex(want), "{} {id} {bits}", p.name);
        }
    }
}

/// GMAC is GCM with nothing encrypted and everything in the AAD (RFC 4543 §3.3: AAD, IV, payload), for every length.
#[test]
fn gmac_is_gcm_over_aad_only() {
    let octets: Vec<u8> = (0..=255).collect();
    for p in providers() {
        for bits in [128, 192, 256] {
            let gmac = p.aead(EncrId::NULL_AUTH_AES_GMAC, Some(bits)).unwrap();
            let gcm = p.aead(EncrId::AES_GCM_16, Some(bits)).unwrap();
            let key = &octets[..gmac.key_len()];
            let (gmac, gcm) = (gmac.key(key).unwrap(), gcm.key(key).unwrap());
            let nonce = &octets[50..62];
            for aad in [0, 8, 12, 16, 17] {
                for len in 0..100 {
                    let (mut data, mut tag, mut want) = (octets[..len].to_vec(), [0; 16], [0; 16]);
                    let joined = [&octets[..aad], &nonce[4..], &octets[..len]].concat();
                    gmac.seal(nonce, &octets[..aad], &mut data, &mut tag).unwrap();
                    gcm.seal(nonce, &joined, &mut [], &mut want).unwrap();
                    assert_eq!(tag, want, "{} {aad} {len}", p.name);
                    assert_eq!(data, &octets[..len], "left in clear");
                }
            }
        }
    }
}

#[test]
fn triple_des() {
    let octets: Vec<u8> = (0..32).collect();
    for p in providers() {
        let c = p.cipher(EncrId::TRIPLE_DES, None).unwrap();
        let mut data = octets.clone();
        c.key(&octets[..24]).unwrap().encrypt(&octets[..8], &mut data).unwrap();
        assert_eq!(data, hex("894bc3085426a441f27f73ae26abbf74bd8aed47a8d26334ef7fb5aa2551c31f"), "{}", p.name);
    }
}

/// 2^x mod p and (0x1111…)^x mod p with x = 0xa5a5… of the group's exponent length, as SHA-256.
#[test]
fn modp() {
    let cases = [
        (
            KeId::MODP_1024,
            32,
            "0c7be14247c067e50a96ef9cd0674d4e1ad7c98979569b9dc33cbe5c908e15f3",
            "cc3d31bd18d0522c9b2b7aff20845e4420618611a1816524af844514698f15fa",
        ),
        (
            KeId::MODP_1536,
            32,
            "596c5f42cf91bf9c57696d91a03341095605f8ffad9ca158aef45cb7ac3400e8",
            "e5583d0cb6dbf40a8d2c4fa167b5705773a9a7e0b872b00675311de222e1807a",
        ),
        (
            KeId::MODP_2048,
            40,
            "4c26cc80a146dd3256d8d05cced1995c8554de0d52a7e6910ee898f231598b0d",
            "c12119957ad5fc2672ae390a8d028e234972e8050672acd020c1d45959836080",
        ),
        (
            KeId::MODP_3072,
            56,
            "a2cf53d583cd1b8f2a0d5a4091c465ac20a1663ada2c96328f5b4a7f25f1b38c",
            "222c5f61abbea4c2ace59b4746c36375acda996cac1281389c3231a5aa46c8a7",
        ),
        (
            KeId::MODP_4096,
            64,
            "41f7f779c2a87a583bc5745b93dac02fd8a2b2b712005ace7b22f6be8459af36",
            "8c9b37c6a2e63b5311ee67abcaf242bbb0b3150364af5b43c00a5ddb2f489382",
        ),
        (
            KeId::MODP_6144,
            72,
            "dcf85c7b7a67edb92685b3120b9e33b00542b0a38628334be6411dde47b16030",
            "30139e7e2d03f144ea9e7a1678be40a34d628685711454ad7be6297362fe85c6",
        ),
        (
            KeId::MODP_8192,
            80,
            "dc609db06f33ecdb1af104603cbdcd3dd1315fbd18f141a9d7680e02ddda2c4d",
            "ef11f6be7883107a864c5c2d5d6dcb62e105d2f4fce67e96e2c0a9145a485c14",
        ),
    ];
    for p in providers() {
        let sha256 = p.hash(AuthHashId::SHA2_256).unwrap();
        for (id, exponent_len, public, shared) in &cases {
            let k = p.ke(*id).unwrap();
            let peer = vec![0x11; k.initiator_len()];
            let (got_public, got_shared) = k.respond(&mut Fixed(vec![0xA5; *exponent_len]), &peer).unwrap();
            assert_eq!(sha256.hash(&[&got_public]), hex(public), "{} {id}", p.name);
            assert_eq!(sha256.hash(&[got_shared.expose()]), hex(shared), "{} {id}", p.name);
        }
    }
}
