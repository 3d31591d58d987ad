//! Transform registry, algorithm traits and providers (RFC 7296 §3.3, RFC 8247, RFC 8221).
//!
//! A [`Provider`] is a plain value: lists of `&'static dyn` algorithms, each of which knows its own IANA id.
//! IKE and ESP look algorithms up in it by id and build keyed objects once per SA. No algorithm here reads a
//! clock or the operating system's randomness: key exchange and signing take a generator as an argument.
//!
//! Features, each of which only adds items: `portable` (default; [`rustcrypto`]), `fast` (`awslc`: aws-lc-rs, C and
//! assembly, std), `extra-curves` (Curve448, brainpool), `pqc-sign` (ML-DSA).
//!
//! To add a transform: one line in [`mod@registry`], one file in `rustcrypto/<kind>/`, one line in that
//! provider's list. IKE and ESP both have it then.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod aead;
#[cfg(feature = "fast")]
pub mod awslc;
pub mod cipher;
pub mod error;
pub mod hash;
pub mod integ;
pub mod ke;
pub mod prf;
pub mod provider;
pub mod registry;
#[cfg(feature = "portable")]
pub mod rustcrypto;
pub mod secret;
pub mod sign;

pub use error::CryptoError;
pub use provider::Provider;
pub use rand_core::CryptoRng;
pub use registry::{AuthHashId, EncrId, IntegId, KeId, PrfId, SnId, TransformType};
pub use secret::Secret;
pub use sign::SignatureScheme;
