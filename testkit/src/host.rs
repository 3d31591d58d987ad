//! One simulated host: a node, addresses, a clock of its own, and an IP stack inside that answers pings.

use crate::nat::NatBox;
use ravelin::db::{ChildId, SaParams};
use ravelin::ike::event::IkeKeyLog;
use ravelin::{Config, Event, Instant, Node, PacketSink, Path, TransmitMeta};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Names a host of a simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Host(pub(crate) usize);

/// An inner packet that came out of a tunnel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivered {
    /// When.
    pub at: Instant,
    /// On which Child SA.
    pub child: ChildId,
    /// The packet.
    pub packet: Vec<u8>,
}

/// A packet that a node sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// Where it goes.
    pub meta: TransmitMeta,
    /// From the ESP header on.
    pub bytes: Vec<u8>,
}

/// Collects sealed packets.
#[derive(Debug, Default)]
pub(crate) struct Collect {
    pub(crate) sealed: Vec<Sealed>,
    buf: Vec<u8>,
}

impl PacketSink for Collect {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.buf = vec![0; len];
        Some(&mut self.buf)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        let mut bytes = std::mem::take(&mut self.buf);
        bytes.truncate(meta.len);
        self.sealed.push(Sealed { meta, bytes });
    }
}

/// Keys of a Child SA pair as a node told them.
pub(crate) type ChildKeys = (Arc<SaParams>, Arc<SaParams>);

pub(crate) struct HostState {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) config: Config,
    /// Outer addresses; private ones when there is a NAT.
    pub(crate) addrs: Vec<IpAddr>,
    /// Inner addresses, for which it answers.
    pub(crate) inner: Vec<IpAddr>,
    pub(crate) nat: Option<NatBox>,
    /// Where its monotonic clock began before the simulation's.
    pub(crate) clock: Duration,
    /// How far its wall clock is off, in seconds.
    pub(crate) wall_off: i64,
    pub(crate) asleep_until: Instant,
    /// Powered off: takes nothing, sends nothing.
    pub(crate) off: bool,
    pub(crate) timer: Option<Instant>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) keys: BTreeMap<ChildId, ChildKeys>,
    pub(crate) ike_keys: Vec<Arc<IkeKeyLog>>,
    pub(crate) incarnation: u64,
    /// ESP packets that its node dropped.
    pub(crate) dropped: u64,
    /// Paths of the datagrams it sent, the last one first; for assertions on floats and moves.
    pub(crate) last_path: Option<Path>,
}
