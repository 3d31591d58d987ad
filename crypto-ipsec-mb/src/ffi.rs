//! Calls of `intel-ipsec-mb.h`, declared by hand, and all unsafe code of this crate behind a safe face.
//!
//! GCM is called directly. These calls keep no state, so that any number of threads may use one key at once; the job
//! manager would call the same code, one packet after the other. ChaCha20-Poly1305 goes through the job manager, one for
//! each thread: it does a packet in one piece, which the direct calls do in three (506 instead of 600 ns for 1,400
//! octets, 151 instead of 236 for 64).
//!
//! `tests/header.rs` compiles these declarations against the header that is installed. To add calls: declare them here,
//! and there.

use crate::versions::VERSIONS;
use core::arch::asm;
use core::arch::x86_64::{__m128i, _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_or_si128, _mm_set_epi64x, _mm_slli_si128};
use core::ffi::{c_int, c_uint, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr::NonNull;
use ravelin_crypto::aead::Told;
use std::sync::OnceLock;
use zeroize::Zeroize;

/// `struct gcm_key_data`: round keys and powers of the hash key. The size is that of the largest form there is, without
/// the padding behind it, which belongs to [`Key`].
#[repr(C)]
struct KeyData([u8; 1008]);

/// `struct gcm_context_data`: working memory of one call.
#[repr(C, align(16))]
struct Context([u8; 128]);

type Prepare = unsafe extern "C" fn(key: *const c_void, data: *mut KeyData);
type Crypt = unsafe extern "C" fn(
    key: *const KeyData,
    context: *mut Context,
    out: *mut u8,
    input: *const u8,
    len: u64,
    iv: *const u8,
    aad: *const u8,
    aad_len: u64,
    tag: *mut u8,
    tag_len: u64,
);

/// The code for one instruction set: by key size, 128, 192 and 256 bits.
struct Code {
    name: &'static str,
    prepare: [Prepare; 3],
    encrypt: [Crypt; 3],
    decrypt: [Crypt; 3],
}

macro_rules! code {
    ($name:ident, $text:literal: $($pre:ident)*, $($enc:ident)*, $($dec:ident)*) => {
        // SAFETY of the declarations: they are those of the header (tests/header.rs).
        unsafe extern "C" {
            $(fn $pre(key: *const c_void, data: *mut KeyData);)*
            $(fn $enc(key: *const KeyData, context: *mut Context, out: *mut u8, input: *const u8, len: u64, iv: *const u8,
                aad: *const u8, aad_len: u64, tag: *mut u8, tag_len: u64);)*
            $(fn $dec(key: *const KeyData, context: *mut Context, out: *mut u8, input: *const u8, len: u64, iv: *const u8,
                aad: *const u8, aad_len: u64, tag: *mut u8, tag_len: u64);)*
        }
        static $name: Code = Code { name: $text, prepare: [$($pre),*], encrypt: [$($enc),*], decrypt: [$($dec),*] };
    };
}

code!(SSE, "SSE":
    aes_gcm_pre_128_sse aes_gcm_pre_192_sse aes_gcm_pre_256_sse,
    aes_gcm_enc_128_sse aes_gcm_enc_192_sse aes_gcm_enc_256_sse,
    aes_gcm_dec_128_sse aes_gcm_dec_192_sse aes_gcm_dec_256_sse);
code!(AVX, "AVX":
    aes_gcm_pre_128_avx_gen2 aes_gcm_pre_192_avx_gen2 aes_gcm_pre_256_avx_gen2,
    aes_gcm_enc_128_avx_gen2 aes_gcm_enc_192_avx_gen2 aes_gcm_enc_256_avx_gen2,
    aes_gcm_dec_128_avx_gen2 aes_gcm_dec_192_avx_gen2 aes_gcm_dec_256_avx_gen2);
code!(AVX2, "AVX2":
    aes_gcm_pre_128_avx_gen4 aes_gcm_pre_192_avx_gen4 aes_gcm_pre_256_avx_gen4,
    aes_gcm_enc_128_avx_gen4 aes_gcm_enc_192_avx_gen4 aes_gcm_enc_256_avx_gen4,
    aes_gcm_dec_128_avx_gen4 aes_gcm_dec_192_avx_gen4 aes_gcm_dec_256_avx_gen4);
code!(AVX512, "AVX-512":
    aes_gcm_pre_128_avx512 aes_gcm_pre_192_avx512 aes_gcm_pre_256_avx512,
    aes_gcm_enc_128_avx512 aes_gcm_enc_192_avx512 aes_gcm_enc_256_avx512,
    aes_gcm_dec_128_avx512 aes_gcm_dec_192_avx512 aes_gcm_dec_256_avx512);
code!(VAES, "AVX-512 with VAES":
    aes_gcm_pre_128_vaes_avx512 aes_gcm_pre_192_vaes_avx512 aes_gcm_pre_256_vaes_avx512,
    aes_gcm_enc_128_vaes_avx512 aes_gcm_enc_192_vaes_avx512 aes_gcm_enc_256_vaes_avx512,
    aes_gcm_dec_128_vaes_avx512 aes_gcm_dec_192_vaes_avx512 aes_gcm_dec_256_vaes_avx512);

/// Each set of instructions with its code, the best first, as far as this processor has them. The conditions are the
/// library's own (`cpu_feature.c`: its architectures "AVX512 type 2", "AVX512 type 1", AVX2, AVX, SSE).
fn usable() -> Vec<&'static Code> {
    macro_rules! has { ($($f:tt)*) => { $(std::is_x86_feature_detected!($f))&&* } }
    let aes = has!("aes" "pclmulqdq" "sse4.2");
    let wide = aes && has!("avx2" "bmi2" "avx512f" "avx512dq" "avx512cd" "avx512bw" "avx512vl");
    let all = [
        (wide && has!("vaes" "vpclmulqdq" "gfni" "avx512ifma"), &VAES),
        (wide, &AVX512),
        (aes && has!("avx" "avx2" "bmi2"), &AVX2),
        (aes && has!("avx"), &AVX),
        (aes, &SSE),
    ];
    all.into_iter().filter_map(|(there, code)| there.then_some(code)).collect()
}

