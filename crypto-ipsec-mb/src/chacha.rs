//! ChaCha20-Poly1305 (RFC 8439) for ESP and IKE (RFC 7634): key of 32 octets, salt of 4, ICV of 16.
//!
//! Each thread that uses it has a job manager of the library, made with its first packet (200 KB, 0.7 ms). The library
//! does not wipe its stack: key stream and one-time key of a packet stay there until something else is written, the
//! key itself does not. To add an algorithm of the same shape: a file like this one, its job in `ffi.rs`, a line in
//! `provider`.

use crate::ffi::{Way, chacha20_poly1305, has_jobs};
use crate::tag::same;
use ravelin_crypto::aead::{Aead, AeadKey};
use ravelin_crypto::{CryptoError, EncrId};
use zeroize::Zeroize;

struct ChaCha;

/// The key on a line of its own, wiped when dropped. There is no schedule: the library reads it as it is.
#[repr(align(64))]
struct Key([u8; 32]);

/// Octets that one nonce can encrypt (RFC 8439 §2.8).
const MAX: u64 = (1 << 38) - 64;

/// Every algorithm of this file.
pub(crate) fn all() -> Vec<&'static dyn Aead> {
    static ALL: ChaCha = ChaCha;
    if has_jobs() { vec![&ALL] } else { Vec::new() }
}

impl Aead for ChaCha {
    fn id(&self) -> EncrId {
        EncrId::CHACHA20_POLY1305
    }
    fn key_len(&self) -> usize {
        32
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn tag_len(&self) -> usize {
        16
    }
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let key: &[u8; 32] = key.try_into().map_err(|_| CryptoError::Length)?;
        let mut made = Box::new(Key([0; 32]));
        made.0 = *key;
        Ok(made)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Key {
    #[inline]
    fn run(&self, way: Way, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8; 16]) -> Result<(), CryptoError> {
        let nonce = nonce.try_into().map_err(|_| CryptoError::Length)?;
        if data.len() as u64 > MAX {
            return Err(CryptoError::Length);
        }
        let done = chacha20_poly1305(way, &self.0, nonce, aad, data, tag);
        if done { Ok(()) } else { Err(CryptoError::Internal) }
    }
}

impl AeadKey for Key {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        self.run(Way::Seal, nonce, aad, data, tag.try_into().map_err(|_| CryptoError::Length)?)
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        if tag.len() != 16 {
            return Err(CryptoError::Length);
        }
        let mut computed = [0; 16];
        self.run(Way::Open, nonce, aad, data, &mut computed)?;
        if same(&computed, tag) { Ok(()) } else { Err(CryptoError::Integrity) }
    }

    fn warm(&self, _octets: usize) {
        ravelin_prefetch::read(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(s: &str) -> Vec<u8> {
        (0..s.len() / 2).map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// What is to be sealed, and it sealed with its tag.
    fn check(key: &str, nonce: &str, aad: &str, plain: &[u8], sealed: &str) {
        let Some(a) = all().pop() else { return println!("skipped: no AVX-512") };
        let (key, nonce, aad, sealed) = (unhex(key), unhex(nonce), unhex(aad), unhex(sealed));
        let key = a.key(&key).unwrap();
        let (want, want_tag) = sealed.split_at(plain.len());
        let (mut data, mut tag) = (plain.to_vec(), [0; 16]);
        key.seal(&nonce, &aad, &mut data, &mut tag).unwrap();
        assert_eq!((&data[..], &tag[..]), (want, want_tag));
        key.warm(usize::MAX);
        key.open(&nonce, &aad, &mut data, want_tag).unwrap();
        assert_eq!(data, plain);
    }

    #[test]
    fn rfc8439_2_8_2() {
        check(
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
        );
    }

    /// The ESP packet of RFC 7634 appendix A: an ICMP echo request.
    #[test]
    fn rfc7634_appendix_a() {
        check(
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "a0a1a2a31011121314151617",
            "0102030400000005",
            &unhex(
                "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204",
            ),
            "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43",
        );
    }

    #[test]
    fn each_thread_has_its_own_jobs() {
        let Some(a) = all().pop() else { return println!("skipped: no AVX-512") };
        let key = a.key(&[1; 32]).unwrap();
        let seal = |n: u8| {
            let (mut data, mut tag) = ([n; 200], [0; 16]);
            key.seal(&[n; 12], &[], &mut data, &mut tag).unwrap();
            (data, tag)
        };
        let want: Vec<_> = (0..200).map(seal).collect();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| assert!((0..200).map(seal).eq(want.iter().copied())));
            }
        });
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        assert!(ChaCha.key(&[0; 31]).is_err() && ChaCha.key(&[0; 36]).is_err());
        let key = ChaCha.key(&[0; 32]).unwrap();
        for len in [0, 8, 12, 15, 17] {
            let seal = key.seal(&[0; 12], &[], &mut [0; 4], &mut vec![0; len]);
            let open = key.open(&[0; 12], &[], &mut [0; 4], &vec![0; len]);
            assert_eq!((seal, open), (Err(CryptoError::Length), Err(CryptoError::Length)), "tag of {len}");
        }
    }
}
