//! Plain ciphers of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(super) mod aes_cbc;
pub(super) mod aes_ctr;
pub(super) mod null;
pub(super) mod triple_des;
