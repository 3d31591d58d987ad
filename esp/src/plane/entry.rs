//! One direction of one Child SA as the plane keeps it: the keyed SA with its counters, shared for good, and the
//! outer addresses of the moment. A `Move` makes a new entry around the same core.

use super::report::{HINT_INTERVAL, Reports};
use super::stats::{DirectionStats, Drops};
use crate::lifetime::{Crossed, Usage, flag};
use crate::mode::transport::single_host;
use crate::packet::IpPacket;
use crate::selectors::Selectors;
use crate::{DropReason, InboundSa, OutboundSa};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ravelin_sa_db::{ChildId, Direction, Encapsulation, Instant, Mode, PacketKey, Path, Protocol, Report, SaParams};

/// What never changes while an SA lives, `S` being [`InboundSa`] or [`OutboundSa`].
pub(crate) struct Core<S> {
    pub(crate) sa: S,
    pub(crate) usage: Usage,
    pub(crate) drops: Drops,
    pub(crate) selectors: Selectors,
    /// Hash of the last path reported, and when.
    path_hash: AtomicU64,
    path_at: AtomicU64,
    /// Largest outer IP packet the path carries; 0: not known.
    pub(crate) mtu: AtomicU32,
    /// Identification of outer IPv4 headers (RFC 6864).
    pub(crate) ip_id: AtomicU64,
}

/// A core and where its packets go.
pub(crate) struct Entry<S> {
    pub(crate) core: Arc<Core<S>>,
    pub(crate) params: Arc<SaParams>,
    pub(crate) path: Path,
    pub(crate) encapsulation: Encapsulation,
    // Copies of what every packet needs, so that the parameters themselves are not touched.
    pub(crate) spi: u32,
    pub(crate) mode: Mode,
    pub(crate) protocol: Protocol,
    pub(crate) tfc_padding: bool,
    child: ChildId,
    /// Moved or removed: whoever keeps this entry looks it up again.
    pub(crate) stale: AtomicBool,
}

pub(crate) type Inbound = Entry<InboundSa>;
pub(crate) type Outbound = Entry<OutboundSa>;

impl<S> Entry<S> {
    pub(crate) fn new(sa: S, params: Arc<SaParams>, now: Instant) -> Self {
        let core = Core {
            sa,
            usage: Usage::new(params.lifetime, now),
            drops: Drops::new(),
            selectors: Selectors::new(&params),
            path_hash: AtomicU64::new(0),
            path_at: AtomicU64::new(0),
            mtu: AtomicU32::new(0),
            ip_id: AtomicU64::new(u64::from(params.spi.0)),
        };
        let (path, encapsulation) = (params.path, params.encapsulation);
        Self::around(Arc::new(core), params, path, encapsulation)
    }

    pub(crate) fn moved(&self, path: Path, encapsulation: Encapsulation) -> Self {
        let (core, params) = (Arc::clone(&self.core), Arc::clone(&self.params));
        Self::around(core, params, path, encapsulation)
    }

    fn around(core: Arc<Core<S>>, params: Arc<SaParams>, path: Path, encapsulation: Encapsulation) -> Self {
        Self {
            core,
            path,
            encapsulation,
            spi: params.spi.0,
            mode: params.mode,
            protocol: params.protocol,
            tfc_padding: params.tfc_padding,
            child: params.child,
            stale: AtomicBool::new(false),
            params,
        }
    }

    /// Is the packet inside the SA's selectors? Behind a NAT, transport mode shows other addresses than were
    /// negotiated; there the SA itself stands for them, where each is one address (RFC 7296 §2.23.1).
    #[inline]
    pub(crate) fn holds(&self, ip: &IpPacket, direction: Direction) -> bool {
        self.core.selectors.hold(ip, direction)
            || (self.mode == Mode::Transport
                && self.encapsulation == Encapsulation::Udp
                && translated_hold(&self.params, &ip.key(direction)))
    }

    /// The table has another entry, or none, in its place.
    pub(crate) fn retire(&self) {
        self.stale.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    pub(crate) fn child(&self) -> ChildId {
        self.child
    }

    pub(crate) fn drop_for(&self, reason: DropReason) -> DropReason {
        self.core.drops.count(reason);
        reason
    }

    /// Counts `packets` with `bytes` octets together and reports limits that were crossed.
    #[inline]
    pub(crate) fn account(&self, packets: u64, bytes: u64, now: Instant, reports: &Reports) {
        let crossed = self.core.usage.add(packets, bytes, now);
        if crossed != Crossed::default() {
            self.report_crossed(crossed, reports);
        }
    }

    #[cold]
    fn report_crossed(&self, crossed: Crossed, reports: &Reports) {
        if crossed.soft {
            reports.push(Report::SoftExpired(self.child()));
        }
        if crossed.hard {
            reports.push(Report::HardExpired(self.child()));
        }
    }

    /// An authenticated packet came on another path than the SA's (RFC 7296 §2.23). Only SAs behind a NAT follow.
    #[cold]
    pub(crate) fn path_seen(&self, path: Path, now: Instant, reports: &Reports) {
        if self.encapsulation != Encapsulation::Udp {
            return;
        }
        // The same path again is news only after a while; another one ten times a second at most.
        let hash = hash_path(&path);
        let again = self.core.path_hash.load(Ordering::Relaxed) == hash;
        let pause = if again { HINT_INTERVAL.saturating_mul(100) } else { HINT_INTERVAL };
        let last = self.core.path_at.load(Ordering::Relaxed);
        if last != 0 && now.micros() < last.saturating_add(pause) {
            return;
        }
        let claimed =
            self.core.path_at.compare_exchange(last, now.micros().max(1), Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_ok() && reports.push(Report::PathSeen { child: self.child(), path }) {
            self.core.path_hash.store(hash, Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self, sequence: u64) -> DirectionStats {
        DirectionStats {
            spi: self.params.spi,
            packets: self.core.usage.packets(),
            bytes: self.core.usage.bytes(),
            last: self.core.usage.last(),
            sequence,
            path: self.path,
            encapsulation: self.encapsulation,
            drops: self.core.drops.snapshot(),
        }
    }
}

impl Outbound {
    /// The sequence number of a sent packet, for the early warning (RFC 4303 §3.3.3).
    #[inline]
    pub(crate) fn note_number(&self, number: u64, reports: &Reports) {
        if self.core.sa.sequence().is_low(number) && self.core.usage.raise(flag::SEQUENCE) {
            reports.push(Report::SequenceLow(self.child()));
        }
    }
}

fn translated_hold(params: &SaParams, key: &PacketKey) -> bool {
    let (Some(local), Some(remote)) = (single_host(&params.local_ts), single_host(&params.remote_ts)) else {
        return false;
    };
    PacketKey { local, remote, ..*key }.matches_any(&params.local_ts, &params.remote_ts)
}

fn hash_path(path: &Path) -> u64 {
    use core::hash::{Hash, Hasher};
    let mut h = super::table::Fast::default();
    path.hash(&mut h);
    h.finish().max(1)
}
