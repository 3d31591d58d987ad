//! HMAC-SHA1-96 (RFC 2404) and HMAC-SHA2 truncated to half (RFC 4868). Both padded key blocks are hashed once per SA.

use super::{TruncatedMac, truncated};
use crate::IntegId;
use hmac::Hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

pub(crate) static HMAC_SHA1_96: TruncatedMac<Hmac<Sha1>> = truncated(IntegId::HMAC_SHA1_96, 12);
pub(crate) static HMAC_SHA2_256_128: TruncatedMac<Hmac<Sha256>> = truncated(IntegId::HMAC_SHA2_256_128, 16);
pub(crate) static HMAC_SHA2_384_192: TruncatedMac<Hmac<Sha384>> = truncated(IntegId::HMAC_SHA2_384_192, 24);
pub(crate) static HMAC_SHA2_512_256: TruncatedMac<Hmac<Sha512>> = truncated(IntegId::HMAC_SHA2_512_256, 32);
