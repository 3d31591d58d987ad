//! SECURE_PASSWORD_METHODS (RFC 6467 §3): password methods the sender can do.
use super::{NotifyData, row16};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The methods; the responder picks one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecurePasswordMethods {
    /// Method numbers: 1 PACE, 2 AugPAKE, 3 secure PSK.
    pub methods: Vec<u16>,
}

impl NotifyData for SecurePasswordMethods {
    const KIND: NotifyType = NotifyType::SECURE_PASSWORD_METHODS;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        row16(data).map(|row| Self { methods: row.collect() })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        for method in &self.methods {
            out.extend_from_slice(&method.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<SecurePasswordMethods>(&[&[], &[0, 2], &[0, 2, 0, 5, 1, 1]], &[&[0], &[0, 2, 0]]);
        assert_eq!(SecurePasswordMethods::parse(&[0, 2, 0, 3]).unwrap().methods.len(), 2);
    }
}
