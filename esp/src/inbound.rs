//! One inbound ESP SA (RFC 4303 §3.4): window check, integrity, decryption, window update, padding. Nothing in the
//! packet is believed before the ICV is good, and the window moves only then. Any number of threads open on the
//! same object at once.

use crate::outbound::PAD;
use crate::replay::ReplayWindow;
use crate::transform::{HEADER, TRAILER, Transform};
use crate::{DropReason, PlaneError};
use core::fmt;
use core::ops::Range;
use ravelin_crypto::Provider;
use ravelin_crypto::integ::IntegKey;
use ravelin_sa_db::{Direction, Protocol, SaParams, Spi};

/// The keyed inbound half of a Child SA. What a packet needs of it is together on one cache line.
#[repr(C)]
pub struct InboundSa {
    transform: Transform,
    window: ReplayWindow,
    spi: Spi,
}

/// A packet whose ICV was good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The payload inside the buffer, without padding and trailer; TFC padding is still behind it.
    pub payload: Range<usize>,
    /// What the payload is.
    pub next_header: u8,
    /// The full sequence number.
    pub number: u64,
}

impl InboundSa {
    /// Builds the key schedules. Nothing else of `params` is kept, the keys least of all.
    ///
    /// # Errors
    /// [`PlaneError`] when transform, key lengths, window or direction do not fit.
    pub fn new(provider: &Provider, params: &SaParams) -> Result<Self, PlaneError> {
        if params.direction != Direction::Inbound {
            return Err(PlaneError::Direction);
        }
        if !ReplayWindow::size_is_valid(params.replay_window) {
            return Err(PlaneError::ReplayWindow);
        }
        let transform = Transform::new(provider, &params.suite, params.esn, params.spi.0, None)?;
        if params.protocol == Protocol::Ah && transform.integ_key().is_none() {
            return Err(PlaneError::Mode);
        }
        let window = ReplayWindow::new(params.replay_window, params.esn);
        Ok(Self { transform, window, spi: params.spi })
    }

    /// True when its sequence numbers have 64 bits (RFC 4303 §2.2.1).
    pub(crate) fn esn(&self) -> bool {
        self.transform.esn()
    }