fn best() -> Option<&'static Code> {
    static BEST: OnceLock<Option<&'static Code>> = OnceLock::new();
    *BEST.get_or_init(|| usable().first().copied())
}

/// True when this processor can run the library's AES-GCM.
pub(crate) fn available() -> bool {
    best().is_some()
}

/// The instruction set in use.
pub(crate) fn instructions() -> Option<&'static str> {
    best().map(|c| c.name)
}

/// The longest plaintext of GCM (NIST SP 800-38D §5.2.1.1), in octets.
const MAX: u64 = (1 << 36) - 32;

/// A key with its schedule, wiped when dropped. With many keys each packet finds its key outside the caches: so it is one
/// piece, and what is known besides the schedule lies with the power of the hash key that every packet needs. Made
/// where it stays, so that no copy of the schedule is left behind.
#[repr(C, align(64))]
pub(crate) struct Key<const LEN: usize> {
    data: KeyData,
    code: &'static Code,
    /// Octets of ICV.
    tag_len: u8,
}

impl<const LEN: usize> Key<LEN> {
    /// Which of each kind of function in [`Code`].
    const SIZE: usize = LEN / 8 - 2;
    /// Octets of round keys, with which the key data begin.
    const ROUND_KEYS: usize = (LEN / 4 + 7) * 16;

    /// `None` for a key of another length, for tags that have not 8, 12 or 16 octets, or on a processor without AES
    /// instructions. `LEN` is 16, 24 or 32 octets.
    pub(crate) fn new(key: &[u8], tag_len: usize) -> Option<Box<Self>> {
        Self::with(best()?, key, tag_len)
    }

