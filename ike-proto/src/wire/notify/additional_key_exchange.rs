//! ADDITIONAL_KEY_EXCHANGE (RFC 9370 §2.2.4): links IKE_FOLLOWUP_KE exchanges to their CREATE_CHILD_SA.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The responder's handle on the unfinished SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdditionalKeyExchange {
    /// Opaque to the initiator, which copies it into the next request.
    pub link: Vec<u8>,
}

impl NotifyData for AdditionalKeyExchange {
    const KIND: NotifyType = NotifyType::ADDITIONAL_KEY_EXCHANGE;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 1, 65535).map(|link| Self { link })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<AdditionalKeyExchange>(&[&[1], &[7; 64]], &[&[]]);
    }
}
