//! The TUN device and the routes into it. Routes stand in a table of their own that a rule asks for every packet
//! without our mark, so that protected traffic never leaves in the clear and our own packets never come back to us.

use ravelin::db::{AddrRange, Direction, Policy};
use ravelin::esp::{IpPacket, icmp};
use ravelin_config::{Config, Gateway};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;
use tun_rs::{DeviceBuilder, SyncDevice};

/// The open device; dropping it removes device, routes and rules.
pub(crate) struct Tun {
    device: SyncDevice,
    undo: Vec<Vec<String>>,
}

impl Tun {
    /// Opens the device and routes every policy's remote selectors into it.
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let g = &config.gateway;
        let told = |e: io::Error| io::Error::new(e.kind(), format!("TUN device {}: {e}", g.tun));
        let device = DeviceBuilder::new().name(&g.tun).mtu(g.mtu).build_sync().map_err(told)?;
        device.set_nonblocking(true)?;
        let mut tun = Self { device, undo: Vec::new() };
        let own = own_addresses()?;
        for family in ["-4", "-6"] {
            tun.route_family(g, family, config.db.spd.iter().map(|p| &**p), &own)?;
        }
        Ok(tun)
    }

    fn route_family<'a>(
        &mut self,
        g: &Gateway,
        family: &str,
        policies: impl Iterator<Item = &'a Policy>,
        own: &[IpAddr],
    ) -> io::Result<()> {
        let table = g.route_table.to_string();
        let mut routed = false;
        for policy in policies {
            let source =
                own.iter().find(|a| is_family(family, **a) && policy.local.iter().any(|t| t.addrs.contains(**a)));
            for range in policy.remote.iter().map(|t| t.addrs).filter(|r| is_family(family, r.first())) {
                for prefix in prefixes(range) {
                    let mut args = vec![family, "route", "replace", &prefix, "dev", &g.tun, "table", &table];
                    let source = source.map(IpAddr::to_string);
                    if let Some(source) = &source {
                        args.extend(["src", source]);
                    }
                    ip(&args)?;
                    self.undo.push(strings(&[family, "route", "del", &prefix, "table", &table]));
                    routed = true;
                }
            }
        }
        if routed {
            let mark = g.mark.to_string();
            let rule = ["not", "fwmark", &mark, "lookup", &table, "priority", &table];
            let with = |verb| [&[family, "rule", verb][..], &rule[..]].concat();
            let _ = ip(&with("del")); // of a run that was killed
            ip(&with("add"))?;
            self.undo.push(strings(&with("del")));
        }
        Ok(())
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }

    /// One IP packet that the kernel wants sent, or `None`.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.device.recv(buf) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    /// Tells the sender of `packet` that the tunnel carries `mtu` octets at most (RFC 4301 §8.2). The error comes from the
    /// address that the packet went to, as no other is sure to be routed here.
    pub(crate) fn tell_too_big(&self, packet: &[u8], mtu: u16) {
        let Ok(about) = IpPacket::parse(packet) else { return };
        let mut error = [0; 1280];
        let source = about.key(Direction::Outbound).remote;
        if let Some(error) = icmp::too_big(packet, mtu, source, &mut error).and_then(|len| error.get(..len))
            && let Err(e) = self.send(error)
        {
            tracing::debug!("TUN device: {e}");
        }
    }

    /// Gives an IP packet to the kernel.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.device.send(packet).map(drop)
    }
}

impl Drop for Tun {
    fn drop(&mut self) {
        for args in self.undo.iter().rev() {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            if let Err(e) = ip(&args) {
                tracing::debug!("{e}");
            }
        }
    }
}

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(ToString::to_string).collect()
}

fn is_family(family: &str, addr: IpAddr) -> bool {
    addr.is_ipv6() == (family == "-6")
}

/// Runs `ip ARGS…`.
fn ip(args: &[&str]) -> io::Result<String> {
    let said = Command::new("ip").args(args).output().map_err(|e| io::Error::new(e.kind(), format!("ip: {e}")))?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    Err(io::Error::other(format!("ip {}: {}", args.join(" "), why.trim())))
}

/// This host's addresses: the source of packets into a tunnel is one that its selectors allow.
fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let text = ip(&["-o", "addr", "show"])?;
    let address = |line: &str| line.split_whitespace().nth(3)?.split('/').next()?.parse().ok();
    Ok(text.lines().filter_map(address).collect())
}

/// The range as prefixes, as few as possible.
fn prefixes(range: AddrRange) -> Vec<String> {
    let (mut first, last, bits) = match range {
        AddrRange::V4(a, b) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        AddrRange::V6(a, b) => (a.to_bits(), b.to_bits(), 128),
    };
    let mut found = Vec::new();
    loop {
        // the largest block that starts here and does not pass the end
        let mut host = first.trailing_zeros().min(bits);
        while host > 0 && block_end(first, host) > last {
            host = host.saturating_sub(1);
        }
        let addr = match range {
            AddrRange::V4(..) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(first).unwrap_or(u32::MAX))),
            AddrRange::V6(..) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        found.push(format!("{addr}/{}", bits.saturating_sub(host)));
        let end = block_end(first, host);
        if end >= last {
            return found;
        }
        first = end.saturating_add(1);
    }
}

/// The last address of the block of `host` bits that starts at `first`.
fn block_end(first: u128, host: u32) -> u128 {
    first | 1u128.checked_shl(host).map_or(u128::MAX, |b| b.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(first: &str, last: &str) -> Vec<String> {
        prefixes(AddrRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap())
    }

    #[test]
    fn ranges_become_prefixes() {
        assert_eq!(split("10.0.0.0", "10.0.0.255"), ["10.0.0.0/24"]);
        assert_eq!(split("0.0.0.0", "255.255.255.255"), ["0.0.0.0/0"]);
        assert_eq!(split("10.0.0.1", "10.0.0.1"), ["10.0.0.1/32"]);
        assert_eq!(split("10.0.0.1", "10.0.0.6"), ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
        assert_eq!(split("255.255.255.254", "255.255.255.255"), ["255.255.255.254/31"]);
        assert_eq!(split("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ["::/0"]);
        assert_eq!(split("fd00::", "fd00::2"), ["fd00::/127", "fd00::2/128"]);
    }
}
