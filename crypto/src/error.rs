//! What a cryptographic operation can say. One small `Copy` enum, no secrets, no allocation.
//! To add a reason: one variant and its text.

use core::fmt;

/// Why a cryptographic operation refused its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoError {
    /// The integrity check value did not verify (ICV, AEAD tag or signature).
    Integrity,
    /// A key, IV, nonce, tag or buffer has a length this algorithm does not take.
    Length,
    /// The peer's public value is not acceptable (RFC 6989, RFC 7748 §6, FIPS 203 §7.2).
    PublicValue,
    /// A public or private key is of the wrong type, of a refused size or badly encoded.
    Key,
    /// The algorithm is not offered by this provider.
    Unsupported,
    /// The algorithm failed for a reason of its own (for instance a signing key that cannot be used).
    Internal,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integrity => "integrity check failed",
            Self::Length => "wrong length of key, nonce, tag or buffer",
            Self::PublicValue => "public value refused (RFC 6989)",
            Self::Key => "key of the wrong type, of a refused size or badly encoded",
            Self::Unsupported => "algorithm not offered by this provider",
            Self::Internal => "algorithm failed internally",
        })
    }
}

impl core::error::Error for CryptoError {}
