//! SET_WINDOW_SIZE (RFC 7296 §2.3, §3.10.1).
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// How many requests the sender takes at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetWindowSize {
    /// At least 1; it never shrinks while the IKE SA lives, which is for the window to judge.
    pub size: u32,
}

impl NotifyData for SetWindowSize {
    const KIND: NotifyType = NotifyType::SET_WINDOW_SIZE;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<4>(data).map(|b| Self { size: u32::from_be_bytes(b) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.size.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<SetWindowSize>(&[&[0, 0, 0, 5]], &[&[], &[0; 3], &[0; 5]]);
    }
}
