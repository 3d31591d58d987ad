//! Tunnel mode (RFC 4301 §5.1.2, §5.2; RFC 4303 §3.1.2): a whole IP packet, IPv4 or IPv6, inside either.

use crate::DropReason;
use crate::mode::header;
use crate::packet::{IpPacket, protocol};
use crate::selectors::Selectors;
use core::ops::Range;
use ravelin_sa_db::Direction;

/// Next Header of an inner packet.
#[must_use]
#[inline]
pub fn next_header(inner: &IpPacket) -> u8 {
    if inner.is_v6() { protocol::IPV6 } else { protocol::IPV4 }
}

/// From an opened packet to the inner IP packet: its header, the SA's selectors, ECN (RFC 4301 §5.2 steps 3 to 5).
/// Octets behind the inner packet are TFC padding and left out.
///
/// # Errors
/// The cause of the drop; the packet was authentic in any case.
#[inline(always)]
pub(crate) fn decapsulate(
    selectors: &Selectors,
    payload: Range<usize>,
    next_header: u8,
    buf: &mut [u8],
    outer_traffic_class: u8,
) -> Result<Range<usize>, DropReason> {
    let version = match next_header {
        protocol::IPV4 => 4,
        protocol::IPV6 => 6,
        _ => return Err(DropReason::NextHeader),
    };
    let ip = buf.get_mut(payload.clone()).ok_or(DropReason::InnerHeader)?;
    if ip.first().is_none_or(|b| b >> 4 != version) {
        return Err(DropReason::InnerHeader);
    }
    let inner = IpPacket::parse(ip)?;
    if !selectors.hold(&inner, Direction::Inbound) {
        return Err(DropReason::Selectors);
    }
    header::decapsulate_ecn(ip, outer_traffic_class)?;
    Ok(payload.start..payload.start.saturating_add(inner.len))
}