    fn with(code: &'static Code, key: &[u8], tag_len: usize) -> Option<Box<Self>> {
        let key: &[u8; LEN] = key.try_into().ok()?;
        if !matches!(tag_len, 8 | 12 | 16) {
            return None;
        }
        let (prepare, tag_len) = (code.prepare.get(Self::SIZE)?, u8::try_from(tag_len).ok()?);
        let mut made = Box::new(Self { data: KeyData([0; 1008]), code, tag_len });
        // SAFETY: reads as many octets of the key as its name says, which is what is there; writes the parts of a
        // `gcm_key_data`, which have this size and alignment at most. `usable` made sure of the instructions.
        unsafe { prepare(key.as_ptr().cast(), &raw mut made.data) };
        Some(made)
    }

    /// Octets of ICV.
    #[inline(always)]
    pub(crate) fn tag_len(&self) -> usize {
        usize::from(self.tag_len)
    }

    /// Encrypts in place and writes the tag; false for lengths that cannot be.
    #[inline]
    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> bool {
        self.run(&self.code.encrypt, nonce, aad, data, tag)
    }

    /// Decrypts in place and computes the tag that should have come; false for lengths that cannot be.
    #[inline]
    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> bool {
        self.run(&self.code.decrypt, nonce, aad, data, tag)
    }

    /// Asks the memory for what a packet of so many octets needs of the key, without waiting.
    #[inline]
    pub(crate) fn warm(&self, octets: usize) {
        let ask = |octets: &[u8]| octets.iter().step_by(64).for_each(ravelin_prefetch::read);
        let data = &self.data.0;
        // Nothing of the key is read here. The powers of the hash key of this code end with the data, the first of them last,
        // and longer packets need more of them.
        if best().is_some_and(|code| core::ptr::eq(code, &raw const VAES)) {
            let powers = (octets / 16).saturating_add(2).min(48).saturating_mul(16);
            let first = data.len().saturating_sub(powers) & !63;
            let round_keys = Self::ROUND_KEYS.next_multiple_of(64);
            ask(data.get(..round_keys).unwrap_or(&[]));
            ask(data.get(first.max(round_keys)..).unwrap_or(&[]));
        } else {
            // Round keys, and the powers that all codes but those with AVX-512 use.
            ask(data.get(..512).unwrap_or(&[]));
            ask(data.get(1007..).unwrap_or(&[]));
        }
    }

    /// [`Key::seal`], told as usual packets are.
    #[inline]
    pub(crate) fn seal_told(&self, told: &Told, data: &mut [u8], tag: &mut [u8; 16]) -> bool {
        self.run_told(&self.code.encrypt, told, data, tag)
    }

    /// [`Key::open`], told as usual packets are.
    #[inline]
    pub(crate) fn open_told(&self, told: &Told, data: &mut [u8], tag: &mut [u8; 16]) -> bool {
        self.run_told(&self.code.decrypt, told, data, tag)
    }

    #[inline(always)]
    fn run_told(&self, by_size: &[Crypt; 3], told: &Told, data: &mut [u8], tag: &mut [u8; 16]) -> bool {
        let (nonce, number) = (joined(told.salt, told.iv), u64::from_le_bytes(told.number));
        let (aad, len) = if told.esn { (number, 12) } else { (number >> 32, 8) };
        let aad = joined(told.spi, aad.to_le_bytes());
        self.call(by_size, &nonce, aad.get(..len).unwrap_or(&[]), data, tag)
    }

