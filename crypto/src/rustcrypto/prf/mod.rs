//! Pseudorandom functions of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(super) mod hmac;
