//! IPSEC_REPLAY_COUNTER_SYNC (RFC 6311 §8.2): how far outbound sequence numbers jump after a takeover.
use super::{NotifyData, wrong_len};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// What is added to the sequence number of every Child SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplayCounterSync {
    /// For SAs with 32-bit sequence numbers.
    Short(u32),
    /// For SAs with extended sequence numbers.
    Long(u64),
}

impl NotifyData for ReplayCounterSync {
    const KIND: NotifyType = NotifyType::IPSEC_REPLAY_COUNTER_SYNC;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        if let Ok(delta) = data.try_into() {
            return Ok(Self::Short(u32::from_be_bytes(delta)));
        }
        let delta = data.try_into().map_err(|_| wrong_len(data.len(), 4, 8))?;
        Ok(Self::Long(u64::from_be_bytes(delta)))
    }

    fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Short(delta) => out.extend_from_slice(&delta.to_be_bytes()),
            Self::Long(delta) => out.extend_from_slice(&delta.to_be_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<ReplayCounterSync>(&[&[0, 0, 1, 2], &[7; 8]], &[&[], &[0; 3], &[0; 5], &[0; 9]]);
    }
}
