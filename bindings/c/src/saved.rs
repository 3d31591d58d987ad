//! The databases of a node (PAD, SPD, address pools with their leases) as JSON, and back into a configuration
//! (`ravelin::db::snapshot`): what a program keeps over its own restart. And another configuration for a node that runs
//! (`ravelin::reload`).

use crate::config::ravelin_config;
use crate::guard::{bytes, put, wanted, with};
use crate::node::ravelin_node;
use crate::types::{ravelin_now, ravelin_status};
use ravelin::Secret;
use ravelin::code::Status;
use ravelin::db::snapshot::{Include, Snapshot};
use std::ffi::{CString, c_char};

/// The databases as they are now, leases included, as JSON, NUL-terminated; `len` without the NUL. `secrets`: with
/// pre-shared keys and passwords, to be kept like them. Private keys are never in it, nor are SAs. Lent until the next
/// call of this function on the node; then it is wiped. One thread at a time.
///
/// # Safety
/// `node` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_save(
    node: *mut ravelin_node,
    secrets: bool,
    json: *mut *const c_char,
    len: *mut usize,
) -> ravelin_status {
    let save = |n: &mut ravelin_node| {
        wanted(json).and_then(|()| wanted(len))?;
        let include = if secrets { Include::Secrets } else { Include::Public };
        let snapshot = Snapshot::take(n.node.db(), std::iter::empty(), include);
        let mut text = serde_json::to_vec(&snapshot).map_err(|_| Status::InvalidArgument)?;
        let octets = text.len();
        text.push(0);
        let text = n.saved.insert(Secret::new(text));
        // SAFETY: handed on.
        unsafe { put(len, octets).and_then(|()| put(json, text.expose().as_ptr().cast())) }
    };
    // SAFETY: handed on.
    unsafe { with(node, save) }
}

/// Takes databases that `ravelin_node_save` wrote in place of those of the configuration, with the same ids and leases;
/// ports, times of retransmission and other settings stay. A credential comes back without its private key: signatures
/// are asked for (`Sign`), or `ravelin_config_peer_credential` names it again. Secrets that were not saved have to be
/// given again too. What does not fit is refused as a whole, with words. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `json` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_restore(
    config: *mut ravelin_config,
    json: *const c_char,
    len: usize,
) -> ravelin_status {
    let restore = |c: &mut ravelin_config| {
        // SAFETY: the caller vouches for the octets.
        let octets = unsafe { bytes(json.cast(), len)? };
        let saved: Snapshot = serde_json::from_slice(octets).map_err(|e| c.fail(e))?;
        c.db = saved.restore().map_err(|e| c.fail(e))?;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(config, restore) }
}

/// Makes the databases of a running node those of a configuration, which stays the caller's: peers, policies and pools that
/// are new are added, those that are gone are deleted with their SAs, what changed holds for SAs to come; a policy whose
/// traffic selectors changed loses its Child SAs. They are told apart by name, and keep their ids and leases. Ports, times of
/// retransmission and other settings stay as they are. `said` gets what was done, a line each, NUL-terminated: lent until
/// the next call of this function on the node. What is to be up at once begins with `ravelin_node_start`. One thread at a
/// time.
///
/// # Safety
/// `node` and `config` are NULL or live; `said` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_node_reload(
    node: *mut ravelin_node,
    now: ravelin_now,
    config: *mut ravelin_config,
    said: *mut *const c_char,
) -> ravelin_status {
    let mut db = None;
    let read = |c: &mut ravelin_config| {
        wanted(said)?;
        db = Some(c.db.clone());
        Ok(())
    };
    // SAFETY: handed on.
    let status = unsafe { with(config, read) };
    let Some(db) = db else { return status };
    let reload = |n: &mut ravelin_node| {
        let text = n.node.reload(now.get(), db).to_string();
        let text = n.said.insert(CString::new(text).map_err(|_| Status::InvalidArgument)?);
        // SAFETY: handed on.
        unsafe { put(said, text.as_ptr()) }
    };
    // SAFETY: handed on.
    unsafe { with(node, reload) }
}
