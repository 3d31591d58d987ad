//! The Authentication Header (RFC 4302), tunnel and transport mode. It covers the outer IP header as well, except what
//! changes on the way, so both directions work on whole IP packets. The ICV is computed over parts: the header with
//! its mutable fields zeroed, AH with its ICV zeroed, the payload, and the high half with ESN (§3.3.3).
//!
//! Not here: routing headers still in use and IPv4 source routes, whose final form a sender would have to predict
//! (§3.3.3.1.2.3); such packets are dropped.

use crate::packet::{IpPacket, protocol};
use crate::{DropReason, InboundSa, OutboundSa};
use core::ops::Range;

/// Next header, length, reserved, SPI, sequence number.
pub const FIXED: usize = 12;
/// The longest headers in front of AH that are covered.
const MAX_HEADERS: usize = 256;

/// Length of the AH with this ICV; IPv6 wants a multiple of 8 (§2.2).
#[must_use]
pub fn header_len(icv: usize, v6: bool) -> usize {
    FIXED.saturating_add(icv).next_multiple_of(if v6 { 8 } else { 4 })
}

/// The headers in front of AH with mutable fields zeroed (§3.3.3.1).
struct Masked {
    octets: [u8; MAX_HEADERS],
    len: usize,
}

impl Masked {
    fn new(headers: &[u8]) -> Result<Self, DropReason> {
        let bad = DropReason::OuterHeader;
        let mut octets = [0u8; MAX_HEADERS];
        octets.get_mut(..headers.len()).ok_or(bad)?.copy_from_slice(headers);
        let mut m = Self { octets, len: headers.len() };
        match headers.first().map(|b| b >> 4) {
            Some(4) => m.mask_v4(),
            Some(6) => m.mask_v6(),
            _ => None,
        }
        .ok_or(bad)?;
        Ok(m)
    }

    fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or(&[])
    }

    fn mask_v4(&mut self) -> Option<()> {
        let h = self.octets.get_mut(..self.len)?;
        // DSCP and ECN, flags and fragment offset, TTL, checksum (§3.3.3.1.1.1).
        for at in [1, 6, 7, 8, 10, 11] {
            *h.get_mut(at)? = 0;
        }
        let mut at = 20usize;
        while at < h.len() {
            let kind = *h.get(at)?;
            if kind == 0 {
                break;
            }
            let len = if kind == 1 { 1 } else { usize::from(*h.get(at.checked_add(1)?)?) };
            let option = h.get_mut(at..at.checked_add(len)?)?;
            match kind {
                1 | 130 | 133 | 134 | 148 | 149 => {}
                131 | 137 => return None,
                _ if len < 2 => return None,
                _ => option.fill(0),
            }
            at = at.checked_add(len)?;
        }
        Some(())
    }

    fn mask_v6(&mut self) -> Option<()> {
        let h = self.octets.get_mut(..self.len)?;
        // Class, flow label, hop limit (§3.3.3.1.2.1).
        *h.get_mut(0)? = 0x60;
        for at in [1, 2, 3, 7] {
            *h.get_mut(at)? = 0;
        }
        let mut next = *h.get(6)?;
        let mut at = 40usize;
        while at < h.len() {
            let len = usize::from(*h.get(at.checked_add(1)?)?).checked_add(1)?.checked_mul(8)?;
            let header = h.get_mut(at..at.checked_add(len)?)?;
            match next {
                protocol::HOP_BY_HOP | protocol::DEST_OPTIONS => mask_options(header.get_mut(2..)?)?,
                protocol::ROUTING if *header.get(3)? == 0 => {}
                _ => return None,
            }
            next = *header.first()?;
            at = at.checked_add(len)?;
        }
        Some(())
    }
}

/// Options whose third-highest bit is set may change on the way: their data count as zero (§3.3.3.1.2.2).
fn mask_options(mut options: &mut [u8]) -> Option<()> {
    while let Some(&kind) = options.first() {
        if kind == 0 {
            options = options.get_mut(1..)?;
            continue;
        }
        let len = usize::from(*options.get(1)?);
        let (option, rest) = options.split_at_mut_checked(len.checked_add(2)?)?;
        if kind & 0x20 != 0 {
            option.get_mut(2..)?.fill(0);
        }
        options = rest;
    }
    Some(())
}

