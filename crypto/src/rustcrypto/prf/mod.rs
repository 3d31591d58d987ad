//! Pseudorandom functions of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(super) mod aes_cmac;
pub(super) mod aes_xcbc;
pub(super) mod hmac;
