//! The portable provider, made of RustCrypto and dalek crates: no C, no_std, deterministic.
//! To add an algorithm: a file in the folder of its kind, one line in the list here.

use crate::Provider;

/// The portable provider without legacy algorithms.
#[must_use]
pub fn provider() -> Provider {
    Provider { name: "portable", ..Provider::default() }
}
