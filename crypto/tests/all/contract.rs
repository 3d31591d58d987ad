//! What every algorithm of every provider must do, whatever it is: lengths, round trips, refusal of what is damaged.

use crate::{providers, rng};
use ravelin_crypto::{CryptoError, EncrId, KeId, Provider};

/// A public value of the right length that must be refused: all zeros is 0 in a MODP group, not a curve point, and a
/// low order point of X25519.
const ZERO: u8 = 0;

#[test]
fn ciphers_round_trip_and_refuse_wrong_lengths() {
    for p in providers() {
        for c in &p.ciphers {
            let what = format!("{} {} {}", p.name, c.id(), c.key_len() * 8);
            let key_len = c.key_len() + c.salt_len();
            assert_eq!(c.key(&vec![1; key_len + 1]).err(), Some(CryptoError::Length), "{what}");
            let key = c.key(&vec![1; key_len]).unwrap();
            let iv = vec![7; c.iv_len()];
            for blocks in 0..5 {
                let plain: Vec<u8> = (0..blocks * c.block_len()).map(|i| i as u8).collect();
                let mut data = plain.clone();
                key.encrypt(&iv, &mut data).unwrap();
                assert!(c.key_len() == 0 || plain.len() < 8 || data != plain, "{what}: not encrypted");
                key.decrypt(&iv, &mut data).unwrap();
                assert_eq!(data, plain, "{what}");
            }
            assert_eq!(key.encrypt(&vec![7; c.iv_len() + 1], &mut [0; 16]), Err(CryptoError::Length), "{what}");
            assert_eq!(key.decrypt(&vec![7; c.iv_len() + 1], &mut [0; 16]), Err(CryptoError::Length), "{what}");
            if c.block_len() > 1 {
                let mut odd = vec![0; c.block_len() + 1];
                assert_eq!(key.encrypt(&iv, &mut odd), Err(CryptoError::Length), "{what}");
                assert_eq!(key.decrypt(&iv, &mut odd), Err(CryptoError::Length), "{what}");
            }
        }
    }
}

#[test]
fn macs_cover_every_octet() {
    for p in providers() {
        for i in &p.integs {
            let what = format!("{} {}", p.name, i.id());
            assert_eq!(i.key(&vec![1; i.key_len() + 1]).err(), Some(CryptoError::Length), "{what}");
            let key = i.key(&vec![1; i.key_len()]).unwrap();
            let mut icv = vec![0; i.icv_len()];
            for len in [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1400] {
                let message: Vec<u8> = (0..len).map(|i| i as u8).collect();
                key.sign(&[&message], &mut icv).unwrap();
                assert_eq!(key.verify(&[&message], &icv), Ok(()), "{what}");
                let (a, b) = message.split_at(len / 3);
                assert_eq!(key.verify(&[a, &[], b], &icv), Ok(()), "{what}: parts must not matter");
                assert_eq!(key.verify(&[&message, b"x"], &icv), Err(CryptoError::Integrity), "{what}");
                for n in 0..icv.len() {
                    let mut bad = icv.clone();
                    bad[n] ^= 1;
                    assert_eq!(key.verify(&[&message], &bad), Err(CryptoError::Integrity), "{what}");
                }
                assert_eq!(key.verify(&[&message], &icv[1..]), Err(CryptoError::Integrity), "{what}");
                assert_eq!(key.verify(&[&message], &[]), Err(CryptoError::Integrity), "{what}");
            }
            let mut long = vec![0; i.icv_len() + 1];
            assert_eq!(key.sign(&[b""], &mut long), Err(CryptoError::Length), "{what}");
        }
    }
}

#[test]
fn prfs_and_hashes_join_their_parts() {
    for p in providers() {
        for f in &p.prfs {
            let whole = f.prf(b"key", &[b"some octets to be split"]);
            assert_eq!(whole.len(), f.output_len());
            assert!(whole == f.prf(b"key", &[b"some ", b"", b"octets to be split"]), "{} {}", p.name, f.id());
            assert!(whole != f.prf(b"kez", &[b"some octets to be split"]), "{} {}", p.name, f.id());
            for len in [0, 1, 16, 20, 64, 65, 200] {
                assert_eq!(f.prf(&vec![5; len], &[b"x"]).len(), f.output_len(), "any key length");
            }
        }
        for h in &p.hashes {
            assert_eq!(h.hash(&[b"ab", b"c"]), h.hash(&[b"abc"]));
            assert_eq!(h.hash(&[]).len(), h.output_len());
        }
    }
}

#[test]
fn both_sides_of_every_exchange_agree() {
    for p in providers() {
        for (n, k) in p.kes.iter().enumerate() {
            let what = format!("{} {}", p.name, k.id());
            let (secret, i_public) = k.initiate(&mut rng(n as u64)).unwrap();
            assert_eq!(secret.id(), k.id());
            assert_eq!(i_public.len(), k.initiator_len(), "{what}");
            let (r_public, r_shared) = k.respond(&mut rng(100 + n as u64), &i_public).unwrap();
            assert_eq!(r_public.len(), k.responder_len(), "{what}");
            let i_shared = secret.finish(&r_public).unwrap();
            assert!(i_shared == r_shared, "{what}: secrets differ");
            assert!(i_shared.expose().iter().any(|&b| b != 0), "{what}");

            let (_, again) = k.initiate(&mut rng(n as u64)).unwrap();
            assert_eq!(i_public, again, "{what}: same generator, same public value");
            let (_, other) = k.initiate(&mut rng(1 + n as u64)).unwrap();
            assert_ne!(i_public, other, "{what}");
        }
    }
}

