//! Datagrams and packets of a node, one by one and in bursts. Bursts work in place in the caller's buffers.

use crate::guard::{array_mut, bytes, put, read, wanted, with};
use crate::node::ravelin_node;
use crate::sa::encapsulation;
use crate::types::{ravelin_now, ravelin_outer, ravelin_path, ravelin_status};
use arrayvec::ArrayVec;
use ravelin::burst::{Arrived, Datagram, Departed, Packet};
use ravelin::code::Status;
use ravelin::db::Scope;
use ravelin::esp::plane::BURST;
use ravelin::{Egress, EspPacket, Ingress, Output, PacketSink, TransmitMeta};
use std::collections::VecDeque;
use std::ops::Range;

/// What became of what came in.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_ingress_kind {
    /// It was IKE or a keepalive; look at the outputs.
    Consumed = 0,
    /// An inner IP packet lies in the caller's buffer.
    Deliver = 1,
    /// Dropped and counted.
    Dropped = 2,
}

/// The result of a datagram.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_ingress {
    /// What became of it.
    pub kind: ravelin_ingress_kind,
    /// Dropped: the cause's number (`ravelin_drop_reason_text`).
    pub drop_reason: u8,
    /// Deliver: the Child SA it came on.
    pub child: u64,
    /// Deliver: where the inner packet begins in the caller's buffer.
    pub offset: usize,
    /// Deliver: its length in octets.
    pub len: usize,
}

/// What became of a packet that wants to go out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_egress_kind {
    /// Sealed into the caller's buffer.
    Sent = 0,
    /// The policy lets it pass in the clear; the caller forwards it.
    Bypass = 1,
    /// Dropped and counted.
    Discard = 2,
    /// Larger than the path carries and not to be fragmented; the sender is to be told.
    TooBig = 3,
    /// It waits for the SA that is being made.
    Acquiring = 4,
    /// A plane alone: no SA for it.
    NoSa = 5,
}

/// The result of a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_egress {
    /// What became of it.
    pub kind: ravelin_egress_kind,
    /// Discard: the cause's number (`ravelin_drop_reason_text`).
    pub drop_reason: u8,
    /// Sent: 0 bare (the IP protocol is `protocol`), 1 in UDP, 2 in TCP.
    pub encapsulation: u8,
    /// Sent: 50 ESP, 51 AH.
    pub protocol: u8,
    /// Sent: DSCP and ECN for the outer header.
    pub traffic_class: u8,
    /// TooBig: the largest inner packet that fits.
    pub mtu: u16,
    /// Sent: the Child SA.
    pub child: u64,
    /// Sent: where it begins in the caller's buffer.
    pub offset: usize,
    /// Sent: octets from there on.
    pub len: usize,
    /// Sent: where it goes.
    pub path: ravelin_path,
}

/// What is known of a packet besides its headers; zero: a host without VRFs, tunnel interfaces and marks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_scope {
    /// Routing instance.
    pub vrf: u32,
    /// Interface id of a route-based tunnel.
    pub if_id: u32,
    /// Packet mark.
    pub mark: u32,
}

/// One datagram of a burst.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_datagram {
    /// Between whom.
    pub path: ravelin_path,
    /// What its outer header said; looked at by `ravelin_worker_open` only.
    pub outer: ravelin_outer,
    /// The payload; it is opened in place.
    pub data: *mut u8,
    /// Its octets.
    pub len: usize,
    /// What became of it.
    pub result: ravelin_ingress,
}

/// One packet of a burst. It is sealed in place: `ravelin_node_room` says how much room it needs around it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_packet {
    /// The buffer.
    pub buf: *mut u8,
    /// Its octets.
    pub cap: usize,
    /// Where the IP packet begins in it.
    pub offset: usize,
    /// The IP packet's octets.
    pub len: usize,
    /// `ravelin_worker_seal` only: the Child SA; 0: by policy.
    pub child: u64,
    /// `ravelin_worker_seal` only: the policy.
    pub policy: u32,
    /// What became of it.
    pub result: ravelin_egress,
}

