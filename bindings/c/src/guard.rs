//! What every entry does before and after its work: NULL checks, one thread at a time, panics to a status.

use ravelin::code::Status;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs an entry; a panic becomes a status.
pub(crate) fn entry(f: impl FnOnce() -> Result<(), Status>) -> i32 {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => Status::Ok as i32,
        Ok(Err(status)) => status as i32,
        Err(_) => Status::Panic as i32,
    }
}

/// Runs an entry on a handle that only one thread may use at a time.
pub(crate) fn exclusive(busy: &AtomicBool, f: impl FnOnce() -> Result<(), Status>) -> i32 {
    if busy.swap(true, Ordering::Acquire) {
        return Status::Busy as i32;
    }
    let result = entry(f);
    // After a panic the handle stays busy: its state cannot be trusted.
    if result != Status::Panic as i32 {
        busy.store(false, Ordering::Release);
    }
    result
}

/// Octets of the caller. A NULL pointer is an empty slice when the length is zero.
///
/// # Safety
/// `data` points to `len` readable octets that nobody writes during the call.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Status::NullPointer);
    }
    if len > isize::MAX as usize {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: not NULL, in range, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// As [`bytes`], writable.
///
/// # Safety
/// `data` points to `len` octets that nobody else reads or writes during the call.
pub(crate) unsafe fn bytes_mut<'a>(data: *mut u8, len: usize) -> Result<&'a mut [u8], Status> {
    if data.is_null() {
        return if len == 0 { Ok(&mut []) } else { Err(Status::NullPointer) };
    }
    if len > isize::MAX as usize {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: not NULL, in range, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// A text of the caller: NUL-terminated UTF-8.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string.
pub(crate) unsafe fn text<'a>(text: *const std::ffi::c_char) -> Result<&'a str, Status> {
    if text.is_null() {
        return Err(Status::NullPointer);
    }
    // SAFETY: not NULL, and the caller vouches for the terminator.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_str().map_err(|_| Status::InvalidArgument)
}
