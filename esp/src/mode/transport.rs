//! Transport mode (RFC 4301 §4.1, RFC 4303 §3.1.1): the upper layer only. Where ESP goes among IPv6 extension headers,
//! how the IP header is put back, and the checksum behind a NAT (RFC 3948 §3.1.2, RFC 7296 §2.23.1).

use crate::packet::{Fragment, IpPacket, protocol};
use crate::plane::OuterInfo;
use crate::{DropReason, checksum};
use core::net::IpAddr;
use core::ops::Range;
use ravelin_sa_db::{AddrRange, Path, TrafficSelector};

/// Where an IP packet is cut for transport mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    /// Length of the headers that stay outside.
    pub at: usize,
    /// What comes behind the cut.
    pub next_header: u8,
    /// Where the Next Header (or Protocol) octet is that has to name ESP or AH.
    pub field: usize,
}

/// Cuts behind the IPv4 header, or behind those IPv6 extension headers that routers on the way read: hop-by-hop,
/// destination options in front of a routing header, routing. Only whole packets can be protected (RFC 4303 §3.3.4).
///
/// # Errors
/// [`DropReason::Fragment`] or [`DropReason::InnerHeader`].
pub fn split(ip: &[u8], inner: &IpPacket) -> Result<Split, DropReason> {
    if inner.fragment != Fragment::Whole {
        return Err(DropReason::Fragment);
    }
    if !inner.is_v6() {
        return Ok(Split { at: inner.upper, next_header: inner.protocol, field: 9 });
    }
    let bad = DropReason::InnerHeader;
    let mut cut = Split { at: 40, next_header: *ip.get(6).ok_or(bad)?, field: 6 };
    let mut here = cut;
    for _ in 0..16 {
        if !matches!(here.next_header, protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DEST_OPTIONS) {
            break;
        }
        let (this, len) = (here.next_header, usize::from(*ip.get(here.at.saturating_add(1)).ok_or(bad)?));
        let at = here.at.saturating_add(len.saturating_add(1).saturating_mul(8));
        here = Split { at, next_header: *ip.get(here.at).ok_or(bad)?, field: here.at };
        // Destination options stay outside only when a routing header follows.
        if this != protocol::DEST_OPTIONS {
            cut = here;
        }
    }
    if cut.at > inner.len { Err(bad) } else { Ok(cut) }
}

/// Where the first header is that is neither IP nor an extension header of RFC 8200: its offset, its number, and
/// where that number stands.
///
/// # Errors
/// [`DropReason::OuterHeader`].
pub fn locate(ip: &[u8], parsed: &IpPacket) -> Result<(usize, u8, usize), DropReason> {
    let bad = DropReason::OuterHeader;
    if !parsed.is_v6() {
        return Ok((parsed.upper, parsed.protocol, 9));
    }
    let (mut at, mut next, mut field) = (40usize, *ip.get(6).ok_or(bad)?, 6usize);
    for _ in 0..16 {
        if !matches!(next, protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DEST_OPTIONS) {
            return Ok((at, next, field));
        }
        field = at;
        next = *ip.get(at).ok_or(bad)?;
        let units = usize::from(*ip.get(at.saturating_add(1)).ok_or(bad)?);
        at = at.saturating_add(units.saturating_add(1).saturating_mul(8));
    }
    Err(bad)
}