    /// Its replay window.
    #[must_use]
    pub fn window(&self) -> &ReplayWindow {
        &self.window
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

    /// Opens `esp` in place. It starts at the SPI, which the caller has looked at to find this SA.
    ///
    /// # Errors
    /// The cause; the window is as before unless the ICV was good. The content of `esp` is then of no use.
    #[inline(always)]
    pub fn open(&self, esp: &mut [u8]) -> Result<Opened, DropReason> {
        let number = self.begin(esp)?;
        self.transform.open(number, esp)?;
        self.finish(number, esp)
    }

    /// Before the ICV: is there enough, and is the number new?
    #[inline(always)]
    pub(crate) fn begin(&self, esp: &[u8]) -> Result<u64, DropReason> {
        let head = esp.first_chunk::<HEADER>().ok_or(DropReason::Runt)?;
        let [_, _, _, _, a, b, c, d] = *head;
        self.window.begin(u32::from_be_bytes([a, b, c, d])).map(|begun| begun.number)
    }

    /// After the ICV was good: the window moves, the trailer is read.
    #[inline(always)]
    pub(crate) fn finish(&self, number: u64, esp: &[u8]) -> Result<Opened, DropReason> {
        let inside = self.transform.inside(esp.len())?;
        self.window.commit(number)?;
        let (payload_len, next_header) = trailer(esp.get(inside.clone()).ok_or(DropReason::Runt)?)?;
        let payload = inside.start..inside.start.saturating_add(payload_len);
        Ok(Opened { payload, next_header, number })
    }

    pub(crate) fn transform(&self) -> &Transform {
        &self.transform
    }
}

/// Length of the payload and Next Header (RFC 4303 §2.4 to §2.6). Padding must be 1, 2, 3, …: all transforms here
/// use that default, and a receiver should check it.
#[inline(always)]
pub(crate) fn trailer(inside: &[u8]) -> Result<(usize, u8), DropReason> {
    // Nearly always the padding is short: it is compared in one register.
    if let Some(last) = inside.last_chunk::<8>() {
        let last = u64::from_be_bytes(*last);
        let (pad_len, next_header) = (last >> 8 & 0xff, u8::try_from(last & 0xff).unwrap_or(0));
        let pad_len = usize::try_from(pad_len).unwrap_or(0);
        if let Some(&(mask, want)) = SHORT.get(pad_len) {
            let len = inside.len().wrapping_sub(TRAILER).wrapping_sub(pad_len);
            return if last & mask == want { Ok((len, next_header)) } else { Err(DropReason::Padding) };
        }
    }
    trailer_long(inside)
}

/// By Pad Length: which of the last eight octets are padding, and what they have to be.
const SHORT: [(u64, u64); 7] = {
    const fn of(pad_len: u32) -> (u64, u64) {
        // With the Pad Length and the Next Header behind it.
        let mask = ((1 << (8 * pad_len)) - 1) << 16;
        (mask, (0x0102_0304_0506 >> (48 - 8 * pad_len)) << 16)
    }
    [of(0), of(1), of(2), of(3), of(4), of(5), of(6)]
};

/// Which of the last sixteen octets are padding and trailer, and what they are; `None` of longer padding. To be compared with
/// what [`trailer`] found good.
pub(crate) fn trailer_like(inside: &[u8]) -> Option<(u128, u128)> {
    let last = u128::from_le_bytes(*inside.last_chunk()?);
    let [.., pad_len, _] = last.to_le_bytes();
    let mask = u128::MAX.checked_shl(u32::from(14u8.checked_sub(pad_len)?).wrapping_mul(8))?;
    Some((mask, last & mask))
}

/// The same for padding of any length.
#[inline(never)]
fn trailer_long(inside: &[u8]) -> Result<(usize, u8), DropReason> {
    let (rest, &[pad_len, next_header]) = inside.split_last_chunk::<TRAILER>().ok_or(DropReason::Runt)?;
    let at = rest.len().checked_sub(usize::from(pad_len)).ok_or(DropReason::Padding)?;
    let pad = rest.get(at..).ok_or(DropReason::Padding)?;
    match pad {
        more if PAD.get(..more.len()).is_some_and(|want| want == more) => Ok((at, next_header)),
        _ => Err(DropReason::Padding),
    }
}

impl fmt::Debug for InboundSa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundSa").field("spi", &self.spi).field("top", &self.window.top()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was found good is found again by its last octets, and nothing else is.
    #[test]
    fn trailers_that_are_alike() {
        for pad_len in 0..=20u8 {
            let mut inside: std::vec::Vec<u8> = std::vec![0xee; 16];
            inside.extend((1..=pad_len).chain([pad_len, 4]));
            let Some((mask, want)) = trailer_like(&inside) else {
                assert!(pad_len > 14);
                continue;
            };
            let is = |inside: &[u8]| u128::from_le_bytes(*inside.last_chunk().unwrap()) & mask == want;
            assert!(pad_len <= 14 && is(&inside));
            for at in 0..inside.len() {
                let mut other = inside.clone();
                other[at] ^= 1;
                assert_eq!(is(&other), at < 16, "{pad_len} {at}");
            }
        }
    }

    /// The short way of [`trailer`] says what the long one does, whatever is wrong.
    #[test]
    fn trailers_long_and_short() {
        for len in 0..=20usize {
            for pad_len in 0..=9u8 {
                let mut inside: std::vec::Vec<u8> = std::vec![0xee; len];
                inside.extend((1..=pad_len).chain([pad_len, 41]));
                let at = len;
                assert_eq!(trailer(&inside), Ok((at, 41)));
                for flip in 0..inside.len() {
                    let mut bad = inside.clone();
                    bad[flip] ^= 5;
                    assert_eq!(trailer(&bad), trailer_long(&bad), "{bad:?}");
                    if (len..len + usize::from(pad_len)).contains(&flip) {
                        assert_eq!(trailer(&bad), Err(DropReason::Padding), "{bad:?}");
                    }
                }
                for cut in 0..inside.len() {
                    assert_eq!(trailer(&inside[cut..]), trailer_long(&inside[cut..]));
                }
            }
        }
    }
}