impl ravelin_ingress {
    pub(crate) const CONSUMED: Self =
        Self { kind: ravelin_ingress_kind::Consumed, drop_reason: 0, child: 0, offset: 0, len: 0 };

    pub(crate) fn dropped(reason: ravelin::DropReason) -> Self {
        Self { kind: ravelin_ingress_kind::Dropped, drop_reason: reason as u8, ..Self::CONSUMED }
    }

    pub(crate) fn deliver(child: ravelin::ChildId, range: &Range<usize>) -> Self {
        let kind = ravelin_ingress_kind::Deliver;
        Self { kind, child: child.0, offset: range.start, len: range.len(), ..Self::CONSUMED }
    }
}

impl ravelin_egress {
    pub(crate) fn of(kind: ravelin_egress_kind) -> Self {
        Self {
            kind,
            drop_reason: 0,
            encapsulation: 0,
            protocol: 0,
            traffic_class: 0,
            mtu: 0,
            child: 0,
            offset: 0,
            len: 0,
            path: ravelin_path::default(),
        }
    }

    pub(crate) fn sent(range: &Range<usize>, meta: &TransmitMeta) -> Self {
        Self {
            encapsulation: encapsulation(meta.encapsulation),
            protocol: meta.protocol,
            traffic_class: meta.outer.traffic_class,
            child: meta.child.0,
            offset: range.start,
            len: range.len(),
            path: ravelin_path::of(meta.path),
            ..Self::of(ravelin_egress_kind::Sent)
        }
    }

    pub(crate) fn discard(reason: ravelin::DropReason) -> Self {
        Self { drop_reason: reason as u8, ..Self::of(ravelin_egress_kind::Discard) }
    }

    pub(crate) fn too_big(mtu: u16) -> Self {
        Self { mtu, ..Self::of(ravelin_egress_kind::TooBig) }
    }
}

/// A sink into the caller's buffer; pieces behind the first one go to a queue.
pub(crate) struct Buffer<'a> {
    buf: &'a mut [u8],
    queue: &'a mut VecDeque<Output>,
    piece: Vec<u8>,
    pub(crate) first: Option<TransmitMeta>,
    /// A piece did not fit.
    pub(crate) small: bool,
}

impl<'a> Buffer<'a> {
    pub(crate) fn new(buf: &'a mut [u8], queue: &'a mut VecDeque<Output>) -> Self {
        Self { buf, queue, piece: Vec::new(), first: None, small: false }
    }
}

impl PacketSink for Buffer<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.first.is_some() {
            self.piece = vec![0; len];
            return Some(&mut self.piece);
        }
        self.small = self.buf.len() < len;
        self.buf.get_mut(..len)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        if self.first.is_none() {
            self.first = Some(meta);
            return;
        }
        let mut bytes = std::mem::take(&mut self.piece);
        bytes.truncate(meta.len);
        self.queue.push_back(Output::Esp(EspPacket { meta, bytes }));
    }
}

