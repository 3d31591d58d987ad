//! Building the configuration of a node: ports, peers, policies. Every setter checks; `ravelin_config_error` says why.

use crate::guard::{bytes, entry, exclusive, text};
use crate::types::ravelin_status;
use ravelin::code::Status;
use ravelin::db::pad::{IdPattern, Identity, Peer};
use ravelin::db::proposal::{Proposal, ProposalProtocol};
use ravelin::db::spd::{Action, Policy, Protect};
use ravelin::{Config, Db, PeerId, Secret};
use std::ffi::{CString, c_char};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;

/// A configuration under construction. Made by `ravelin_config_new`, given to `ravelin_node_new` or freed.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_config {
    pub(crate) busy: AtomicBool,
    pub(crate) config: Config,
    pub(crate) db: Db,
    error: CString,
}

impl ravelin_config {
    fn fail(&mut self, why: impl ToString) -> Status {
        self.error = CString::new(why.to_string()).unwrap_or_default();
        Status::Configuration
    }
}

/// An empty configuration with the defaults. Free it by `ravelin_config_free` unless a node took it.
///
/// # Safety
/// `out` is NULL or points to a pointer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_new(out: *mut *mut ravelin_config) -> ravelin_status {
    entry(|| {
        if out.is_null() {
            return Err(Status::NullPointer);
        }
        let new = Box::new(ravelin_config {
            busy: AtomicBool::new(false),
            config: Config::default(),
            db: Db::default(),
            error: CString::default(),
        });
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { out.write(Box::into_raw(new)) };
        Ok(())
    })
}

/// Frees a configuration that no node took. NULL is nothing to do.
///
/// # Safety
/// `config` is NULL or came from `ravelin_config_new`, was not freed and not given to a node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_free(config: *mut ravelin_config) {
    if !config.is_null() {
        // SAFETY: it came from Box::into_raw and is freed once.
        drop(unsafe { Box::from_raw(config) });
    }
}

/// Why the last call on this configuration said `configuration not acceptable`; empty before. Valid until the next
/// call on it; NULL for NULL.
///
/// # Safety
/// `config` is NULL or a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_error(config: *const ravelin_config) -> *const c_char {
    // SAFETY: NULL or live.
    unsafe { config.as_ref() }.map_or(std::ptr::null(), |c| c.error.as_ptr())
}

/// Runs `f` on a live configuration.
///
/// # Safety
/// `config` is NULL or a live configuration that no other thread uses.
unsafe fn with(config: *mut ravelin_config, f: impl FnOnce(&mut ravelin_config) -> Result<(), Status>) -> i32 {
    if config.is_null() {
        return Status::NullPointer as i32;
    }
    // SAFETY: not NULL; the flag is only ever touched atomically.
    let busy = unsafe { &*std::ptr::addr_of!((*config).busy) };
    // SAFETY: the flag keeps a second thread out; the caller vouches for the rest.
    exclusive(busy, || f(unsafe { &mut *config }))
}

/// UDP ports: ours for IKE, ours for NAT traversal, the peers' for NAT traversal. None may be 0; the first two differ.
///
/// # Safety
/// `config` is NULL or a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_ports(
    config: *mut ravelin_config,
    ike: u16,
    nat_t: u16,
    remote_nat_t: u16,
) -> ravelin_status {
    let set = |c: &mut ravelin_config| {
        if ike == 0 || nat_t == 0 || remote_nat_t == 0 || ike == nat_t {
            return Err(c.fail("ports must not be 0, and the two local ones must differ"));
        }
        c.config.ike.ports = ravelin::ike::config::Ports { ike, nat_t, remote_nat_t };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(config, set) }
}

/// Asks for key events (`RAVELIN_OUTPUT_IKE_KEYS`, `RAVELIN_OUTPUT_CHILD_KEYS`). For debugging only.
///
/// # Safety
/// `config` is NULL or a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_export_keys(config: *mut ravelin_config, on: bool) -> ravelin_status {
    // SAFETY: handed on.
    unsafe {
        with(config, |c| {
            c.config.ike.export_keys = on;
            Ok(())
        })
    }
}

/// Leaves the packets to the caller's own data plane: steps come out as outputs of kind `RAVELIN_OUTPUT_CHANGE`.
///
/// # Safety
/// `config` is NULL or a live configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_external_plane(config: *mut ravelin_config, on: bool) -> ravelin_status {
    // SAFETY: handed on.
    unsafe {
        with(config, |c| {
            c.config.data_plane = if on { ravelin::DataPlane::External } else { ravelin::DataPlane::Inline };
            Ok(())
        })
    }
}

