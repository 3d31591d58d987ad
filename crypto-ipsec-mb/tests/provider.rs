//! The provider under the tests of `ravelin-crypto`'s own AEADs, and against the portable one, octet by octet.
#![allow(missing_docs, reason = "a test crate")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

#[path = "../../crypto/tests/all/aeads.rs"]
mod aeads;

use proptest::prelude::*;
use ravelin_crypto::{CryptoError, Provider, rustcrypto};

/// The provider under test over the portable one; none, and a line that says so, where it cannot be had.
fn providers() -> Vec<Provider> {
    let Some(own) = ravelin_crypto_ipsec_mb::provider() else {
        println!("skipped: no ipsec-mb in this build or on this processor");
        return Vec::new();
    };
    vec![own.or("ipsec-mb over portable", &rustcrypto::provider_with_legacy())]
}

#[test]
fn it_says_what_it_runs_on() {
    let own = ravelin_crypto_ipsec_mb::provider();
    assert_eq!(own.is_some(), ravelin_crypto_ipsec_mb::instructions().is_some());
    println!("ipsec-mb: {}", ravelin_crypto_ipsec_mb::instructions().unwrap_or("not available"));
    // ChaCha20-Poly1305 with AVX-512 only.
    let wide = ravelin_crypto_ipsec_mb::instructions().is_some_and(|i| i.starts_with("AVX-512"));
    assert!(own.is_none_or(|p| p.aeads.len() == 12 + usize::from(wide)));
}

#[test]
fn each_bit_of_a_tag_counts() {
    for aead in ravelin_crypto_ipsec_mb::provider().iter().flat_map(|p| p.aeads.clone()) {
        let key = aead.key(&vec![3; aead.key_len()]).unwrap();
        let (nonce, aad, plain) = ([5; 12], [7; 12], [9; 70]);
        let (mut data, mut tag) = (plain, vec![0; aead.tag_len()]);
        key.seal(&nonce, &aad, &mut data, &mut tag).unwrap();
        for bit in 0..tag.len() * 8 {
            let mut other = tag.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let opened = key.open(&nonce, &aad, &mut data.clone(), &other);
            assert_eq!(opened, Err(CryptoError::Integrity), "{} {}: bit {bit}", aead.id(), aead.key_len());
        }
        key.open(&nonce, &aad, &mut data, &tag).unwrap();
        assert_eq!(data, plain);
    }
}

/// What lies behind the schedule of a key is no part of it, whatever rest of a block the library has to mask.
#[test]
fn every_length_is_as_the_portable_provider_has_it() {
    let portable = rustcrypto::provider();
    for own in ravelin_crypto_ipsec_mb::provider().iter().flat_map(|p| p.aeads.clone()) {
        let other = portable.aead(own.id(), own.id().needs_key_length().then_some(own.key_len() as u16 * 8)).unwrap();
        let material = vec![0x5c; own.key_len()];
        let (a, b) = (own.key(&material).unwrap(), other.key(&material).unwrap());
        for len in 0..1100 {
            let aad = vec![7; [0, 8, 12, 20][len % 4]];
            let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (mut data, mut tag, mut want, mut want_tag) =
                (plain.clone(), vec![0; own.tag_len()], plain.clone(), vec![0; own.tag_len()]);
            a.seal(&[9; 12], &aad, &mut data, &mut tag).unwrap();
            b.seal(&[9; 12], &aad, &mut want, &mut want_tag).unwrap();
            assert!((&data, &tag) == (&want, &want_tag), "{} {}: {len} octets", own.id(), own.key_len());
            a.open(&[9; 12], &aad, &mut data, &tag).unwrap();
            assert!(data == plain, "{} {}: {len} octets", own.id(), own.key_len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn seals_as_the_portable_provider_and_opens_its_packets(
        key in prop::array::uniform32(any::<u8>()),
        nonce in prop::array::uniform12(any::<u8>()),
        aad in prop::collection::vec(any::<u8>(), 0..40),
        plain in prop::collection::vec(any::<u8>(), 0..2000),
        shift in 0usize..16,
        flip in any::<prop::sample::Index>(),
    ) {
        let portable = rustcrypto::provider();
        for own in ravelin_crypto_ipsec_mb::provider().iter().flat_map(|p| p.aeads.clone()) {
            let other = portable.aead(own.id(), own.id().needs_key_length().then_some(own.key_len() as u16 * 8)).unwrap();
            let (a, b) = (own.key(&key[..own.key_len()]).unwrap(), other.key(&key[..own.key_len()]).unwrap());
            // Data at every alignment, with octets around it that must stay.
            let mut room = vec![0xa5; shift + plain.len() + 64];
            room[shift..shift + plain.len()].copy_from_slice(&plain);
            let (before, rest) = room.split_at_mut(shift);
            let (data, behind) = rest.split_at_mut(plain.len());
            let (mut tag, mut want_tag, mut want) = (vec![0; own.tag_len()], vec![0; own.tag_len()], plain.clone());
            a.seal(&nonce, &aad, data, &mut tag).unwrap();
            b.seal(&nonce, &aad, &mut want, &mut want_tag).unwrap();
            prop_assert_eq!((&*data, &tag), (&want[..], &want_tag), "{} {}", own.id(), own.key_len());
            prop_assert!(before.iter().chain(&*behind).all(|b| *b == 0xa5), "wrote outside the data");
            a.open(&nonce, &aad, data, &want_tag).unwrap();
            prop_assert_eq!(&*data, &plain[..]);
            let at = flip.index(want.len() + tag.len());
            match at.checked_sub(want.len()) {
                Some(i) => tag[i] ^= 1,
                None => want[at] ^= 1,
            }
            prop_assert_eq!(a.open(&nonce, &aad, &mut want.clone(), &tag), b.open(&nonce, &aad, &mut want, &tag));
        }
    }
}
