//! The ESP plane alone: SAs by steps (manual keys, or those of a node with an external plane), packets in and out, any
//! number of threads. A worker is one thread's view of a plane, for bursts.

use crate::config::provider;
use crate::guard::{Handle, Kind, array_mut, bytes, free, give, put, read, shared, wanted, with};
use crate::node::ravelin_node;
use crate::packets::{
    Buffer, check_long, range_of, ravelin_datagram, ravelin_egress, ravelin_egress_kind, ravelin_ingress,
    ravelin_packet,
};
use crate::sa::{ravelin_change, ravelin_report};
use crate::snapshot::ravelin_child_stats;
use crate::types::{ravelin_outer, ravelin_path, ravelin_status};
use arrayvec::ArrayVec;
use ravelin::code::Status;
use ravelin::esp::plane::{BURST, OpenJob, SealJob};
use ravelin::esp::{Egress, Ingress, OutputForm, Plane, PlaneConfig, Target, Worker};
use ravelin::{ChildId, DropReason, Instant, PolicyId, Secret};
use std::collections::VecDeque;
use std::sync::Arc;

/// A data plane. Made by `ravelin_plane_new` or lent out of a node by `ravelin_node_plane`, freed by
/// `ravelin_plane_free`. Any number of threads at once.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_plane {
    pub(crate) plane: Arc<Plane>,
    /// The plane of a node: only the node changes its SAs and reads its reports.
    of_node: bool,
}

/// One thread's view of a plane. Made by `ravelin_worker_new`, freed by `ravelin_worker_free`. One thread at a time; it
/// keeps its plane alive.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_worker {
    worker: Worker,
}

impl Handle for ravelin_plane {
    const KIND: Kind = Kind::Plane;
}

impl Handle for ravelin_worker {
    const KIND: Kind = Kind::Worker;
}

/// What a plane is told besides its SAs; all zero: the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_plane_config {
    /// Write whole IP packets, outer headers included, and not from the ESP header on.
    pub whole_packets: bool,
    /// Largest TCP MSS to let pass through tunnels; 0: leave it alone.
    pub mss_clamp: u16,
    /// Tunnel payloads shorter than this are padded (RFC 4303 §2.7); 0: off.
    pub tfc_min: u16,
}

/// A plane without SAs. `config` may be NULL. `seed` is 32 octets of secret randomness, for IVs that must not be
/// guessed. Any thread.
///
/// # Safety
/// `config` is NULL or readable; `seed` points to `seed_len` octets; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_new(
    config: *const ravelin_plane_config,
    seed: *const u8,
    seed_len: usize,
    out: *mut *mut ravelin_plane,
) -> ravelin_status {
    crate::guard::entry(|| {
        wanted(out)?;
        // SAFETY: NULL or readable; the caller vouches for the octets.
        let (c, seed) = unsafe { (config.as_ref().copied().unwrap_or_default(), bytes(seed, seed_len)?) };
        if seed.len() != 32 {
            return Err(Status::InvalidArgument);
        }
        let config = PlaneConfig {
            seed: Secret::new(seed.to_vec()),
            output: if c.whole_packets { OutputForm::Ip } else { OutputForm::Esp },
            mss_clamp: c.mss_clamp,
            tfc_min: c.tfc_min.into(),
            ..PlaneConfig::default()
        };
        let plane = Arc::new(Plane::with_config(Arc::new(provider()), config));
        // SAFETY: handed on.
        unsafe { give(out, ravelin_plane { plane, of_node: false }) }
    })
}

/// The inline plane of a node, for worker threads. The node alone changes its SAs: `ravelin_plane_apply` and
/// `ravelin_plane_poll_report` are `not allowed now`. The caller frees it, before or after the node. One thread at a time
/// for the node.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_plane(node: *mut ravelin_node, out: *mut *mut ravelin_plane) -> ravelin_status {
    let make = |n: &mut ravelin_node| {
        let plane = Arc::clone(n.node.plane());
        // SAFETY: handed on.
        unsafe { give(out, ravelin_plane { plane, of_node: true }) }
    };
    // SAFETY: handed on.
    unsafe { with(node, make) }
}

