//! Writing length fields: the place is left open and filled when the content's size is known.
use super::error::{Fault, Place, WireError};
use alloc::vec::Vec;

/// An error for a value that does not fit its length or count field.
pub(crate) fn too_long(place: Place, came: usize, max: usize) -> WireError {
    WireError { place, offset: 0, fault: Fault::Length { came, min: 0, max } }
}

/// `len` as the one octet of a count or size field.
pub(crate) fn octet(place: Place, len: usize) -> Result<u8, WireError> {
    u8::try_from(len).map_err(|_| too_long(place, len, 255))
}

/// `len` as a two-octet length field.
pub(crate) fn short(place: Place, len: usize) -> Result<u16, WireError> {
    u16::try_from(len).map_err(|_| too_long(place, len, 65535))
}

/// Overwrites the two octets at `at` with the distance from `start` to the end of `out`.
pub(crate) fn patch_len(place: Place, out: &mut [u8], at: usize, start: usize) -> Result<(), WireError> {
    let len = short(place, out.len().saturating_sub(start))?;
    let end = at.saturating_add(2);
    if let Some(field) = out.get_mut(at..end) {
        field.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

/// Appends a big-endian 16-bit value.
pub(crate) fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}
