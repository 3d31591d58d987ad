//! What every entry does before and after its work: NULL checks, live handles, one thread at a time, panics to a
//! status. To add a kind of handle: a variant of [`Kind`] and an `impl Handle`.

use ravelin::code::Status;
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Kinds of handles that a caller owns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Config,
    Node,
    Snapshot,
    Plane,
    Worker,
    Message,
}

/// Who uses a handle now.
#[derive(Default)]
pub(crate) struct Use(AtomicU8);

const IDLE: u8 = 0;
const BUSY: u8 = 1;
/// A panic went through: its state cannot be trusted.
const BROKEN: u8 = 2;

/// What a caller owns and gives back by its `_free`.
pub(crate) trait Handle {
    const KIND: Kind;
}

/// A handle and, apart from it, the mark of the thread that uses it: the mark may be read while another thread has the
/// handle. C holds the address of `value`.
#[repr(C)]
struct Guarded<T> {
    mark: Use,
    value: UnsafeCell<T>,
}

impl<T> Guarded<T> {
    /// Where the whole is whose `value` this is.
    fn of(value: *const T) -> *const Self {
        value.wrapping_byte_sub(offset_of!(Self, value)).cast()
    }
}

/// Every handle that was given out and not freed.
static LIVE: Mutex<BTreeMap<usize, Kind>> = Mutex::new(BTreeMap::new());

fn live() -> MutexGuard<'static, BTreeMap<usize, Kind>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs an entry; a panic becomes a status.
pub(crate) fn entry(f: impl FnOnce() -> Result<(), Status>) -> i32 {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => Status::Ok as i32,
        Ok(Err(status)) => status as i32,
        Err(_) => Status::Panic as i32,
    }
}

/// Gives a new handle to the caller.
///
/// # Safety
/// `out` is NULL or may be written.
pub(crate) unsafe fn give<T: Handle>(out: *mut *mut T, new: T) -> Result<(), Status> {
    if out.is_null() {
        return Err(Status::NullPointer);
    }
    let all = Box::into_raw(Box::new(Guarded { mark: Use::default(), value: UnsafeCell::new(new) }));
    // SAFETY: the box was just made; only the address of a field is taken.
    let raw = UnsafeCell::raw_get(unsafe { &raw const (*all).value });
    live().insert(raw.addr(), T::KIND);
    // SAFETY: not NULL, and the caller vouches that it may be written.
    unsafe { out.write(raw) };
    Ok(())
}

/// Takes a handle back and drops it. What is no live handle of this kind is left alone.
///
/// # Safety
/// `handle` is NULL, or nobody uses it from now on.
pub(crate) unsafe fn free<T: Handle>(handle: *mut T) -> i32 {
    entry(|| {
        if handle.is_null() {
            return Ok(());
        }
        let mut list = live();
        if list.get(&handle.addr()) != Some(&T::KIND) {
            return Err(Status::NoHandle);
        }
        // SAFETY: it is live, so it is the value of a `Guarded`; the mark is only ever touched atomically.
        let mark = unsafe { &(*Guarded::of(handle)).mark };
        if mark.0.load(Ordering::Acquire) == BUSY {
            return Err(Status::Busy);
        }
        list.remove(&handle.addr());
        drop(list);
        // SAFETY: it came from Box::into_raw in `give`, and no one can take it back a second time.
        drop(unsafe { Box::from_raw(Guarded::of(handle).cast_mut()) });
        Ok(())
    })
}

/// Runs `f` on a handle that only one thread may use at a time.
///
/// # Safety
/// `handle` is NULL or live. (Debug builds look it up, and say `not a live handle`.)
pub(crate) unsafe fn with<T: Handle>(handle: *mut T, f: impl FnOnce(&mut T) -> Result<(), Status>) -> i32 {
    if handle.is_null() {
        return Status::NullPointer as i32;
    }
    if cfg!(debug_assertions) && live().get(&handle.addr()) != Some(&T::KIND) {
        return Status::NoHandle as i32;
    }
    // SAFETY: live, so it is the value of a `Guarded`; the mark is only ever touched atomically.
    let mark = unsafe { &(*Guarded::of(handle)).mark };
    match mark.0.compare_exchange(IDLE, BUSY, Ordering::Acquire, Ordering::Acquire) {
        Ok(_) => {}
        Err(BROKEN) => return Status::Panic as i32,
        Err(_) => return Status::Busy as i32,
    }
    // SAFETY: live, and the mark keeps every other thread out.
    let result = entry(|| f(unsafe { &mut *handle }));
    let broken = result == Status::Panic as i32;
    mark.0.store(if broken { BROKEN } else { IDLE }, Ordering::Release);
    result
}

