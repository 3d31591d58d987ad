//! TLS flights in EAP packets (RFC 5216 §2.1.5, §3.1; RFC 5281 §9.2 has the same form): a flags octet, the length of the
//! whole flight where it is cut, a piece of it. One side sends pieces, the other acknowledges each.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Flags.
const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;
/// Type-data of the server's first packet.
pub(in crate::eap) const START: u8 = 0x20;
/// The version of TTLS, and reserved bits of TLS: all zero.
const REST: u8 = 0x1F;
/// Octets of a flight.
const MAX: usize = 65_536;
/// Octets of a flight in one packet.
const PIECE: usize = 1000;

/// What a packet was.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::eap) enum Came {
    /// A whole flight.
    Whole(Vec<u8>),
    /// A piece; an acknowledgement is due.
    Piece,
    /// An acknowledgement, or nothing.
    Nothing,
}

/// Pieces of the flight that comes, and of ours.
#[derive(Debug, Default)]
pub(in crate::eap) struct Framing {
    incoming: Vec<u8>,
    announced: Option<usize>,
    outgoing: Vec<u8>,
    sent: usize,
}

/// The server's first packet.
pub(in crate::eap) fn expect_start(data: &[u8]) -> Result<(), String> {
    match data {
        [flags, ..] if flags & START != 0 && flags & REST == 0 => Ok(()),
        _ => Err("the server does not start TLS (RFC 5216 section 3.1)".to_string()),
    }
}

impl Framing {
    /// Takes type-data of the other side.
    pub(in crate::eap) fn take(&mut self, data: &[u8]) -> Result<Came, String> {
        let (flags, mut rest) = data.split_first().ok_or("TLS packet without flags (RFC 5216 section 3.1)")?;
        if flags & (START | REST) != 0 {
            return Err("TLS starts again, or has flags that are not known (RFC 5216 section 3.1)".to_string());
        }
        if flags & LENGTH != 0 {
            let (length, piece) = rest.split_first_chunk::<4>().ok_or("TLS length is cut off")?;
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if length > MAX || self.announced.is_some_and(|before| before != length) {
                return Err(alloc::format!("a TLS flight of {length} octets: at most {MAX}, and always the same"));
            }
            self.announced = Some(length);
            rest = piece;
        }
        if self.is_pending() && !(rest.is_empty() && flags & (MORE | LENGTH) == 0) {
            return Err("expected an acknowledgement of our TLS fragment (RFC 5216 section 2.1.5)".to_string());
        }
        self.incoming.extend_from_slice(rest);
        if self.incoming.len() > self.announced.unwrap_or(MAX) {
            return Err("more of a TLS flight came than was announced".to_string());
        }
        if flags & MORE != 0 {
            return if rest.is_empty() { Err("an empty TLS fragment".to_string()) } else { Ok(Came::Piece) };
        }
        if self.announced.take().is_some_and(|length| length != self.incoming.len()) {
            return Err("less of a TLS flight came than was announced".to_string());
        }
        let whole = core::mem::take(&mut self.incoming);
        Ok(if whole.is_empty() { Came::Nothing } else { Came::Whole(whole) })
    }

    /// Our next flight.
    pub(in crate::eap) fn put(&mut self, flight: Vec<u8>) {
        self.outgoing = flight;
        self.sent = 0;
    }

    /// Part of our flight has not been sent.
    pub(in crate::eap) fn is_pending(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// Type-data of our next packet: the next piece, or an acknowledgement when there is none.
    pub(in crate::eap) fn next(&mut self) -> Vec<u8> {
        let total = self.outgoing.len();
        let left = self.outgoing.get(self.sent..).unwrap_or_default();
        let piece = left.get(..PIECE).unwrap_or(left);
        let more = if piece.len() < left.len() { MORE } else { 0 };
        let mut out = alloc::vec![more];
        if self.sent == 0 && more != 0 {
            out = alloc::vec![more | LENGTH];
            out.extend(u32::try_from(total).unwrap_or(u32::MAX).to_be_bytes());
        }
        out.extend_from_slice(piece);
        self.sent = self.sent.saturating_add(piece.len());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_in_pieces() {
        for len in [1, PIECE, PIECE + 1, 5 * PIECE] {
            let flight: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (mut a, mut b) = (Framing::default(), Framing::default());
            a.put(flight.clone());
            loop {
                match b.take(&a.next()).unwrap() {
                    Came::Whole(whole) => break assert_eq!(whole, flight),
                    Came::Piece => assert_eq!(a.take(&b.next()).unwrap(), Came::Nothing),
                    Came::Nothing => panic!(),
                }
            }
            assert!(!a.is_pending());
        }
    }

    #[test]
    fn lengths_that_lie() {
        let take = |data: &[u8]| Framing::default().take(data);
        for bad in [
            &[][..],
            &[LENGTH],
            &[LENGTH, 0, 0, 0],
            &[LENGTH, 0, 0, 0, 2, 1],
            &[LENGTH, 0, 0, 0, 1, 1, 2],
            &[LENGTH, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            &[LENGTH | MORE, 0, 2, 0, 0, 1],
            &[MORE],
            &[START],
            &[1],
        ] {
            assert!(take(bad).is_err(), "{bad:?}");
        }
        let mut f = Framing::default();
        f.take(&[LENGTH | MORE, 0, 0, 0, 3, 1]).unwrap();
        assert!(f.take(&[LENGTH, 0, 0, 0, 4, 1, 2, 3]).is_err(), "another length");
        let mut f = Framing::default();
        f.put(alloc::vec![0; 3000]);
        f.next();
        assert!(f.take(&[0, 1]).is_err(), "data instead of an acknowledgement");
        let mut f = Framing::default();
        let big = alloc::vec![0x40; 1000];
        assert!((0..100).any(|_| f.take(&big).is_err()), "no end of fragments");
    }
}
