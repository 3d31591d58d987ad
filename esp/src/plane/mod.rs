//! The data plane (RFC 4301 §5): the SAs of a host, shared by any number of threads. Every method takes `&self`.
//!
//! Packets come in by [`Plane::ingress`] and go out by [`Plane::egress`]; the control side applies
//! [`ravelin_sa_db::Change`]s and reads [`ravelin_sa_db::Report`]s. Sequence numbers are unique and the replay
//! window is exact under any interleaving; lookups hold a short read lock for the time of one `Arc` clone, and
//! nothing is allocated per packet.
//!
//! To add a kind of change: an arm in `control.rs`. To add a mode: `ingress.rs` and `egress.rs`.

mod burst;
mod control;
mod egress;
mod entry;
mod in_place;
mod ingress;
mod lane;
mod memory;
mod mtu;
mod qualified;
mod recent;
mod recent_in;
mod report;
mod routes;
mod run;
mod sink;
mod stats;
mod table;
mod tally;
mod worker;

pub use burst::{BURST, OpenJob, SealJob};
pub use ingress::{Ingress, OuterInfo};
pub use sink::{Egress, Fragmentation, OutputForm, PacketSink, Target, TransmitMeta};
pub use stats::{ChildStats, DirectionStats, DropCounts};
pub use worker::Worker;

use crate::lifetime::flag;
use crate::mode::HeaderPolicy;
use crate::mode::header::Quick;
use alloc::sync::Arc;
use alloc::vec::Vec;
use control::{ChildRecord, Control};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use entry::{Inbound, Outbound};
use qualified::Qualified;
use ravelin_crypto::{Provider, Secret};
use ravelin_sa_db::{ChildId, Instant, PolicyId, Report, Spi};
use report::Reports;
use routes::Routes;
use spin::Mutex;
use stats::Drops;
use table::Table;

/// What a plane may be told besides its SAs.
#[derive(Clone, Default)]
pub struct PlaneConfig {
    /// Secret of this plane for unpredictable IVs, mixed with the SA's own keys (see `nonce.rs`); 32 octets of the
    /// node's generator. When empty, IVs rest on the SA's keys alone.
    pub seed: Secret,
    /// Outer headers of tunnels.
    pub header: HeaderPolicy,
    /// What is written into sinks.
    pub output: OutputForm,
    /// Tunnel payloads shorter than this are filled up with TFC padding (RFC 4303 §2.7) where the peer allows it;
    /// 0: off.
    pub tfc_min: usize,
    /// Payload and trailer are filled up to a multiple of this many octets: a power of two up to 128; less than what the
    /// cipher needs (4, 16 for CBC) means that. 16 spares AES-GCM its partial last block, some 30 ns a packet with
    /// aws-lc-rs, for six octets more on average, and tells an observer less (RFC 4303 §2.4 allows up to 255).
    pub pad_to: u8,
    /// Largest TCP MSS to let pass through tunnels, both ways, in octets; 0: leave it alone.
    pub mss_clamp: u16,
    /// What to do with a packet that is too large for a known path MTU and may be fragmented.
    pub fragmentation: Fragmentation,
}

/// The shared data plane.
pub struct Plane {
    provider: Arc<Provider>,
    config: PlaneConfig,
    /// The rules for outer headers, where they are simple ones.
    quick: Option<Quick>,
    inbound: Table<Spi, Arc<Inbound>>,
    /// Those that are addressed by more than their SPI.
    qualified: Qualified,
    outbound: Table<ChildId, Arc<Outbound>>,
    routes: Routes,
    control: Mutex<Control>,
    reports: Reports,
    drops: Drops,
    /// Entries replaced or removed so far.
    retired: AtomicU64,
    /// Bursts are sorted by SA for the provider's sake.
    groups: bool,
}

impl Plane {
    /// A plane without SAs.
    #[must_use]
    pub fn new(provider: Arc<Provider>) -> Self {
        Self::with_config(provider, PlaneConfig::default())
    }

    /// A plane without SAs and with these rules.
    #[must_use]
    pub fn with_config(provider: Arc<Provider>, config: PlaneConfig) -> Self {
        let groups = provider.aeads.iter().any(|a| a.gains_from_many());
        Self {
            provider,
            quick: config.header.quick(),
            config,
            groups,
            inbound: Table::new(),
            qualified: Qualified::new(),
            outbound: Table::new(),
            routes: Routes::new(),
            control: Mutex::new(Control::default()),
            reports: Reports::new(),
            drops: Drops::new(),
            retired: AtomicU64::new(0),
        }
    }

    /// Changes whenever an SA is moved or removed.
    pub(crate) fn retired(&self) -> u64 {
        self.retired.load(Ordering::Acquire)
    }

