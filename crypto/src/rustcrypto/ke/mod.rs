//! Key exchange methods of the portable provider. To add one: a file here, a line in [`super::provider`].

#[cfg(feature = "extra-curves")]
pub(super) mod brainpool;
pub(super) mod ecp;
pub(super) mod ml_kem;
pub(super) mod modp;
mod modp_primes;
pub(super) mod x25519;
#[cfg(feature = "extra-curves")]
pub(super) mod x448;