/// Frees a plane; its keys are wiped when the last worker of it is freed too. NULL is nothing to do. No thread may use it
/// any more.
///
/// # Safety
/// `plane` is NULL or came from `ravelin_plane_new` or `ravelin_node_plane`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_free(plane: *mut ravelin_plane) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { free(plane) }
}

/// Applies a step: installs, switches, moves or removes an SA. Keys are copied. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `change` is NULL or readable, and so is all that it points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_apply(
    plane: *const ravelin_plane,
    now_us: u64,
    change: *const ravelin_change,
) -> ravelin_status {
    let apply = |p: &ravelin_plane| {
        // SAFETY: the caller vouches for the step and what it points to.
        let change = unsafe { read(change)?.get()? };
        if p.of_node {
            return Err(Status::NotAllowed);
        }
        match change {
            Some(change) => Ok(p.plane.apply(Instant(now_us), &change)?),
            None => Ok(()),
        }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, apply) }
}

/// Opens one packet in place: from the SPI on, as UDP or IP protocol 50 carried it. `outer` may be NULL. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `path` is NULL or readable; `outer` is NULL or readable; `data` points to `len` octets of the
/// caller that nobody else uses; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_open(
    plane: *const ravelin_plane,
    now_us: u64,
    path: *const ravelin_path,
    outer: *const ravelin_outer,
    data: *mut u8,
    len: usize,
    out: *mut ravelin_ingress,
) -> ravelin_status {
    let open = |p: &ravelin_plane| {
        wanted(out)?;
        // SAFETY: NULL or readable; the caller vouches for the octets.
        let (path, outer, buf) = unsafe { (read(path)?.get()?, ravelin_outer::get(outer), array_mut(data, len)?) };
        let result = opened(&p.plane.ingress(Instant(now_us), path, outer, buf));
        // SAFETY: handed on.
        unsafe { put(out, result) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, open) }
}

fn opened(result: &Ingress) -> ravelin_ingress {
    match result {
        Ingress::Deliver { child, range } => ravelin_ingress::deliver(*child, range),
        Ingress::Drop(reason) => ravelin_ingress::dropped(*reason),
    }
}

fn unsent(why: Egress) -> ravelin_egress {
    match why {
        Egress::Discard(reason) => ravelin_egress::discard(reason),
        Egress::TooBig { mtu } => ravelin_egress::too_big(mtu),
        Egress::NoSa => ravelin_egress::of(ravelin_egress_kind::NoSa),
        Egress::Sent => ravelin_egress::of(ravelin_egress_kind::Sent),
    }
}

/// `child` when it is not 0, else `policy`.
fn target(child: u64, policy: u32) -> Target {
    if child != 0 { Target::Child(ChildId(child)) } else { Target::Policy(PolicyId(policy)) }
}

/// Seals one IP packet into `dst` with the Child SA `child`, or when that is 0 with the sending SA of `policy`. A packet
/// that would have to be fragmented is discarded. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `ip` points to `len` octets, `dst` to `cap` octets that do not overlap them; `out` is NULL or
/// may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_seal(
    plane: *const ravelin_plane,
    now_us: u64,
    child: u64,
    policy: u32,
    ip: *const u8,
    len: usize,
    dst: *mut u8,
    cap: usize,
    out: *mut ravelin_egress,
) -> ravelin_status {
    let seal = |p: &ravelin_plane| {
        wanted(out)?;
        // SAFETY: the caller vouches for both.
        let (ip, buf) = unsafe { (bytes(ip, len)?, array_mut(dst, cap)?) };
        let mut more = VecDeque::new();
        let mut sink = Buffer::new(buf, &mut more);
        let result = match p.plane.egress(Instant(now_us), target(child, policy), ip, &mut sink) {
            Egress::Sent => {
                let meta = sink.first.ok_or(Status::Panic)?;
                match more.is_empty() {
                    true => ravelin_egress::sent(&(0..meta.len), &meta),
                    false => ravelin_egress::discard(DropReason::TooBig),
                }
            }
            Egress::Discard(_) if sink.small => return Err(Status::BufferTooSmall),
            why => unsent(why),
        };
        // SAFETY: handed on.
        unsafe { put(out, result) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, seal) }
}

