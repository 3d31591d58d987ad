//! PPK_IDENTITY (RFC 8784 §3, §5.1; RFC 9867): which postquantum preshared key is meant.
use super::{NotifyData, octets};
use crate::registry::{NotifyType, PpkIdType};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// The name of a PPK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PpkId {
    /// How it is formed.
    pub kind: PpkIdType,
    /// The name.
    pub id: Vec<u8>,
}

impl PpkId {
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let (kind, id) = data.split_first()?;
        Some(Self { kind: PpkIdType(*kind), id: id.to_vec() })
    }

    /// Appends type and name.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.kind.0);
        out.extend_from_slice(&self.id);
    }
}

/// A PPK_ID, or nothing: an RFC 8784 responder confirms with empty data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PpkIdentity {
    /// The name, in requests and in answers of RFC 9867.
    pub id: Option<PpkId>,
}

impl NotifyData for PpkIdentity {
    const KIND: NotifyType = NotifyType::PPK_IDENTITY;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        // A type without a name would be one octet: that is not a PPK_ID.
        if !data.is_empty() {
            octets(data, 2, 65535)?;
        }
        Ok(Self { id: PpkId::parse(data) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        if let Some(id) = &self.id {
            id.emit(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<PpkIdentity>(&[&[], b"\x02alice"], &[&[2]]);
        let id = PpkIdentity::parse(b"\x02alice").unwrap().id.unwrap();
        assert_eq!((id.kind, id.id.as_slice()), (PpkIdType::FIXED, &b"alice"[..]));
    }
}
