//! TCP MSS clamping: the option in SYN segments is lowered to what the tunnel carries (the MSS itself: RFC 9293
//! §3.7.1). Never raised, and the checksum is corrected incrementally.

use crate::checksum;
use crate::packet::{Fragment, IpPacket, protocol};

/// Lowers the MSS of a TCP SYN to `max` (IPv4) or `max - 20` (IPv6, whose header is longer). Anything else is left alone.
pub fn clamp(packet: &mut [u8], max: u16) {
    let _ = try_clamp(packet, max);
}

fn try_clamp(packet: &mut [u8], max: u16) -> Option<()> {
    // The common case first: no SYN, nothing to do.
    let ip = IpPacket::parse(packet).ok()?;
    if ip.protocol != protocol::TCP || ip.fragment != Fragment::Whole {
        return None;
    }
    let tcp = packet.get_mut(ip.upper..ip.len)?;
    if tcp.get(13)? & 0x02 == 0 {
        return None;
    }
    let max = if ip.is_v6() { max.checked_sub(20)? } else { max };
    let end = usize::from(tcp.get(12)? >> 4).checked_mul(4)?.min(tcp.len());
    let mut at = 20usize;
    while at < end {
        let len = match *tcp.get(at)? {
            0 => return None,
            1 => 1,
            2 => {
                let field = tcp.get_mut(at.checked_add(2)?..at.checked_add(4)?)?;
                let old = u16::from_be_bytes(field.try_into().ok()?);
                if old <= max {
                    return None;
                }
                field.copy_from_slice(&max.to_be_bytes());
                let sum = tcp.get_mut(16..18)?;
                let now = u16::from_be_bytes(sum.try_into().ok()?);
                // At an odd offset the two octets count in the other order (RFC 1071 §2).
                let swap = |v: u16| if at % 2 == 1 { v.swap_bytes() } else { v };
                sum.copy_from_slice(&checksum::update(now, swap(old), swap(max)).to_be_bytes());
                return Some(());
            }
            _ => usize::from(*tcp.get(at.checked_add(1)?)?).max(2),
        };
        at = at.checked_add(len)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn syn(v6: bool, mss: u16, nop: bool) -> Vec<u8> {
        use etherparse::{PacketBuilder, TcpOptionElement as O};
        let b = if v6 { PacketBuilder::ipv6([1; 16], [2; 16], 9) } else { PacketBuilder::ipv4([1; 4], [2; 4], 9) };
        let options: &[O] = if nop { &[O::Noop, O::MaximumSegmentSize(mss)] } else { &[O::MaximumSegmentSize(mss)] };
        let mut out = Vec::new();
        b.tcp(1, 2, 3, 4).syn().options(options).unwrap().write(&mut out, &[]).unwrap();
        out
    }

    #[test]
    fn lowered_never_raised_and_checksummed() {
        for v6 in [false, true] {
            for nop in [false, true] {
                let max = 1360;
                let want = syn(v6, if v6 { max - 20 } else { max }, nop);
                let mut p = syn(v6, 1460, nop);
                clamp(&mut p, max);
                assert_eq!(p, want, "v6 {v6} nop {nop}");
                let mut p = syn(v6, 500, nop);
                clamp(&mut p, max);
                assert_eq!(p, syn(v6, 500, nop));
            }
        }
    }
}
