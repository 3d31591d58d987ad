//! NO_PPK_AUTH (RFC 8784 §3): a second AUTH value, made without the PPK, for a responder that lacks it.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// Authentication data as in the AUTH payload, for the same method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoPpkAuth {
    /// What would stand in the Authentication Data field.
    pub auth: Vec<u8>,
}

impl NotifyData for NoPpkAuth {
    const KIND: NotifyType = NotifyType::NO_PPK_AUTH;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 1, 65535).map(|auth| Self { auth })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.auth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<NoPpkAuth>(&[&[7], &[7; 32]], &[&[]]);
    }
}
