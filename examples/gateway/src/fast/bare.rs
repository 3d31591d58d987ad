//! Bare ESP (IP protocol 50, RFC 4303) out: no kernel takes a run of such packets as one, so each is a message of its own,
//! but many go in one call (sendmmsg(2)).

use crate::sockets::SEGMENTS;
use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, sendmmsg};
use ravelin::db::Path;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

/// Message headers, which the library fills anew for each call.
type Room<A> = RefCell<MultiHeaders<A>>;

thread_local! {
    static V4: Room<SockaddrIn> =
        RefCell::new(MultiHeaders::preallocate(SEGMENTS, Some(cmsg_space!(libc::in_pktinfo, u8))));
    static V6: Room<SockaddrIn6> =
        RefCell::new(MultiHeaders::preallocate(SEGMENTS, Some(cmsg_space!(libc::in6_pktinfo, i32))));
}

/// Sends packets, at most [`SEGMENTS`], of any sizes. After an error in their midst the rest is lost, as in a full queue.
pub(crate) fn send(fd: RawFd, path: Path, class: u8, packets: &[IoSlice<'_>]) -> io::Result<()> {
    match (path.local.ip(), path.remote) {
        (IpAddr::V4(local), SocketAddr::V4(to)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            let about = [ControlMessage::Ipv4PacketInfo(&info), ControlMessage::Ipv4Tos(&class)];
            V4.with_borrow_mut(|room| burst(fd, room, to.into(), &about, packets))
        }
        (IpAddr::V6(local), SocketAddr::V6(to)) => {
            let source = libc::in6_addr { s6_addr: local.octets() };
            let info = libc::in6_pktinfo { ipi6_addr: source, ipi6_ifindex: 0 };
            let class = class.into();
            let about = [ControlMessage::Ipv6PacketInfo(&info), ControlMessage::Ipv6TClass(&class)];
            V6.with_borrow_mut(|room| burst(fd, room, to.into(), &about, packets))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("two address families: {path}"))),
    }
}

fn burst<A: SockaddrLike + Copy>(
    fd: RawFd,
    room: &mut MultiHeaders<A>,
    to: A,
    about: &[ControlMessage<'_>],
    packets: &[IoSlice<'_>],
) -> io::Result<()> {
    let (each, _) = packets.as_chunks::<1>();
    sendmmsg(fd, room, each, [Some(to); SEGMENTS], about, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}
