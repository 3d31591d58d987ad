//! AEAD keys of AWS-LC: AES-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439), tags of 16 octets, nonces of 12,
//! detached and in place.
//!
//! aws-lc-rs has the same calls, but puts what a key is made into (`EVP_AEAD_CTX`, ten cache lines) behind a pointer that is
//! nobody's to see. With a hundred thousand SAs in use each packet then waits for these lines, and they cannot be asked for
//! ahead: 535 instead of 403 ns for a packet of 64 octets to a random SA (`docs/performance.md`). Here the key is one piece of memory
//! that [`Key::warm`] asks for. All else of AWS-LC (key exchange, signatures) stays with aws-lc-rs.
//!
//! All unsafe code is in this file: five calls, and what they need said of a key. To add an algorithm: a variant of [`Algorithm`], its `EVP_AEAD` and its lines.

use aws_lc_sys as lc;
use core::mem::MaybeUninit;
use core::ptr::{null, null_mut};
use zeroize::Zeroize;

/// Octets of a nonce.
pub const NONCE_LEN: usize = 12;
/// Octets of a tag.
pub const TAG_LEN: usize = 16;

/// Which AEAD, at which key size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are IANA's own")]
pub enum Algorithm {
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Algorithm {
    /// Octets of a key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    fn table(self) -> *const lc::EVP_AEAD {
        let table: unsafe extern "C" fn() -> *const lc::EVP_AEAD = match self {
            Self::Aes128Gcm => lc::EVP_aead_aes_128_gcm,
            Self::Aes192Gcm => lc::EVP_aead_aes_192_gcm,
            Self::Aes256Gcm => lc::EVP_aead_aes_256_gcm,
            Self::ChaCha20Poly1305 => lc::EVP_aead_chacha20_poly1305,
        };
        // SAFETY: each gives a pointer to a table that lives as long as the program, and takes nothing.
        unsafe { table() }
    }
}

/// A key with its schedule, wiped when dropped. It has an address of its own ([`Key::new`] gives a `Box`), at the beginning of a
/// cache line.
#[repr(C, align(64))]
pub struct Key {
    context: lc::EVP_AEAD_CTX,
    algorithm: Algorithm,
}

// SAFETY: the context points to nothing but a table that nobody writes; `aead.h` has it that calls that seal or open may be made on
// one context by many threads at once. There are no others until it is dropped.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

impl Key {
    /// Makes the key schedule; `None` for a key of another length.
    #[must_use]
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Option<Box<Self>> {
        if key.len() != algorithm.key_len() {
            return None;
        }
        let mut made: Box<Self> = Box::new(Self { context: lc::EVP_AEAD_CTX::default(), algorithm });
        // SAFETY: the context is all zero, as `EVP_AEAD_CTX_zero` would make it, and is written where it stays; the key is read as far
        // as it is long. There is no engine.
        let done = unsafe {
            lc::EVP_AEAD_CTX_init(
                &raw mut made.context,
                algorithm.table(),
                key.as_ptr(),
                key.len(),
                TAG_LEN,
                null_mut(),
            )
        };
        (done == 1).then_some(made)
    }

    /// Encrypts in place and writes the tag; false when the library refuses, for more octets than a nonce may have.
    #[inline(always)]
    #[must_use]
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &mut [u8], tag: &mut [u8; TAG_LEN]) -> bool {
        let (at, len) = (data.as_mut_ptr(), data.len());
        let mut written = MaybeUninit::<usize>::uninit();
        // SAFETY: all pointers come from live references of the lengths that are passed; data is worked on in place, which the
        // header allows, and the tag is not part of it, being borrowed apart. There is no further input. The length of the tag is
        // written, and known: that of the context.
        let done = unsafe {
            lc::EVP_AEAD_CTX_seal_scatter(
                &raw const self.context,
                at,
                tag.as_mut_ptr(),
                written.as_mut_ptr(),
                TAG_LEN,
                nonce.as_ptr(),
                NONCE_LEN,
                at,
                len,
                null(),
                0,
                aad.as_ptr(),
                aad.len(),
            )
        };
        done == 1
    }

    /// Checks the tag in constant time and decrypts in place; false when it is not right: `data` is all zero then.
    #[inline(always)]
    #[must_use]
    pub fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        let (at, len) = (data.as_mut_ptr(), data.len());
        // SAFETY: as in [`Key::seal`]; the tag is read.
        let done = unsafe {
            lc::EVP_AEAD_CTX_open_gather(
                &raw const self.context,
                at,
                nonce.as_ptr(),
                NONCE_LEN,
                at,
                len,
                tag.as_ptr(),
                TAG_LEN,
                aad.as_ptr(),
                aad.len(),
            )
        };
        done == 1
    }

    /// Asks the memory for what a packet needs of the key, without waiting.
    #[inline]
    pub fn warm(&self) {
        match self.algorithm {
            // The table's address and the key; the length of tags.
            Algorithm::ChaCha20Poly1305 => {
                ravelin_prefetch::read(&self.context);
                ravelin_prefetch::read(&self.context.tag_len);
            }
            // The table's address, round keys, the hash key's powers, functions; the length of tags.
            _ => ravelin_prefetch::lines(&self.context, usize::MAX),
        }
    }

    fn wipe(&mut self) {
        // SAFETY: `new` made it; a context that was cleaned up may be so again.
        unsafe { lc::EVP_AEAD_CTX_cleanup(&raw mut self.context) };
        let octets: *mut [MaybeUninit<u8>; size_of::<lc::EVP_AEAD_CTX>()] = (&raw mut self.context).cast();
        // SAFETY: so many octets, all of them ours alone; the context is plain data, and may be all zero.
        unsafe { &mut *octets }.as_mut_slice().zeroize();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
