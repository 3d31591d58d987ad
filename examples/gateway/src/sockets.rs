//! The sockets of IKE and ESP: UDP 500 and 4500 and bare protocol 50, each for IPv4 and IPv6, each telling which local
//! address a packet came to (IP_PKTINFO, RFC 3542), because an IKE SA lives on a pair of addresses. The NAT port has a
//! socket for each worker (SO_REUSEPORT: the kernel keeps each peer with one of them); bare ESP goes to the first.
//!
//! Datagrams of one size go out in one call and through the kernel's stack as one (UDP_SEGMENT), and may come in so
//! (UDP_GRO, by `quinn-udp`).

use crate::fast::bare;
use arrayvec::ArrayVec;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use ravelin::db::Path;
use ravelin_config::Gateway;
use rustix::net::sockopt as mtu;
use socket2::{Domain, MsgHdr, Protocol, SockAddr, Socket as RawSocket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// IP protocol number of ESP (RFC 4303).
const ESP: i32 = 50;
/// Room for packets in a socket's queues, in octets; super-packets count with all their memory.
const ROOM: usize = 8 << 20;
/// Datagrams that one call may send as one, as all kernels with UDP_SEGMENT have it.
pub(crate) const SEGMENTS: usize = 64;

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// UDP with IKE only.
    Ike,
    /// UDP on the NAT port: ESP, and IKE with a marker.
    Nat,
    /// Bare ESP; ports are 0.
    Esp,
}

/// One open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: RawSocket,
    state: UdpSocketState,
    pub(crate) carries: Carries,
    /// The worker that reads it; `None`: the daemon.
    pub(crate) owner: Option<usize>,
    v6: bool,
    port: u16,
    /// Many datagrams in one call.
    segment: AtomicBool,
}

/// All of them; positions are stable, so they serve as event tokens.
#[derive(Debug)]
pub(crate) struct Sockets {
    all: Vec<Socket>,
    /// Of all our packets (SO_MARK).
    mark: u32,
}

impl Sockets {
    /// Opens all of them. IPv6 may be absent from the machine; IPv4 and the privileges may not.
    pub(crate) fn open(gateway: &Gateway, workers: usize) -> io::Result<Self> {
        let ports = &gateway.ike.ports;
        let nat = (0..workers).map(|w| (Carries::Nat, ports.nat_t, Some(w)));
        let wanted = [(Carries::Ike, ports.ike, None), (Carries::Esp, 0, Some(0))].into_iter().chain(nat);
        let mut sockets = Vec::new();
        for (carries, port, owner) in wanted {
            let name = match carries {
                Carries::Ike | Carries::Nat => format!("UDP port {port}"),
                Carries::Esp => "IP protocol 50".to_owned(),
            };
            let told = |e: io::Error| io::Error::new(e.kind(), format!("{name}: {e}"));
            let open = |v6| {
                let mut socket = Socket::open(carries, v6, port, gateway, workers > 1)?;
                socket.owner = owner;
                Ok(socket)
            };
            sockets.push(open(false).map_err(told)?);
            match open(true) {
                Ok(s) => sockets.push(s),
                Err(e) => tracing::warn!("no IPv6 for {name}: {e}"),
            }
        }
        let all = Self { all: sockets, mark: gateway.mark };
        if gateway.offload && !all.all.iter().any(|s| s.segment.load(Ordering::Relaxed)) {
            tracing::info!("this kernel has no UDP segmentation offload (Linux 4.18): datagrams go one by one");
        }
        Ok(all)
    }

    /// Those that somebody reads, with their places.
    pub(crate) fn of(&self, owner: Option<usize>) -> impl Iterator<Item = (usize, &Socket)> {
        self.all.iter().enumerate().filter(move |(_, s)| s.owner == owner)
    }

    pub(crate) fn at(&self, index: usize) -> Option<&Socket> {
        self.all.get(index)
    }

    /// Sends from `path.local` to `path.remote`: by UDP from that port, as bare ESP when the port is 0.
    pub(crate) fn send(&self, path: Path, bytes: &[u8]) -> io::Result<()> {
        self.send_many(None, path, 0, &[IoSlice::new(bytes)]).map(drop)
    }

