//! AES-CMAC-96 (RFC 4494): key of 16 octets, ICV of 12.

use super::{TruncatedMac, truncated};
use crate::IntegId;
use aes::Aes128;
use cmac::Cmac;

pub(crate) static AES_CMAC_96: TruncatedMac<Cmac<Aes128>> = truncated(IntegId::AES_CMAC_96, 12);
