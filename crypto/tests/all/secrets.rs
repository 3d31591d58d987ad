//! Nothing secret is printed.

use crate::{providers, rng};
use ravelin_crypto::{CryptoError, KeId, Secret};

/// The words a person could read of everything here that has a `Debug` or `Display`.
#[test]
fn nothing_prints_its_octets() {
    let secret = Secret::new(vec![0xAB; 32]);
    let mut printed = format!("{secret:?} {:?}", Some(&secret));
    for p in providers() {
        printed += &format!("{p:?}");
        let (_, shared) = {
            let (_, public) = p.ke(KeId::ECP_256).unwrap().initiate(&mut rng(5)).unwrap();
            p.ke(KeId::ECP_256).unwrap().respond(&mut rng(6), &public).unwrap()
        };
        printed += &format!("{shared:?} {:?}", p.prfs[0].prf(&[0xAB; 32], &[b"x"]));
    }
    for e in [CryptoError::Integrity, CryptoError::PublicValue, CryptoError::Internal] {
        printed += &format!("{e:?} {e}");
    }
    let lower = printed.to_lowercase();
    assert!(!lower.contains("abab") && !lower.contains("171, 171"), "{printed}");
    assert!(printed.contains("Secret(32 octets)"));
}

#[test]
fn secrets_compare_by_content() {
    assert!(Secret::new(vec![1, 2]) == Secret::from(&[1, 2][..]));
    assert!(Secret::new(vec![1, 2]) != Secret::new(vec![1, 3]));
    assert!(Secret::new(vec![1, 2]) != Secret::new(vec![1, 2, 0]), "length counts");
}