/// Takes the oldest report; `nothing there` when there is none. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_poll_report(
    plane: *const ravelin_plane,
    out: *mut ravelin_report,
) -> ravelin_status {
    let poll = |p: &ravelin_plane| {
        wanted(out)?;
        if p.of_node {
            return Err(Status::NotAllowed);
        }
        let report = p.plane.poll_report().ok_or(Status::Nothing)?;
        // SAFETY: handed on.
        unsafe { put(out, ravelin_report::of(&report)) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, poll) }
}

/// When the last authenticated packet of a Child SA came, as a report of kind `RAVELIN_REPORT_KIND_TRAFFIC`: an external
/// plane gives it to its node before each `ravelin_node_handle_timeout`, so that live peers are not asked. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_traffic(
    plane: *const ravelin_plane,
    child: u64,
    out: *mut ravelin_report,
) -> ravelin_status {
    let traffic = |p: &ravelin_plane| {
        wanted(out)?;
        let report = p.plane.traffic(ChildId(child)).ok_or(Status::UnknownChild)?;
        // SAFETY: handed on.
        unsafe { put(out, ravelin_report::of(&report)) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, traffic) }
}

/// Looks for idle SAs. Any thread.
///
/// # Safety
/// `plane` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_handle_timeout(plane: *const ravelin_plane, now_us: u64) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { shared(plane, |p| Ok(p.plane.handle_timeout(Instant(now_us)))) }
}

/// When to call `ravelin_plane_handle_timeout` next; `nothing there` when never. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `at_us` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_deadline(plane: *const ravelin_plane, at_us: *mut u64) -> ravelin_status {
    let ask = |p: &ravelin_plane| {
        wanted(at_us)?;
        let at = p.plane.deadline().ok_or(Status::Nothing)?;
        // SAFETY: handed on.
        unsafe { put(at_us, at.micros()) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, ask) }
}

/// Sets the path MTU of a Child SA: the largest outer IP packet, in octets. Any thread.
///
/// # Safety
/// `plane` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_set_path_mtu(
    plane: *const ravelin_plane,
    child: u64,
    mtu: u16,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { shared(plane, |p| Ok(p.plane.set_path_mtu(ChildId(child), mtu)?)) }
}

/// Traffic of a Child SA. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_stats(
    plane: *const ravelin_plane,
    child: u64,
    out: *mut ravelin_child_stats,
) -> ravelin_status {
    let ask = |p: &ravelin_plane| {
        wanted(out)?;
        let stats = p.plane.stats(ChildId(child)).ok_or(Status::UnknownChild)?;
        // SAFETY: handed on.
        unsafe { put(out, ravelin_child_stats::of(&stats)) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, ask) }
}

/// How many packets were dropped for a cause. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `count` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_drops(
    plane: *const ravelin_plane,
    reason: u8,
    count: *mut u64,
) -> ravelin_status {
    let ask = |p: &ravelin_plane| {
        let reason = DropReason::ALL.iter().find(|r| **r as u8 == reason).ok_or(Status::InvalidArgument)?;
        // SAFETY: handed on.
        unsafe { put(count, p.plane.drops().of(*reason)) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, ask) }
}

/// Octets of room before and behind an IP packet that `ravelin_worker_seal` may need. Any thread.
///
/// # Safety
/// `plane` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_plane_room(
    plane: *const ravelin_plane,
    before: *mut usize,
    behind: *mut usize,
) -> ravelin_status {
    let ask = |p: &ravelin_plane| {
        wanted(before).and_then(|()| wanted(behind))?;
        let room = p.plane.room();
        // SAFETY: handed on.
        unsafe { put(before, room.0).and_then(|()| put(behind, room.1)) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, ask) }
}

