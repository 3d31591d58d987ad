//! Signatures by aws-lc-rs. To add a family: a file here, a line in [`super::provider`]'s list.

pub(super) mod ecdsa;
pub(super) mod rsa;

use crate::{AuthHashId, CryptoError};
use aws_lc_rs::digest::{self, Context, Digest};
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};

/// The hash of the concatenation of `message`.
fn prehash(hash: AuthHashId, message: &[&[u8]]) -> Result<Digest, CryptoError> {
    let algorithm = match hash {
        AuthHashId::SHA2_256 => &digest::SHA256,
        AuthHashId::SHA2_384 => &digest::SHA384,
        AuthHashId::SHA2_512 => &digest::SHA512,
        _ => return Err(CryptoError::Unsupported),
    };
    let mut context = Context::new(algorithm);
    message.iter().for_each(|part| context.update(part));
    Ok(context.finish())
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> Result<(), CryptoError> {
    UnparsedPublicKey::new(algorithm, key).verify_digest(digest, signature).map_err(|_| CryptoError::Integrity)
}
