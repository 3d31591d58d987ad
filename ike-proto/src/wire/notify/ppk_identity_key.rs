//! PPK_IDENTITY_KEY (RFC 9867): the name of a PPK and a short proof of its value.
use super::{NotifyData, PpkId, wrong_len};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// One PPK the initiator offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PpkIdentityKey {
    /// Its name.
    pub id: PpkId,
    /// The first eight octets of a PRF over the exchange's nonces and SPIs, keyed with the PPK.
    pub confirmation: [u8; 8],
}

impl NotifyData for PpkIdentityKey {
    const KIND: NotifyType = NotifyType::PPK_IDENTITY_KEY;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let short = || wrong_len(data.len(), 10, 65535);
        let (id, confirmation) = data.split_last_chunk::<8>().filter(|(id, _)| id.len() >= 2).ok_or_else(short)?;
        Ok(Self { id: PpkId::parse(id).ok_or_else(short)?, confirmation: *confirmation })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        self.id.emit(out);
        out.extend_from_slice(&self.confirmation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        super::super::check::<PpkIdentityKey>(&[b"\x02alice12345678", b"\x01a12345678"], &[&[], &[7; 9]]);
        let key = PpkIdentityKey::parse(b"\x02alice12345678").unwrap();
        assert_eq!((key.id.id.as_slice(), &key.confirmation), (&b"alice"[..], b"12345678"));
    }
}