/// A worker of a plane. Any thread.
///
/// # Safety
/// `plane` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_worker_new(
    plane: *const ravelin_plane,
    out: *mut *mut ravelin_worker,
) -> ravelin_status {
    let make = |p: &ravelin_plane| {
        wanted(out)?;
        let worker = Worker::new(Arc::clone(&p.plane));
        // SAFETY: handed on.
        unsafe { give(out, ravelin_worker { worker }) }
    };
    // SAFETY: handed on.
    unsafe { shared(plane, make) }
}

/// Frees a worker. NULL is nothing to do. No thread may use it any more.
///
/// # Safety
/// `worker` is NULL or came from `ravelin_worker_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_worker_free(worker: *mut ravelin_worker) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { free(worker) }
}

/// Opens `count` ESP packets in place, each from the SPI on; each one's result is written to it. One thread at a time.
///
/// # Safety
/// `worker` is NULL or live; `burst` points to `count` values whose buffers are the caller's and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_worker_open(
    worker: *mut ravelin_worker,
    now_us: u64,
    burst: *mut ravelin_datagram,
    count: usize,
) -> ravelin_status {
    let open = |w: &mut ravelin_worker| {
        // SAFETY: the caller vouches for the array.
        let burst = unsafe { array_mut(burst, count)? };
        // SAFETY: the caller vouches for the buffers.
        let good = |d: &ravelin_datagram| unsafe { d.path.get().and(array_mut(d.data, d.len)).map(drop) };
        check_long(burst, good)?;
        for chunk in burst.chunks_mut(BURST) {
            let mut jobs: ArrayVec<OpenJob<'_>, BURST> = ArrayVec::new();
            for d in chunk.iter() {
                // SAFETY: the caller vouches for the buffers.
                let buf = unsafe { array_mut(d.data, d.len)? };
                // SAFETY: a field of the caller's array.
                let outer = unsafe { ravelin_outer::get(&d.outer) };
                jobs.push(OpenJob::new(d.path.get()?, outer, buf, 0));
            }
            w.worker.open_burst(Instant(now_us), &mut jobs);
            for (d, job) in chunk.iter_mut().zip(&jobs) {
                d.result = opened(&job.result);
            }
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(worker, open) }
}

/// Seals `count` IP packets in place, each with the Child SA or policy that it names; each one's result is written to it.
/// One thread at a time.
///
/// # Safety
/// `worker` is NULL or live; `burst` points to `count` values whose buffers are the caller's and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_worker_seal(
    worker: *mut ravelin_worker,
    now_us: u64,
    burst: *mut ravelin_packet,
    count: usize,
) -> ravelin_status {
    let seal = |w: &mut ravelin_worker| {
        // SAFETY: the caller vouches for the array.
        let burst = unsafe { array_mut(burst, count)? };
        // SAFETY: the caller vouches for the buffers.
        let good = |p: &ravelin_packet| unsafe { range_of(p).and(array_mut(p.buf, p.cap)).map(drop) };
        check_long(burst, good)?;
        for chunk in burst.chunks_mut(BURST) {
            let mut jobs: ArrayVec<SealJob<'_>, BURST> = ArrayVec::new();
            for p in chunk.iter() {
                // SAFETY: the caller vouches for the buffers.
                let buf = unsafe { array_mut(p.buf, p.cap)? };
                jobs.push(SealJob::new(target(p.child, p.policy), buf, range_of(p)?));
            }
            w.worker.seal_burst(Instant(now_us), &mut jobs);
            for (p, job) in chunk.iter_mut().zip(&jobs) {
                p.result = match &job.result {
                    Ok((range, meta)) => ravelin_egress::sent(range, meta),
                    Err(why) => unsent(*why),
                };
            }
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(worker, seal) }
}

/// Brings the plane's counters up to date and lets go of SAs that were removed; call it before the thread sleeps. One
/// thread at a time.
///
/// # Safety
/// `worker` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_worker_quiesce(worker: *mut ravelin_worker) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(worker, |w| Ok(w.worker.quiesce())) }
}
