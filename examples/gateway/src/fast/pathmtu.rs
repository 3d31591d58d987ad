//! What the path to a peer carries (RFC 4301 §8.2). Two things say so: ICMP errors about packets of ours, which lie in the error
//! queue of the socket that sent them (IP_RECVERR, ip(7)), and the kernel's routes, which know the MTU of the interface and
//! what earlier errors said. The plane believes an error only when it has sent such a packet. The kernel is asked when a
//! child first sends or its path changes, when it refuses a run of datagrams as too large, and every ten minutes (RFC 1191 §6.3): what a
//! path has lost it may get back.

use crate::sockets::{Socket, Sockets};
use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use ravelin::Instant;
use ravelin::db::{ChildId, Path, Spi};
use ravelin::esp::{Plane, icmp::SizeError};
use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::Duration;

/// How often the kernel is asked.
const EACH: Duration = Duration::from_secs(600);
/// How often at most, when it refuses.
const REFUSED: Duration = Duration::from_secs(1);
/// Children whose time is remembered; with more they all are asked about anew.
const REMEMBERED: usize = 65_536;
/// Errors taken from a queue in one go.
const ERRORS: usize = 64;

/// When the kernel was last asked, and about which path.
#[derive(Debug, Default)]
pub(crate) struct PathMtu(BTreeMap<ChildId, (Instant, Path)>);

impl PathMtu {
    /// A child has sent something along a path; `refused`: which the kernel took one by one only, being too large.
    pub(crate) fn sent(
        &mut self,
        now: Instant,
        plane: &Plane,
        sockets: &Sockets,
        child: ChildId,
        path: Path,
        refused: bool,
    ) {
        if self.is_due(now, child, path, refused)
            && let Some(mtu) = sockets.path_mtu(path)
            && plane.path_mtu(child) != Some(mtu)
            && plane.set_path_mtu(child, mtu).is_ok()
        {
            tracing::debug!(%child, mtu, "path MTU to {}, as the kernel has it", path.remote.ip());
        }
    }

    fn is_due(&mut self, now: Instant, child: ChildId, path: Path, refused: bool) -> bool {
        let each = if refused { REFUSED } else { EACH };
        if self.0.get(&child).is_some_and(|(asked, of)| *of == path && now.since(*asked) < each) {
            return false;
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(child, (now, path));
        true
    }
}

/// Takes what routers said about packets of this socket, and tells the plane.
pub(crate) fn hear(socket: &Socket, plane: &Plane) {
    for _ in 0..ERRORS {
        let Some(error) = next(socket.fd()) else { return };
        let Some(error) = error else { continue };
        if let Some(child) = plane.handle_size_error(&error) {
            tracing::info!(%child, mtu = error.mtu, "path MTU to {}, as a router says", error.destination);
        }
    }
}

/// The next of the error queue, `None` at its end; in it `None` when it is about something else than size.
fn next(fd: RawFd) -> Option<Option<SizeError>> {
    let mut quoted = [0; 8];
    let mut room = cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, [u8; 128]);
    let mut parts = [IoSliceMut::new(&mut quoted)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut room), flags).ok()?;
    let mtu = message.cmsgs().ok().and_then(|mut all| all.find_map(|m| size(&m)));
    let to = message.address.as_ref().and_then(address);
    let len = message.bytes;
    Some(match (mtu, to) {
        (Some(mtu), Some(destination)) => quoted.get(..len).and_then(|q| about(q, destination, mtu)),
        _ => None,
    })
}

fn size(message: &ControlMessageOwned) -> Option<u32> {
    let error = match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => error,
        _ => return None,
    };
    let icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
    (icmp && i32::try_from(error.ee_errno) == Ok(libc::EMSGSIZE)).then_some(error.ee_info)
}

/// Where the packet went that the error is about.
fn address(to: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = to.as_sockaddr_in().map(|a| a.ip().into());
    v4.or_else(|| to.as_sockaddr_in6().map(|a| a.ip().into()))
}

/// `quoted` starts where ESP does (RFC 4303 §2): UDP and IP headers are gone.
fn about(quoted: &[u8], destination: IpAddr, mtu: u32) -> Option<SizeError> {
    let spi = Spi::from_be_bytes(*quoted.first_chunk()?);
    let sequence = quoted.get(4..)?.first_chunk().map(|s| u32::from_be_bytes(*s));
    (!spi.is_reserved()).then_some(SizeError { spi, sequence, destination, mtu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_at_first_when_it_refuses_and_now_and_then() {
        let mut asked = PathMtu::default();
        let path = |port| Path { local: ([192, 0, 2, 1], 4500).into(), remote: ([192, 0, 2, 2], port).into() };
        let mut due =
            |secs, child, refused| asked.is_due(Instant::from_secs(secs), ChildId(child), path(4500), refused);
        assert!(due(0, 7, false) && !due(599, 7, false));
        assert!(due(1, 8, false), "another child");
        assert!(due(600, 7, false) && !due(600, 7, true));
        assert!(due(601, 7, true), "refused");
        for n in 0..=u64::try_from(REMEMBERED).unwrap() {
            due(700, n, false);
        }
        assert!(asked.is_due(Instant::from_secs(701), ChildId(1), path(4501), false), "another path");
        assert!(asked.0.len() <= REMEMBERED);
    }

    #[test]
    fn a_quoted_packet_names_its_sa() {
        let to = "192.0.2.1".parse().unwrap();
        let error = about(&[0, 0, 0x12, 0x34, 0, 0, 0, 9], to, 1300).unwrap();
        assert_eq!((error.spi, error.sequence), (Spi::from_be_bytes([0, 0, 0x12, 0x34]), Some(9)));
        assert_eq!((error.destination, error.mtu), (to, 1300));
        assert!(about(&[0; 8], to, 1300).is_none(), "the marker of IKE (RFC 3948 §2.2)");
        assert!(about(&[1, 2, 3], to, 1300).is_none());
    }
}