/// Writes AH at `at` of `packet` and its ICV. The headers in front, their lengths included, and the payload behind
/// are there already.
///
/// # Errors
/// Sequence, room, header or provider faults.
pub(crate) fn seal(sa: &OutboundSa, packet: &mut [u8], at: usize, next_header: u8) -> Result<u64, DropReason> {
    let v6 = packet.first().is_some_and(|b| b >> 4 == 6);
    let len = header_len(sa.icv_len(), v6);
    let number = sa.sequence().take()?;
    let masked = Masked::new(packet.get(..at).ok_or(DropReason::NoRoom)?)?;
    let rest = packet.get_mut(at..).ok_or(DropReason::NoRoom)?;
    let (ah, payload) = rest.split_at_mut_checked(len).ok_or(DropReason::NoRoom)?;
    ah.fill(0);
    let units = u8::try_from((len / 4).saturating_sub(2)).map_err(|_| DropReason::Oversized)?;
    let [s0, s1, s2, s3] = sa.spi();
    let [h0, h1, h2, h3, n0, n1, n2, n3] = number.to_be_bytes();
    *ah.first_chunk_mut::<FIXED>().ok_or(DropReason::NoRoom)? =
        [next_header, units, 0, 0, s0, s1, s2, s3, n0, n1, n2, n3];
    let mut icv = [0u8; 64];
    let icv = icv.get_mut(..sa.icv_len()).ok_or(DropReason::Provider)?;
    let high = [h0, h1, h2, h3];
    let high: &[u8] = if sa.esn() { &high } else { &[] };
    sa.integ()
        .ok_or(DropReason::WrongProtocol)?
        .sign(&[masked.as_slice(), ah, payload, high], icv)
        .map_err(|_| DropReason::Provider)?;
    ah.get_mut(FIXED..FIXED.saturating_add(icv.len())).ok_or(DropReason::NoRoom)?.copy_from_slice(icv);
    Ok(number)
}

/// Verifies the AH at `at` of the whole IP packet `packet`; gives the payload and what it is.
///
/// # Errors
/// The cause; the window is as before unless the ICV was good.
pub(crate) fn open(sa: &InboundSa, packet: &[u8], at: usize) -> Result<(Range<usize>, u8), DropReason> {
    let ip = IpPacket::parse(packet).map_err(|_| DropReason::OuterHeader)?;
    let packet = packet.get(..ip.len).ok_or(DropReason::Runt)?;
    let len = header_len(sa.icv_len(), ip.is_v6());
    let rest = packet.get(at..).ok_or(DropReason::Runt)?;
    let (ah, payload) = rest.split_at_checked(len).ok_or(DropReason::Runt)?;
    let fixed: &[u8; FIXED] = ah.first_chunk().ok_or(DropReason::Runt)?;
    let [next_header, units, _, _, _, _, _, _, a, b, c, d] = *fixed;
    if usize::from(units).saturating_add(2).saturating_mul(4) != len {
        return Err(DropReason::Runt);
    }
    let number = sa.window().infer(u32::from_be_bytes([a, b, c, d]))?;
    sa.window().check(number)?;
    let masked = Masked::new(packet.get(..at).ok_or(DropReason::Runt)?)?;
    let icv = ah.get(FIXED..FIXED.saturating_add(sa.icv_len())).ok_or(DropReason::Runt)?;
    // The ICV counts as zero; padding behind it is covered as it is (§2.6).
    let zero = [0u8; 64];
    let zero = zero.get(..icv.len()).ok_or(DropReason::Provider)?;
    let padding = ah.get(FIXED.saturating_add(icv.len())..).unwrap_or(&[]);
    let [h0, h1, h2, h3, ..] = number.to_be_bytes();
    let high = [h0, h1, h2, h3];
    let high: &[u8] = if sa.esn() { &high } else { &[] };
    sa.integ()
        .ok_or(DropReason::WrongProtocol)?
        .verify(&[masked.as_slice(), fixed, zero, padding, payload, high], icv)
        .map_err(|_| DropReason::Integrity)?;
    sa.window().commit(number)?;
    let start = at.saturating_add(len);
    Ok((start..packet.len(), next_header))
}
