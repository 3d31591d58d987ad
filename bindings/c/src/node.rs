//! The node: time, wishes and reports in. Packets are in `packets.rs`, outputs in `output.rs`, answers in `ask.rs`.

use crate::config::ravelin_config;
use crate::guard::{Handle, Kind, array, bytes, free, give, put, read, text, wanted, with};
use crate::output::Lent;
use crate::sa::{LentPolicy, ravelin_policy, ravelin_report};
use crate::types::{ravelin_endpoint, ravelin_now, ravelin_path, ravelin_status};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::code::Status;
use ravelin::{ChildId, IkeSaId, Node, Output, PeerId, PolicyId, Secret};
use std::collections::VecDeque;
use std::ffi::{CString, c_char};
use std::sync::Arc;

/// An IPsec host without I/O. Made by `ravelin_node_new`, freed by `ravelin_node_free`. One thread at a time.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_node {
    pub(crate) node: Node,
    /// Further pieces of a packet that had to be fragmented; they go out before the node's own outputs.
    pub(crate) pieces: VecDeque<Output>,
    /// The output that was handed out last, and what was lent of it.
    pub(crate) lent: Lent,
    policy: Option<LentPolicy>,
    /// What `ravelin_node_save` lent.
    pub(crate) saved: Option<Secret>,
    /// What `ravelin_node_reload` lent.
    pub(crate) said: Option<CString>,
}

impl Handle for ravelin_node {
    const KIND: Kind = Kind::Node;
}

/// Makes a node of a configuration, which stays the caller's. `seed` is 32 octets of secret randomness: all keys of
/// this node come from it, so use it once. Any thread.
///
/// # Safety
/// `config` is NULL or live; `seed` points to `seed_len` octets; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_new(
    config: *mut ravelin_config,
    seed: *const u8,
    seed_len: usize,
    out: *mut *mut ravelin_node,
) -> ravelin_status {
    let make = |c: &mut ravelin_config| {
        wanted(out)?;
        // SAFETY: the caller vouches for the octets.
        let seed: [u8; 32] = unsafe { bytes(seed, seed_len)? }.try_into().map_err(|_| Status::InvalidArgument)?;
        let rng = Box::new(ChaCha20Rng::from_seed(seed));
        let crypto = Arc::new(crate::config::provider());
        let new = ravelin_node {
            node: Node::new(c.config.clone(), crypto, c.db.clone(), rng),
            pieces: VecDeque::new(),
            lent: Lent::default(),
            policy: None,
            saved: None,
            said: None,
        };
        // SAFETY: handed on.
        unsafe { give(out, new) }
    };
    // SAFETY: handed on.
    unsafe { with(config, make) }
}

/// Frees a node; its keys are wiped, what it lent ends. NULL is nothing to do. No thread may use it any more. To tell
/// peers first: `ravelin_node_shutdown`.
///
/// # Safety
/// `node` is NULL or came from `ravelin_node_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_free(node: *mut ravelin_node) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { free(node) }
}

/// Does everything whose time has come. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_timeout(node: *mut ravelin_node, now: ravelin_now) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.handle_timeout(now.get()))) }
}

/// When to call `ravelin_node_handle_timeout` next, in the caller's monotonic microseconds; 0: output waits;
/// `nothing there` when never. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `at_us` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_deadline(node: *mut ravelin_node, at_us: *mut u64) -> ravelin_status {
    let ask = |n: &mut ravelin_node| {
        wanted(at_us)?;
        let at = if n.pieces.is_empty() { n.node.deadline().ok_or(Status::Nothing)?.at.micros() } else { 0 };
        // SAFETY: handed on.
        unsafe { put(at_us, at) }
    };
    // SAFETY: handed on.
    unsafe { with(node, ask) }
}

/// Takes what an external data plane saw. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `report` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_handle_report(
    node: *mut ravelin_node,
    now: ravelin_now,
    report: *const ravelin_report,
) -> ravelin_status {
    let take = |n: &mut ravelin_node| {
        // SAFETY: NULL or readable.
        let report = unsafe { read(report)? }.get()?;
        n.node.handle_report(now.get(), report);
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, take) }
}

/// Brings up an IKE SA with a peer and a Child SA for a policy (0: none). Writes the IKE SA's id. One thread at a time.
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
        wanted(sa)?;
        let policy = (policy != 0).then_some(PolicyId(policy));
        let id = n.node.initiate(now.get(), PeerId(peer), policy)?;
        // SAFETY: handed on.
        unsafe { put(sa, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(node, start) }
}

