//! The configuration of a node: from a TOML text, or by builder calls. Every setter checks, and
//! `ravelin_config_error` says why one refused. What belongs to one peer or policy is in `peer.rs`.
//!
//! To add a setting: one function here or in `peer.rs`, one line in `bindings/surface.txt`.

use crate::guard::{Handle, Kind, bytes, free, give, maybe_text, put, text, wanted, with};
use crate::types::ravelin_status;
use ::ravelin_config::Gateway;
use ravelin::code::Status;
use ravelin::crypto::Provider;
use ravelin::{Config, DataPlane, Db};
use std::ffi::{CString, c_char};
use std::path::Path;
use std::time::Duration;

/// The configuration of nodes. Made by `ravelin_config_new`, freed by `ravelin_config_free`; nodes copy what they need.
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_config {
    pub(crate) config: Config,
    pub(crate) db: Db,
    pub(crate) error: CString,
    key: CString,
    place: (u32, u32),
    gateway: Option<Gateway>,
    pub(crate) names: Vec<CString>,
}

impl Handle for ravelin_config {
    const KIND: Kind = Kind::Config;
}

/// Text for C: up to the first NUL it may hold.
pub(crate) fn c_text(text: impl std::fmt::Display) -> CString {
    let mut text = text.to_string().into_bytes();
    text.truncate(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
    CString::new(text).unwrap_or_default()
}

/// The cryptography of every node, plane and configuration of this library.
pub(crate) fn provider() -> Provider {
    ravelin::crypto::awslc::provider()
}

impl ravelin_config {
    pub(crate) fn fail(&mut self, why: impl std::fmt::Display) -> Status {
        self.error = c_text(why);
        self.key = CString::default();
        self.place = (0, 0);
        Status::Configuration
    }
}

/// An empty configuration with the defaults. Any thread.
///
/// # Safety
/// `out` is NULL or points to a pointer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_new(out: *mut *mut ravelin_config) -> ravelin_status {
    crate::guard::entry(|| {
        wanted(out)?;
        let new = ravelin_config {
            config: Config::default(),
            db: Db::default(),
            error: CString::default(),
            key: CString::default(),
            place: (0, 0),
            gateway: None,
            names: Vec::new(),
        };
        // SAFETY: handed on.
        unsafe { give(out, new) }
    })
}

/// Frees a configuration; its secrets are wiped. NULL is nothing to do. No thread may use it any more.
///
/// # Safety
/// `config` is NULL or came from `ravelin_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_free(config: *mut ravelin_config) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { free(config) }
}

/// Why the last call on this configuration was refused with `configuration not acceptable`; empty before. Lent until
/// the next call on it. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `text` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_error(config: *mut ravelin_config, text: *mut *const c_char) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(config, |c| put(text, c.error.as_ptr())) }
}

/// Where in a TOML text the last error is: line and column from 1 (0: the text as a whole), and the key as in
/// `peer[0].child[1].esp` (lent). One thread at a time.
///
/// # Safety
/// `config` is NULL or live; out-parameters are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_error_place(
    config: *mut ravelin_config,
    line: *mut u32,
    column: *mut u32,
    key: *mut *const c_char,
) -> ravelin_status {
    let read = |c: &mut ravelin_config| {
        wanted(line).and_then(|()| wanted(column)).and_then(|()| wanted(key))?;
        // SAFETY: handed on.
        unsafe {
            put(line, c.place.0)?;
            put(column, c.place.1)?;
            put(key, c.key.as_ptr())
        }
    };
    // SAFETY: handed on.
    unsafe { with(config, read) }
}

/// Reads a configuration from TOML (docs/gateway.md has all keys) in place of all that was there. `name` is what
/// errors call the text; files that it names (certificates, keys) are looked for in that file's folder, and this is the only call of
/// the library that opens files. NULL: no name. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `toml` points to `len` octets; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_load_toml(
    config: *mut ravelin_config,
    toml: *const c_char,
    len: usize,
    name: *const c_char,
) -> ravelin_status {
    let load = |c: &mut ravelin_config| {
        // SAFETY: the caller vouches for both.
        let (octets, name) = unsafe { (bytes(toml.cast(), len)?, maybe_text(name)?) };
        let words = std::str::from_utf8(octets).map_err(|_| c.fail("the text is not UTF-8"))?;
        match ::ravelin_config::Config::parse(Path::new(name.unwrap_or("configuration")), words, &provider()) {
            Ok(new) => {
                c.config = new.node();
                c.gateway = Some(new.gateway);
                c.db = new.db;
                Ok(())
            }
            Err(e) => {
                let status = c.fail(&e);
                c.key = c_text(&e.key);
                c.place = (u32::try_from(e.line).unwrap_or(0), u32::try_from(e.column).unwrap_or(0));
                Err(status)
            }
        }
    };
    // SAFETY: handed on.
    unsafe { with(config, load) }
}

