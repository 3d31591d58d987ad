//! The sockets of IKE and ESP: UDP 500 and 4500 and bare protocol 50, each for IPv4 and IPv6, each telling which local
//! address a packet came to (IP_PKTINFO, RFC 3542), because an IKE SA lives on a pair of addresses.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, recvmsg,
    sendmsg, setsockopt, sockopt,
};
use ravelin::db::Path;
use ravelin_config::Gateway;
use socket2::{Domain, Protocol, SockAddr, Socket as RawSocket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};

/// IP protocol number of ESP (RFC 4303).
const ESP: i32 = 50;

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// UDP; IKE, and on the NAT port also ESP.
    Udp,
    /// Bare ESP; ports are 0.
    Esp,
}

/// One open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: RawSocket,
    pub(crate) carries: Carries,
    v6: bool,
    port: u16,
}

/// All of them; positions are stable, so they serve as event tokens.
#[derive(Debug)]
pub(crate) struct Sockets(Vec<Socket>);

impl Sockets {
    /// Opens all six. IPv6 may be absent from the machine; IPv4 and the privileges may not.
    pub(crate) fn open(gateway: &Gateway) -> io::Result<Self> {
        let wanted =
            [(Carries::Udp, gateway.ike.ports.ike), (Carries::Udp, gateway.ike.ports.nat_t), (Carries::Esp, 0)];
        let mut sockets = Vec::new();
        for (carries, port) in wanted {
            let name = match carries {
                Carries::Udp => format!("UDP port {port}"),
                Carries::Esp => "IP protocol 50".to_owned(),
            };
            let told = |e: io::Error| io::Error::new(e.kind(), format!("{name}: {e}"));
            sockets.push(Socket::open(carries, false, port, gateway.mark).map_err(told)?);
            match Socket::open(carries, true, port, gateway.mark) {
                Ok(s) => sockets.push(s),
                Err(e) => tracing::warn!("no IPv6 for {name}: {e}"),
            }
        }
        Ok(Self(sockets))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.0.iter()
    }

    pub(crate) fn at(&self, index: usize) -> Option<&Socket> {
        self.0.get(index)
    }

    /// Sends from `path.local` to `path.remote`: by UDP from that port, as bare ESP when the port is 0.
    pub(crate) fn send(&self, path: Path, bytes: &[u8]) -> io::Result<()> {
        let fits = |s: &&Socket| s.v6 == path.local.is_ipv6() && s.port == path.local.port();
        let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, format!("no socket for {path}"));
        self.0.iter().find(fits).ok_or_else(none)?.send(path, bytes)
    }
}

impl Socket {
    fn open(carries: Carries, v6: bool, port: u16, mark: u32) -> io::Result<Self> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = match carries {
            Carries::Udp => RawSocket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
            Carries::Esp => RawSocket::new(domain, Type::RAW, Some(Protocol::from(ESP)))?,
        };
        socket.set_nonblocking(true)?;
        // what arrives in one burst must fit; the kernel caps it at net.core.rmem_max
        socket.set_recv_buffer_size(4 << 20)?;
        setsockopt(&socket, sockopt::Mark, &mark)?;
        if v6 {
            if carries == Carries::Udp {
                socket.set_only_v6(true)?;
            }
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        if carries == Carries::Udp {
            let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            socket.bind(&SockAddr::from(SocketAddr::new(any, port)))?;
        }
        Ok(Self { socket, carries, v6, port })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// One packet: where its payload lies in `buf`, and its path. `None`: nothing waits.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> io::Result<Option<(Range<usize>, Path)>> {
        let mut space = cmsg_space!(libc::in6_pktinfo);
        let (len, remote, local) = {
            let mut parts = [IoSliceMut::new(buf)];
            let got = match recvmsg::<SockaddrStorage>(self.fd(), &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT)
            {
                Err(Errno::EAGAIN) => return Ok(None),
                other => other?,
            };
            let local = got.cmsgs()?.find_map(|c| match c {
                ControlMessageOwned::Ipv4PacketInfo(i) => Some(IpAddr::from(i.ipi_addr.s_addr.to_ne_bytes())),
                ControlMessageOwned::Ipv6PacketInfo(i) => Some(IpAddr::from(i.ipi6_addr.s6_addr)),
                _ => None,
            });
            (got.bytes, got.address.as_ref().and_then(address), local)
        };
        let (Some(remote), Some(local)) = (remote, local) else {
            return Err(io::Error::other("a packet without addresses"));
        };
        let remote = if self.carries == Carries::Esp { SocketAddr::new(remote.ip(), 0) } else { remote };
        let path = Path { local: SocketAddr::new(local, self.port), remote };
        Ok(Some((self.header_len(buf).min(len)..len, path)))
    }

    /// A raw IPv4 socket hands out the IP header too (raw(7)); a raw IPv6 one does not (RFC 3542 §3).
    fn header_len(&self, packet: &[u8]) -> usize {
        match (self.carries, self.v6) {
            (Carries::Esp, false) => usize::from(packet.first().unwrap_or(&0) & 0x0f).saturating_mul(4),
            _ => 0,
        }
    }

    fn send(&self, path: Path, bytes: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        match (path.local.ip(), path.remote) {
            (IpAddr::V4(local), SocketAddr::V4(remote)) => {
                let spec_dst = libc::in_addr { s_addr: u32::from_ne_bytes(local.octets()) };
                let info =
                    libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec_dst, ipi_addr: libc::in_addr { s_addr: 0 } };
                let to = SockaddrIn::from(remote);
                sendmsg(self.fd(), &parts, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))?;
            }
            (IpAddr::V6(local), SocketAddr::V6(remote)) => {
                let addr = libc::in6_addr { s6_addr: local.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: addr, ipi6_ifindex: 0 };
                let to = SockaddrIn6::from(remote);
                sendmsg(self.fd(), &parts, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&to))?;
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "addresses of two families")),
        }
        Ok(())
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    match storage.family()? {
        nix::sys::socket::AddressFamily::Inet => {
            storage.as_sockaddr_in().map(|a| SocketAddr::new(a.ip().into(), a.port()))
        }
        nix::sys::socket::AddressFamily::Inet6 => {
            storage.as_sockaddr_in6().map(|a| SocketAddr::new(a.ip().into(), a.port()))
        }
        _ => None,
    }
}

/// The address that the routing table gives packets of ours to `remote`.
pub(crate) fn local_address(remote: IpAddr, mark: u32) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0))?;
    setsockopt(&probe, sockopt::Mark, &mark)?;
    probe.connect((remote, 500))?; // sends nothing
    Ok(probe.local_addr()?.ip())
}
