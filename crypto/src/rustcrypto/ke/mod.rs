//! Key exchange methods of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(super) mod ecp;
pub(super) mod ml_kem;
pub(super) mod modp;
mod modp_primes;
pub(super) mod x25519;
