//! Between workers and the thread that has the node: what a worker cannot decide goes up, bounded and without waiting; that
//! there is something is told by a bell that rings once until it is heard. Down come only wake-ups.

use mio::Waker;
use ravelin::db::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What may wait at once; more is dropped, as a full socket would.
const WAITING: usize = 1024;

/// Something for the node.
pub(crate) enum Upward {
    /// A datagram on the NAT port that is no ESP.
    Datagram { path: Path, bytes: Vec<u8> },
    /// An IP packet whose policy has no SA.
    Packet(Vec<u8>),
}

/// Wakes the thread of the daemon.
pub(crate) struct Bell {
    waker: Waker,
    rung: AtomicBool,
}

impl Bell {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { waker, rung: AtomicBool::new(false) })
    }

    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Err(e) = self.waker.wake()
        {
            tracing::error!("waking the daemon: {e}");
        }
    }

    /// It was heard; what comes from now on rings again.
    pub(crate) fn heard(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

/// A worker's end.
#[derive(Clone)]
pub(crate) struct Outlet {
    up: SyncSender<Upward>,
    bell: Arc<Bell>,
    lost: Arc<AtomicU64>,
}

/// The daemon's end.
pub(crate) struct Inlet {
    from: Receiver<Upward>,
    pub(crate) bell: Arc<Bell>,
    lost: Arc<AtomicU64>,
}

pub(crate) fn channel(waker: Waker) -> (Outlet, Inlet) {
    let (up, from) = sync_channel(WAITING);
    let bell = Bell::new(waker);
    let lost = Arc::<AtomicU64>::default();
    (Outlet { up, bell: Arc::clone(&bell), lost: Arc::clone(&lost) }, Inlet { from, bell, lost })
}

impl Outlet {
    pub(crate) fn give(&self, what: Upward) {
        if self.up.try_send(what).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.bell.ring();
    }

    /// There are reports in the plane.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }
}

impl Inlet {
    pub(crate) fn take(&self) -> Option<Upward> {
        self.from.try_recv().ok()
    }

    /// What was dropped since the last call.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}
