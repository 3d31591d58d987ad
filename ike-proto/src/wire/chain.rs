//! The chain of payloads (RFC 7296 §3.2): generic headers, each of which names the kind of the next payload.
use super::error::{Fault, Place, WireError};
use super::read::Reader;
use crate::registry::PayloadType;

/// Most payloads taken from one message. A large IKE_AUTH with certificates and notifies has some dozens.
pub const MAX_PAYLOADS: usize = 256;

/// Octets of the generic payload header.
pub const GENERIC_LEN: usize = 4;

/// The critical bit in the second octet of the generic header.
pub const CRITICAL: u8 = 0x80;

/// One payload, not yet looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawPayload<'a> {
    /// What it is.
    pub kind: PayloadType,
    /// The second octet of its generic header: the critical bit and seven reserved bits, as they came.
    pub flags: u8,
    /// Its Next Payload field. For SK and SKF this is the first payload inside.
    pub next: PayloadType,
    /// Its content, without the generic header.
    pub body: &'a [u8],
    /// Where `body` begins, in octets from the start of the message (or of the plaintext of SK).
    pub offset: usize,
}

impl RawPayload<'_> {
    /// The critical bit; it only counts on payloads that are not understood (RFC 7296 §2.5).
    #[must_use]
    pub fn critical(&self) -> bool {
        self.flags & CRITICAL != 0
    }
}

/// Walks over a chain. It ends at Next Payload 0, or after SK or SKF; octets behind that end are an error, and so is a
/// chain of more than [`MAX_PAYLOADS`]. After an error it yields nothing more.
#[derive(Clone)]
pub struct Chain<'a> {
    next: PayloadType,
    reader: Reader<'a>,
    base: usize,
    count: usize,
    done: bool,
}

impl<'a> Chain<'a> {
    /// A chain whose first payload is of kind `first`. `base` is added to every offset (28 after an IKE header).
    #[must_use]
    pub fn new(first: PayloadType, data: &'a [u8], base: usize) -> Self {
        Self { next: first, reader: Reader::new(Place::Chain, data), base, count: 0, done: false }
    }

    fn step(&mut self) -> Result<Option<RawPayload<'a>>, WireError> {
        if self.next == PayloadType::NONE {
            self.done = true;
            return self.reader.finish().map(|()| None);
        }
        if self.count >= MAX_PAYLOADS {
            return Err(self.reader.fail(Fault::TooMany { what: "payloads", limit: MAX_PAYLOADS }));
        }
        self.count = self.count.saturating_add(1);
        let kind = self.next;
        let left = self.reader.left();
        let next = PayloadType(self.reader.u8()?);
        let flags = self.reader.u8()?;
        let length = usize::from(self.reader.u16()?);
        let Some(body_len) = length.checked_sub(GENERIC_LEN) else {
            return Err(self.reader.fail_back(2, Fault::Length { came: length, min: GENERIC_LEN, max: left }));
        };
        let offset = self.reader.at().saturating_add(self.base);
        let body = self.reader.take(body_len)?;
        self.next = if kind.is_protected() { PayloadType::NONE } else { next };
        Ok(Some(RawPayload { kind, flags, next, body, offset }))
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = Result<RawPayload<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step().map_err(|e| e.shifted(self.base)).transpose();
        if matches!(item, Some(Err(_))) {
            self.done = true;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn walk(first: u8, data: &[u8]) -> Result<Vec<RawPayload<'_>>, WireError> {
        Chain::new(PayloadType(first), data, 28).collect()
    }

    #[test]
    fn kinds_flags_and_offsets_come_out() {
        let got = walk(40, &[43, 0x81, 0, 5, 9, 0, 0, 0, 4]).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].kind, got[0].flags, got[0].body, got[0].offset), (PayloadType::NONCE, 0x81, &[9][..], 32));
        assert!(got[0].critical() && !got[1].critical());
        assert_eq!((got[1].kind, got[1].body.len(), got[1].offset), (PayloadType::V, 0, 37));
        assert!(walk(0, &[]).unwrap().is_empty());
    }

    #[test]
    fn nothing_may_stand_behind_the_end() {
        assert_eq!(walk(0, &[1]).unwrap_err().fault, Fault::Trailing { extra: 1 });
        assert_eq!(walk(46, &[35, 0, 0, 4, 7]).unwrap_err().fault, Fault::Trailing { extra: 1 });
        let sk = walk(46, &[35, 0, 0, 5, 7]).unwrap();
        assert_eq!((sk.len(), sk[0].next), (1, PayloadType::IDi));
    }

    #[test]
    fn short_long_and_endless_chains_are_refused() {
        assert_eq!(walk(41, &[0, 0, 0, 3]).unwrap_err().fault, Fault::Length { came: 3, min: 4, max: 4 });
        assert_eq!(walk(41, &[0, 0, 0, 6, 1]).unwrap_err().fault, Fault::Truncated { need: 2, have: 1 });
        assert_eq!(walk(41, &[43, 0, 0, 4]).unwrap_err().fault, Fault::Truncated { need: 1, have: 0 });
        let many: Vec<u8> = [43, 0, 0, 4].repeat(MAX_PAYLOADS + 1);
        let fault = walk(43, &many).unwrap_err().fault;
        assert_eq!(fault, Fault::TooMany { what: "payloads", limit: MAX_PAYLOADS });
    }
}
