//! Shared plumbing of the benchmarks: many initiators and one responder, on one core, joined by memory or by UDP.
//!
//! To add a suite: a line in [`SUITES`]. To add a benchmark: a file in `src`, a line in `main.rs`.

pub mod certs;
pub mod meter;
pub mod world;

use ravelin::Provider;
use ravelin::crypto::KeId;
use std::error::Error;
use std::sync::Arc;

/// What went wrong, for people.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How both sides prove who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    /// Pre-shared key.
    Psk,
    /// ECDSA P-256: a certificate of the CA for the initiator, one of an intermediate CA for the responder. Each
    /// initiator has another certificate, which the responder has never met.
    Certificates,
    /// The same with initiators that were there before.
    Returning,
}

impl Auth {
    /// True for both kinds with certificates.
    #[must_use]
    pub fn has_certificates(self) -> bool {
        self != Self::Psk
    }
}

/// What a handshake is made of.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// For people.
    pub name: &'static str,
    /// The IKE proposal.
    pub ike: &'static str,
    /// Its key exchange.
    pub ke: KeId,
    /// Authentication.
    pub auth: Auth,
    /// Handshakes per batch that is timed.
    pub batch: usize,
}

/// Every suite that is measured. Child SAs are AES-256-GCM throughout.
pub const SUITES: [Suite; 4] = [
    Suite {
        name: "X25519 + PSK",
        ike: "aes256gcm16-prfsha256-x25519",
        ke: KeId::CURVE25519,
        auth: Auth::Psk,
        batch: 64,
    },
    Suite {
        name: "X25519 + ECDSA P-256 certificates, new clients",
        ike: "aes256gcm16-prfsha256-x25519",
        ke: KeId::CURVE25519,
        auth: Auth::Certificates,
        batch: 32,
    },
    Suite {
        name: "X25519 + ECDSA P-256 certificates, returning clients",
        ike: "aes256gcm16-prfsha256-x25519",
        ke: KeId::CURVE25519,
        auth: Auth::Returning,
        batch: 32,
    },
    Suite {
        name: "MODP-2048 + PSK",
        ike: "aes256gcm16-prfsha256-modp2048",
        ke: KeId::MODP_2048,
        auth: Auth::Psk,
        batch: 8,
    },
];

/// Both providers, with their names.
#[must_use]
pub fn providers() -> [(&'static str, Arc<Provider>); 2] {
    [
        ("fast", Arc::new(ravelin_crypto::awslc::provider())),
        ("portable", Arc::new(ravelin_crypto::rustcrypto::provider())),
    ]
}
