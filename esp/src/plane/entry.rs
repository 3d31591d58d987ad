//! One direction of one Child SA as the plane keeps it: the keyed SA with its counters, and the outer addresses of the
//! moment, in one piece of memory. A `Move` makes a new entry, which uses the core of the first one.

use super::PlaneConfig;
use super::lane::{Front, Lane, Usual};
use super::report::{HINT_INTERVAL, Reports};
use super::stats::{DirectionStats, SaDrops};
use crate::lifetime::{Crossed, Usage, flag};
use crate::mode::transport::single_host;
use crate::packet::IpPacket;
use crate::selectors::Selectors;
use crate::{DropReason, InboundSa, OutboundSa};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ravelin_sa_db::{
    ChildId, Direction, Encapsulation, Instant, Mode, PacketKey, Path, PolicyId, Protocol, Report, SaParams, Spi,
    TrafficSelector,
};

/// What stays the same SA while outer addresses change, `S` being [`InboundSa`] or [`OutboundSa`]. With many SAs each
/// packet finds all of this outside the caches, so what packets need lies together. Threads that share an SA hand its
/// number and counters to each other: they come last, and nothing near them is looked at while the cipher works.
#[repr(C)]
pub(crate) struct Core<S> {
    pub(crate) sa: S,
    pub(crate) usage: Usage,
    /// Largest outer IP packet the path carries; 0: not known.
    pub(crate) mtu: AtomicU32,
    /// Identification of outer IPv4 headers (RFC 6864).
    pub(crate) ip_id: AtomicU32,
    pub(crate) drops: SaDrops,
    /// Hash of the last path reported, and when.
    path_hash: AtomicU64,
    path_at: AtomicU64,
}

/// Where the core is: in the SA's first entry.
enum Home<S, F> {
    Here(Core<S>),
    There(Arc<Entry<S, F>>),
}

/// Outer addresses and ports. A [`Path`] has 64 octets, most of which IPv4 does not need.
enum Ends {
    V4([SocketAddrV4; 2]),
    Any(Box<Path>),
}

impl From<Path> for Ends {
    fn from(path: Path) -> Self {
        match (path.local, path.remote) {
            (SocketAddr::V4(local), SocketAddr::V4(remote)) => Self::V4([local, remote]),
            _ => Self::Any(Box::new(path)),
        }
    }
}

impl Ends {
    /// Is it this path?
    #[inline(always)]
    fn are(&self, path: &Path) -> bool {
        match (self, path.local, path.remote) {
            (Self::V4([l, r]), SocketAddr::V4(local), SocketAddr::V4(remote)) => *l == local && *r == remote,
            (Self::V4(_), ..) => false,
            (Self::Any(own), ..) => own.as_ref() == path,
        }
    }
}

/// What both directions of a Child SA have in common.
#[repr(C)]
pub(crate) struct Facts {
    /// In the form that packets are compared with.
    pub(crate) selectors: Selectors,
    pub(crate) policy: PolicyId,
    /// As they were negotiated.
    pub(crate) local_ts: Arc<[TrafficSelector]>,
    pub(crate) remote_ts: Arc<[TrafficSelector]>,
}

impl Facts {
    /// Those of `params`; the other direction's when they are the same.
    pub(crate) fn of(params: &SaParams, other: Option<&Arc<Facts>>) -> Arc<Self> {
        let same = |f: &&Arc<Facts>| {
            f.policy == params.policy && *f.local_ts == *params.local_ts && *f.remote_ts == *params.remote_ts
        };
        other.filter(same).map_or_else(
            || {
                Arc::new(Self {
                    policy: params.policy,
                    selectors: Selectors::new(params),
                    local_ts: Arc::clone(&params.local_ts),
                    remote_ts: Arc::clone(&params.remote_ts),
                })
            },
            Arc::clone,
        )
    }

    pub(crate) fn same_selectors(&self, other: &Self) -> bool {
        self.local_ts == other.local_ts && self.remote_ts == other.remote_ts
    }

    /// The one address of each side, ours first, where there is only one.
    pub(crate) fn hosts(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        (single_host(&self.local_ts), single_host(&self.remote_ts))
    }
}

