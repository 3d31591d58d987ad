//! AES-GCM and ChaCha20-Poly1305 by Intel's ipsec-mb (BSD-3, Debian's `libipsec-mb-dev`) for [`ravelin_crypto`]: all key
//! sizes and ICV lengths of RFC 4106, with implicit IV (RFC 8750) as well, and RFC 7634 where the processor has AVX-512,
//! without which others are quicker. x86-64 on Linux only. Where the library is not installed the crate is
//! empty and says so when it is built; [`provider`] gives `None` then, and on processors without AES instructions.
//!
//! ```
//! let portable = ravelin_crypto::rustcrypto::provider();
//! let provider = match ravelin_crypto_ipsec_mb::provider() {
//!     Some(mb) => mb.or("ipsec-mb over portable", &portable),
//!     None => portable,
//! };
//! # assert!(!provider.aeads.is_empty());
//! ```
//!
//! | room | what |
//! |---|---|
//! | `ffi.rs` | the C calls, and all unsafe code |
//! | `gcm.rs` | AES-GCM: the traits filled with them |
//! | `chacha.rs` | ChaCha20-Poly1305, likewise |
//! | `tag.rs` | tags compared |
//! | `versions.rs` | of the library, for the build script too |
//!
//! To add an algorithm of the library: its calls in `ffi.rs`, a file like `gcm.rs`, a line in [`provider`].

#[cfg(ipsec_mb)]
mod chacha;
#[cfg(ipsec_mb)]
mod ffi;
#[cfg(ipsec_mb)]
mod gcm;
#[cfg(ipsec_mb)]
mod tag;
#[cfg(ipsec_mb)]
mod versions;

use ravelin_crypto::Provider;

/// What the library brings, to be put before another provider with [`Provider::or`]; `None` where it cannot be used.
#[must_use]
pub fn provider() -> Option<Provider> {
    #[cfg(ipsec_mb)]
    return ffi::available().then(|| {
        let aeads = [gcm::all(), chacha::all()].concat();
        Provider { name: "ipsec-mb", aeads, ..Provider::default() }
    });
    #[cfg(not(ipsec_mb))]
    None
}

/// The instruction set whose code [`provider`] calls; `None` where it gives none.
#[must_use]
pub fn instructions() -> Option<&'static str> {
    #[cfg(ipsec_mb)]
    return ffi::instructions();
    #[cfg(not(ipsec_mb))]
    None
}
