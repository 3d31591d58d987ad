//! SA_RESOURCE_INFO (RFC 9611 §5.1): this Child SA is one of several with the same selectors.
use super::{NotifyData, octets};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The resource a Child SA is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaResourceInfo {
    /// Opaque; may be empty.
    pub resource: Vec<u8>,
}

impl NotifyData for SaResourceInfo {
    const KIND: NotifyType = NotifyType::SA_RESOURCE_INFO;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        octets(data, 0, 65535).map(|resource| Self { resource })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_sizes() {
        super::super::check::<SaResourceInfo>(&[&[], &[7; 3]], &[]);
    }
}
