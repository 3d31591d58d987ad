//! QUICK_CRASH_DETECTION (RFC 6290 §4.2): the token that proves a lost IKE SA to be lost.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// A QCD token. It is a secret of the token maker until it is used; keep it out of logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuickCrashDetection {
    /// 16 to 128 octets.
    pub token: Vec<u8>,
}

impl NotifyData for QuickCrashDetection {
    const KIND: NotifyType = NotifyType::QUICK_CRASH_DETECTION;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 16, 128).map(|token| Self { token })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<QuickCrashDetection>(&[&[1; 16], &[7; 128]], &[&[7; 15], &[7; 129]]);
    }
}
