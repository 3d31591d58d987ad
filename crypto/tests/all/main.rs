//! One body of tests run over every provider: to put a provider under all of them, add it to [`providers`].
#![allow(missing_docs, reason = "a test crate")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod aeads;
mod contract;
#[cfg(feature = "fast")]
mod differential;
mod known;
mod rfc;
mod secrets;
mod shared;
mod signatures;
mod wycheproof;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{SeedableRng, TryCryptoRng, TryRng};
use ravelin_crypto::{Provider, rustcrypto};
use std::convert::Infallible;

/// Every provider under test, each complete.
fn providers() -> Vec<Provider> {
    let portable = rustcrypto::provider_with_legacy();
    #[cfg(feature = "fast")]
    return vec![portable, ravelin_crypto::awslc::provider_with_legacy()];
    #[cfg(not(feature = "fast"))]
    vec![portable]
}

/// A generator that repeats: same seed, same octets.
fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Octets of hexadecimal text; white space is skipped.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    assert!(digits.len().is_multiple_of(2), "half an octet in {text}");
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// A "generator" that gives the octets of a known private key, then stops the test.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("keys are drawn as octets")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("keys are drawn as octets")
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(out.len());
        out.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        Ok(())
    }
}
impl TryCryptoRng for Fixed {}
