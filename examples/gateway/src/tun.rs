//! The TUN device, where inner packets come from and go to: a queue for each worker, with segmentation offloads where the
//! kernel has them. With offloads a header stands before each packet (`fast/virtio.rs`).

use crate::fast::virtio::{self, Header};
use nix::libc;
use ravelin::db::Direction;
use ravelin::esp::{IpPacket, icmp};
use ravelin_config::Gateway;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use tun_rs::{DeviceBuilder, SyncDevice};

/// Packets that may wait in each queue.
const QUEUE: u32 = 1000;

/// One queue of the device. The device goes with the last of them.
pub(crate) struct Tun {
    device: SyncDevice,
    /// TCP super-packets, and a header before each packet.
    pub(crate) offload: bool,
    /// UDP super-packets (Linux 6.2).
    pub(crate) udp: bool,
}

impl Tun {
    /// Makes the device with as many queues as wanted, or one.
    pub(crate) fn open(g: &Gateway, queues: usize) -> io::Result<Vec<Arc<Self>>> {
        let told = |e: io::Error| io::Error::new(e.kind(), format!("TUN device {}: {e}", g.tun));
        let make = |offload, multi| {
            let name = DeviceBuilder::new().name(&g.tun).mtu(g.mtu).tx_queue_len(QUEUE);
            name.offload(offload).multi_queue(multi).build_sync()
        };
        let made = match make(g.offload, queues > 1) {
            // a device of that name, no privilege: nothing that less of it would cure
            Err(e) if g.offload && !matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EPERM | libc::ENOENT)) => {
                tracing::warn!("TUN device {} without offloads: {e}", g.tun);
                make(false, queues > 1).or_else(|_| make(false, false))
            }
            other => other,
        };
        let first = Self::of(made.map_err(told)?)?;
        let mut all = vec![first];
        while all.len() < queues {
            match all.first().map(|q| q.device.try_clone()) {
                Some(Ok(device)) => all.push(Self::of(device)?),
                Some(Err(e)) => {
                    tracing::warn!("TUN device {} has {} queues: {e}", g.tun, all.len());
                    break;
                }
                None => break,
            }
        }
        let first = all.first();
        let (tcp, udp) = (first.is_some_and(|q| q.offload), first.is_some_and(|q| q.udp));
        if g.offload && tcp && !udp {
            tracing::info!("TUN device {} has no offload for UDP, which Linux has since 6.2", g.tun);
        }
        tracing::debug!(queues = all.len(), tcp, udp, "TUN device {}", g.tun);
        Ok(all.into_iter().map(Arc::new).collect())
    }

    fn of(device: SyncDevice) -> io::Result<Self> {
        device.set_nonblocking(true)?;
        let (offload, udp) = (device.tcp_gso(), device.udp_gso());
        Ok(Self { device, offload, udp })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }

    /// One packet or super-packet that the kernel wants sent, its octets first into `near`, behind room for the header,
    /// what does not fit there into `far`: the header and the length; or `None`.
    pub(crate) fn receive(&self, near: &mut [u8], far: &mut [u8]) -> io::Result<Option<(Header, usize)>> {
        let before = if self.offload { virtio::LEN } else { 0 };
        let near = near.get_mut(virtio::LEN.saturating_sub(before)..).unwrap_or_default();
        let got = self.device.recv_vectored(&mut [IoSliceMut::new(near), IoSliceMut::new(far)]);
        match got {
            Ok(len) => {
                let header = near.first_chunk().filter(|_| self.offload);
                Ok(Some((header.map_or_else(Header::default, |h| Header::decode(*h)), len.saturating_sub(before))))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Tells the sender of `packet` that the tunnel carries `mtu` octets at most (RFC 4301 §8.2). The error comes from the
    /// address that the packet went to, as no other is sure to be routed here.
    pub(crate) fn tell_too_big(&self, packet: &[u8], mtu: u16) {
        let Ok(about) = IpPacket::parse(packet) else { return };
        let mut error = [0; 1280];
        let source = about.key(Direction::Outbound).remote;
        if let Some(error) = icmp::too_big(packet, mtu, source, &mut error).and_then(|len| error.get(..len)) {
            self.send(error);
        }
    }

    /// Gives an IP packet to the kernel.
    pub(crate) fn send(&self, packet: &[u8]) {
        let none = [0; virtio::LEN];
        match self.offload {
            true => self.write(&[IoSlice::new(&none), IoSlice::new(packet)]),
            false => self.write(&[IoSlice::new(packet)]),
        }
    }

    /// The same in parts, the header before it where the device has offloads.
    pub(crate) fn write(&self, parts: &[IoSlice<'_>]) {
        if let Err(e) = self.device.send_vectored(parts) {
            tracing::debug!("TUN device: {e}");
        }
    }
}