    fn retire<S, F: lane::Lane>(&self, entry: &entry::Entry<S, F>) {
        entry.retire();
        self.retired.fetch_add(1, Ordering::Release);
    }

    /// The next report; `None` when there is none.
    #[must_use]
    pub fn poll_report(&self) -> Option<Report> {
        self.reports.pop()
    }

    /// True when [`Plane::poll_report`] has something; costs one load.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.reports.is_waiting()
    }

    /// When the last authenticated packet of this Child SA came, the installation before the first; `None` when it
    /// has no inbound SA. Proof of life for RFC 7296 §2.4.
    #[must_use]
    pub fn last_inbound(&self, child: ChildId) -> Option<Instant> {
        self.control.lock().children.get(&child)?.inbound.as_ref().map(|e| e.core().usage.last())
    }

    /// The same as a report, for planes whose reports travel.
    #[must_use]
    pub fn traffic(&self, child: ChildId) -> Option<Report> {
        self.last_inbound(child).map(|last| Report::Traffic { child, last })
    }

    /// Counters of one Child SA.
    #[must_use]
    pub fn stats(&self, child: ChildId) -> Option<ChildStats> {
        let control = self.control.lock();
        control.children.get(&child).map(|c| child_stats(&control, child, c))
    }

    /// Counters of every Child SA, by id.
    #[must_use]
    pub fn all_stats(&self) -> Vec<ChildStats> {
        let control = self.control.lock();
        control.children.iter().map(|(id, c)| child_stats(&control, *id, c)).collect()
    }

    /// Drops of the whole plane by cause, those without an SA included.
    #[must_use]
    pub fn drops(&self) -> DropCounts {
        self.drops.snapshot()
    }

    /// Reports SAs that have been idle for their limit. To be called at [`Plane::deadline`] or when convenient.
    pub fn handle_timeout(&self, now: Instant) {
        let mut guard = self.control.lock();
        let control = &mut *guard;
        self.watch_woken(control);
        for _ in 0..MAX_IDLE {
            let Some(child) = control.next_idle(now) else { return };
            // It may be gone; it may have carried packets since it was put into the queue.
            let Some(record) = control.children.get(&child) else { continue };
            let Some(at) = idle_at(record) else { continue };
            if at > now {
                control.watch_idle(child, Some(at));
                continue;
            }
            // Both flags are raised, whichever was first.
            let raised = usages(record).iter().flatten().filter(|u| u.raise(flag::IDLE)).count();
            if raised != 0 {
                self.reports.push(Report::Idle(child));
            }
        }
    }

    /// When an SA may be idle for its limit, not later than that; `None` when none is watched.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let mut control = self.control.lock();
        self.watch_woken(&mut control);
        control.idle_deadline()
    }

    /// Child SAs that were idle and are not any more are watched again.
    fn watch_woken(&self, control: &mut Control) {
        for child in self.reports.take_woken() {
            let at = control.children.get(&child).and_then(idle_at);
            control.watch_idle(child, at);
        }
    }
}

/// SAs looked at by one call of [`Plane::handle_timeout`].
const MAX_IDLE: usize = 1024;

/// When a Child SA is idle if nothing comes: when both directions are.
fn idle_at(record: &ChildRecord) -> Option<Instant> {
    usages(record).iter().flatten().filter_map(|u| u.idle_deadline()).max()
}

/// Both directions, as far as they are there.
fn usages(record: &ChildRecord) -> [Option<&crate::lifetime::Usage>; 2] {
    [record.inbound.as_ref().map(|e| &e.core().usage), record.outbound.as_ref().map(|e| &e.core().usage)]
}

fn child_stats(control: &Control, child: ChildId, record: &ChildRecord) -> ChildStats {
    let inbound = record.inbound.as_ref().map(|e| (&e.facts, e.mode));
    let any = inbound.or(record.outbound.as_ref().map(|e| (&e.facts, e.mode)));
    ChildStats {
        child,
        policy: any.map_or(PolicyId(0), |(facts, _)| facts.policy),
        mode: any.map_or_else(Default::default, |(_, mode)| mode),
        inbound: record.inbound.as_ref().map(|e| e.stats(e.core().sa.window().top())),
        outbound: record.outbound.as_ref().map(|e| e.stats(e.core().sa.sequence().used())),
        active: record.outbound.as_ref().is_some_and(|e| control.is_active(e)),
    }
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children = self.control.lock().children.len();
        f.debug_struct("Plane").field("provider", &self.provider).field("children", &children).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod journey;
#[cfg(test)]
mod lane_tests;
#[cfg(test)]
mod mode_tests;
#[cfg(test)]
mod recent_tests;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod worker_tests;
