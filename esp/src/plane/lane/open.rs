//! The lane inwards: window, cipher, trailer, the inner packet against the selectors, window.

use super::super::Plane;
use super::super::entry::Inbound;
use super::super::ingress::{Frame, OuterInfo};
use super::{HEAD, Lane, TAG};
use crate::packet::{self, Alike, protocol};
use crate::replay::{Begun, ReplayWindow};
use crate::{DropReason, InboundSa, inbound, transform};
use core::ops::Range;
use ravelin_crypto::aead::{AeadKey, Told};
use ravelin_sa_db::{Direction, Path};

/// What was in an authentic packet.
pub(crate) struct Opened<'b> {
    pub(crate) payload: &'b [u8],
    /// Where that is in the buffer.
    pub(crate) at: usize,
    pub(crate) next_header: u8,
    /// What the window is to be told: see [`Opened::accept`].
    begun: Option<(&'b ReplayWindow, Begun<'b>)>,
}

impl Opened<'_> {
    /// Tells the window, which has the last word. Before this nothing may come of the packet; but it may be looked at,
    /// and should be: this step waits for all that was stored, and what comes after it for this step.
    ///
    /// # Errors
    /// Another thread was faster.
    #[inline(always)]
    pub(crate) fn accept(&self) -> Result<(), DropReason> {
        match &self.begun {
            Some((window, begun)) => window.finish(begun),
            None => Ok(()),
        }
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.at..self.at.wrapping_add(self.payload.len())
    }
}

impl Plane {
    /// Opens in place; `None` when the packet has to go another way, and nothing has happened to it or to the window then.
    /// `MOST` as for [`Plane::seal_shaped`].
    #[inline(always)]
    pub(crate) fn open_usual<'b, const MOST: bool>(
        &self,
        entry: &'b Inbound,
        buf: &'b mut [u8],
        start: usize,
    ) -> Option<Result<Opened<'b>, DropReason>> {
        let core = entry.core();
        if !entry.front.is_usual() || !core.usage.is_usable() {
            return None;
        }
        let sa = &core.sa;
        let Some((key, salt)) = sa.transform().usual() else {
            return if MOST { None } else { Some(open_split(sa, buf.get_mut(start..)?, start)) };
        };
        let (head, rest) = buf.get_mut(start..)?.split_first_chunk_mut::<HEAD>()?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG>()?;
        if body.len() < transform::TRAILER {
            return None;
        }
        let at = start.wrapping_add(HEAD);
        let begun = match open_body(sa, key, salt, head, body, tag) {
            Ok(begun) => begun,
            Err(reason) => return Some(Err(reason)),
        };
        match inbound::trailer(body).and_then(|(len, next)| Ok((body.get(..len).ok_or(DropReason::Runt)?, next))) {
            Ok((payload, next_header)) => {
                Some(Ok(Opened { payload, at, next_header, begun: Some((sa.window(), begun)) }))
            }
            Err(reason) => Some(Err(sa.window().finish(&begun).err().unwrap_or(reason))),
        }
    }

    /// The length of a usual packet of IPv4 that the selectors hold; `None` for what has to go the general way. `held` is what
    /// the last such packet of the SA had in common with others: selectors are three cache lines and some forty instructions, and
    /// stay what they are as long as the entry does.
    #[inline(always)]
    pub(crate) fn inner_usual(
        &self,
        entry: &Inbound,
        held: &mut Alike,
        outer: OuterInfo,
        payload: &[u8],
        next_header: u8,
    ) -> Option<usize> {
        if next_header != protocol::IPV4 || !self.is_plain(outer) {
            return None;
        }
        held.len(payload).or_else(|| inner_unlike(entry, held, payload))
    }

    /// Nothing in the inner packet is to be changed.
    #[inline(always)]
    pub(crate) fn is_plain(&self, outer: OuterInfo) -> bool {
        outer.traffic_class & 3 == 0 && self.config.mss_clamp == 0
    }

    /// What [`Plane::inner_usual`] did not take, usual packets of SAs at another place of the worker's memory first.
    #[allow(clippy::too_many_arguments, reason = "all of it describes one packet")]
    pub(crate) fn deliver_rest(
        &self,
        entry: &Inbound,
        path: &Path,
        outer: OuterInfo,
        buf: &mut [u8],
        start: usize,
        payload: Range<usize>,
        next_header: u8,
    ) -> Result<Range<usize>, DropReason> {
        if matches!(next_header, protocol::IPV4 | protocol::IPV6)
            && self.is_plain(outer)
            && let Some(inner) = buf.get(payload.clone()).and_then(packet::usual)
            && inner.v6 == (next_header == protocol::IPV6)
            && entry.facts.selectors.hold(&inner, Direction::Inbound)
        {
            return Ok(payload.start..payload.start.wrapping_add(inner.len));
        }
        self.deliver(entry, *path, outer, buf, Frame::esp(start), payload, next_header)
    }
}