/// Begins everything whose policy says "at once" (`start = "start"`). One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_start(node: *mut ravelin_node, now: ravelin_now) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.start(now.get()))) }
}

/// Deletes an IKE SA with its Child SAs, telling the peer. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_delete(node: *mut ravelin_node, now: ravelin_now, sa: u64) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.delete(now.get(), IkeSaId(sa))?)) }
}

/// Deletes a Child SA, telling the peer. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_delete_child(
    node: *mut ravelin_node,
    now: ravelin_now,
    child: u64,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.delete_child(now.get(), ChildId(child))?)) }
}

/// Rekeys an IKE SA; its Child SAs live on in the new one. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_rekey(node: *mut ravelin_node, now: ravelin_now, sa: u64) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.rekey(now.get(), IkeSaId(sa))?)) }
}

/// Rekeys a Child SA. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_rekey_child(
    node: *mut ravelin_node,
    now: ravelin_now,
    child: u64,
) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.rekey_child(now.get(), ChildId(child))?)) }
}

/// Authenticates anew: a new IKE SA takes the place of this one. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_reauth(node: *mut ravelin_node, now: ravelin_now, sa: u64) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.reauth(now.get(), IkeSaId(sa))?)) }
}

/// Asks whether a peer is alive; the answer is an event. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_probe(node: *mut ravelin_node, now: ravelin_now, sa: u64) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.probe(now.get(), IkeSaId(sa))?)) }
}

/// Moves an IKE SA and its Child SAs to another path (RFC 4555). One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `path` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_roam(
    node: *mut ravelin_node,
    now: ravelin_now,
    sa: u64,
    path: *const ravelin_path,
) -> ravelin_status {
    let roam = |n: &mut ravelin_node| {
        // SAFETY: NULL or readable.
        let path = unsafe { read(path)? }.get()?;
        Ok(n.node.roam(now.get(), IkeSaId(sa), path)?)
    };
    // SAFETY: handed on.
    unsafe { with(node, roam) }
}

/// Says which addresses this host has, the best first, whenever they change; ports are not looked at. One thread at a
/// time.
///
/// # Safety
/// `node` is NULL or live; `addresses` points to `len` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_set_addresses(
    node: *mut ravelin_node,
    now: ravelin_now,
    addresses: *const ravelin_endpoint,
    len: usize,
) -> ravelin_status {
    let set = |n: &mut ravelin_node| {
        // SAFETY: the caller vouches for the array.
        let list = unsafe { array(addresses, len)? };
        let list = list.iter().map(|a| Ok(a.get()?.ip())).collect::<Result<_, Status>>()?;
        n.node.set_addresses(now.get(), list);
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(node, set) }
}

/// Deletes everything and takes nothing new; done when `ravelin_node_is_idle`. One thread at a time.
///
/// # Safety
/// `node` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_shutdown(node: *mut ravelin_node, now: ravelin_now) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| Ok(n.node.shutdown(now.get()))) }
}

/// Whether no IKE SA is left. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `idle` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_is_idle(node: *mut ravelin_node, idle: *mut bool) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(node, |n| put(idle, n.node.is_idle())) }
}

/// Policy number `index` (from 0) in the order in which policies are judged; `nothing there` behind the last. Texts and
/// selectors are lent until the next call of this function on this node. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_policy(
    node: *mut ravelin_node,
    index: usize,
    out: *mut ravelin_policy,
) -> ravelin_status {
    let read = |n: &mut ravelin_node| {
        wanted(out)?;
        let lent = n.node.db().spd.iter().nth(index).map(|p| LentPolicy::of(p)).ok_or(Status::Nothing)?;
        let lent = n.policy.insert(lent);
        // SAFETY: handed on.
        unsafe { put(out, *lent.c) }
    };
    // SAFETY: handed on.
    unsafe { with(node, read) }
}

/// The peer of a name in the node's databases. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; `name` is NULL or NUL-terminated; `peer` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_find_peer(
    node: *mut ravelin_node,
    name: *const c_char,
    peer: *mut u32,
) -> ravelin_status {
    let find = |n: &mut ravelin_node| {
        // SAFETY: handed on.
        let id = n.node.db().pad.find_by_name(unsafe { text(name)? }).ok_or(Status::UnknownPeer)?;
        // SAFETY: handed on.
        unsafe { put(peer, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(node, find) }
}
