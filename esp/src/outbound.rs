//! One outbound ESP SA (RFC 4303 §3.3): numbers, pads, encrypts and authenticates payloads. It knows nothing of IP:
//! what the payload is, the mode decides. Any number of threads seal on the same object at once.

use crate::sequence::Sequence;
use crate::transform::{HEADER, TRAILER, Transform};
use crate::{DropReason, PlaneError};
use core::fmt;
use core::ops::Range;
use ravelin_crypto::integ::IntegKey;
use ravelin_crypto::{Provider, Secret};
use ravelin_sa_db::{Direction, Protocol, SaParams};

/// The keyed outbound half of a Child SA. Not `Clone`: its counter makes the nonces.
#[repr(C)]
pub struct OutboundSa {
    transform: Transform,
    spi: [u8; 4],
    sequence: Sequence,
}

/// The counting pad of RFC 4303 §2.4.
pub(crate) static PAD: [u8; 256] = {
    let mut pad = [0u8; 256];
    let mut i = 0u8;
    while i < 255 {
        #[allow(clippy::indexing_slicing, reason = "evaluated at compile time; the index is a u8")]
        {
            pad[i as usize] = i + 1;
        }
        i += 1;
    }
    pad
};

impl OutboundSa {
    /// Builds the key schedules; nothing else of `params` is kept. `seed` is secret and makes unpredictable IVs for CBC (see `nonce.rs`).
    ///
    /// # Errors
    /// [`PlaneError`] when transform, key lengths or direction do not fit.
    pub fn new(provider: &Provider, params: &SaParams, seed: &Secret) -> Result<Self, PlaneError> {
        Self::starting_after(provider, params, seed, 0)
    }

    /// As [`OutboundSa::new`] for an SA that has sent before: the first number is `used + 1`. For hand-over between
    /// planes; `used` must be at least the last number sent.
    ///
    /// # Errors
    /// As for [`OutboundSa::new`].
    pub fn starting_after(
        provider: &Provider,
        params: &SaParams,
        seed: &Secret,
        used: u64,
    ) -> Result<Self, PlaneError> {
        if params.direction != Direction::Outbound {
            return Err(PlaneError::Direction);
        }
        let transform = Transform::new(provider, &params.suite, params.esn, params.spi.0, Some(seed))?;
        if params.protocol == Protocol::Ah && transform.integ_key().is_none() {
            return Err(PlaneError::Mode);
        }
        let sequence = Sequence::starting_after(params.esn, used);
        Ok(Self { transform, spi: params.spi.to_be_bytes(), sequence })
    }

    /// Fills payload and trailer up to a multiple of `octets` from now on: a power of two up to 128, other values and
    /// such below what the cipher needs change nothing (RFC 4303 §2.4).
    pub fn pad_to(&mut self, octets: u8) {
        self.transform.pad_to(octets);
    }

    /// Its SPI as it goes over the wire.
    pub(crate) fn spi(&self) -> [u8; 4] {
        self.spi
    }

    /// True when its sequence numbers have 64 bits (RFC 4303 §2.2.1).
    pub(crate) fn esn(&self) -> bool {
        self.transform.esn()
    }

    /// Its counter.
    #[must_use]
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// The MAC of AH; `None` for ESP suites that encrypt.
    pub(crate) fn integ(&self) -> Option<&dyn IntegKey> {
        self.transform.integ_key()
    }

    pub(crate) fn icv_len(&self) -> usize {
        self.transform.icv_len()
    }

    pub(crate) fn has_integrity(&self) -> bool {
        self.transform.has_integrity()
    }

    /// Octets in front of the payload: SPI, number, IV.
    #[must_use]
    #[inline]
    pub fn headroom(&self) -> usize {
        self.transform.payload_at()
    }

    /// Length of the ESP packet for a payload of this length.
    #[must_use]
    #[inline]
    pub fn sealed_len(&self, payload: usize) -> usize {
        self.transform
            .payload_at()
            .saturating_add(self.transform.padded(payload))
            .saturating_add(self.transform.icv_len())
    }

    /// The largest payload whose ESP packet has at most `len` octets; 0 when none has.
    #[must_use]
    pub fn payload_within(&self, len: usize) -> usize {
        let room = len.saturating_sub(self.headroom()).saturating_sub(self.transform.icv_len());
        let mut payload = room.saturating_sub(TRAILER);
        while payload > 0 && self.transform.padded(payload) > room {
            payload = payload.saturating_sub(1);
        }
        payload
    }

    /// Seals a copy of `payload` into the front of `out`; returns the length of the ESP packet.
    ///
    /// # Errors
    /// [`DropReason::NoRoom`] when `out` is shorter than [`OutboundSa::sealed_len`], else sequence or provider.
    #[inline]
    pub fn seal(&self, payload: &[u8], next_header: u8, out: &mut [u8]) -> Result<usize, DropReason> {
        let at = self.headroom();
        let room = out.get_mut(at..at.saturating_add(payload.len())).ok_or(DropReason::NoRoom)?;
        room.copy_from_slice(payload);
        self.seal_in_place(out, at..at.saturating_add(payload.len()), 0, next_header).map(|r| r.len())
    }

