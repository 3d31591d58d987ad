//! USE_AGGFRAG (RFC 9347 §5.1): the Child SA carries AGGFRAG payloads (IP-TFS).
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The flags of the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UseAggfrag {
    /// Bit 0x02: congestion control information is wanted; bit 0x01: do not fragment. The others are ignored.
    pub flags: u8,
}

impl UseAggfrag {
    /// The sender wants congestion control information.
    #[must_use]
    pub fn congestion_control(self) -> bool {
        self.flags & 0x02 != 0
    }

    /// The sender cannot take packets that are cut across payloads.
    #[must_use]
    pub fn dont_fragment(self) -> bool {
        self.flags & 0x01 != 0
    }
}

impl NotifyData for UseAggfrag {
    const KIND: NotifyType = NotifyType::USE_AGGFRAG;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<1>(data).map(|b| Self { flags: u8::from_be_bytes(b) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.flags]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<UseAggfrag>(&[&[3]], &[&[], &[0; 2]]);
    }
}
