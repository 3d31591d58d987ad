//! Encrypted Fragment payload SKF (RFC 7383 §2.5): the framing only, the cryptography is `seal`'s.
use crate::registry::PayloadType;
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::put16;
use alloc::vec::Vec;

/// Octets of Fragment Number and Total Fragments.
pub const FRAGMENT_LEN: usize = 4;

/// Which piece of how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// From 1 to `total`.
    pub number: u16,
    /// How many pieces the message was cut into; at least 1.
    pub total: u16,
}

impl Fragment {
    /// Reads the two numbers at the front of an SKF body and checks `1 <= number <= total`.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(Place::Skf, body);
        let number = r.u16()?;
        let total = r.u16()?;
        if number == 0 || number > total {
            let expected = "from 1 to Total Fragments";
            return Err(r.fail_back(4, Fault::Value { field: "Fragment Number", expected, came: number.into() }));
        }
        Ok(Self { number, total })
    }

    /// Appends the two numbers.
    pub fn emit(&self, out: &mut Vec<u8>) {
        put16(out, self.number);
        put16(out, self.total);
    }
}

/// One fragment, still closed. Always the last payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncryptedFragment {
    /// Kind of the first payload of the whole message, in fragment 1; NONE in the others.
    pub first: PayloadType,
    /// Which piece it is.
    pub fragment: Fragment,
    /// IV, ciphertext and integrity data.
    pub body: Vec<u8>,
}

impl EncryptedFragment {
    /// Reads a body; `first` is the payload's Next Payload field.
    pub fn parse(first: PayloadType, body: &[u8]) -> Result<Self, WireError> {
        let fragment = Fragment::parse(body)?;
        Ok(Self { first, fragment, body: body.get(FRAGMENT_LEN..).unwrap_or_default().to_vec() })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.fragment.emit(out);
        out.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_range() {
        let raw = [0, 2, 0, 3, 9, 9];
        let skf = EncryptedFragment::parse(PayloadType::NONE, &raw).unwrap();
        assert_eq!((skf.fragment, skf.body.len()), (Fragment { number: 2, total: 3 }, 2));
        let mut out = Vec::new();
        skf.emit(&mut out);
        assert_eq!(out, raw);
        assert!(Fragment::parse(&[0, 0, 0, 3]).is_err());
        assert!(Fragment::parse(&[0, 4, 0, 3]).is_err());
        assert!(Fragment::parse(&[0, 1, 0]).is_err());
    }
}