    /// The MTU that the kernel's routes have for a path: of the interface, or what ICMP errors said.
    pub(crate) fn path_mtu(&self, path: Path) -> Option<u16> {
        let probe = probe(path.local.ip(), path.remote.ip(), self.mark).ok()?;
        let mtu = if path.local.is_ipv6() { mtu::ipv6_mtu(&probe) } else { mtu::ip_mtu(&probe) };
        Some(u16::try_from(mtu.ok()?).unwrap_or(u16::MAX))
    }

    /// Sends many, at most [`SEGMENTS`], all of one size but the last, which may be smaller, or bare ESP of any sizes: by
    /// the socket of this worker if it has one. `class`: DSCP and ECN of the outer header. True when the kernel said
    /// that they are too large for the path, and took them to fragment them.
    pub(crate) fn send_many(
        &self,
        worker: Option<usize>,
        path: Path,
        class: u8,
        parts: &[IoSlice<'_>],
    ) -> io::Result<bool> {
        let fits = |s: &&Socket| s.v6 == path.local.is_ipv6() && s.port == path.local.port();
        let own = self.all.iter().filter(|s| s.owner == worker).find(fits);
        let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, format!("no socket for {path}"));
        own.or_else(|| self.all.iter().find(fits)).ok_or_else(none)?.send(path, class, parts)
    }
}

impl Socket {
    fn open(carries: Carries, v6: bool, port: u16, gateway: &Gateway, shared: bool) -> io::Result<Self> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = match carries {
            Carries::Ike | Carries::Nat => RawSocket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
            Carries::Esp => RawSocket::new(domain, Type::RAW, Some(Protocol::from(ESP)))?,
        };
        // what arrives in one burst must fit; without privileges the kernel caps it at net.core.rmem_max
        if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
            socket.set_recv_buffer_size(ROOM)?;
        }
        if setsockopt(&socket, sockopt::SndBufForce, &ROOM).is_err() {
            socket.set_send_buffer_size(ROOM)?;
        }
        setsockopt(&socket, sockopt::Mark, &gateway.mark)?;
        if v6 && carries != Carries::Esp {
            socket.set_only_v6(true)?;
        }
        let state = receiving(&socket)?;
        if v6 {
            // the library wants to find the path MTU itself; here the kernel does, and fragments what is larger
            mtu::set_ipv6_mtu_discover(&socket, mtu::Ipv6PathMtuDiscovery::WANT)?;
            setsockopt(&socket, sockopt::Ipv6DontFrag, &false)?;
        } else {
            mtu::set_ip_mtu_discover(&socket, mtu::Ipv4PathMtuDiscovery::WANT)?;
        }
        if carries == Carries::Nat && !gateway.offload {
            setsockopt(&socket, sockopt::UdpGroSegment, &false)?;
        }
        if carries == Carries::Nat && shared {
            setsockopt(&socket, sockopt::ReusePort, &true)?;
        }
        if carries != Carries::Esp {
            let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            socket.bind(&SockAddr::from(SocketAddr::new(any, port)))?;
        }
        if carries != Carries::Ike {
            // path MTU: see fast/pathmtu.rs
            if v6 {
                setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
            } else {
                setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
            }
        }
        let segment = carries == Carries::Nat && gateway.offload && state.max_gso_segments() > 1;
        Ok(Self { socket, state, carries, owner: None, v6, port, segment: AtomicBool::new(segment) })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Fills buffers with what waits, each with one packet or a run of datagrams of one size; how many. An error of kind
    /// `WouldBlock`: nothing waits.
    pub(crate) fn receive(&self, buffers: &mut [IoSliceMut<'_>], about: &mut [RecvMeta]) -> io::Result<usize> {
        self.state.recv(UdpSockRef::from(&self.socket), buffers, about)
    }

    /// Between whom a packet went.
    pub(crate) fn path(&self, about: &RecvMeta) -> Option<Path> {
        let port = if self.carries == Carries::Esp { 0 } else { about.addr.port() };
        let remote = SocketAddr::new(about.addr.ip(), port);
        Some(Path { local: SocketAddr::new(about.dst_ip?, self.port), remote })
    }

    /// A raw IPv4 socket hands out the IP header too (raw(7)); a raw IPv6 one does not (RFC 3542 §3).
    pub(crate) fn header_len(&self, packet: &[u8]) -> usize {
        match (self.carries, self.v6) {
            (Carries::Esp, false) => usize::from(packet.first().unwrap_or(&0) & 0x0f).saturating_mul(4),
            _ => 0,
        }
    }

    fn send(&self, path: Path, class: u8, parts: &[IoSlice<'_>]) -> io::Result<bool> {
        if self.carries == Carries::Esp && parts.len() > 1 {
            return insist(|| bare::send(self.fd(), path, class, parts)).map(|()| false);
        }
        let to = SockAddr::from(path.remote);
        let mut control = Control::default();
        match path.local.ip() {
            IpAddr::V4(local) => control.source_v4(local, class),
            IpAddr::V6(local) => control.source_v6(local, class),
        }
        let flags = libc::MSG_DONTWAIT;
        let send = |parts: &[IoSlice<'_>], control: &Control| {
            let message = MsgHdr::new().with_addr(&to).with_buffers(parts).with_control(control.octets());
            insist(|| self.socket.sendmsg(&message, flags).map(drop))
        };
        let mut refused = false;
        if parts.len() > 1 && self.segment.load(Ordering::Relaxed) {
            let size = parts.first().map_or(0, |p| p.len());
            let mut with_size = control.clone();
            with_size.segment(u16::try_from(size).unwrap_or(u16::MAX));
            match send(parts, &with_size) {
                Ok(()) => return Ok(false),
                Err(e) if e.raw_os_error() == Some(libc::EIO) => {
                    // the device cannot make checksums
                    if self.segment.swap(false, Ordering::Relaxed) {
                        tracing::warn!("segmentation offload towards {}: {e}; datagrams go one by one", path.remote);
                    }
                }
                // each is larger than the path carries: the kernel fragments only what is sent alone
                Err(e) if matches!(e.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL)) => refused = true,
                Err(e) => return Err(e),
            }
        }
        parts.iter().try_for_each(|p| send(std::slice::from_ref(p), &control))?;
        Ok(refused)
    }
}