/// Adds a peer with a pre-shared key. `remote_addr` may be NULL for a peer that only initiates; `ike` may be NULL for
/// the default proposals, else as in "aes256gcm16-prfsha384-x25519". Writes the peer's id.
///
/// # Safety
/// `config` is NULL or a live configuration; texts are NULL or NUL-terminated; `psk` points to `psk_len` octets;
/// `peer` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_add_peer(
    config: *mut ravelin_config,
    name: *const c_char,
    local_id: *const c_char,
    remote_id: *const c_char,
    local_addr: *const c_char,
    remote_addr: *const c_char,
    remote_port: u16,
    psk: *const u8,
    psk_len: usize,
    ike: *const c_char,
    peer: *mut u32,
) -> ravelin_status {
    let add = |c: &mut ravelin_config| {
        if peer.is_null() {
            return Err(Status::NullPointer);
        }
        // SAFETY: the caller vouches for all texts.
        let (name, local, remote, address) =
            unsafe { (text(name)?, text(local_id)?, text(remote_id)?, text(local_addr)?) };
        // SAFETY: the caller vouches for the octets.
        let psk = unsafe { bytes(psk, psk_len)? };
        if psk.is_empty() {
            return Err(c.fail("the pre-shared key is empty"));
        }
        let local: Identity = local.parse().map_err(|e| c.fail(e))?;
        let remote: IdPattern = remote.parse().map_err(|e| c.fail(e))?;
        c.db.pad.secrets.add_psk(Some(&local), remote.exact(), Secret::new(psk.to_vec()));
        let mut entry = Peer::new(name, local, remote);
        entry.local = Some(address.parse::<IpAddr>().map_err(|e| c.fail(e))?);
        if !remote_addr.is_null() {
            // SAFETY: not NULL, the caller vouches for the terminator.
            let remote: IpAddr = unsafe { text(remote_addr)? }.parse().map_err(|e| c.fail(e))?;
            entry.remote = Some((remote, remote_port).into());
        }
        if !ike.is_null() {
            // SAFETY: not NULL, the caller vouches for the terminator.
            let words = unsafe { text(ike)? };
            entry.proposals = Proposal::parse_list(ProposalProtocol::Ike, words).map_err(|e| c.fail(e))?;
        }
        let id = c.db.pad.add(entry).map_err(|e| c.fail(e))?;
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { peer.write(id.0) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(config, add) }
}

/// Adds a policy that protects traffic with a peer. Selectors as in "10.1.0.0/16" or "10.1.0.0/16[tcp/80]", several
/// separated by commas; `esp` may be NULL for the default proposals. Writes the policy's id.
///
/// # Safety
/// As `ravelin_config_add_peer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_add_child(
    config: *mut ravelin_config,
    peer: u32,
    name: *const c_char,
    local_ts: *const c_char,
    remote_ts: *const c_char,
    esp: *const c_char,
    policy: *mut u32,
) -> ravelin_status {
    let add = |c: &mut ravelin_config| {
        if policy.is_null() {
            return Err(Status::NullPointer);
        }
        if c.db.pad.peer(PeerId(peer)).is_none() {
            return Err(Status::UnknownPeer);
        }
        // SAFETY: the caller vouches for all texts.
        let (name, local, remote) = unsafe { (text(name)?, text(local_ts)?, text(remote_ts)?) };
        let mut protect = Protect::new(PeerId(peer));
        if !esp.is_null() {
            // SAFETY: not NULL, the caller vouches for the terminator.
            let words = unsafe { text(esp)? };
            protect.proposals = Proposal::parse_list(ProposalProtocol::Esp, words).map_err(|e| c.fail(e))?;
        }
        let selectors = |list: &str| list.split(',').map(|s| s.trim().parse()).collect::<Result<Vec<_>, _>>();
        let local = selectors(local).map_err(|e| c.fail(e))?;
        let remote = selectors(remote).map_err(|e| c.fail(e))?;
        let entry = Policy::new(name, local, remote, Action::Protect(protect.into()));
        let id = c.db.spd.add(entry).map_err(|e| c.fail(e))?;
        // SAFETY: not NULL, and the caller vouches that it may be written.
        unsafe { policy.write(id.0) };
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(config, add) }
}
