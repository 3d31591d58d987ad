//! Portable against fast: the same octets from the same inputs, whatever they are.

use crate::rng;
use proptest::prelude::*;
use ravelin_crypto::{Provider, awslc, rustcrypto};

fn pair() -> [Provider; 2] {
    [rustcrypto::provider_with_legacy(), awslc::provider_with_legacy()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn aeads_seal_alike_and_open_each_other(
        key in prop::array::uniform32(any::<u8>()),
        nonce in prop::array::uniform12(any::<u8>()),
        aad in prop::collection::vec(any::<u8>(), 0..40),
        plain in prop::collection::vec(any::<u8>(), 0..2000),
        flip in any::<prop::sample::Index>(),
    ) {
        let [portable, fast] = pair();
        for a in &portable.aeads {
            let bits = a.id().needs_key_length().then_some(a.key_len() as u16 * 8);
            let b = fast.aead(a.id(), bits).unwrap();
            prop_assert_eq!((a.key_len(), a.salt_len(), a.tag_len()), (b.key_len(), b.salt_len(), b.tag_len()));
            let (ka, kb) = (a.key(&key[..a.key_len()]).unwrap(), b.key(&key[..a.key_len()]).unwrap());
            let nonce = &nonce[..a.nonce_len()];
            let (mut da, mut ta) = (plain.clone(), vec![0; a.tag_len()]);
            let (mut db, mut tb) = (plain.clone(), vec![0; a.tag_len()]);
            ka.seal(nonce, &aad, &mut da, &mut ta).unwrap();
            kb.seal(nonce, &aad, &mut db, &mut tb).unwrap();
            prop_assert_eq!((&da, &ta), (&db, &tb), "{}", a.id());
            ka.open(nonce, &aad, &mut db, &tb).unwrap();
            prop_assert_eq!(&db, &plain);

            // A flipped bit anywhere in data or tag: refused by both.
            let at = flip.index(da.len() + ta.len());
            match da.len().checked_sub(at + 1) {
                Some(_) => da[at] ^= 1,
                None => ta[at - da.len()] ^= 1,
            }
            prop_assert_eq!(ka.open(nonce, &aad, &mut da.clone(), &ta), kb.open(nonce, &aad, &mut da, &ta));
        }
    }

    #[test]
    fn exchanges_agree_across_providers(seed in any::<u64>()) {
        let [portable, fast] = pair();
        for k in &portable.kes {
            // MODP is one implementation in both.
            if k.id().0 < 19 { continue; }
            for (a, b) in [(&portable, &fast), (&fast, &portable)] {
                let (secret, public) = a.ke(k.id()).unwrap().initiate(&mut rng(seed)).unwrap();
                let (answer, shared) = b.ke(k.id()).unwrap().respond(&mut rng(!seed), &public).unwrap();
                prop_assert!(secret.finish(&answer).unwrap() == shared, "{}", k.id());
            }
        }
    }

    #[test]
    fn exchanges_refuse_the_same_values(seed in any::<u64>(), noise in prop::collection::vec(any::<u8>(), 132)) {
        let [portable, fast] = pair();
        for k in portable.kes.iter().filter(|k| matches!(k.id().0, 19..=21 | 31)) {
            let peer = &noise[..k.initiator_len()];
            let a = k.respond(&mut rng(seed), peer).map(|_| ());
            let b = fast.ke(k.id()).unwrap().respond(&mut rng(seed), peer).map(|_| ());
            prop_assert_eq!(a, b, "{}", k.id());
        }
    }
}