/// A packet that is not like the one before it.
#[inline(never)]
pub(crate) fn inner_unlike(entry: &Inbound, held: &mut Alike, payload: &[u8]) -> Option<usize> {
    let inner = packet::usual_v4(payload).filter(|inner| entry.facts.selectors.hold(inner, Direction::Inbound))?;
    *held = Alike::of(payload)?;
    Some(inner.len)
}

/// Transforms of another shape.
#[inline(never)]
fn open_split<'b>(sa: &InboundSa, esp: &'b mut [u8], start: usize) -> Result<Opened<'b>, DropReason> {
    let opened = sa.open(esp)?;
    let at = opened.payload.start.wrapping_add(start);
    let payload = esp.get(opened.payload).ok_or(DropReason::Runt)?;
    Ok(Opened { payload, at, next_header: opened.next_header, begun: None })
}

/// SPI and number, and the IV, in registers.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    first: u64,
    iv: u64,
}

impl Head {
    #[inline(always)]
    pub(crate) fn of(head: &[u8; HEAD]) -> Self {
        let head = u128::from_le_bytes(*head);
        let low = |n: u128| u64::try_from(n & u128::from(u64::MAX)).unwrap_or(0);
        Self { first: low(head), iv: low(head >> 64) }
    }

    /// The low half of the number.
    #[inline(always)]
    pub(crate) fn number(self) -> u32 {
        u32::try_from(self.first >> 32).unwrap_or(0).swap_bytes()
    }

    #[inline(always)]
    pub(crate) fn spi(self) -> u32 {
        u32::try_from(self.first & 0xffff_ffff).unwrap_or(0).swap_bytes()
    }

    #[inline(always)]
    pub(crate) fn iv(self) -> [u8; 8] {
        self.iv.to_le_bytes()
    }

    /// What the cipher is to be told of the packet, whose full number is known.
    #[inline(always)]
    pub(crate) fn told(self, number: u64, salt: [u8; 4], esn: bool) -> Told {
        let (spi, iv) = (self.spi().to_be_bytes(), self.iv.to_le_bytes());
        Told { salt, iv, spi, number: number.to_be_bytes(), esn }
    }
}

/// Window and cipher.
#[inline(always)]
fn open_body<'a>(
    sa: &'a InboundSa,
    key: &dyn AeadKey,
    salt: [u8; 4],
    head: &[u8; HEAD],
    body: &mut [u8],
    tag: &[u8; TAG],
) -> Result<Begun<'a>, DropReason> {
    let head = Head::of(head);
    let begun = sa.window().begin(head.number())?;
    let told = head.told(begun.number, salt, sa.transform().esn());
    key.open_told(&told, body, tag).map_err(transform::reason)?;
    Ok(begun)
}

/// The ESP packet at `start` of a buffer: header with IV, payload with trailer, ICV.
#[inline(always)]
#[allow(clippy::type_complexity, reason = "three slices of one packet")]
pub(crate) fn parts(buf: &mut [u8], start: usize) -> Option<(&[u8; HEAD], &mut [u8], &[u8; TAG])> {
    let (head, rest) = buf.get_mut(start..)?.split_first_chunk_mut::<HEAD>()?;
    let (body, tag) = rest.split_last_chunk_mut::<TAG>()?;
    (body.len() >= transform::TRAILER).then_some((head, body, tag))
}

/// The cipher, told before.
#[inline(always)]
pub(crate) fn open_told(key: &dyn AeadKey, buf: &mut [u8], start: usize, told: &Told) -> Result<(), DropReason> {
    let (_, body, tag) = parts(buf, start).ok_or(DropReason::Runt)?;
    key.open_told(told, body, tag).map_err(transform::reason)
}
