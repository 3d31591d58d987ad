//! This host's addresses, and news of them from the kernel (rtnetlink): what MOBIKE (RFC 4555 §3.2) and routes need to know.

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::libc;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};
use ravelin_config::Gateway;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Multicast groups of rtnetlink(7): links, addresses and routes of both families.
const GROUPS: i32 = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;

/// Hears when addresses or routes change; what is then true is looked up anew.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS.cast_unsigned()))?;
        Ok(Self(fd))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes all news; true when there were any, or more than the kernel could keep for us.
    pub(crate) fn drain(&self) -> bool {
        let mut any = false;
        let mut buf = [0; 8192];
        loop {
            match recv(self.fd(), &mut buf, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::ENOBUFS) => any = true,
                Err(Errno::EINTR) => {}
                Err(_) => return any,
            }
        }
    }
}

/// Addresses as the interfaces have them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// All but those of the TUN device: sources of packets into tunnels.
    pub(crate) inner: Vec<IpAddr>,
    /// Those that peers may reach us at.
    pub(crate) outer: Vec<IpAddr>,
}

impl Addresses {
    /// Looks them up.
    pub(crate) fn read(g: &Gateway) -> io::Result<Self> {
        let mut found = Self::default();
        for i in getifaddrs()?.filter(|i| i.interface_name != g.tun && i.flags.contains(InterfaceFlags::IFF_UP)) {
            let Some(addr) = address(&i) else { continue };
            found.inner.push(addr);
            let wanted = if g.interfaces.is_empty() {
                !i.flags.contains(InterfaceFlags::IFF_LOOPBACK)
            } else {
                g.interfaces.contains(&i.interface_name)
            };
            if wanted && !addr.is_loopback() && !is_link_local(addr) && !found.outer.contains(&addr) {
                found.outer.push(addr);
            }
        }
        Ok(found)
    }

    /// The outer ones, those of `first` before the others.
    pub(crate) fn ordered(&self, first: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
        let mut out: Vec<IpAddr> = Vec::new();
        let known = first.into_iter().filter(|a| self.outer.contains(a));
        for addr in known.chain(self.outer.iter().copied()) {
            if !out.contains(&addr) {
                out.push(addr);
            }
        }
        out
    }
}

fn address(i: &InterfaceAddress) -> Option<IpAddr> {
    let storage = i.address.as_ref()?;
    let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_inner_and_not_outer() {
        let all = Addresses::read(&Gateway::default()).unwrap();
        assert!(all.inner.contains(&"127.0.0.1".parse().unwrap()), "{all:?}");
        assert!(!all.outer.iter().any(IpAddr::is_loopback), "{all:?}");
    }

    #[test]
    fn the_preferred_come_first_and_only_once() {
        let ip = |s: &str| -> IpAddr { s.parse().unwrap() };
        let all = Addresses { inner: vec![], outer: vec![ip("192.0.2.1"), ip("192.0.2.2"), ip("fd00::1")] };
        let first = [ip("192.0.2.2"), ip("192.0.2.99"), ip("192.0.2.2")];
        assert_eq!(all.ordered(first), [ip("192.0.2.2"), ip("192.0.2.1"), ip("fd00::1")]);
    }
}