    #[inline]
    fn run(&self, by_size: &[Crypt; 3], nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> bool {
        let nonce = whole(nonce);
        // With extended sequence numbers it has twelve octets (RFC 4106 §5).
        let wide;
        let aad = match <&[u8; 12]>::try_from(aad) {
            Ok(aad) => {
                wide = whole(aad);
                wide.get(..12).unwrap_or(&[])
            }
            Err(_) => aad,
        };
        self.call(by_size, &nonce, aad, data, tag)
    }

    #[inline(always)]
    fn call(&self, by_size: &[Crypt; 3], nonce: &[u8; 16], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> bool {
        let (len, aad_len, tag_len) = (data.len() as u64, aad.len() as u64, tag.len() as u64);
        // The library says nothing of arguments that it refuses, so none may reach it.
        if len > MAX || tag.len() != self.tag_len() {
            return false;
        }
        let Some(crypt) = by_size.get(Self::SIZE) else { return false };
        let mut context = MaybeUninit::<Context>::uninit();
        let at = data.as_mut_ptr();
        // SAFETY: all pointers come from live references of the lengths that are passed, and are not null; the library
        // reads the key data, the nonce (12 octets of 16) and the AAD, and writes the context, which it fills before it reads
        // it, the data in place (the header allows `out == in`) and the tag. `prepare` of the same code made the key.
        unsafe {
            crypt(
                &raw const self.data,
                context.as_mut_ptr(),
                at,
                at,
                len,
                nonce.as_ptr(),
                aad.as_ptr(),
                aad_len,
                tag.as_mut_ptr(),
                tag_len,
            );
        }
        true
    }
}

/// A register as octets, which are stored in one piece then.
#[inline(always)]
fn octets(register: __m128i) -> [u8; 16] {
    // SAFETY: both are sixteen octets, of which any value is one.
    unsafe { transmute::<__m128i, [u8; 16]>(register) }
}

/// Twelve octets of two parts, for the same reason as with [`whole`].
#[inline(always)]
fn joined(first: [u8; 4], last: [u8; 8]) -> [u8; 16] {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn join(first: i32, last: i64) -> __m128i {
        _mm_or_si128(_mm_cvtsi32_si128(first), _mm_slli_si128::<4>(_mm_cvtsi64_si128(last)))
    }
    // SAFETY: needs SSE2, which every x86-64 has.
    octets(unsafe { join(i32::from_le_bytes(first), i64::from_le_bytes(last)) })
}

/// Twelve octets in a register, and four of nothing. The library reads nonce and AAD in one piece; would it find them as the
/// caller has just stored them, in several, it would wait until they were in the cache. What is read here lies within
/// one piece, be it stored as salt and IV or as two halves of sixteen octets.
#[inline(always)]
fn whole(twelve: &[u8; 12]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *twelve;
    let (first, last) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([i, j, k, l]));
    let mut middle = u32::from_le_bytes([e, f, g, h]);
    // SAFETY: no instruction at all. The compiler does not know that, or it would read two pieces as one.
    unsafe { asm!("/* {0:e} */", inout(reg) middle, options(pure, nomem, nostack, preserves_flags)) };
    let first = u64::from(first) | u64::from(middle) << 32;
    // SAFETY: needs SSE2, which every x86-64 has.
    octets(unsafe { _mm_set_epi64x(i64::from(last), first.cast_signed()) })
}

impl<const LEN: usize> Drop for Key<LEN> {
    fn drop(&mut self) {
        self.data.0.zeroize();
    }
}

/// What is used of `IMB_JOB`, the same in versions 1.1 to 1.5. The library has more behind it.
#[repr(C)]
struct Job {
    enc_keys: *const u8,
    dec_keys: *const u8,
    key_len_in_bytes: u64,
    src: *const u8,
    dst: *mut u8,
    cipher_start_src_offset_in_bytes: u64,
    msg_len_to_cipher_in_bytes: u64,
    hash_start_src_offset_in_bytes: u64,
    msg_len_to_hash_in_bytes: u64,
    iv: *const u8,
    iv_len_in_bytes: u64,
    auth_tag_output: *mut u8,
    auth_tag_output_len_in_bytes: u64,
    aad: *const u8,
    aad_len_in_bytes: u64,
    _ctx: u64,
    status: u32,
    cipher_mode: u32,
    cipher_direction: u32,
    hash_alg: u32,
    chain_order: u32,
}

/// What is used of `IMB_MGR`, likewise.
#[repr(C)]
struct Manager {
    _before: [u64; 8],
    get_next_job: Option<OfManager>,
    _submit_job: Option<OfManager>,
    submit_job_nocheck: Option<OfManager>,
    _get_completed_job: Option<OfManager>,
    flush_job: Option<OfManager>,
}

type OfManager = unsafe extern "C" fn(manager: *mut Manager) -> *mut Job;

const IMB_STATUS_COMPLETED: u32 = 3;
const IMB_CIPHER_CHACHA20_POLY1305: u32 = 19;
const IMB_AUTH_CHACHA20_POLY1305: u32 = 29;
const IMB_ORDER_CIPHER_HASH: u32 = 1;

/// `IMB_CIPHER_DIRECTION`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Way {
    Seal = 1,
    Open = 2,
}

