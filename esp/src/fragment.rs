//! IPv4 fragmentation of inner packets before protection (RFC 791 §3.2, RFC 4301 §7). Reassembly of outer fragments is
//! the business of whoever owns the socket; inner fragments are carried as they are.
//! `split_v4` copies no data: it hands out a new header and the piece of the old packet that belongs to it.

use crate::DropReason;
use crate::checksum;

/// Cuts the whole IPv4 packet `ip` into fragments of at most `mtu` octets each and gives each as header and body.
///
/// # Errors
/// [`DropReason::TooBig`] when not even eight octets fit, or what `emit` says.
pub fn split_v4(
    ip: &[u8],
    mtu: usize,
    mut emit: impl FnMut(&[u8], &[u8]) -> Result<(), DropReason>,
) -> Result<(), DropReason> {
    let bad = DropReason::NotIp;
    let header_len = usize::from(ip.first().ok_or(bad)? & 15).saturating_mul(4);
    let (header, mut rest) = ip.split_at_checked(header_len).ok_or(bad)?;
    let flags = header.get(6..8).and_then(|f| f.first_chunk()).map(|f| u16::from_be_bytes(*f)).ok_or(bad)?;
    let (mut offset, more_after) = (flags & 0x1fff, flags & 0x2000);
    let mut head = [0u8; 60];
    head.get_mut(..header_len).ok_or(bad)?.copy_from_slice(header);
    let mut len = header_len;
    loop {
        let room = mtu.saturating_sub(len);
        let last = rest.len() <= room;
        let take = if last { rest.len() } else { room & !7 };
        if take == 0 && !last {
            return Err(DropReason::TooBig);
        }
        let (body, after) = rest.split_at_checked(take).ok_or(bad)?;
        let more = if last { more_after } else { 0x2000 };
        let this = head.get_mut(..len).ok_or(bad)?;
        let total = u16::try_from(len.saturating_add(take)).map_err(|_| DropReason::Oversized)?;
        this.get_mut(2..4).ok_or(bad)?.copy_from_slice(&total.to_be_bytes());
        this.get_mut(6..8).ok_or(bad)?.copy_from_slice(&(more | (offset & 0x1fff)).to_be_bytes());
        this.get_mut(10..12).ok_or(bad)?.fill(0);
        let sum = checksum::checksum(this);
        this.get_mut(10..12).ok_or(bad)?.copy_from_slice(&sum.to_be_bytes());
        emit(this, body)?;
        if last {
            return Ok(());
        }
        if offset == 0 {
            len = keep_copied_options(&mut head, len).ok_or(bad)?;
        }
        offset = offset.saturating_add(u16::try_from(take / 8).map_err(|_| bad)?);
        rest = after;
    }
}

/// Later fragments keep only the options whose copied bit is set (RFC 791 §3.1). Returns the new header length.
fn keep_copied_options(head: &mut [u8; 60], len: usize) -> Option<usize> {
    let mut kept = [0u8; 40];
    let (mut at, mut to) = (20usize, 0usize);
    while at < len {
        let kind = *head.get(at)?;
        let size = match kind {
            0 => break,
            1 => 1,
            _ => usize::from(*head.get(at.checked_add(1)?)?).max(2),
        };
        let option = head.get(at..at.checked_add(size)?.min(len))?;
        if kind & 0x80 != 0 {
            kept.get_mut(to..to.checked_add(option.len())?)?.copy_from_slice(option);
            to = to.checked_add(option.len())?;
        }
        at = at.checked_add(size)?;
    }
    let options = to.next_multiple_of(4);
    head.get_mut(20..60)?.copy_from_slice(&kept);
    *head.first_mut()? = 0x40 | u8::try_from(5usize.checked_add(options / 4)?).ok()?;
    Some(options.saturating_add(20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IpPacket;
    use crate::packet::Fragment;
    use crate::testing::udp;
    use std::vec::Vec;

    #[test]
    fn pieces_make_the_whole() {
        let whole = udp("10.0.0.1", "10.0.0.2", 1400);
        for mtu in [28, 68, 576, 1000, 1427, 1428, 2000] {
            let mut pieces: Vec<Vec<u8>> = Vec::new();
            split_v4(&whole, mtu, |h, b| {
                pieces.push([h, b].concat());
                Ok(())
            })
            .unwrap();
            let mut body: Vec<u8> = Vec::new();
            for (i, p) in pieces.iter().enumerate() {
                let ip = IpPacket::parse(p).unwrap();
                assert!(p.len() <= mtu && ip.len == p.len());
                assert_eq!(checksum::sum(&p[..20]), 0xffff);
                let offset = usize::from(u16::from_be_bytes([p[6], p[7]]) & 0x1fff) * 8;
                assert_eq!(offset, body.len());
                assert_eq!(p[6] & 0x20 != 0, i + 1 < pieces.len());
                if pieces.len() > 1 {
                    assert_ne!(ip.fragment, Fragment::Whole);
                }
                body.extend(&p[20..]);
            }
            assert_eq!(body, &whole[20..]);
        }
        assert_eq!(split_v4(&whole, 27, |_, _| Ok(())), Err(DropReason::TooBig));
    }
}