/// Takes a UDP payload that came on `path`, in place. A delivered packet lies in `data` at `out->offset`. One thread at
/// a time.
///
/// # Safety
/// `node` is NULL or live; `path` is NULL or readable; `data` points to `len` octets of the caller that nobody else
/// uses; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_datagram(
    node: *mut ravelin_node,
    now: ravelin_now,
    path: *const ravelin_path,
    data: *mut u8,
    len: usize,
    out: *mut ravelin_ingress,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        wanted(out)?;
        // SAFETY: NULL or readable; the caller vouches for the octets.
        let (path, buf) = unsafe { (read(path)?.get()?, array_mut(data, len)?) };
        let start = buf.as_ptr().addr();
        let result = ingress(n.node.handle_datagram(now.get(), path, buf), start);
        // SAFETY: handed on.
        unsafe { put(out, result) }
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// Takes an ESP packet, from the SPI on: the payload of IP protocol 50. `outer` may be NULL. One thread at a time.
///
/// # Safety
/// As `ravelin_node_handle_datagram`; `outer` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_esp(
    node: *mut ravelin_node,
    now: ravelin_now,
    path: *const ravelin_path,
    outer: *const ravelin_outer,
    data: *mut u8,
    len: usize,
    out: *mut ravelin_ingress,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        wanted(out)?;
        // SAFETY: NULL or readable; the caller vouches for the octets.
        let (path, outer, buf) = unsafe { (read(path)?.get()?, ravelin_outer::get(outer), array_mut(data, len)?) };
        let start = buf.as_ptr().addr();
        let result = ingress(n.node.handle_esp(now.get(), path, outer, buf), start);
        // SAFETY: handed on.
        unsafe { put(out, result) }
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

fn ingress(result: Ingress<'_>, start: usize) -> ravelin_ingress {
    match result {
        Ingress::Consumed => ravelin_ingress::CONSUMED,
        Ingress::Dropped(reason) => ravelin_ingress::dropped(reason),
        Ingress::Deliver { child, packet } => {
            let at = packet.as_ptr().addr().saturating_sub(start);
            ravelin_ingress::deliver(child, &(at..at.saturating_add(packet.len())))
        }
    }
}

/// Takes an IP packet that wants to go out; a sealed one is written to `dst` (what `ravelin_node_room` says on top of
/// `len` is enough). When it had to be fragmented, `dst` holds the first piece and the others are the next outputs, of kind
/// `RAVELIN_OUTPUT_ESP`. With too small a buffer nothing is sent. `scope` may be NULL. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `ip` points to `len` octets, `dst` to `cap` octets that do not overlap them; `scope` is NULL
/// or readable; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_packet(
    node: *mut ravelin_node,
    now: ravelin_now,
    scope: *const ravelin_scope,
    ip: *const u8,
    len: usize,
    dst: *mut u8,
    cap: usize,
    out: *mut ravelin_egress,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        wanted(out)?;
        // SAFETY: the caller vouches for both; the scope is NULL or readable.
        let (ip, buf, scope) = unsafe { (bytes(ip, len)?, array_mut(dst, cap)?, scope_of(scope)) };
        let mut sink = Buffer::new(buf, &mut n.pieces);
        let result = match n.node.handle_packet_in(now.get(), scope, ip, &mut sink) {
            Egress::Sent => {
                let meta = sink.first.ok_or(Status::Panic)?;
                ravelin_egress::sent(&(0..meta.len), &meta)
            }
            Egress::Discard(_) if sink.small => return Err(Status::BufferTooSmall),
            Egress::Discard(reason) => ravelin_egress::discard(reason),
            Egress::Bypass => ravelin_egress::of(ravelin_egress_kind::Bypass),
            Egress::TooBig { mtu } => ravelin_egress::too_big(mtu),
            Egress::Acquiring => ravelin_egress::of(ravelin_egress_kind::Acquiring),
        };
        // SAFETY: handed on.
        unsafe { put(out, result) }
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// # Safety
/// `scope` is NULL or readable.
unsafe fn scope_of(scope: *const ravelin_scope) -> Scope {
    // SAFETY: NULL or readable.
    let s = unsafe { scope.as_ref() }.copied().unwrap_or_default();
    Scope { vrf: s.vrf, if_id: s.if_id, mark: s.mark }
}

