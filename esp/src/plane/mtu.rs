//! Path MTU per Child SA (RFC 4301 §8.2, RFC 1191, RFC 8201): told by the driver, or learned from ICMP errors that
//! fit a packet this plane has really sent. An ICMP error is not authenticated: it has to name the SPI, the
//! destination and a recent sequence number, it can only lower the value, and never below what every path carries.

use super::Plane;
use crate::PlaneError;
use crate::icmp::SizeError;
use core::sync::atomic::Ordering;
use ravelin_sa_db::{ChildId, Spi};

/// How far behind the newest number the quoted one may be.
const RECENT: u64 = 1 << 16;

impl Plane {
    /// Says how large an outer IP packet the path of this Child SA carries; 0: not known. The driver repeats or
    /// clears it when its own discovery says so (RFC 1191 §6.3 suggests after ten minutes).
    ///
    /// # Errors
    /// [`PlaneError::UnknownChild`].
    pub fn set_path_mtu(&self, child: ChildId, mtu: u16) -> Result<(), PlaneError> {
        let entry = self.outbound.get(&child).ok_or(PlaneError::UnknownChild)?;
        entry.core().mtu.store(u32::from(mtu), Ordering::Relaxed);
        Ok(())
    }

    /// The path MTU of a Child SA, when it is known.
    #[must_use]
    pub fn path_mtu(&self, child: ChildId) -> Option<u16> {
        let mtu = self.outbound.get(&child)?.core().mtu.load(Ordering::Relaxed);
        u16::try_from(mtu).ok().filter(|m| *m != 0)
    }

    /// Takes an ICMP size error (see [`crate::icmp::read_size_error`]) and lowers the path MTU of the SA that sent the
    /// packet; gives that SA, or `None` when the error fits nothing or says nothing new.
    pub fn handle_size_error(&self, error: &SizeError) -> Option<ChildId> {
        let control = self.control.lock();
        let all = (error.spi, ChildId(0))..=(error.spi, ChildId(u64::MAX));
        let entry = control.by_spi.range::<(Spi, ChildId), _>(all).find_map(|((_, child), ())| {
            let e = control.children.get(child)?.outbound.as_ref()?;
            (e.path().remote.ip() == error.destination).then_some(e)
        })?;
        let used = entry.core().sa.sequence().used();
        let low = u64::from(error.sequence?);
        // The newest number not above `used` with these low bits.
        let high = if low <= used & 0xffff_ffff { used >> 32 } else { (used >> 32).checked_sub(1)? };
        if used.saturating_sub((high << 32) | low) > RECENT || low == 0 && high == 0 {
            return None;
        }
        let least = if error.destination.is_ipv6() { 1280 } else { 576 };
        let mtu = error.mtu.max(least);
        let before = entry.core().mtu.load(Ordering::Relaxed);
        if mtu > u32::from(u16::MAX) || (before != 0 && mtu >= before) {
            return None;
        }
        entry.core().mtu.store(mtu, Ordering::Relaxed);
        Some(entry.child())
    }
}
