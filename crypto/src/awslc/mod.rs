//! The fast provider: aws-lc-rs (C and assembly, feature `fast`, needs std) where it has the algorithm, the portable
//! provider for all else. The keyed objects allocate when they are made, never per packet.
//!
//! HMAC stays portable too: measured on a CPU with SHA extensions it takes 191 ns for 64 octets against 311 here, and
//! the same time for long packets.
//!
//! Private keys of an exchange come from the caller's generator, as in the portable provider. aws-lc's ML-KEM can
//! not be fed that way, so ML-KEM stays the portable one. RSA and ECDSA signatures are the exception: aws-lc draws
//! their salts and nonces by itself, so a run that must repeat takes the portable provider.
//! To add an algorithm: a static in the file of its kind, one line in the list here.

mod aead;
mod ke;
mod sign;

use crate::{Provider, rustcrypto};
use alloc::vec;

/// aws-lc-rs over the portable provider, without legacy algorithms.
#[must_use]
pub fn provider() -> Provider {
    own().or("aws-lc-rs over portable", &rustcrypto::provider())
}

/// aws-lc-rs over the portable provider with its legacy algorithms.
#[must_use]
pub fn provider_with_legacy() -> Provider {
    own().or("aws-lc-rs over portable with legacy algorithms", &rustcrypto::provider_with_legacy())
}

/// What aws-lc-rs itself brings.
fn own() -> Provider {
    Provider {
        aeads: vec![
            &aead::AES_128_GCM_16,
            &aead::AES_192_GCM_16,
            &aead::AES_256_GCM_16,
            &aead::CHACHA20_POLY1305,
            &aead::AES_128_GCM_16_IIV,
            &aead::AES_192_GCM_16_IIV,
            &aead::AES_256_GCM_16_IIV,
            &aead::CHACHA20_POLY1305_IIV,
        ],
        kes: vec![&ke::CURVE25519, &ke::ECP_256, &ke::ECP_384, &ke::ECP_521],
        signatures: vec![&sign::rsa::RSA, &sign::ecdsa::ECDSA],
        ..Provider::default()
    }
}