/// Tries a second time: the first error may be that of an ICMP message about an earlier packet (IP_RECVERR, ip(7)).
fn insist(mut send: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    match send() {
        Err(e) if e.kind() != io::ErrorKind::WouldBlock => send(),
        other => other,
    }
}

/// The library's way to receive, without the timestamps that it asks for: with them its room for ancillary data is too
/// small for the traffic class of a run of datagrams, and ECN would be lost.
fn receiving(socket: &RawSocket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    setsockopt(socket, sockopt::ReceiveTimestampns, &false)?;
    Ok(state)
}

/// Ancillary data of a message to be sent (cmsg(3)), without allocation.
#[derive(Debug, Clone, Default)]
struct Control(ArrayVec<u8, 128>);

/// What control messages are aligned to.
const WORD: usize = size_of::<usize>();

impl Control {
    fn source_v4(&mut self, local: Ipv4Addr, class: u8) {
        // in_pktinfo: interface, source, destination
        let [a, b, c, d] = local.octets();
        self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]);
        if class != 0 {
            self.push(libc::IPPROTO_IP, libc::IP_TOS, &i32::from(class).to_ne_bytes());
        }
    }

    fn source_v6(&mut self, local: Ipv6Addr, class: u8) {
        // in6_pktinfo: source, interface
        let mut info = [0; 20];
        info.iter_mut().zip(local.octets()).for_each(|(to, from)| *to = from);
        self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        if class != 0 {
            self.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &i32::from(class).to_ne_bytes());
        }
    }

    fn segment(&mut self, size: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let head = (WORD + 8).next_multiple_of(WORD);
        let parts = [&head.saturating_add(data.len()).to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes()];
        let all = parts.into_iter().chain([data]).flatten();
        let whole = head.saturating_add(data.len()).next_multiple_of(WORD);
        let end = self.0.len().saturating_add(whole).min(self.0.capacity());
        self.0.extend(all.copied().take(self.0.remaining_capacity()));
        while self.0.len() < end {
            self.0.push(0);
        }
    }

    fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// The address that the routing table gives packets of ours to `remote`.
pub(crate) fn local_address(remote: IpAddr, mark: u32) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    Ok(probe(any, remote, mark)?.local_addr()?.ip())
}