/// A core and where its packets go. What the usual packet needs comes first.
#[repr(C)]
pub(crate) struct Entry<S, F> {
    pub(crate) spi: u32,
    /// Moved or removed: whoever keeps this entry looks it up again.
    pub(crate) stale: AtomicBool,
    pub(crate) encapsulation: Encapsulation,
    pub(crate) mode: Mode,
    pub(crate) protocol: Protocol,
    pub(crate) tfc_padding: bool,
    /// Volume limits are watched, so that each packet is counted at once.
    pub(crate) limited: bool,
    /// What the lane knows of this direction.
    pub(crate) front: F,
    ends: Ends,
    child: ChildId,
    pub(crate) facts: Arc<Facts>,
    home: Home<S, F>,
}

pub(crate) type Inbound = Entry<InboundSa, Usual>;
pub(crate) type Outbound = Entry<OutboundSa, Front>;

impl<S, F: Lane> Entry<S, F> {
    pub(crate) fn new(sa: S, params: &SaParams, facts: Arc<Facts>, config: &PlaneConfig, now: Instant) -> Self {
        let core = Core {
            sa,
            usage: Usage::new(params.lifetime, now),
            drops: SaDrops::default(),
            path_hash: AtomicU64::new(0),
            path_at: AtomicU64::new(0),
            mtu: AtomicU32::new(0),
            ip_id: AtomicU32::new(params.spi.0),
        };
        Self {
            limited: core.usage.is_limited(),
            home: Home::Here(core),
            facts,
            ends: params.path.into(),
            encapsulation: params.encapsulation,
            spi: params.spi.0,
            mode: params.mode,
            protocol: params.protocol,
            tfc_padding: params.tfc_padding,
            front: Front::new(params.mode, params.protocol, &params.path, params.encapsulation, config).into(),
            child: params.child,
            stale: AtomicBool::new(false),
        }
    }

    pub(crate) fn moved(self: &Arc<Self>, path: Path, encapsulation: Encapsulation, config: &PlaneConfig) -> Self {
        let Self { spi, mode, protocol, tfc_padding, limited, child, .. } = **self;
        let first = match &self.home {
            Home::Here(_) => self,
            Home::There(first) => first,
        };
        Self {
            home: Home::There(Arc::clone(first)),
            facts: Arc::clone(&self.facts),
            ends: path.into(),
            encapsulation,
            spi,
            mode,
            protocol,
            tfc_padding,
            limited,
            front: Front::new(mode, protocol, &path, encapsulation, config).into(),
            child,
            stale: AtomicBool::new(false),
        }
    }

    /// The keyed SA and its counters.
    #[inline(always)]
    pub(crate) fn core(&self) -> &Core<S> {
        match &self.home {
            Home::Here(core) => core,
            Home::There(first) => first.core_there(),
        }
    }

    #[cold]
    #[inline(never)]
    fn core_there(&self) -> &Core<S> {
        self.core()
    }

    /// Outer addresses now.
    #[inline(always)]
    pub(crate) fn path(&self) -> Path {
        match &self.ends {
            Ends::V4([local, remote]) => Path { local: SocketAddr::V4(*local), remote: SocketAddr::V4(*remote) },
            Ends::Any(path) => **path,
        }
    }

    /// Outer addresses now, when they are of IPv4.
    #[inline(always)]
    pub(crate) fn path_v4(&self) -> Option<Path> {
        let Ends::V4([local, remote]) = &self.ends else { return None };
        Some(Path { local: SocketAddr::V4(*local), remote: SocketAddr::V4(*remote) })
    }

    /// Is the packet inside the SA's selectors? Behind a NAT, transport mode shows other addresses than the peer named,
    /// where each is one address: then a packet must have those of the SA's path, and no others (RFC 7296 §2.23.1).
    #[inline]
    pub(crate) fn holds(&self, ip: &IpPacket, direction: Direction) -> bool {
        if self.mode == Mode::Transport && self.encapsulation == Encapsulation::Udp {
            return self.translated_hold(ip, direction);
        }
        self.facts.selectors.hold(ip, direction)
    }

