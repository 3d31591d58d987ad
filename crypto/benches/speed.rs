//! Nanoseconds per call of the bare algorithms of every provider: `cargo bench -p ravelin-crypto --features fast`.
//! The best of several rounds is printed, since everything else on the machine only adds time.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark may stop")]

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin_crypto::{Provider, rustcrypto};
use std::hint::black_box;
use std::time::Instant;

/// Packet sizes in octets.
const SIZES: [usize; 3] = [64, 1400, 9000];

fn providers() -> Vec<Provider> {
    vec![
        rustcrypto::provider(),
        #[cfg(feature = "fast")]
        ravelin_crypto::awslc::provider(),
    ]
}

/// Best nanoseconds per call over `rounds` rounds of about `millis` ms each.
fn best(rounds: u32, millis: u128, mut call: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed().as_millis() < millis {
            let batch = if calls == 0 { 1 } else { calls.min(4096) };
            (0..batch).for_each(|_| call());
            calls += batch;
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    best
}

/// One key of each curve, with its first scheme.
fn signatures(p: &Provider, rounds: u32, millis: u128) {
    use p256::elliptic_curve::Generate;
    use pkcs8::EncodePrivateKey;
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let ed25519 = [&[0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 34, 4, 32][..], &[7; 32]].concat();
    let keys = [
        p256::SecretKey::generate_from_rng(&mut rng).to_pkcs8_der().unwrap().as_bytes().to_vec(),
        p384::SecretKey::generate_from_rng(&mut rng).to_pkcs8_der().unwrap().as_bytes().to_vec(),
        ed25519,
    ];
    for key in keys {
        let key = p.signing_key(&key).unwrap();
        let Some(&scheme) = key.schemes().first() else { continue };
        let signature = key.sign(scheme, &mut rng, &[b"message"]).unwrap();
        let sign = best(rounds, millis, || drop(black_box(key.sign(scheme, &mut rng, &[b"message"]).unwrap())));
        let verify = best(rounds, millis, || p.verify(scheme, key.public_key(), &[b"message"], &signature).unwrap());
        println!("{:34} sign {:8.1} us   verify {:8.1} us", format!("{scheme:?}"), sign / 1e3, verify / 1e3);
    }
}

fn main() {
    // `cargo test --benches` runs this without --bench: then once through, for it to stay true.
    let (rounds, millis) = if std::env::args().any(|a| a == "--bench") { (5, 60) } else { (1, 0) };
    for p in providers() {
        println!("\n{} (ns per call at {SIZES:?} octets)", p.name);
        for a in &p.aeads {
            let key = a.key(&vec![7; a.key_len()]).unwrap();
            let nonce = vec![1; a.nonce_len()];
            let name = format!("{} {}", a.id(), a.key_len() * 8);
            print!("{name:34} seal");
            for size in SIZES {
                let (mut data, mut tag) = (vec![0; size], vec![0; a.tag_len()]);
                let ns = best(rounds, millis, || key.seal(&nonce, &[0; 8], black_box(&mut data), &mut tag).unwrap());
                print!(" {ns:8.0}");
            }
            print!("   open");
            for size in SIZES {
                let (mut data, mut tag) = (vec![0; size], vec![0; a.tag_len()]);
                key.seal(&nonce, &[0; 8], &mut data, &mut tag).unwrap();
                let mut work = data.clone();
                let ns = best(rounds, millis, || {
                    work.copy_from_slice(&data);
                    key.open(&nonce, &[0; 8], black_box(&mut work), &tag).unwrap();
                });
                print!(" {ns:8.0}");
            }
            let ns = best(rounds, millis, || drop(black_box(a.key(&vec![7; a.key_len()]).unwrap())));
            println!("   key {ns:6.0}");
        }
        for c in &p.ciphers {
            let key = c.key(&vec![7; c.key_len() + c.salt_len()]).unwrap();
            let iv = vec![1; c.iv_len()];
            let name = format!("{} {}", c.id(), c.key_len() * 8);
            print!("{name:34} encr");
            for size in SIZES {
                let mut data = vec![0; size / 16 * 16];
                let ns = best(rounds, millis, || key.encrypt(&iv, black_box(&mut data)).unwrap());
                print!(" {ns:8.0}");
            }
            print!("   decr");
            for size in SIZES {
                let mut data = vec![0; size / 16 * 16];
                let ns = best(rounds, millis, || key.decrypt(&iv, black_box(&mut data)).unwrap());
                print!(" {ns:8.0}");
            }
            println!();
        }
        for i in &p.integs {
            let key = i.key(&vec![7; i.key_len()]).unwrap();
            let mut icv = vec![0; i.icv_len()];
            let name = i.id().to_string();
            print!("{name:34} sign");
            for size in SIZES {
                let data = vec![0; size];
                let ns = best(rounds, millis, || key.sign(&[black_box(&data)], &mut icv).unwrap());
                print!(" {ns:8.0}");
            }
            println!();
        }
        for k in &p.kes {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let (_, public) = k.initiate(&mut rng).unwrap();
            let initiate = best(rounds.min(3), millis, || drop(black_box(k.initiate(&mut rng).unwrap())));
            let respond = best(rounds.min(3), millis, || drop(black_box(k.respond(&mut rng, &public).unwrap())));
            let name = k.id().to_string();
            println!("{name:34} initiate {:8.1} us   respond {:8.1} us", initiate / 1e3, respond / 1e3);
        }
        for f in &p.prfs {
            let ns = best(rounds, millis, || drop(black_box(f.prf(&[7; 32], &[black_box(&[1; 64])]))));
            println!("{:34} prf  {ns:8.0}", f.id().to_string());
        }
        signatures(&p, rounds.min(3), millis);
    }
}
