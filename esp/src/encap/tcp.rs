//! TCP encapsulation (RFC 9329): the stream prefix, frames with a length in front, and taking a stream apart into what a
//! datagram of port 4500 would have carried. Who opens connections and what goes over which one is the driver's part.

use super::udp::{self, Kind};
use alloc::vec::Vec;
use core::fmt;

/// What the side that opens the connection sends first (RFC 9329 §4).
pub const PREFIX: [u8; 6] = *b"IKETCP";
/// Length of the length field, which counts itself (RFC 9329 §3).
pub const HEADER: usize = 2;
/// What stands before an IKE message in a frame, as on UDP port 4500.
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// Writes the length field into the first two octets of `frame`; the payload follows. `None` when the frame is shorter
/// than that or longer than 65,535 octets.
pub fn write_header(frame: &mut [u8]) -> Option<()> {
    let len = u16::try_from(frame.len()).ok()?;
    *frame.first_chunk_mut::<HEADER>()? = len.to_be_bytes();
    Some(())
}

/// Why a stream is not read any further; the connection is to be closed (RFC 9329 §6.1). IKE and Child SAs live on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// It did not begin with [`PREFIX`].
    Prefix,
    /// A length field of 0 or 1.
    Length(u16),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str("the stream does not begin with \"IKETCP\" (RFC 9329 §4): no IKE over TCP"),
            Self::Length(n) => write!(f, "a frame claims {n} octets; expected 2 to 65535 (RFC 9329 §3)"),
        }
    }
}

impl core::error::Error for Closed {}

/// Takes one direction of a stream apart. Holds at most one frame, and never more than has arrived.
#[derive(Clone, Debug)]
pub struct Deframer {
    held: Vec<u8>,
    /// Prefix octets still to come.
    prefix: usize,
    done: bool,
    closed: Option<Closed>,
}

impl Deframer {
    /// For the side that accepted the connection: the prefix is expected first.
    #[must_use]
    pub const fn responder() -> Self {
        Self { held: Vec::new(), prefix: PREFIX.len(), done: false, closed: None }
    }

    /// For the side that opened it: the other side sends frames at once.
    #[must_use]
    pub const fn originator() -> Self {
        Self { held: Vec::new(), prefix: 0, done: false, closed: None }
    }

    /// Takes octets from the front of `input` until a frame is whole, and gives what it carries: an IKE message behind
    /// four zero octets, or ESP ([`udp::classify`]). Keepalives, which have no place here, and frames too short for
    /// anything are passed over (RFC 9329 §7.6). `None`: `input` is used up.
    ///
    /// # Errors
    /// When the stream cannot be read any further; the same again from then on.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, Closed> {
        loop {
            if let Some(closed) = self.closed {
                return Err(closed);
            }
            if core::mem::take(&mut self.done) {
                self.held.clear();
            }
            let wanted = self.wanted();
            let missing = wanted.saturating_sub(self.held.len());
            let (now, later) = input.split_at_checked(missing).unwrap_or((input, &[]));
            self.held.extend_from_slice(now);
            *input = later;
            if self.held.len() < wanted {
                return Ok(None);
            }
            if self.prefix != 0 {
                self.closed = (self.held != PREFIX).then_some(Closed::Prefix);
                (self.prefix, self.done) = (0, true);
            } else if wanted == HEADER {
                let claimed = self.claimed();
                self.closed = (usize::from(claimed) < HEADER).then_some(Closed::Length(claimed));
                self.done = usize::from(claimed) == HEADER;
            } else {
                self.done = true;
                if matches!(udp::classify(self.payload()), Kind::Ike | Kind::Esp) {
                    break;
                }
            }
        }
        Ok(Some(self.payload()))
    }

    fn payload(&self) -> &[u8] {
        self.held.get(HEADER..).unwrap_or(&[])
    }

    fn claimed(&self) -> u16 {
        self.held.first_chunk::<HEADER>().map_or(0, |b| u16::from_be_bytes(*b))
    }

    /// Octets that make the next step possible, those held included.
    fn wanted(&self) -> usize {
        if self.prefix != 0 {
            self.prefix
        } else if self.held.len() < HEADER {
            HEADER
        } else {
            usize::from(self.claimed())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut f = vec![0; HEADER];
        f.extend_from_slice(payload);
        write_header(&mut f).unwrap();
        f
    }

    fn all(deframer: &mut Deframer, mut input: &[u8]) -> Result<Vec<Vec<u8>>, Closed> {
        let mut out = Vec::new();
        while let Some(payload) = deframer.read(&mut input)? {
            out.push(payload.to_vec());
        }
        assert!(input.is_empty());
        Ok(out)
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 9329 appendix B.1: prefix, then an IKE message behind the Non-ESP marker.
        let message: Vec<u8> = NON_ESP_MARKER.into_iter().chain([0xAB; 28]).collect();
        let mut stream = PREFIX.to_vec();
        stream.extend(frame(&message));
        assert_eq!(stream[6..12], [0, 34, 0, 0, 0, 0]);
        stream.extend(frame(&[1, 2, 3, 4, 5]));
        assert_eq!(all(&mut Deframer::responder(), &stream).unwrap(), [message, vec![1, 2, 3, 4, 5]]);
    }

    #[test]
    fn what_is_no_stream_of_ours_is_closed_and_stays_closed() {
        let mut d = Deframer::responder();
        assert_eq!(all(&mut d, b"GET / HTTP/1.1"), Err(Closed::Prefix));
        assert_eq!(all(&mut d, b"IKETCP"), Err(Closed::Prefix));
        for n in [0u16, 1] {
            let mut d = Deframer::originator();
            assert_eq!(all(&mut d, &n.to_be_bytes()), Err(Closed::Length(n)));
            assert!(Closed::Length(n).to_string().contains("expected 2 to 65535"));
        }
        assert!(write_header(&mut [0]).is_none() && write_header(&mut vec![0; 65_536]).is_none());
    }

    #[test]
    fn keepalives_and_stubs_are_passed_over() {
        let mut stream = Vec::new();
        for payload in [&[0xff][..], &[], &[1, 2], &[9, 9, 9, 9]] {
            stream.extend(frame(payload));
        }
        assert_eq!(all(&mut Deframer::originator(), &stream).unwrap(), [[9, 9, 9, 9]]);
    }

    #[test]
    fn a_large_claim_reserves_nothing() {
        let mut d = Deframer::originator();
        assert_eq!(all(&mut d, &[0xff, 0xff, 1]).unwrap().len(), 0);
        assert!(d.held.capacity() < 64, "{}", d.held.capacity());
    }

    proptest! {
        /// However the stream is cut, the same frames come out.
        #[test]
        fn cuts_do_not_matter(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..90), 0..12), cuts in prop::collection::vec(1usize..40, 1..60)) {
            let mut stream = PREFIX.to_vec();
            payloads.iter().for_each(|p| stream.extend(frame(p)));
            let (mut d, mut got, mut rest, mut cuts) = (Deframer::responder(), Vec::new(), &stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let n = rest.len().min(*cuts.next().unwrap());
                got.extend(all(&mut d, &rest[..n]).unwrap());
                rest = &rest[n..];
            }
            prop_assert_eq!(got, payloads);
        }
    }
}