/// Runs `f` on a handle that threads share.
///
/// # Safety
/// As [`with`].
pub(crate) unsafe fn shared<T: Handle + Sync>(handle: *const T, f: impl FnOnce(&T) -> Result<(), Status>) -> i32 {
    if handle.is_null() {
        return Status::NullPointer as i32;
    }
    if cfg!(debug_assertions) && live().get(&handle.addr()) != Some(&T::KIND) {
        return Status::NoHandle as i32;
    }
    // SAFETY: live, and never borrowed mutably.
    entry(|| f(unsafe { &*handle }))
}

/// Refuses a NULL out-parameter before anything is done.
pub(crate) fn wanted<T>(out: *const T) -> Result<(), Status> {
    if out.is_null() { Err(Status::NullPointer) } else { Ok(()) }
}

/// Writes an out-parameter.
///
/// # Safety
/// `out` is NULL or may be written.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) -> Result<(), Status> {
    wanted(out)?;
    // SAFETY: not NULL, and the caller vouches that it may be written.
    unsafe { out.write(value) };
    Ok(())
}

/// A value of the caller behind a pointer.
///
/// # Safety
/// `value` is NULL or readable.
pub(crate) unsafe fn read<T: Copy>(value: *const T) -> Result<T, Status> {
    // SAFETY: NULL or readable.
    unsafe { value.as_ref() }.copied().ok_or(Status::NullPointer)
}

/// Octets of the caller. A NULL pointer is an empty slice when the length is zero.
///
/// # Safety
/// `data` points to `len` readable octets that nobody writes during the call.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    // SAFETY: handed on.
    unsafe { array(data, len) }
}

/// Values of the caller, as [`bytes`].
///
/// # Safety
/// `data` points to `len` readable values that nobody writes during the call.
pub(crate) unsafe fn array<'a, T>(data: *const T, len: usize) -> Result<&'a [T], Status> {
    if len == 0 {
        return Ok(&[]);
    }
    check(data, len)?;
    // SAFETY: not NULL, aligned, in range, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// As [`array`], writable.
///
/// # Safety
/// `data` points to `len` values that nobody else reads or writes during the call.
pub(crate) unsafe fn array_mut<'a, T>(data: *mut T, len: usize) -> Result<&'a mut [T], Status> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(data, len)?;
    // SAFETY: not NULL, aligned, in range, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

fn check<T>(data: *const T, len: usize) -> Result<(), Status> {
    wanted(data)?;
    let octets = len.checked_mul(size_of::<T>()).filter(|n| *n <= isize::MAX as usize);
    let fits = octets.is_some_and(|n| data.addr().checked_add(n).is_some());
    if fits && data.is_aligned() { Ok(()) } else { Err(Status::InvalidArgument) }
}

/// A text of the caller: NUL-terminated UTF-8.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Status> {
    wanted(text)?;
    // SAFETY: not NULL, and the caller vouches for the terminator.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Status::InvalidArgument)
}

/// As [`text`]; NULL is `None`.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn maybe_text<'a>(value: *const c_char) -> Result<Option<&'a str>, Status> {
    if value.is_null() {
        return Ok(None);
    }
    // SAFETY: handed on.
    unsafe { text(value) }.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(u32);
    impl Handle for Thing {
        const KIND: Kind = Kind::Snapshot;
    }

    fn thing() -> *mut Thing {
        let mut out = std::ptr::null_mut();
        // SAFETY: `out` may be written.
        unsafe { give(&raw mut out, Thing(7)) }.unwrap();
        out
    }

    #[test]
    fn a_panic_becomes_a_status_and_the_handle_is_only_good_to_be_freed() {
        let t = thing();
        // SAFETY: live until it is freed; the last call only compares its address.
        unsafe {
            assert_eq!(with(t, |t| if t.0 == 7 { Ok(()) } else { Err(Status::Nothing) }), 0);
            assert_eq!(with(t, |_| panic!("a bug of the library")), Status::Panic as i32);
            assert_eq!(with(t, |_| Ok(())), Status::Panic as i32);
            assert_eq!(free(t), 0);
            assert_eq!(free(t), Status::NoHandle as i32);
        }
    }

    #[test]
    fn a_call_within_a_call_is_told_that_the_handle_is_busy() {
        let t = thing();
        // SAFETY: live until it is freed.
        unsafe {
            let inner = with(t, |_| match (with(t, |_| Ok(())), free(t)) {
                (6, 6) => Ok(()),
                _ => Err(Status::InvalidArgument),
            });
            assert_eq!(inner, 0);
            assert_eq!(free(t), 0);
        }
    }
}