    #[cold]
    fn translated_hold(&self, ip: &IpPacket, direction: Direction) -> bool {
        let (Some(local), Some(remote)) = self.facts.hosts() else { return self.facts.selectors.hold(ip, direction) };
        let (key, path) = (ip.key(direction), self.path());
        (key.local, key.remote) == (path.local.ip(), path.remote.ip())
            && PacketKey { local, remote, ..key }.matches_any(&self.facts.local_ts, &self.facts.remote_ts)
    }

    /// The addresses that packets of this SA have are those of its path, not those of its selectors.
    #[inline]
    pub(crate) fn is_translated(&self) -> bool {
        self.mode == Mode::Transport
            && self.encapsulation == Encapsulation::Udp
            && matches!(self.facts.hosts(), (Some(_), Some(_)))
    }

    /// Both carry the same packets. Clients behind several NATs may name the same private address.
    pub(crate) fn same_traffic(&self, other: &Self) -> bool {
        let seen = |e: &Self| e.is_translated().then(|| (e.path().local.ip(), e.path().remote.ip()));
        self.facts.same_selectors(&other.facts) && seen(self) == seen(other)
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
        self.core().drops.count(reason);
        reason
    }

    /// Asks the memory for what [`Entry::account`] needs, when the core is here.
    #[inline]
    pub(crate) fn warm_count(&self) {
        if let Home::Here(core) = &self.home {
            ravelin_prefetch::read(&core.usage);
        }
    }

    /// Counts `packets` with `bytes` octets together and reports limits that were crossed.
    #[inline]
    pub(crate) fn account(&self, packets: u64, bytes: u64, now: Instant, reports: &Reports) {
        let crossed = self.core().usage.add(packets, bytes, now);
        if crossed != Crossed::default() {
            self.report_crossed(crossed, reports);
        }
    }

    #[cold]
    fn report_crossed(&self, crossed: Crossed, reports: &Reports) {
        if crossed.soft {
            reports.push(Report::SoftExpired(self.child()));
        }
        if crossed.woke {
            reports.woke(self.child());
        }
        if crossed.hard {
            reports.push(Report::HardExpired(self.child()));
        }
    }

    /// An authenticated packet came on this path; another one than the SA's is news (RFC 7296 §2.23). Only SAs behind a
    /// NAT follow.
    #[inline(always)]
    pub(crate) fn note_path(&self, path: &Path, now: Instant, reports: &Reports) {
        if self.encapsulation == Encapsulation::Udp && !self.ends.are(path) {
            self.path_seen(*path, now, reports);
        }
    }

    #[cold]
    fn path_seen(&self, path: Path, now: Instant, reports: &Reports) {
        // The same path again is news only after a while; another one ten times a second at most.
        let hash = hash_path(&path);
        let again = self.core().path_hash.load(Ordering::Relaxed) == hash;
        let pause = if again { HINT_INTERVAL.saturating_mul(100) } else { HINT_INTERVAL };
        let last = self.core().path_at.load(Ordering::Relaxed);
        if last != 0 && now.micros() < last.saturating_add(pause) {
            return;
        }
        let claimed =
            self.core().path_at.compare_exchange(last, now.micros().max(1), Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_ok() && reports.push(Report::PathSeen { child: self.child(), path }) {
            self.core().path_hash.store(hash, Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self, sequence: u64) -> DirectionStats {
        DirectionStats {
            spi: Spi(self.spi),
            packets: self.core().usage.packets(),
            bytes: self.core().usage.bytes(),
            last: self.core().usage.last(),
            sequence,
            path: self.path(),
            encapsulation: self.encapsulation,
            drops: self.core().drops.snapshot(),
        }
    }
}

impl Outbound {
    /// A sequence number that was just taken, for the early warning (RFC 4303 §3.3.3).
    #[inline(always)]
    pub(crate) fn note_number(&self, number: u64, reports: &Reports) {
        if self.core().sa.sequence().is_low(number) {
            self.report_low(reports);
        }
    }

    #[cold]
    #[inline(never)]
    fn report_low(&self, reports: &Reports) {
        if self.core().usage.raise(flag::SEQUENCE) {
            reports.push(Report::SequenceLow(self.child()));
        }
    }
}

fn hash_path(path: &Path) -> u64 {
    use core::hash::{Hash, Hasher};
    let mut h = super::table::Fast::default();
    path.hash(&mut h);
    h.finish().max(1)
}
