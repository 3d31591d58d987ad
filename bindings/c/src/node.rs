//! The node: datagrams and packets in, time in, wishes in. Outputs are in `output.rs`.

use crate::config::ravelin_config;
use crate::guard::{bytes, bytes_mut, entry, exclusive};
use crate::types::{ravelin_now, ravelin_path, ravelin_status};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::code::Status;
use ravelin::{Egress, IkeSaId, Ingress, Node, Output, PacketSink, PeerId, PolicyId, TransmitMeta};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// An IPsec host without I/O. Made by `ravelin_node_new`, freed by `ravelin_node_free`. One thread at a time.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_node {
    busy: AtomicBool,
    pub(crate) node: Node,
    /// The output that was handed out last; its octets are lent from here.
    pub(crate) lent: Option<Output>,
    pub(crate) text: std::ffi::CString,
}

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
    /// Deliver: the Child SA it came on.
    pub child: u64,
    /// Deliver: where the inner packet begins in the caller's buffer.
    pub offset: usize,
    /// Deliver: its length in octets.
    pub len: usize,
    /// Dropped: the cause's number.
    pub drop_reason: u8,
}

/// What became of a packet that wants to go out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the C name")]
pub enum ravelin_egress_kind {
    /// Sealed into the caller's buffer.
    Sent = 0,
    /// The policy lets it pass in the clear.
    Bypass = 1,
    /// Dropped and counted.
    Discard = 2,
    /// Larger than the path carries.
    TooBig = 3,
    /// It waits for the SA that is being made.
    Acquiring = 4,
}

/// The result of a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_egress {
    /// What became of it.
    pub kind: ravelin_egress_kind,
    /// Discard: the cause's number.
    pub drop_reason: u8,
    /// TooBig: the largest inner packet that fits.
    pub mtu: u16,
    /// Sent: octets in the caller's buffer, from the ESP header on.
    pub len: usize,
    /// Sent: 0 bare protocol 50, 1 in UDP, 2 in TCP.
    pub encapsulation: u8,
    /// Sent: where it goes.
    pub path: ravelin_path,
}

/// Makes a node. It takes the configuration over, on success only. `seed` is 32 octets of secret randomness.
///
/// # Safety
/// `config` is NULL or a live configuration; `seed` points to `seed_len` octets; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_new(
    config: *mut ravelin_config,
    seed: *const u8,
    seed_len: usize,
    out: *mut *mut ravelin_node,
) -> ravelin_status {
    entry(|| {
        if config.is_null() || out.is_null() {
            return Err(Status::NullPointer);
        }
        // SAFETY: the caller vouches for the octets.
        let seed: [u8; 32] = unsafe { bytes(seed, seed_len)? }.try_into().map_err(|_| Status::InvalidArgument)?;
        // SAFETY: a live configuration from Box::into_raw, taken over here.
        let config = unsafe { Box::from_raw(config) };
        let rng = Box::new(ChaCha20Rng::from_seed(seed));
        let crypto = Arc::new(ravelin::crypto::rustcrypto::provider());
        let node = Node::new(config.config, crypto, config.db, rng);
        let new = Box::new(ravelin_node {
            busy: AtomicBool::new(false),
            node,
            lent: None,
            text: std::ffi::CString::default(),
        });
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { out.write(Box::into_raw(new)) };
        Ok(())
    })
}

/// Frees a node; its keys are wiped. NULL is nothing to do.
///
/// # Safety
/// `node` is NULL or a live node that no thread uses; lent octets end here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_free(node: *mut ravelin_node) {
    if !node.is_null() {
        // SAFETY: it came from Box::into_raw and is freed once.
        drop(unsafe { Box::from_raw(node) });
    }
}

/// Runs `f` on a live node.
///
/// # Safety
/// `node` is NULL or a live node.
pub(crate) unsafe fn with(node: *mut ravelin_node, f: impl FnOnce(&mut ravelin_node) -> Result<(), Status>) -> i32 {
    if node.is_null() {
        return Status::NullPointer as i32;
    }
    // SAFETY: not NULL; the flag is only ever touched atomically.
    let busy = unsafe { &*std::ptr::addr_of!((*node).busy) };
    // SAFETY: the flag keeps a second thread out; the caller vouches that the node is live.
    exclusive(busy, || f(unsafe { &mut *node }))
}

/// Takes a UDP payload that came on `path`, in place. A delivered packet lies in `data` at `out->offset`.
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
        if out.is_null() {
            return Err(Status::NullPointer);
        }
        // SAFETY: NULL or readable.
        let path = unsafe { path.as_ref() }.ok_or(Status::NullPointer)?.get()?;
        // SAFETY: the caller vouches for the octets.
        let buf = unsafe { bytes_mut(data, len)? };
        let start = buf.as_ptr() as usize;
        let mut result =
            ravelin_ingress { kind: ravelin_ingress_kind::Consumed, child: 0, offset: 0, len: 0, drop_reason: 0 };
        match n.node.handle_datagram(now.get(), path, buf) {
            Ingress::Consumed => {}
            Ingress::Deliver { child, packet } => {
                result.kind = ravelin_ingress_kind::Deliver;
                result.child = child.0;
                result.offset = (packet.as_ptr() as usize).saturating_sub(start);
                result.len = packet.len();
            }
            Ingress::Dropped(reason) => {
                result.kind = ravelin_ingress_kind::Dropped;
                result.drop_reason = reason as u8;
            }
        }
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { out.write(result) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// A sink into the caller's buffer.
struct Buffer<'a> {
    buf: &'a mut [u8],
    meta: Option<TransmitMeta>,
    wanted: usize,
}