    /// Seals `buf[payload]` in place, using the octets before and behind it; `tfc` zero octets go between payload and
    /// padding (RFC 4303 §2.7). Returns where the ESP packet is in `buf`.
    ///
    /// # Errors
    /// [`DropReason::NoRoom`] when there is too little head- or tailroom, else sequence or provider.
    #[inline]
    pub fn seal_in_place(
        &self,
        buf: &mut [u8],
        payload: Range<usize>,
        tfc: usize,
        next_header: u8,
    ) -> Result<Range<usize>, DropReason> {
        let number = self.sequence.take()?;
        self.seal_numbered(number, buf, payload, tfc, next_header)
    }

    /// The number was taken from [`OutboundSa::sequence`] and is used here only.
    #[inline(always)]
    pub(crate) fn seal_numbered(
        &self,
        number: u64,
        buf: &mut [u8],
        payload: Range<usize>,
        tfc: usize,
        next_header: u8,
    ) -> Result<Range<usize>, DropReason> {
        let range = self.frame(number, buf, payload, tfc, next_header)?;
        let esp = buf.get_mut(range.clone()).ok_or(DropReason::NoRoom)?;
        self.transform.seal(number, esp).map_err(|_| DropReason::Provider)?;
        Ok(range)
    }

    pub(crate) fn transform(&self) -> &Transform {
        &self.transform
    }

    /// Writes header, TFC padding, padding and trailer around the payload: all but the cryptography.
    #[inline(always)]
    pub(crate) fn frame(
        &self,
        number: u64,
        buf: &mut [u8],
        payload: Range<usize>,
        tfc: usize,
        next_header: u8,
    ) -> Result<Range<usize>, DropReason> {
        let len = payload.len().saturating_add(tfc);
        let start = payload.start.checked_sub(self.headroom()).ok_or(DropReason::NoRoom)?;
        let end = start.saturating_add(self.sealed_len(len));
        let esp = buf.get_mut(start..end).ok_or(DropReason::NoRoom)?;
        let (head, rest) = esp.split_first_chunk_mut::<HEADER>().ok_or(DropReason::NoRoom)?;
        let [s0, s1, s2, s3] = self.spi;
        let [.., n0, n1, n2, n3] = number.to_be_bytes();
        *head = [s0, s1, s2, s3, n0, n1, n2, n3];

        let tail_at = self.headroom().wrapping_sub(HEADER).saturating_add(payload.len());
        let tail = rest.get_mut(tail_at..).ok_or(DropReason::NoRoom)?;
        let (fill, tail) = tail.split_at_mut_checked(tfc).ok_or(DropReason::NoRoom)?;
        if tfc != 0 {
            fill.fill(0);
        }
        let pad_len = self.transform.padded(len).wrapping_sub(len).wrapping_sub(TRAILER);
        let tail = tail.get_mut(..pad_len.saturating_add(TRAILER)).ok_or(DropReason::NoRoom)?;
        write_trailer(tail, next_header)?;
        Ok(start..end)
    }
}

/// Fills `tail` with padding, Pad Length and Next Header (RFC 4303 §2.4 to §2.6).
#[inline(always)]
pub(crate) fn write_trailer(tail: &mut [u8], next_header: u8) -> Result<(), DropReason> {
    // In one piece where it is short: the cipher reads these octets next, in one piece.
    let n = u32::from(next_header);
    if let Ok(two) = <&mut [u8; 2]>::try_from(&mut *tail) {
        *two = [0, next_header];
    } else if let Ok([first, two @ ..]) = <&mut [u8; 3]>::try_from(&mut *tail) {
        *first = 1;
        *two = [1, next_header];
    } else if let Ok(four) = <&mut [u8; 4]>::try_from(&mut *tail) {
        *four = (0x0102_0200 | n).to_be_bytes();
    } else if let Ok([first, four @ ..]) = <&mut [u8; 5]>::try_from(&mut *tail) {
        *first = 1;
        *four = (0x0203_0300 | n).to_be_bytes();
    } else if let (8..=16, Some(first)) = (tail.len(), tail.first_chunk_mut::<8>()) {
        *first = [1, 2, 3, 4, 5, 6, 7, 8];
        // The last eight: six octets that count up to the Pad Length, the Pad Length, the Next Header.
        let up = (tail.len() as u64).wrapping_sub(7).wrapping_mul(0x0101_0101_0101_0100);
        let last = up.wrapping_add(0x0001_0203_0405_0500).wrapping_add(u64::from(n));
        *tail.last_chunk_mut::<8>().ok_or(DropReason::NoRoom)? = last.to_be_bytes();
    } else {
        let (pad, trailer) = tail.split_last_chunk_mut::<TRAILER>().ok_or(DropReason::NoRoom)?;
        *trailer = [u8::try_from(pad.len()).map_err(|_| DropReason::Padding)?, next_header];
        pad.copy_from_slice(PAD.get(..pad.len()).ok_or(DropReason::Padding)?);
    }
    Ok(())
}

impl fmt::Debug for OutboundSa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundSa")
            .field("spi", &u32::from_be_bytes(self.spi))
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_of_every_length() {
        for pad in 0..=255usize {
            let mut tail = std::vec![0xee; pad + TRAILER];
            write_trailer(&mut tail, 41).unwrap();
            let want: std::vec::Vec<u8> = (1..=pad).map(|i| i as u8).chain([pad as u8, 41]).collect();
            assert_eq!(tail, want);
        }
        assert_eq!(write_trailer(&mut [0; 1], 41), Err(DropReason::NoRoom));
        assert_eq!(write_trailer(&mut [0; 258], 41), Err(DropReason::Padding));
    }
}
