//! What every call of the C ABI owes its caller (docs/c.md): a status of the list and never `internal error`;
//! out-parameters written on success only; what is lent can be read.

use ravelin_c::*;
use std::ffi::{CStr, CString, c_char};
use std::hint::black_box;
use std::mem::MaybeUninit;

/// True on success.
pub(super) fn check(status: ravelin_status) -> bool {
    let name = words(ravelin_status_name(status)).expect("a status has a name");
    assert_ne!(status, ravelin_status_code::Panic as i32, "a panic: {name}");
    assert_ne!(status, ravelin_status_code::NoHandle as i32, "a live handle is not found: {name}");
    status == 0
}

/// Calls with an out-parameter: its value on success. Without success not one octet of it may have changed.
pub(super) fn out<T: Copy>(call: impl FnOnce(*mut T) -> ravelin_status) -> Option<T> {
    const PATTERN: u8 = 0xA5;
    let mut value = MaybeUninit::<T>::uninit();
    let at = value.as_mut_ptr().cast::<u8>();
    // SAFETY: the octets of the value.
    unsafe { at.write_bytes(PATTERN, size_of::<T>()) };
    if check(call(value.as_mut_ptr())) {
        // SAFETY: the contract says that it was written.
        return Some(unsafe { value.assume_init() });
    }
    // SAFETY: the octets of the value, all written above.
    let octets = unsafe { std::slice::from_raw_parts(at, size_of::<T>()) };
    assert!(octets.iter().all(|b| *b == PATTERN), "an out-parameter was written without success");
    None
}

/// A text that was lent.
pub(super) fn words(text: *const c_char) -> Option<String> {
    // SAFETY: lent: NULL or NUL-terminated.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned())
}

/// Values that were lent, every octet of them read.
pub(super) fn values<T: Copy>(data: *const T, len: usize) -> Vec<T> {
    if len == 0 {
        return Vec::new();
    }
    // SAFETY: lent for this length.
    black_box(unsafe { std::slice::from_raw_parts(data, len) }.to_vec())
}

/// Octets that were lent.
pub(super) fn octets(lent: ravelin_octets) -> Vec<u8> {
    values(lent.data, lent.len)
}

/// A text of a caller: a word of the list, or (from 200 on) the octets themselves.
pub(super) fn text(octets: &[u8], list: &[&str]) -> CString {
    let first = octets.first().copied().unwrap_or(0);
    let bytes = if first < 200 && !list.is_empty() {
        list[usize::from(first) % list.len()].as_bytes().to_vec()
    } else {
        octets.iter().copied().filter(|b| *b != 0).collect()
    };
    CString::new(bytes).expect("no NUL")
}

/// An address of node `n`.
pub(super) fn end(n: usize, port: u16, family: u8) -> ravelin_endpoint {
    let mut addr = [0; 16];
    addr[..4].copy_from_slice(&[192, 0, 2, n as u8 + 1]);
    ravelin_endpoint { family, port, addr }
}

/// An IP packet from the net of node `n` to the other's: UDP of some length, or what the octets say.
pub(super) fn packet(n: usize, kind: u8, octets: &[u8]) -> Vec<u8> {
    if kind >= 240 {
        return octets.to_vec();
    }
    let len = 28 + usize::from(kind) * 8;
    let mut p = vec![0; len];
    p[0] = 0x45;
    p[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    p[6] = if kind & 1 == 0 { 0x40 } else { 0 };
    (p[8], p[9]) = (64, 17);
    p[12..16].copy_from_slice(&[10, 0, n as u8 + 1, 5]);
    p[16..20].copy_from_slice(&[10, 0, 2 - n as u8, 5]);
    let sum: u32 = p[..20].chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    let sum = !((sum & 0xFFFF) + (sum >> 16)) as u16;
    p[10..12].copy_from_slice(&sum.to_be_bytes());
    p[24..26].copy_from_slice(&((len - 20) as u16).to_be_bytes());
    p
}
