//! What there is, for `show` commands: IKE SAs and their Child SAs at one moment, counters, and the traffic of one
//! Child SA. A snapshot is the caller's and does not change.

use crate::config::c_text;
use crate::guard::{Handle, Kind, free, give, put, wanted, with};
use crate::node::ravelin_node;
use crate::sa::{Selectors, encapsulation, mode};
use crate::types::{ravelin_now, ravelin_path, ravelin_selector, ravelin_status};
use ravelin::code::{Status, lifecycle};
use ravelin::esp::plane::{ChildStats, DirectionStats};
use ravelin::ike::endpoint::{ChildSnapshot, SaSnapshot};
use ravelin::{ChildId, Role};
use std::ffi::{CString, c_char};
use std::time::Duration;

/// The IKE SAs of a node at one moment. Made by `ravelin_node_snapshot`, freed by `ravelin_snapshot_free`.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_snapshot {
    sas: Vec<Shown>,
}

struct Shown {
    sa: SaSnapshot,
    texts: [CString; 4],
    children: Vec<(ChildSnapshot, CString, Selectors, Selectors)>,
}

impl Handle for ravelin_snapshot {
    const KIND: Kind = Kind::Snapshot;
}

/// States of an IKE SA.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_state {
    /// IKE_SA_INIT to IKE_AUTH.
    Opening = 1,
    /// Authenticated both ways.
    Established = 2,
    /// Its successor is up.
    Replaced = 3,
    /// Our Delete is on the wire.
    Closing = 4,
    /// Gone.
    Closed = 5,
}

/// One IKE SA. Texts are the snapshot's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_sa_info {
    /// Its id.
    pub sa: u64,
    /// Its peer; 0 when not known yet.
    pub peer: u32,
    /// `ravelin_state`.
    pub state: u32,
    /// We are 0 initiator, 1 responder.
    pub role: u8,
    /// A NAT is before us.
    pub nat_local: bool,
    /// A NAT is before the peer.
    pub nat_remote: bool,
    /// SPI of the initiator.
    pub spi_i: u64,
    /// SPI of the responder.
    pub spi_r: u64,
    /// Where it runs.
    pub path: ravelin_path,
    /// Microseconds since the attempt began.
    pub age_us: u64,
    /// Microseconds since it was established; 0 before.
    pub established_us: u64,
    /// Name of the peer.
    pub peer_name: *const c_char,
    /// Who we said we are; empty before.
    pub local_id: *const c_char,
    /// Who the peer proved to be; empty before.
    pub remote_id: *const c_char,
    /// Algorithms.
    pub proposal: *const c_char,
    /// How many Child SAs it has.
    pub children: usize,
}

/// One Child SA pair. Pointers are the snapshot's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_child_info {
    /// Its id.
    pub child: u64,
    /// Its policy.
    pub policy: u32,
    /// Our inbound SPI.
    pub spi_in: u32,
    /// The peer's.
    pub spi_out: u32,
    /// 0 tunnel, 1 transport, 2 BEET.
    pub mode: u8,
    /// 0 bare, 1 in UDP, 2 in TCP.
    pub encapsulation: u8,
    /// Microseconds since it was installed.
    pub age_us: u64,
    /// Algorithms.
    pub proposal: *const c_char,
    /// Our side.
    pub local_ts: *const ravelin_selector,
    /// How many.
    pub local_ts_len: usize,
    /// The peer's side.
    pub remote_ts: *const ravelin_selector,
    /// How many.
    pub remote_ts_len: usize,
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

fn shown(mut sa: SaSnapshot) -> Shown {
    let name = |id: &Option<ravelin::db::Identity>| id.as_ref().map(c_text).unwrap_or_default();
    let texts = [c_text(&sa.peer_name), name(&sa.local_id), name(&sa.remote_id), c_text(&sa.proposal)];
    let children = std::mem::take(&mut sa.children);
    let children = children
        .into_iter()
        .map(|c| {
            let (proposal, local, remote) =
                (c_text(&c.proposal), Selectors::of(&c.local_ts), Selectors::of(&c.remote_ts));
            (c, proposal, local, remote)
        })
        .collect();
    Shown { sa, texts, children }
}

/// Every IKE SA with its Child SAs, oldest first; the caller frees the snapshot. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_snapshot(
    node: *mut ravelin_node,
    now: ravelin_now,
    out: *mut *mut ravelin_snapshot,
) -> ravelin_status {
    let make = |n: &mut ravelin_node| {
        wanted(out)?;
        let sas = n.node.snapshot(now.get().mono).into_iter().map(shown).collect();
        // SAFETY: handed on.
        unsafe { give(out, ravelin_snapshot { sas }) }
    };
    // SAFETY: handed on.
    unsafe { with(node, make) }
}

/// Frees a snapshot; what was read of it ends. NULL is nothing to do. Any thread, when no other uses it.
///
/// # Safety
/// `snapshot` is NULL or came from `ravelin_node_snapshot`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_snapshot_free(snapshot: *mut ravelin_snapshot) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { free(snapshot) }
}

