//! Keys of this crate beside those of aws-lc-rs: what is sealed, opened and refused; where a key lies, and that it is wiped. A new
//! algorithm goes into [`ALL`].

use super::*;
use aws_lc_rs::aead::{self as other, Aad, LessSafeKey, Nonce, UnboundKey};

const ALL: [(Algorithm, &other::Algorithm); 4] = [
    (Algorithm::Aes128Gcm, &other::AES_128_GCM),
    (Algorithm::Aes192Gcm, &other::AES_192_GCM),
    (Algorithm::Aes256Gcm, &other::AES_256_GCM),
    (Algorithm::ChaCha20Poly1305, &other::CHACHA20_POLY1305),
];

fn octets(len: usize, first: usize) -> Vec<u8> {
    (0u8..=250).cycle().skip(first).step_by(7).take(len).collect()
}

#[test]
fn it_is_what_aws_lc_rs_makes() {
    for (algorithm, theirs) in ALL {
        let secret = octets(algorithm.key_len(), 3);
        let key = Key::new(algorithm, &secret).unwrap();
        let theirs = LessSafeKey::new(UnboundKey::new(theirs, &secret).unwrap());
        for len in (0..300).chain([1400, 9000]) {
            let (nonce, aad, plain) = (octets(12, len).try_into().unwrap(), octets(len % 17, 5), octets(len, 9));
            let (mut data, mut tag) = (plain.clone(), [0; TAG_LEN]);
            assert!(key.seal(&nonce, &aad, &mut data, &mut tag));
            let mut want = plain.clone();
            let nonce_of_theirs = Nonce::assume_unique_for_key(nonce);
            let want_tag = theirs.seal_in_place_separate_tag(nonce_of_theirs, Aad::from(&aad), &mut want).unwrap();
            assert_eq!((&data, tag.as_slice()), (&want, want_tag.as_ref()), "{algorithm:?} {len}");
            assert!(key.open(&nonce, &aad, &mut data, &tag));
            assert_eq!(data, plain, "{algorithm:?} {len}");
        }
    }
}

#[test]
fn what_was_changed_is_not_opened() {
    for (algorithm, _) in ALL {
        let key = Key::new(algorithm, &octets(algorithm.key_len(), 0)).unwrap();
        let (nonce, aad, mut sealed, mut tag) = ([1; NONCE_LEN], [2; 12], octets(68, 1), [0; TAG_LEN]);
        assert!(key.seal(&nonce, &aad, &mut sealed, &mut tag));
        for bit in 0..(NONCE_LEN + 12 + 68 + TAG_LEN) * 8 {
            let mut all = [&nonce[..], &aad, &sealed, &tag].concat();
            all[bit / 8] ^= 1 << (bit % 8);
            let (nonce, rest) = all.split_first_chunk_mut::<NONCE_LEN>().unwrap();
            let (aad, rest) = rest.split_first_chunk_mut::<12>().unwrap();
            let (data, tag) = rest.split_last_chunk_mut::<TAG_LEN>().unwrap();
            assert!(!key.open(nonce, aad, data, tag), "{algorithm:?}, bit {bit}");
            assert!(data.iter().all(|b| *b == 0));
        }
        assert!(key.open(&nonce, &aad, &mut sealed, &tag));
    }
}

#[test]
fn keys_have_one_length_each() {
    for (algorithm, _) in ALL {
        for len in 0..70 {
            assert_eq!(Key::new(algorithm, &octets(len, 0)).is_some(), len == algorithm.key_len());
        }
    }
}

#[test]
fn asking_for_a_key_changes_nothing_and_dropping_it_wipes_it() {
    for (algorithm, _) in ALL {
        let secret = octets(algorithm.key_len(), 1);
        let mut key = Key::new(algorithm, &secret).unwrap();
        // SAFETY: all of these octets were zero before the library wrote its parts.
        let bytes = |key: &Key| unsafe { key.context.state.opaque };
        let before = bytes(&key);
        key.warm();
        assert!(bytes(&key) == before && before.windows(secret.len()).any(|w| w == secret));
        assert!(!format!("{key:?}").contains("context"));
        // What `drop` does, which may come twice.
        key.wipe();
        assert!(bytes(&key).iter().all(|b| *b == 0) && key.context.aead.is_null());
    }
}

#[test]
fn threads_may_use_one_key_at_once() {
    let key = Key::new(Algorithm::Aes128Gcm, &[7; 16]).unwrap();
    let run = |nonce: u8| {
        let (mut data, mut tag) = (vec![nonce; 1400], [0; TAG_LEN]);
        assert!(key.seal(&[nonce; NONCE_LEN], b"aad", &mut data, &mut tag));
        assert!(key.open(&[nonce; NONCE_LEN], b"aad", &mut data, &tag));
        assert!(data.iter().all(|b| *b == nonce));
    };
    std::thread::scope(|s| {
        for first in [0u8, 100] {
            s.spawn(move || (first..first + 50).for_each(run));
        }
    });
}

#[test]
fn a_key_begins_with_a_cache_line() {
    assert_eq!((align_of::<Key>(), size_of::<Key>()), (64, 640));
    assert!(size_of::<lc::EVP_AEAD_CTX>() > 576);
}