/// Both roles refuse `peer` with `why`.
fn refuses(p: &Provider, id: KeId, peer: &[u8], why: CryptoError) {
    let k = p.ke(id).unwrap();
    assert_eq!(k.respond(&mut rng(1), peer).err(), Some(why), "{} {id} responder", p.name);
    let (secret, _) = k.initiate(&mut rng(2)).unwrap();
    assert_eq!(secret.finish(peer).err(), Some(why), "{} {id} initiator", p.name);
}

#[test]
fn public_values_of_wrong_length_are_refused() {
    for p in providers() {
        for k in &p.kes {
            let what = format!("{} {}", p.name, k.id());
            for len in [0, k.initiator_len() - 1, k.initiator_len() + 1] {
                assert_eq!(k.respond(&mut rng(1), &vec![2; len]).err(), Some(CryptoError::Length), "{what}");
            }
            for len in [0, k.responder_len() - 1, k.responder_len() + 1] {
                let (secret, _) = k.initiate(&mut rng(2)).unwrap();
                assert_eq!(secret.finish(&vec![2; len]).err(), Some(CryptoError::Length), "{what}");
            }
        }
    }
}

/// RFC 6989 §2.1: 1 < y < p-1.
#[test]
fn modp_public_values_out_of_range_are_refused() {
    for p in providers() {
        for k in p.kes.iter().filter(|k| matches!(k.id().0, 2 | 5 | 14..=18)) {
            let len = k.initiator_len();
            let small = |n: u8| {
                let mut v = vec![0; len];
                v[len - 1] = n;
                v
            };
            refuses(&p, k.id(), &small(ZERO), CryptoError::PublicValue);
            refuses(&p, k.id(), &small(1), CryptoError::PublicValue);
            assert!(k.respond(&mut rng(1), &small(2)).is_ok(), "2 is in range");
            refuses(&p, k.id(), &vec![0xFF; len], CryptoError::PublicValue);
        }
        // Group 14: the prime itself, its neighbours, and the largest value that is allowed.
        let prime = hex_prime_2048();
        let plus = |d: i16| {
            let mut v = prime.clone();
            let last = v.len() - 1; // ends in FF: +1 carries, so only differences down are made here
            v[last] = (i16::from(v[last]) + d) as u8;
            v
        };
        refuses(&p, KeId::MODP_2048, &plus(0), CryptoError::PublicValue);
        refuses(&p, KeId::MODP_2048, &plus(-1), CryptoError::PublicValue);
        assert!(p.ke(KeId::MODP_2048).unwrap().respond(&mut rng(1), &plus(-2)).is_ok());
    }
}

/// RFC 3526 §3.
fn hex_prime_2048() -> Vec<u8> {
    crate::hex(
        "FFFFFFFF FFFFFFFF C90FDAA2 2168C234 C4C6628B 80DC1CD1 29024E08 8A67CC74 020BBEA6 3B139B22 514A0879 8E3404DD
         EF9519B3 CD3A431B 302B0A6D F25F1437 4FE1356D 6D51C245 E485B576 625E7EC6 F44C42E9 A637ED6B 0BFF5CB6 F406B7ED
         EE386BFB 5A899FA5 AE9F2411 7C4B1FE6 49286651 ECE45B3D C2007CB8 A163BF05 98DA4836 1C55D39A 69163FA8 FD24CF5F
         83655D23 DCA3AD96 1C62F356 208552BB 9ED52907 7096966D 670C354E 4ABC9804 F1746C08 CA18217C 32905E46 2E36CE3B
         E39E772C 180E8603 9B2783A2 EC07A28F B5C55DF0 6F4C52C9 DE2BCBF6 95581718 3995497C EA956AE5 15D22618 98FA0510
         15728E5A 8AACAA68 FFFFFFFF FFFFFFFF",
    )
}

/// RFC 6989 §2.3: points off the curve and the point at infinity (which has no encoding here but zeros).
#[test]
fn ecp_points_off_the_curve_are_refused() {
    for p in providers() {
        for id in [KeId::ECP_256, KeId::ECP_384, KeId::ECP_521] {
            let k = p.ke(id).unwrap();
            refuses(&p, id, &vec![ZERO; k.initiator_len()], CryptoError::PublicValue);
            let (_, public) = k.initiate(&mut rng(3)).unwrap();
            for at in [0, public.len() / 2 - 1, public.len() / 2, public.len() - 1] {
                let mut bad = public.clone();
                bad[at] ^= 1;
                refuses(&p, id, &bad, CryptoError::PublicValue);
            }
            refuses(&p, id, &vec![0xFF; k.initiator_len()], CryptoError::PublicValue);
        }
    }
}

/// RFC 7748 §6.1, RFC 8031 §3: small-order points give a zero secret.
#[test]
fn curve25519_small_order_points_are_refused() {
    for p in providers() {
        refuses(&p, KeId::CURVE25519, &[ZERO; 32], CryptoError::PublicValue);
        let mut one = [0; 32];
        one[0] = 1;
        refuses(&p, KeId::CURVE25519, &one, CryptoError::PublicValue);
        let p_minus_1 = crate::hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
        refuses(&p, KeId::CURVE25519, &p_minus_1, CryptoError::PublicValue);
    }
}

#[test]
fn lookups_obey_the_key_length_rule() {
    for p in providers() {
        assert_eq!(p.aead(EncrId::AES_GCM_16, Some(192)).unwrap().key_len(), 24);
        assert!(p.aead(EncrId::AES_GCM_16, None).is_none());
        assert!(p.aead(EncrId::CHACHA20_POLY1305, None).is_some());
        assert!(p.aead(EncrId::CHACHA20_POLY1305, Some(256)).is_none());
        assert!(p.cipher(EncrId::NULL, None).is_some());
    }
}