/// As `ravelin_node_handle_datagram` for each of `count` datagrams, in order; each one's result is written to it. Runs of
/// ESP cost less than single calls. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `burst` points to `count` values whose buffers are the caller's and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_datagrams(
    node: *mut ravelin_node,
    now: ravelin_now,
    burst: *mut ravelin_datagram,
    count: usize,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        // SAFETY: the caller vouches for the array.
        let burst = unsafe { array_mut(burst, count)? };
        // SAFETY: the caller vouches for the buffers.
        let good = |d: &ravelin_datagram| unsafe { d.path.get().and(array_mut(d.data, d.len)).map(drop) };
        check_long(burst, good)?;
        for chunk in burst.chunks_mut(BURST) {
            let mut jobs: ArrayVec<Datagram<'_>, BURST> = ArrayVec::new();
            for d in chunk.iter() {
                // SAFETY: the caller vouches for the buffers.
                jobs.push(Datagram::new(d.path.get()?, unsafe { array_mut(d.data, d.len)? }));
            }
            n.node.handle_datagrams(now.get(), &mut jobs);
            for (d, job) in chunk.iter_mut().zip(&jobs) {
                d.result = match &job.result {
                    Arrived::Consumed => ravelin_ingress::CONSUMED,
                    Arrived::Deliver { child, range } => ravelin_ingress::deliver(*child, range),
                    Arrived::Dropped(reason) => ravelin_ingress::dropped(*reason),
                };
            }
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// A bad one is found before the first one is touched. What is looked at in one piece is checked there.
pub(crate) fn check_long<T>(burst: &[T], good: impl Fn(&T) -> Result<(), Status>) -> Result<(), Status> {
    if burst.len() > BURST { burst.iter().try_for_each(good) } else { Ok(()) }
}

/// The packet of a burst as a range of its buffer.
pub(crate) fn range_of(p: &ravelin_packet) -> Result<Range<usize>, Status> {
    let end = p.offset.checked_add(p.len).filter(|end| *end <= p.cap).ok_or(Status::InvalidArgument)?;
    Ok(p.offset..end)
}

/// As `ravelin_node_handle_packet` for each of `count` packets, in order, but in place; each one's result is written to
/// it. Packets that do not fit the path are not fragmented but too big. `scope` may be NULL. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `scope` is NULL or readable; `burst` points to `count` values whose buffers are the caller's
/// and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_packets(
    node: *mut ravelin_node,
    now: ravelin_now,
    scope: *const ravelin_scope,
    burst: *mut ravelin_packet,
    count: usize,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        // SAFETY: the caller vouches for the array and the scope.
        let (burst, scope) = unsafe { (array_mut(burst, count)?, scope_of(scope)) };
        // SAFETY: the caller vouches for the buffers.
        let good = |p: &ravelin_packet| unsafe { range_of(p).and(array_mut(p.buf, p.cap)).map(drop) };
        check_long(burst, good)?;
        for chunk in burst.chunks_mut(BURST) {
            let mut jobs: ArrayVec<Packet<'_>, BURST> = ArrayVec::new();
            for p in chunk.iter() {
                // SAFETY: the caller vouches for the buffers.
                jobs.push(Packet::new(unsafe { array_mut(p.buf, p.cap)? }, range_of(p)?));
            }
            n.node.handle_packets_in(now.get(), scope, &mut jobs);
            for (p, job) in chunk.iter_mut().zip(&jobs) {
                p.result = match &job.result {
                    Departed::Sent { range, meta } => ravelin_egress::sent(range, meta),
                    Departed::Bypass => ravelin_egress::of(ravelin_egress_kind::Bypass),
                    Departed::Discard(reason) => ravelin_egress::discard(*reason),
                    Departed::TooBig { mtu } => ravelin_egress::too_big(*mtu),
                    Departed::Acquiring => ravelin_egress::of(ravelin_egress_kind::Acquiring),
                };
            }
        }
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// Octets of room before and behind an IP packet that sealing may need. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_room(
    node: *mut ravelin_node,
    before: *mut usize,
    behind: *mut usize,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(before).and_then(|()| wanted(behind))?;
        let room = n.node.room();
        // SAFETY: handed on.
        unsafe { put(before, room.0).and_then(|()| put(behind, room.1)) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}
