//! The TUN device, where inner packets come from and go to.

use ravelin::db::Direction;
use ravelin::esp::{IpPacket, icmp};
use ravelin_config::Gateway;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use tun_rs::{DeviceBuilder, SyncDevice};

/// The open device; dropping it removes it.
pub(crate) struct Tun {
    device: SyncDevice,
}

impl Tun {
    /// Makes the device.
    pub(crate) fn open(g: &Gateway) -> io::Result<Self> {
        let told = |e: io::Error| io::Error::new(e.kind(), format!("TUN device {}: {e}", g.tun));
        let device = DeviceBuilder::new().name(&g.tun).mtu(g.mtu).build_sync().map_err(told)?;
        device.set_nonblocking(true)?;
        Ok(Self { device })
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