/// Rewrites the headers in front of a payload whose length and kind have changed: `packet` is the whole packet.
///
/// # Errors
/// [`DropReason::Oversized`] when it does not fit the length field.
pub fn rewrite(packet: &mut [u8], field: usize, next_header: u8) -> Result<(), DropReason> {
    let len = packet.len();
    *packet.get_mut(field).ok_or(DropReason::OuterHeader)? = next_header;
    if packet.first().is_some_and(|b| b >> 4 == 6) {
        let payload = u16::try_from(len.saturating_sub(40)).map_err(|_| DropReason::Oversized)?;
        packet.get_mut(4..6).ok_or(DropReason::OuterHeader)?.copy_from_slice(&payload.to_be_bytes());
        return Ok(());
    }
    let total = u16::try_from(len).map_err(|_| DropReason::Oversized)?;
    packet.get_mut(2..4).ok_or(DropReason::OuterHeader)?.copy_from_slice(&total.to_be_bytes());
    packet.get_mut(10..12).ok_or(DropReason::OuterHeader)?.fill(0);
    let header = usize::from(packet.first().copied().unwrap_or(0x45) & 15).saturating_mul(4);
    let sum = checksum::checksum(packet.get(..header).ok_or(DropReason::OuterHeader)?);
    packet.get_mut(10..12).ok_or(DropReason::OuterHeader)?.copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// Moves the headers `headers` of `buf` to right before `payload` and corrects them; gives the inner packet.
///
/// # Errors
/// [`DropReason::NoRoom`] or what [`rewrite`] says.
pub fn rejoin(
    buf: &mut [u8],
    headers: Range<usize>,
    field: usize,
    payload: Range<usize>,
    next_header: u8,
) -> Result<Range<usize>, DropReason> {
    let start = payload.start.checked_sub(headers.len()).ok_or(DropReason::NoRoom)?;
    if headers.end > buf.len() || payload.end > buf.len() {
        return Err(DropReason::NoRoom);
    }
    buf.copy_within(headers, start);
    rewrite(buf.get_mut(start..payload.end).ok_or(DropReason::NoRoom)?, field, next_header)?;
    Ok(start..payload.end)
}

/// Puts a plain IP header with these addresses in front of `payload`. When there is too little room before it, the
/// payload is moved towards the end of `buf`, over trailer and ICV.
///
/// # Errors
/// [`DropReason::NoRoom`]: IPv6 needs up to 24 octets of headroom in front of the ESP header.
pub fn synthesize(
    buf: &mut [u8],
    payload: Range<usize>,
    source: IpAddr,
    destination: IpAddr,
    outer: OuterInfo,
    next_header: u8,
) -> Result<Range<usize>, DropReason> {
    let header = if source.is_ipv6() { 40usize } else { 20 };
    let shift = header.saturating_sub(payload.start);
    let moved = payload.start.saturating_add(shift)..payload.end.saturating_add(shift);
    if moved.end > buf.len() {
        return Err(DropReason::NoRoom);
    }
    if shift != 0 {
        buf.copy_within(payload, moved.start);
    }
    let range = moved.start.saturating_sub(header)..moved.end;
    let packet = buf.get_mut(range.clone()).ok_or(DropReason::NoRoom)?;
    let path = Path { local: (source, 0).into(), remote: (destination, 0).into() };
    let fields = super::OuterHeader {
        traffic_class: outer.traffic_class,
        dont_fragment: true,
        hop_limit: if outer.hop_limit == 0 { 64 } else { outer.hop_limit },
        flow_label: 0,
    };
    super::header::write_ip(packet, &path, next_header, &fields, 0)?;
    Ok(range)
}

/// The one address of a selector list, when it has only one.
#[must_use]
pub fn single_host(ts: &[TrafficSelector]) -> Option<IpAddr> {
    let mut hosts = ts.iter().map(|t| match t.addrs {
        AddrRange::V4(a, b) if a == b => Some(IpAddr::V4(a)),
        AddrRange::V6(a, b) if a == b => Some(IpAddr::V6(a)),
        _ => None,
    });
    let first = hosts.next()??;
    hosts.all(|h| h == Some(first)).then_some(first)
}

/// Corrects the checksum of an upper layer that was computed with the addresses before the NAT. Those are the SA's
/// selectors when each is one address; then the change is incremental and an error in the data stays visible. Else
/// the checksum is computed anew: the ICV has vouched for the data.
pub fn fix_checksum((local, remote): (Option<IpAddr>, Option<IpAddr>), packet: &mut [u8]) -> Result<(), DropReason> {
    let ip = IpPacket::parse(packet)?;
    let offset = match ip.protocol {
        protocol::TCP => 16usize,
        protocol::UDP | protocol::UDP_LITE | protocol::DCCP => 6,
        protocol::ICMPV6 => 2,
        _ => return Ok(()),
    };
    let at = ip.upper.saturating_add(offset);
    let Some(field) = packet.get(at..).and_then(|f| f.first_chunk::<2>()).map(|f| u16::from_be_bytes(*f)) else {
        return Ok(());
    };
    if ip.protocol == protocol::UDP && field == 0 && !ip.is_v6() {
        return Ok(());
    }
    let now = pair_sum(ip.source(), ip.destination());
    let new = match (remote, local) {
        (Some(s), Some(d)) => {
            let then = pair_sum(s, d);
            if then == now {
                return Ok(());
            }
            checksum::update(field, then, now)
        }
        _ if ip.protocol == protocol::DCCP || ip.protocol == protocol::UDP_LITE => return Ok(()),
        _ => {
            packet.get_mut(at..at.saturating_add(2)).ok_or(DropReason::InnerHeader)?.fill(0);
            let upper = packet.get(ip.upper..ip.len).ok_or(DropReason::InnerHeader)?;
            let pseudo = u64::from(now).wrapping_add(upper.len() as u64).wrapping_add(u64::from(ip.protocol));
            !checksum::fold(pseudo.wrapping_add(u64::from(checksum::sum(upper))))
        }
    };
    let new = if new == 0 && ip.protocol == protocol::UDP { 0xffff } else { new };
    packet.get_mut(at..at.saturating_add(2)).ok_or(DropReason::InnerHeader)?.copy_from_slice(&new.to_be_bytes());
    Ok(())
}

fn pair_sum(a: IpAddr, b: IpAddr) -> u16 {
    let one = |x: IpAddr| match x {
        IpAddr::V4(x) => checksum::sum(&x.octets()),
        IpAddr::V6(x) => checksum::sum(&x.octets()),
    };
    checksum::fold(u64::from(one(a)).wrapping_add(u64::from(one(b))))
}