// SAFETY of the declarations: they are those of the header (tests/header.rs).
unsafe extern "C" {
    fn imb_get_version() -> c_uint;
    fn imb_get_errno(manager: *mut Manager) -> c_int;
    fn alloc_mb_mgr(flags: u64) -> *mut Manager;
    fn init_mb_mgr_auto(manager: *mut Manager, arch: *mut c_uint);
    fn free_mb_mgr(manager: *mut Manager);
}

/// True when the library is one whose structures are known, and its ChaCha20-Poly1305 quicker than others: with AVX-512.
/// Without, it takes longer than aws-lc-rs (1,400 octets, the same processor: 929 ns with AVX2, 735 for aws-lc-rs).
pub(crate) fn has_jobs() -> bool {
    let wide = |code: &'static Code| core::ptr::eq(code, &raw const VAES) || core::ptr::eq(code, &raw const AVX512);
    // SAFETY: has no arguments and reads a constant.
    best().is_some_and(wide) && VERSIONS.contains(&unsafe { imb_get_version() })
}

/// A job manager: 200 KB, made in 0.7 ms, since the library tests itself. For one thread.
struct Jobs {
    manager: NonNull<Manager>,
    next: OfManager,
    submit: OfManager,
    flush: OfManager,
}

impl Jobs {
    fn new() -> Option<Self> {
        if !has_jobs() {
            return None;
        }
        // SAFETY: any flags are allowed; what comes is null or a manager.
        let manager = NonNull::new(unsafe { alloc_mb_mgr(0) })?;
        // SAFETY: the manager is ours alone; the second argument may be null.
        unsafe { init_mb_mgr_auto(manager.as_ptr(), core::ptr::null_mut()) };
        // SAFETY: the manager was made above.
        let failed = unsafe { imb_get_errno(manager.as_ptr()) } != 0;
        // SAFETY: `has_jobs` made sure of the version, in which an `IMB_MGR` begins like this. Nobody else uses it.
        let calls = unsafe { manager.as_ref() };
        match (calls.get_next_job, calls.submit_job_nocheck, calls.flush_job) {
            (Some(next), Some(submit), Some(flush)) if !failed => Some(Self { manager, next, submit, flush }),
            _ => {
                // SAFETY: made by `alloc_mb_mgr` and not used again.
                unsafe { free_mb_mgr(manager.as_ptr()) };
                None
            }
        }
    }

    #[inline]
    fn run(&self, way: Way, key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &mut [u8; 16]) -> bool {
        let (at, len) = (data.as_mut_ptr(), data.len() as u64);
        let manager = self.manager.as_ptr();
        // SAFETY: the manager is this thread's and lives as long as `self`; it gives a job of its own, never null.
        let next = unsafe { (self.next)(manager) };
        // SAFETY: it begins like this, all of it are numbers and pointers, and nobody else uses it.
        let job = unsafe { &mut *next };
        job.enc_keys = key.as_ptr();
        job.dec_keys = key.as_ptr();
        job.key_len_in_bytes = 32;
        job.src = at;
        job.dst = at;
        job.cipher_start_src_offset_in_bytes = 0;
        job.msg_len_to_cipher_in_bytes = len;
        job.hash_start_src_offset_in_bytes = 0;
        job.msg_len_to_hash_in_bytes = len;
        job.iv = nonce.as_ptr();
        job.iv_len_in_bytes = 12;
        job.auth_tag_output = tag.as_mut_ptr();
        job.auth_tag_output_len_in_bytes = 16;
        job.aad = aad.as_ptr();
        job.aad_len_in_bytes = aad.len() as u64;
        job.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        job.cipher_direction = way as u32;
        job.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        // Decides which of its tables the library asks first; the one for ciphers does all of the packet, either way.
        job.chain_order = IMB_ORDER_CIPHER_HASH;
        // SAFETY: all pointers of the job come from live references of the lengths given with them; the library reads
        // key, nonce and AAD, and writes data in place and tag. This algorithm is done with them when the call returns,
        // which is seen to below.
        let done = unsafe { (self.submit)(manager) };
        // SAFETY: still the manager's, which is not at work.
        if done == next && unsafe { (*next).status } == IMB_STATUS_COMPLETED {
            return true;
        }
        self.give_up()
    }