/// Table `[gateway]` of a TOML text: what a daemon takes from the system.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types, reason = "the C name")]
pub struct ravelin_gateway {
    /// Name of the TUN device (lent).
    pub tun: *const c_char,
    /// Path of the control socket (lent).
    pub control: *const c_char,
    /// MTU of the TUN device.
    pub mtu: u16,
    /// UDP port of IKE.
    pub ike_port: u16,
    /// UDP port of IKE and ESP behind NATs.
    pub nat_port: u16,
    /// Routing table for the routes into the tunnels.
    pub route_table: u32,
    /// Mark on own packets.
    pub mark: u32,
}

/// Table `[gateway]` of the TOML text that was loaded; `nothing there` without one. Texts are lent until the next call on
/// this configuration. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `out` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_gateway(
    config: *mut ravelin_config,
    out: *mut ravelin_gateway,
) -> ravelin_status {
    let read = |c: &mut ravelin_config| {
        let g = c.gateway.as_ref().ok_or(Status::Nothing)?;
        c.names = vec![c_text(&g.tun), c_text(g.control.display())];
        let name = |n: usize| c.names.get(n).map_or(std::ptr::null(), |t| t.as_ptr());
        let gateway = ravelin_gateway {
            tun: name(0),
            control: name(1),
            mtu: g.mtu,
            ike_port: g.ike.ports.ike,
            nat_port: g.ike.ports.nat_t,
            route_table: g.route_table,
            mark: g.mark,
        };
        // SAFETY: handed on.
        unsafe { put(out, gateway) }
    };
    // SAFETY: handed on.
    unsafe { with(config, read) }
}

/// UDP ports: ours for IKE, ours for NAT traversal, the peers' for NAT traversal. None may be 0; the first two differ.
/// One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
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

/// Retransmissions (RFC 7296 §2.1): the wait for the first answer in milliseconds, and how often a request is repeated
/// before its peer counts as dead (at most 64). One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_retransmit(
    config: *mut ravelin_config,
    first_wait_ms: u32,
    tries: u32,
) -> ravelin_status {
    let set = |c: &mut ravelin_config| {
        if first_wait_ms == 0 || tries > 64 {
            return Err(c.fail("retransmission: expected a wait above 0 and at most 64 tries"));
        }
        c.config.ike.retransmit.timeout = Duration::from_millis(first_wait_ms.into());
        c.config.ike.retransmit.tries = tries;
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(config, set) }
}

/// Asks for key events (`RAVELIN_OUTPUT_HANDSHAKE_KEYS`, `RAVELIN_OUTPUT_IKE_KEYS`, `RAVELIN_OUTPUT_CHILD_KEYS`), for
/// debugging only: whoever has them reads the traffic. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_export_keys(config: *mut ravelin_config, on: bool) -> ravelin_status {
    // SAFETY: handed on.
    unsafe { with(config, |c| Ok(c.config.ike.export_keys = on)) }
}

/// Leaves the packets to the caller's own data plane: steps come out as outputs of kind `RAVELIN_OUTPUT_CHANGE`, and
/// what the plane sees goes in by `ravelin_node_handle_report`. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_external_plane(config: *mut ravelin_config, on: bool) -> ravelin_status {
    let plane = if on { DataPlane::External } else { DataPlane::Inline };
    // SAFETY: handed on.
    unsafe { with(config, |c| Ok(c.config.data_plane = plane)) }
}

/// Asks the caller about secrets and certificate chains that the configuration does not hold, by outputs of kind
/// `RAVELIN_OUTPUT_ASK`, and waits `timeout_ms` for each answer. Off: that is refused. Signatures of keys that are
/// elsewhere are asked for in any case. One thread at a time.
///
/// # Safety
/// `config` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_asks(config: *mut ravelin_config, on: bool, timeout_ms: u32) -> ravelin_status {
    let set = |c: &mut ravelin_config| {
        if timeout_ms == 0 {
            return Err(c.fail("asks: expected a timeout above 0"));
        }
        c.config.ike.asks = on;
        c.config.ike.ask_timeout = Duration::from_millis(timeout_ms.into());
        Ok(())
    };
    // SAFETY: handed on.
    unsafe { with(config, set) }
}

/// The id of a peer by its name. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `name` is NULL or NUL-terminated; `peer` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_find_peer(
    config: *mut ravelin_config,
    name: *const c_char,
    peer: *mut u32,
) -> ravelin_status {
    let find = |c: &mut ravelin_config| {
        // SAFETY: handed on.
        let id = c.db.pad.find_by_name(unsafe { text(name)? }).ok_or(Status::UnknownPeer)?;
        // SAFETY: handed on.
        unsafe { put(peer, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(config, find) }
}

/// The id of a policy by its name; in a TOML text it is called `PEER/CHILD`. One thread at a time.
///
/// # Safety
/// `config` is NULL or live; `name` is NULL or NUL-terminated; `policy` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ravelin_config_find_policy(
    config: *mut ravelin_config,
    name: *const c_char,
    policy: *mut u32,
) -> ravelin_status {
    let find = |c: &mut ravelin_config| {
        // SAFETY: handed on.
        let id = c.db.spd.find_by_name(unsafe { text(name)? }).ok_or(Status::UnknownPolicy)?;
        // SAFETY: handed on.
        unsafe { put(policy, id.0) }
    };
    // SAFETY: handed on.
    unsafe { with(config, find) }
}