impl PacketSink for Buffer<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.wanted = len;
        self.buf.get_mut(..len)
    }

    fn commit(&mut self, meta: TransmitMeta) {
        self.meta = Some(meta);
    }
}

/// Takes an IP packet that wants to go out; a sealed one is written to `dst`. 128 octets more than `len` are enough.
///
/// # Safety
/// `node` is NULL or live; `ip` points to `len` octets, `dst` to `cap` octets that do not overlap them; `out` is NULL
/// or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_packet(
    node: *mut ravelin_node,
    now: ravelin_now,
    ip: *const u8,
    len: usize,
    dst: *mut u8,
    cap: usize,
    out: *mut ravelin_egress,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        if out.is_null() {
            return Err(Status::NullPointer);
        }
        // SAFETY: the caller vouches for both.
        let (ip, buf) = unsafe { (bytes(ip, len)?, bytes_mut(dst, cap)?) };
        let mut sink = Buffer { buf, meta: None, wanted: 0 };
        let mut result = ravelin_egress {
            kind: ravelin_egress_kind::Sent,
            drop_reason: 0,
            mtu: 0,
            len: 0,
            encapsulation: 0,
            path: ravelin_path::default(),
        };
        match n.node.handle_packet(now.get(), ip, &mut sink) {
            Egress::Sent => {
                let meta = sink.meta.ok_or(Status::Panic)?;
                result.len = meta.len;
                result.path = ravelin_path::of(meta.path);
                result.encapsulation = meta.encapsulation as u8;
            }
            Egress::Discard(_) if sink.wanted > cap => return Err(Status::BufferTooSmall),
            Egress::Discard(reason) => {
                result.kind = ravelin_egress_kind::Discard;
                result.drop_reason = reason as u8;
            }
            Egress::Bypass => result.kind = ravelin_egress_kind::Bypass,
            Egress::TooBig { mtu } => {
                result.kind = ravelin_egress_kind::TooBig;
                result.mtu = mtu;
            }
            Egress::Acquiring => result.kind = ravelin_egress_kind::Acquiring,
        }
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { out.write(result) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// Does everything whose time has come.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_timeout(node: *mut ravelin_node, now: ravelin_now) -> ravelin_status {
    // SAFETY: handed on.
    unsafe {
        with(node, |n| {
            n.node.handle_timeout(now.get());
            Ok(())
        })
    }
}

/// When to call `ravelin_node_handle_timeout` next, in the caller's monotonic microseconds; `nothing there` when never.
///
/// # Safety
/// `node` is NULL or live; `at_us` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_deadline(node: *mut ravelin_node, at_us: *mut u64) -> ravelin_status {
    let ask = |n: &mut ravelin_node| {
        if at_us.is_null() {
            return Err(Status::NullPointer);
        }
        let deadline = n.node.deadline().ok_or(Status::Nothing)?;
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { at_us.write(deadline.at.micros()) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, ask) }
}

/// Brings up an IKE SA with a peer and a Child SA for a policy (0: none). Writes the IKE SA's id.
///
/// # Safety
/// `node` is NULL or live; `sa` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_initiate(
    node: *mut ravelin_node,
    now: ravelin_now,
    peer: u32,
    policy: u32,
    sa: *mut u64,
) -> ravelin_status {
    let start = |n: &mut ravelin_node| {
        if sa.is_null() {
            return Err(Status::NullPointer);
        }
        let policy = (policy != 0).then_some(PolicyId(policy));
        let id = n.node.initiate(now.get(), PeerId(peer), policy)?;
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { sa.write(id.0) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, start) }
}

/// Deletes an IKE SA with its Child SAs, telling the peer.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_delete(node: *mut ravelin_node, now: ravelin_now, sa: u64) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.delete(now.get(), IkeSaId(sa))?)) }
}

/// Deletes everything and takes nothing new.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_shutdown(node: *mut ravelin_node, now: ravelin_now) -> ravelin_status {
    // SAFETY: handed on.
    unsafe {
        with(node, |n| {
            n.node.shutdown(now.get());
            Ok(())
        })
    }
}

/// True when no IKE SA is left; false for NULL.
///
/// # Safety
/// `node` is NULL or live and used by no other thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_is_idle(node: *const ravelin_node) -> bool {
    // SAFETY: NULL or live.
    unsafe { node.as_ref() }.is_some_and(|n| n.node.is_idle())
}