    /// What the manager should still have in hand is worked off while its memory is there.
    #[cold]
    fn give_up(&self) -> bool {
        // SAFETY: as above; null when there is nothing.
        while !unsafe { (self.flush)(self.manager.as_ptr()) }.is_null() {}
        false
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        // SAFETY: made by `alloc_mb_mgr`, and no job is in it. It holds no key: they were with the packets.
        unsafe { free_mb_mgr(self.manager.as_ptr()) };
    }
}

/// Seals or opens in place; the tag is computed either way. False when this thread cannot have a job manager.
#[inline]
pub(crate) fn chacha20_poly1305(
    way: Way,
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    data: &mut [u8],
    tag: &mut [u8; 16],
) -> bool {
    thread_local! {
        static JOBS: Option<Jobs> = Jobs::new();
    }
    JOBS.try_with(|jobs| jobs.as_ref().is_some_and(|jobs| jobs.run(way, key, nonce, aad, data, tag))).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 4 of the GCM specification (McGrew and Viega, appendix B), by every code this processor can run.
    #[test]
    fn every_code_computes_the_same() {
        let unhex = |s: &str| -> Vec<u8> {
            (0..s.len() / 2).map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap()).collect()
        };
        let plain = unhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let sealed = unhex(
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        );
        let key = unhex("feffe9928665731c6d6a8f9467308308");
        let nonce: [u8; 12] = unhex("cafebabefacedbaddecaf888").try_into().unwrap();
        let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let tag = unhex("5bc94fbc3221a5db94fae95ae7121a47");
        let all = usable();
        if all.is_empty() {
            println!("skipped: no AES instructions");
        }
        for code in all {
            let k = Key::<16>::with(code, &key, 16).unwrap();
            let (mut data, mut out) = (plain.clone(), [0; 16]);
            assert!(k.seal(&nonce, &aad, &mut data, &mut out), "{}", code.name);
            assert_eq!((&data, &out[..]), (&sealed, &tag[..]), "{}", code.name);
            let mut again = [0; 16];
            assert!(k.open(&nonce, &aad, &mut data, &mut again));
            assert_eq!((&data, &again[..]), (&plain, &tag[..]), "{}", code.name);
            // Hints change nothing, however long the packet is said to be.
            [0, 64, 1400, usize::MAX].into_iter().for_each(|octets| k.warm(octets));
            assert!(k.seal(&nonce, &aad, &mut data, &mut out) && data == sealed);
        }
    }

    #[test]
    fn twelve_octets_stay_in_their_order() {
        let octets = core::array::from_fn(|i| i as u8 + 1);
        assert_eq!(whole(&octets), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0]);
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        assert!(Key::<16>::new(&[0; 15], 16).is_none() && Key::<16>::new(&[], 16).is_none());
        assert!(Key::<32>::new(&[0; 16], 16).is_none());
        assert!([0, 4, 15, 17, 272].iter().all(|len| Key::<16>::new(&[0; 16], *len).is_none()));
        let Some(key) = Key::<16>::new(&[0; 16], 16) else { return println!("skipped: no AES instructions") };
        for len in [0, 4, 7, 8, 9, 12, 15, 17, 32] {
            assert!(!key.seal(&[0; 12], &[], &mut [0; 4], &mut vec![0; len]), "tag of {len}");
        }
    }
}