/// A socket that knows the route of packets of ours to `remote`; it sends nothing.
fn probe(local: IpAddr, remote: IpAddr, mark: u32) -> io::Result<UdpSocket> {
    let probe = UdpSocket::bind((local, 0))?;
    setsockopt(&probe, sockopt::Mark, &mark)?;
    probe.connect((remote, 500))?;
    Ok(probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(v6: bool) -> io::Result<Socket> {
        let (domain, home): (_, IpAddr) =
            if v6 { (Domain::IPV6, Ipv6Addr::LOCALHOST.into()) } else { (Domain::IPV4, Ipv4Addr::LOCALHOST.into()) };
        let socket = RawSocket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        let state = receiving(&socket)?;
        socket.bind(&SockAddr::from(SocketAddr::new(home, 0)))?;
        let port = socket.local_addr()?.as_socket().unwrap().port();
        Ok(Socket { socket, state, carries: Carries::Nat, owner: None, v6, port, segment: AtomicBool::new(true) })
    }

    /// In one call or in many, the same datagrams arrive, with their addresses and ECN.
    #[test]
    fn a_run_of_datagrams_arrives_as_it_was() {
        for (v6, segment) in [(false, true), (false, false), (true, true), (true, false)] {
            let (Ok(a), Ok(b)) = (socket(v6), socket(v6)) else {
                println!("no loopback, IPv6: {v6}");
                continue;
            };
            a.segment.store(segment && a.state.max_gso_segments() > 1, Ordering::Relaxed);
            let home = if v6 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
            let at = |s: &Socket| SocketAddr::new(home, s.port);
            let sent: Vec<Vec<u8>> = (0..12u8).map(|i| vec![i; if i == 11 { 300 } else { 1000 }]).collect();
            let parts: Vec<_> = sent.iter().map(|d| IoSlice::new(d)).collect();
            a.send(Path { local: at(&a), remote: at(&b) }, 0xb9, &parts).unwrap();
            let mut arrived = Vec::new();
            let mut buffers = vec![vec![0; 65_536]; 4];
            let mut about = [RecvMeta::default(); 4];
            loop {
                let mut slices: Vec<_> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
                match b.receive(&mut slices, &mut about) {
                    Err(e) => break assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
                    Ok(n) => {
                        for (buffer, about) in buffers.iter().zip(&about).take(n) {
                            assert_eq!(b.path(about), Some(Path { local: at(&b), remote: at(&a) }));
                            assert_eq!(about.ecn.map(|e| e as u8), Some(1), "IPv6: {v6}, in one call: {segment}");
                            arrived.extend(buffer[..about.len].chunks(about.stride).map(<[u8]>::to_vec));
                        }
                    }
                }
            }
            assert_eq!(arrived, sent, "IPv6: {v6}, in one call: {segment}");
        }
    }

    /// Many in one call, of any sizes, without anything lost or joined.
    #[test]
    fn bare_esp_arrives_as_it_was() {
        for (v6, home) in [(false, IpAddr::from(Ipv4Addr::LOCALHOST)), (true, Ipv6Addr::LOCALHOST.into())] {
            let open = || Socket::open(Carries::Esp, v6, 0, &Gateway::default(), false);
            let (Ok(a), Ok(b)) = (open(), open()) else {
                println!("no raw sockets, IPv6: {v6}");
                continue;
            };
            // others may use protocol 50 on this machine too
            let mark = std::process::id().to_be_bytes();
            let sent: Vec<Vec<u8>> =
                (0..40u8).map(|i| [&mark[..], &vec![i; 40 + usize::from(i % 5) * 300]].concat()).collect();
            let parts: Vec<_> = sent.iter().map(|d| IoSlice::new(d)).collect();
            let end = SocketAddr::new(home, 0);
            a.send(Path { local: end, remote: end }, 0xb9, &parts).unwrap();
            let mut arrived = Vec::new();
            let mut buffers = vec![vec![0; 4096]; 8];
            let mut about = [RecvMeta::default(); 8];
            loop {
                let mut slices: Vec<_> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
                match b.receive(&mut slices, &mut about) {
                    Err(e) => break assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
                    Ok(n) => {
                        for (buffer, about) in buffers.iter().zip(&about).take(n) {
                            let esp = buffer[b.header_len(buffer)..about.len].to_vec();
                            if esp.starts_with(&mark) {
                                assert_eq!(b.path(about), Some(Path { local: end, remote: end }));
                                assert_eq!(about.ecn.map(|e| e as u8), Some(1), "IPv6: {v6}");
                                arrived.push(esp);
                            }
                        }
                    }
                }
            }
            assert_eq!(arrived, sent, "IPv6: {v6}");
        }
    }
}