/// IKE SA number `index` (from 0); `nothing there` behind the last. One thread at a time.
///
/// # Safety
/// `snapshot` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_snapshot_sa(
    snapshot: *mut ravelin_snapshot,
    index: usize,
    out: *mut ravelin_sa_info,
) -> ravelin_status {
    let read = |s: &mut ravelin_snapshot| {
        wanted(out)?;
        let Shown { sa, texts: [peer_name, local_id, remote_id, proposal], children } =
            s.sas.get(index).ok_or(Status::Nothing)?;
        let info = ravelin_sa_info {
            sa: sa.id.0,
            peer: sa.peer.map_or(0, |p| p.0),
            state: lifecycle(sa.state),
            role: u8::from(sa.role == Role::Responder),
            nat_local: sa.nat.0,
            nat_remote: sa.nat.1,
            spi_i: sa.spis.0,
            spi_r: sa.spis.1,
            path: ravelin_path::of(sa.path),
            age_us: micros(sa.age),
            established_us: sa.established.map_or(0, micros),
            peer_name: peer_name.as_ptr(),
            local_id: local_id.as_ptr(),
            remote_id: remote_id.as_ptr(),
            proposal: proposal.as_ptr(),
            children: children.len(),
        };
        // SAFETY: handed on.
        unsafe { put(out, info) }
    };
    // SAFETY: handed on.
    unsafe { with(snapshot, read) }
}

/// Child SA number `child` of IKE SA number `index` (both from 0); `nothing there` behind the last. One thread at a time.
///
/// # Safety
/// `snapshot` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_snapshot_child(
    snapshot: *mut ravelin_snapshot,
    index: usize,
    child: usize,
    out: *mut ravelin_child_info,
) -> ravelin_status {
    let read = |s: &mut ravelin_snapshot| {
        wanted(out)?;
        let of = s.sas.get(index).and_then(|sa| sa.children.get(child));
        let (c, proposal, local, remote) = of.ok_or(Status::Nothing)?;
        let ((local_ts, local_ts_len), (remote_ts, remote_ts_len)) = (local.lend(), remote.lend());
        let info = ravelin_child_info {
            child: c.id.0,
            policy: c.policy.0,
            spi_in: c.spi_in.0,
            spi_out: c.spi_out.0,
            mode: mode(c.mode),
            encapsulation: encapsulation(c.encapsulation),
            age_us: micros(c.age),
            proposal: proposal.as_ptr(),
            local_ts,
            local_ts_len,
            remote_ts,
            remote_ts_len,
        };
        // SAFETY: handed on.
        unsafe { put(out, info) }
    };
    // SAFETY: handed on.
    unsafe { with(snapshot, read) }
}

/// Traffic of one direction of a Child SA.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_direction_stats {
    /// Packets carried.
    pub packets: u64,
    /// Octets of inner packets carried.
    pub bytes: u64,
    /// Packets dropped, whatever the cause.
    pub dropped: u64,
    /// Outbound: the last number used. Inbound: the highest accepted.
    pub sequence: u64,
    /// When the last one was, in monotonic microseconds.
    pub last_us: u64,
    /// The SPI; 0 when this direction is not installed.
    pub spi: u32,
}

/// Traffic of a Child SA.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_child_stats {
    /// From the peer.
    pub inbound: ravelin_direction_stats,
    /// To the peer.
    pub outbound: ravelin_direction_stats,
    /// Its policy's packets are sent on it.
    pub active: bool,
}

impl ravelin_child_stats {
    pub(crate) fn of(stats: &ChildStats) -> Self {
        let one = |d: Option<DirectionStats>| {
            d.map_or_else(ravelin_direction_stats::default, |d| ravelin_direction_stats {
                packets: d.packets,
                bytes: d.bytes,
                dropped: d.drops.total(),
                sequence: d.sequence,
                last_us: d.last.micros(),
                spi: d.spi.0,
            })
        };
        Self { inbound: one(stats.inbound), outbound: one(stats.outbound), active: stats.active }
    }
}

/// Traffic of a Child SA in the inline plane. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_stats(
    node: *mut ravelin_node,
    child: u64,
    out: *mut ravelin_child_stats,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(out)?;
        let stats = n.node.stats(ChildId(child)).ok_or(Status::UnknownChild)?;
        // SAFETY: handed on.
        unsafe { put(out, ravelin_child_stats::of(&stats)) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// What came in, by what became of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_counters {
    /// IKE messages that were taken.
    pub handled: u64,
    /// Datagrams that are no IKEv2 message.
    pub malformed: u64,
    /// Messages of another major version.
    pub wrong_version: u64,
    /// Messages for an IKE SA that is not here.
    pub unknown_spi: u64,
    /// Messages outside a window or not allowed now.
    pub unexpected: u64,
    /// Messages that did not open.
    pub not_authentic: u64,
    /// Answers that were repeated.
    pub repeated: u64,
    /// IKE_SA_INIT requests answered with a cookie.
    pub cookies_demanded: u64,
    /// IKE_SA_INIT requests with a wrong cookie.
    pub cookies_wrong: u64,
    /// IKE_SA_INIT requests dropped by a limit.
    pub over_limit: u64,
    /// IKE_SA_INIT requests refused.
    pub refused: u64,
    /// Packets of ESP and AH dropped in the inline plane.
    pub plane_drops: u64,
    /// Packets that waited for an SA in vain.
    pub held_dropped: u64,
    /// NAT keepalives.
    pub keepalives: u64,
}

/// Counters of a node. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_counters(node: *mut ravelin_node, out: *mut ravelin_counters) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        let c = n.node.counters();
        let counters = ravelin_counters {
            handled: c.handled,
            malformed: c.malformed,
            wrong_version: c.wrong_version,
            unknown_spi: c.unknown_spi,
            unexpected: c.unexpected,
            not_authentic: c.not_authentic,
            repeated: c.repeated,
            cookies_demanded: c.cookies_demanded,
            cookies_wrong: c.cookies_wrong,
            over_limit: c.over_limit,
            refused: c.refused,
            plane_drops: n.node.plane().drops().total(),
            held_dropped: n.node.held_dropped(),
            keepalives: n.node.keepalives(),
        };
        // SAFETY: handed on.
        unsafe { put(out, counters) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}
