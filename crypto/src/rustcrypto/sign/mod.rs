//! Signature families of the portable provider. To add one: a file here, a line in [`super::provider`].

pub(crate) mod ecdsa;
pub(super) mod ed25519;
#[cfg(feature = "pqc-sign")]
pub(super) mod ml_dsa;
pub(crate) mod rsa;

use crate::hash::Hash;
use crate::{AuthHashId, CryptoError};
use alloc::vec::Vec;

/// The hash of the concatenation of `message`.
fn prehash(hash: AuthHashId, message: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
    use super::hash::{SHA1, SHA2_256, SHA2_384, SHA2_512};
    let hashes: [&dyn Hash; 4] = [&SHA1, &SHA2_256, &SHA2_384, &SHA2_512];
    let hash = hashes.into_iter().find(|h| h.id() == hash).ok_or(CryptoError::Unsupported)?;
    Ok(hash.hash(message))
}
