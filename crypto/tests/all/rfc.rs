//! The samples of the RFCs, looked up by transform id in every provider that has the algorithm.

use crate::{Fixed, hex, providers};
use ravelin_crypto::{AuthHashId, EncrId, IntegId, KeId, PrfId};

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

/// RFC 3686 §6, test vectors 1, 5 and 9: one of each key size.
#[test]
fn aes_ctr() {
    let cases = [
        (
            128,
            "AE6852F8121067CC4BF7A5765577F39E 00000030",
            "0000000000000000",
            b"Single block msg".to_vec(),
            "E4095D4FB7A7B3792D6175A3261311B8",
        ),
        (
            192,
            "7C5CB2401B3DC33C19E7340819E0F69C678C3DB8E6F6A91A 0096B03B",
            "020C6EADC2CB500D",
            (0..32).collect(),
            "453243FC609B23327EDFAAFA7131CD9F8490701C5AD4A79CFC1FE0FF42F4FB00",
        ),
        (
            256,
            "FF7A617CE69148E4F1726E2F43581DE2AA62D9F805532EDFF1EED687FB54153D 001CC5B7",
            "51A51D70A1C11148",
            (0..36).collect(),
            "EB6C52821D0BBBF7CE7594462ACA4FAAB407DF866569FD07F48CC0B583D6071F1EC0E6B8",
        ),
    ];
    for p in providers() {
        for (bits, key, iv, plain, want) in &cases {
            let key = p.cipher(EncrId::AES_CTR, Some(*bits)).unwrap().key(&hex(key)).unwrap();
            let mut data = plain.clone();
            key.encrypt(&hex(iv), &mut data).unwrap();
            assert_eq!(data, hex(want), "{}", p.name);
            key.decrypt(&hex(iv), &mut data).unwrap();
            assert_eq!(&data, plain, "{}", p.name);
        }
    }
}

/// RFC 3566 §4.1 cases 1 to 4, 6 and 7, RFC 4493 §4: the full MACs, of which the ICV is the first 12 octets.
#[test]
fn integ_aes() {
    let counting: Vec<u8> = (0..34).collect();
    let nist = hex("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
         30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710");
    let cases: &[(IntegId, &str, &[u8], &str)] = &[
        (IntegId::AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", b"", "75f0251d528ac01c4573dfd5"),
        (IntegId::AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", &counting[..3], "5b376580ae2f19afe7219cee"),
        (IntegId::AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", &counting[..16], "d2a246fa349b68a79998a439"),
        (IntegId::AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", &counting[..20], "47f51b4564966215b8985c63"),
        (IntegId::AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", &counting[..32], "f54f0ec8d2b9f3d36807734b"),
        (IntegId::AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", &counting, "becbb3bccdb518a30677d548"),
        (IntegId::AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", b"", "bb1d6929e95937287fa37d12"),
        (IntegId::AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", &nist[..16], "070a16b46b4d4144f79bdd9d"),
        (IntegId::AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", &nist[..40], "dfa66747de9ae63030ca3261"),
        (IntegId::AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", &nist, "51f0bebf7e3b9d92fc497417"),
    ];
    for p in providers() {
        for (id, key, message, want) in cases {
            let key = p.integ(*id).unwrap().key(&hex(key)).unwrap();
            let mut icv = [0; 12];
            key.sign(&[message], &mut icv).unwrap();
            assert_eq!(icv.to_vec(), hex(want), "{} {id}", p.name);
        }
    }
}

/// RFC 4434 §2.2 and RFC 4615 §4: keys of 16, 10 and 18 octets.
#[test]
fn prf_aes() {
    let message: Vec<u8> = (0..20).collect();
    let cases = [
        (PrfId::AES128_XCBC, "000102030405060708090a0b0c0d0e0f", "47f51b4564966215b8985c63055ed308"),
        (PrfId::AES128_XCBC, "00010203040506070809", "0fa087af7d866e7653434e602fdde835"),
        (PrfId::AES128_XCBC, "000102030405060708090a0b0c0d0e0fedcb", "8cd3c93ae598a9803006ffb67c40e9e4"),
        (PrfId::AES128_CMAC, "000102030405060708090a0b0c0d0e0f", "980ae87b5f4c9c5214f5b6a8455e4c2d"),
        (PrfId::AES128_CMAC, "00010203040506070809", "290d9e112edb09ee141fcf64c0b72f3d"),
        (PrfId::AES128_CMAC, "000102030405060708090a0b0c0d0e0fedcb", "84a348a4a45d235babfffc0d2b4da09a"),
    ];
    for p in providers() {
        for (id, key, want) in &cases {
            let prf = p.prf(*id).unwrap();
            assert!(prf.fixed_key(), "RFC 7296 §2.14");
            assert_eq!(prf.prf(&hex(key), &[&message]).expose(), hex(want), "{} {id}", p.name);
        }
    }
}

/// RFC 5903 §8.1: both private keys, public values and the shared secret of the 256-bit group.
#[test]
fn ecp_256() {
    let i = hex("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433");
    let r = hex("C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53");
    let gi = hex("DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180
         5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3");
    let gr = hex("D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63
         56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB");
    let gir = hex("D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE");
    for p in providers() {
        let k = p.ke(KeId::ECP_256).unwrap();
        let (secret, public) = k.initiate(&mut Fixed(i.clone())).unwrap();
        assert_eq!(public, gi, "{}", p.name);
        let (answer, shared) = k.respond(&mut Fixed(r.clone()), &public).unwrap();
        assert_eq!((answer, shared.expose()), (gr.clone(), &gir[..]), "{}", p.name);
        assert_eq!(secret.finish(&gr).unwrap().expose(), gir, "{}", p.name);
    }
}
