//! Pseudorandom functions (RFC 7296 §2.13, RFC 4868) as one call over parts.
//! To add one: a file in `rustcrypto/prf/`, one line in the provider's list.

use crate::{PrfId, Secret};

/// A pseudorandom function. Lengths are in octets.
pub trait Prf: Send + Sync {
    /// IANA transform id.
    fn id(&self) -> PrfId;
    /// Preferred key length; the length of SK_d and SK_p.
    fn key_len(&self) -> usize;
    /// Output length.
    fn output_len(&self) -> usize;
    /// True when keys have a fixed size (AES128_XCBC, AES128_CMAC): SKEYSEED then takes the first half of each
    /// nonce (RFC 7296 §2.14).
    fn fixed_key(&self) -> bool {
        false
    }
    /// prf(key, all parts as one string). Any key length is accepted, as HMAC does.
    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Secret;
}
