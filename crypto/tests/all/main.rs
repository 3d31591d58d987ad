//! One body of tests run over every provider: to put a provider under all of them, add it to [`providers`].
#![allow(missing_docs, reason = "a test crate")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod contract;
mod rfc;
mod shared_wycheproof;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin_crypto::{Provider, rustcrypto};

/// Every provider under test, each complete.
fn providers() -> Vec<Provider> {
    vec![rustcrypto::provider_with_legacy()]
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
