//! BEET, bound end-to-end tunnel (draft-ietf-ipsecme-ikev2-beet-mode and its forerunner of 2008): the packet on the
//! wire is that of transport mode, the inner addresses are fixed by the SA's selectors and put back by the receiver.
//! IPv4 options travel in a pseudo header (protocol 94): next header, length in 8 octets less one, pad length, zero,
//! padding, options.

use super::transport::synthesize;
use crate::DropReason;
use crate::packet::{Fragment, IpPacket};
use crate::plane::OuterInfo;
use core::net::IpAddr;
use core::ops::Range;

/// Protocol number of the pseudo header.
pub const PSEUDO_HEADER: u8 = 94;

/// What goes into the payload of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    /// Length of the inner header that stays behind.
    pub skip: usize,
    /// Length of IPv4 options that travel in a pseudo header.
    pub options: usize,
    /// What the payload is, behind the pseudo header.
    pub next_header: u8,
}

impl Parts {
    /// Length of the pseudo header with its options.
    #[must_use]
    pub fn pseudo_len(&self) -> usize {
        if self.options == 0 { 0 } else { self.options.saturating_add(4).next_multiple_of(8) }
    }
}

/// Cuts a packet. Fragments lose their identity without their header and cannot travel.
///
/// # Errors
/// [`DropReason::Fragment`].
pub fn split(ip: &[u8], inner: &IpPacket) -> Result<Parts, DropReason> {
    if inner.fragment != Fragment::Whole {
        return Err(DropReason::Fragment);
    }
    if inner.is_v6() {
        let next_header = *ip.get(6).ok_or(DropReason::InnerHeader)?;
        return Ok(Parts { skip: 40, options: 0, next_header });
    }
    Ok(Parts { skip: inner.upper, options: inner.upper.saturating_sub(20), next_header: inner.protocol })
}

/// Writes the pseudo header and the options into `out`, which is [`Parts::pseudo_len`] octets.
pub fn write_pseudo(parts: &Parts, options: &[u8], out: &mut [u8]) -> Option<()> {
    let len = out.len();
    let pad = len.checked_sub(4)?.checked_sub(options.len())?;
    let units = u8::try_from((len / 8).checked_sub(1)?).ok()?;
    let (head, rest) = out.split_first_chunk_mut::<4>()?;
    *head = [parts.next_header, units, u8::try_from(pad).ok()?, 0];
    let (padding, tail) = rest.split_at_mut_checked(pad)?;
    padding.fill(1); // the "no operation" option
    tail.copy_from_slice(options);
    Some(())
}

/// Puts the inner header back: addresses from the selectors (`local` and `remote`, where each side has only one), hop limit and class from outside.
///
/// # Errors
/// [`DropReason::Selectors`] when the SA has no fixed inner addresses, else room and header faults.
pub fn decapsulate(
    (local, remote): (Option<IpAddr>, Option<IpAddr>),
    buf: &mut [u8],
    payload: Range<usize>,
    next_header: u8,
    outer: OuterInfo,
) -> Result<Range<usize>, DropReason> {
    let (Some(source), Some(destination)) = (remote, local) else { return Err(DropReason::Selectors) };
    if next_header != PSEUDO_HEADER {
        return synthesize(buf, payload, source, destination, outer, next_header);
    }
    let bad = DropReason::InnerHeader;
    let head: [u8; 4] = buf.get(payload.clone()).and_then(|p| p.first_chunk().copied()).ok_or(bad)?;
    let [inner_next, units, pad, _] = head;
    let len = usize::from(units).saturating_add(1).saturating_mul(8);
    let options = len.checked_sub(4).and_then(|l| l.checked_sub(usize::from(pad))).ok_or(bad)?;
    if !matches!(source, IpAddr::V4(_)) || options % 4 != 0 || options > 40 || len > payload.len() {
        return Err(bad);
    }
    // The header goes right in front of the options, over pseudo header and padding.
    let body = payload.start.saturating_add(len).saturating_sub(options)..payload.end;
    let range = synthesize(buf, body, source, destination, outer, inner_next)?;
    let packet = buf.get_mut(range.clone()).ok_or(bad)?;
    let words = u8::try_from(5usize.saturating_add(options / 4)).map_err(|_| bad)?;
    *packet.first_mut().ok_or(bad)? = 0x40 | words;
    super::transport::rewrite(packet, 9, inner_next)?;
    Ok(range)
}
