//! INVALID_MESSAGE_ID (RFC 7296 §2.3, §3.10.1): a request outside the window. Never sent in a response.
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The Message ID that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidMessageId {
    /// As it stood in the header.
    pub message_id: u32,
}

impl NotifyData for InvalidMessageId {
    const KIND: NotifyType = NotifyType::INVALID_MESSAGE_ID;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<4>(data).map(|b| Self { message_id: u32::from_be_bytes(b) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message_id.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<InvalidMessageId>(&[&[0, 0, 1, 2]], &[&[], &[0; 3], &[0; 5]]);
    }
}
