//! IKEV2_MESSAGE_ID_SYNC (RFC 6311 §8.1): a cluster member that took over states its Message IDs.
use super::{NotifyData, exactly, reader};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The Message IDs to go on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageIdSync {
    /// Random octets that come back in the response.
    pub nonce: [u8; 4],
    /// Message ID of the next request the sender will send.
    pub next_to_send: u32,
    /// Message ID of the next request the sender expects.
    pub next_to_receive: u32,
}

impl NotifyData for MessageIdSync {
    const KIND: NotifyType = NotifyType::IKEV2_MESSAGE_ID_SYNC;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<12>(data)?;
        let mut r = reader(data);
        Ok(Self { nonce: r.array()?, next_to_send: r.u32()?, next_to_receive: r.u32()? })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.next_to_send.to_be_bytes());
        out.extend_from_slice(&self.next_to_receive.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<MessageIdSync>(&[&[1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6]], &[&[], &[0; 11], &[0; 13]]);
        let sync = MessageIdSync::parse(&[1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6]).unwrap();
        assert_eq!((sync.next_to_send, sync.next_to_receive), (5, 6));
    }
}
