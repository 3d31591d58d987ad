//! The C ABI by its contract: any sequence of calls with live or NULL handles, any lengths and texts. Every call gives a
//! status of the list, never RAVELIN_STATUS_PANIC, and out-parameters are written only on success.

use arbitrary::{Arbitrary, Unstructured};
use ravelin_c::*;
use std::ffi::CString;
use std::ptr::{null, null_mut};

#[derive(Arbitrary, Debug)]
enum Call {
    Peer { good: bool, name: u8, text: Vec<u8>, psk: u8, addr: Vec<u8>, null: u8, ike: Option<Vec<u8>> },
    Child { peer: u8, name: u8, ts: Vec<u8>, good: bool, esp: Option<Vec<u8>> },
    Ports(u16, u16, u16),
    ExportKeys(bool),
    External(bool),
    Node { seed: u8 },
    Datagram { octets: Vec<u8>, family: u8, port: u16, null: bool },
    Packet { octets: Vec<u8>, room: u16 },
    Timeout(u32),
    Deadline(bool),
    Initiate(u8, u8),
    Delete(u8),
    Shutdown,
    Poll,
    Read(u8),
    FreeConfig,
    FreeNode,
}

struct Handles {
    config: *mut ravelin_config,
    node: *mut ravelin_node,
    now: ravelin_now,
    peers: u32,
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: NULL or live, and freed once.
        unsafe {
            ravelin_config_free(self.config);
            ravelin_node_free(self.node);
        }
    }
}

fn check(status: ravelin_status) -> bool {
    let name = ravelin_status_name(status);
    assert!(!name.is_null(), "status {status} has no name");
    // SAFETY: a static text.
    let name = unsafe { std::ffi::CStr::from_ptr(name) }.to_str().expect("UTF-8");
    assert_ne!(status, ravelin::code::Status::Panic as i32, "a panic: {name}");
    status == 0
}

fn text(octets: &[u8]) -> CString {
    CString::new(octets.iter().copied().filter(|b| *b != 0).collect::<Vec<u8>>()).expect("no NUL")
}

pub(crate) fn run(data: &[u8]) {
    let Ok(calls) = Vec::<Call>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let now = ravelin_now { mono_us: 1, wall_s: 1_800_000_000 };
    let mut h = Handles { config: null_mut(), node: null_mut(), now, peers: 0 };
    for call in calls.into_iter().take(64) {
        play(&mut h, call);
    }
}

fn play(h: &mut Handles, call: Call) {
    if h.config.is_null() && h.node.is_null() {
        // SAFETY: `h.config` may be written.
        assert!(check(unsafe { ravelin_config_new(&raw mut h.config) }));
    }
    match call {
        Call::Peer { .. } | Call::Child { .. } | Call::Ports(..) | Call::ExportKeys(_) | Call::External(_) => {
            configure(h, call)
        }
        Call::Node { seed } => {
            let octets = [seed; 32];
            let len = if seed < 250 { 32 } else { usize::from(seed) - 245 };
            let mut node = null_mut();
            // SAFETY: the configuration is NULL or live, the seed has `len` octets.
            if check(unsafe { ravelin_node_new(h.config, octets.as_ptr(), len, &raw mut node) }) {
                // SAFETY: NULL or live; the configuration was taken over.
                unsafe { ravelin_node_free(h.node) };
                (h.node, h.config) = (node, null_mut());
            } else {
                assert!(node.is_null(), "written without success");
            }
        }
        Call::FreeConfig => {
            // SAFETY: NULL or live, and forgotten at once.
            unsafe { ravelin_config_free(h.config) };
            h.config = null_mut();
        }
        Call::FreeNode => {
            // SAFETY: NULL or live, and forgotten at once.
            unsafe { ravelin_node_free(h.node) };
            h.node = null_mut();
        }
        other => drive(h, other),
    }
}

fn configure(h: &mut Handles, call: Call) {
    let c = h.config;
    match call {
        Call::Peer { good, name, text: t, psk, addr, null: nulls, ike } => {
            let (name, odd) = (text(&[b'p', b'a' + name % 3]), text(&t));
            let (a, b) = (text(b"a.test"), text(b"b.test"));
            let (local, remote) =
                if good { (text(b"192.0.2.1"), text(b"192.0.2.2")) } else { (text(&addr), text(&addr)) };
            let secret = vec![7u8; usize::from(psk)];
            let ike = ike.map(|i| text(&i));
            let hide = |bit: u8, p: *const std::ffi::c_char| if nulls == bit { null() } else { p };
            let mut peer = u32::MAX;
            let me = if good { a.as_ptr() } else { odd.as_ptr() };
            // SAFETY: texts live until the end of the block, `peer` may be written.
            let ok = check(unsafe {
                ravelin_config_add_peer(c, hide(1, name.as_ptr()), hide(2, me), hide(3, b.as_ptr()), &raw mut peer)
            });
            assert_eq!(ok, peer != u32::MAX);
            h.peers += u32::from(ok);
            let (from, to) = (hide(4, local.as_ptr()), hide(5, remote.as_ptr()));
            // SAFETY: as above.
            check(unsafe { ravelin_config_peer_addresses(c, peer, from, to, 500) });
            let octets = if nulls == 6 { null() } else { secret.as_ptr() };
            // SAFETY: NULL, or the octets that are said.
            check(unsafe { ravelin_config_peer_psk(c, peer, octets, secret.len()) });
            if let Some(ike) = &ike {
                // SAFETY: the text lives.
                check(unsafe { ravelin_config_peer_proposals(c, peer, ike.as_ptr()) });
            }
            let mut why = null();
            // SAFETY: NULL or live; `why` may be written.
            if check(unsafe { ravelin_config_error(c, &raw mut why) }) {
                assert!(!why.is_null());
            }
        }
        Call::Child { peer, name, ts, good, esp } => {
            let (name, ts) = (text(&[b'c', b'a' + name % 3]), if good { text(b"10.0.1.0/24") } else { text(&ts) });
            let (remote, esp, mut policy) = (text(b"10.0.2.0/24"), esp.map(|e| text(&e)), u32::MAX);
            // SAFETY: texts live until the end of the block, `policy` may be written.
            let ok = check(unsafe {
                let esp = esp.as_ref().map_or(null(), |e| e.as_ptr());
                ravelin_config_add_child(
                    c,
                    u32::from(peer % 4),
                    name.as_ptr(),
                    ts.as_ptr(),
                    remote.as_ptr(),
                    esp,
                    &raw mut policy,
                )
            });
            assert_eq!(ok, policy != u32::MAX);
        }
        Call::Ports(a, b, r) => {
            // SAFETY: NULL or live.
            check(unsafe { ravelin_config_ports(c, a, b, r) });
        }
        Call::ExportKeys(on) => {
            // SAFETY: NULL or live.
            check(unsafe { ravelin_config_export_keys(c, on) });
        }
        Call::External(on) => {
            // SAFETY: NULL or live.
            check(unsafe { ravelin_config_external_plane(c, on) });
        }
        _ => {}
    }
}

fn drive(h: &mut Handles, call: Call) {
    let (n, now) = (h.node, h.now);
    let end = |last: u8, port: u16, family: u8| {
        let mut addr = [0; 16];
        addr[..4].copy_from_slice(&[192, 0, 2, last]);
        ravelin_endpoint { family, port, addr }
    };
    match call {
        Call::Datagram { mut octets, family, port, null } => {
            let family = if family < 200 { 4 } else { family % 8 };
            let path = ravelin_path {
                local: end(1, if port & 1 == 0 { 500 } else { 4500 }, family),
                remote: end(2, port, family),
            };
            // SAFETY: numbers, and an enum that has a 0.
            let mut out: ravelin_ingress = unsafe { std::mem::zeroed() };
            let (data, len) = if null { (null_mut(), octets.len()) } else { (octets.as_mut_ptr(), octets.len()) };
            // SAFETY: the octets are ours, or NULL; `path` and `out` live.
            if check(unsafe { ravelin_node_handle_datagram(n, now, &raw const path, data, len, &raw mut out) }) {
                assert!(out.offset + out.len <= octets.len());
            }
        }
        Call::Packet { octets, room } => {
            let mut dst = vec![0u8; usize::from(room % 4096)];
            // SAFETY: numbers, and an enum that has a 0.
            let mut out: ravelin_egress = unsafe { std::mem::zeroed() };
            // SAFETY: both buffers are ours and apart; `out` lives.
            let status = unsafe {
                ravelin_node_handle_packet(
                    n,
                    now,
                    null(),
                    octets.as_ptr(),
                    octets.len(),
                    dst.as_mut_ptr(),
                    dst.len(),
                    &raw mut out,
                )
            };
            if check(status) {
                assert!(out.len <= dst.len());
            }
        }
        Call::Timeout(ms) => {
            h.now.mono_us = h.now.mono_us.saturating_add(u64::from(ms) * 1000);
            // SAFETY: NULL or live.
            check(unsafe { ravelin_node_handle_timeout(n, h.now) });
        }
        Call::Deadline(null) => {
            let mut at = 0;
            // SAFETY: NULL or may be written.
            check(unsafe { ravelin_node_deadline(n, if null { null_mut() } else { &raw mut at }) });
        }
        Call::Initiate(peer, policy) => {
            let mut sa = 0;
            // SAFETY: NULL or live; `sa` may be written.
            check(unsafe { ravelin_node_initiate(n, now, u32::from(peer % 4), u32::from(policy % 4), &raw mut sa) });
        }
        Call::Delete(sa) => {
            // SAFETY: NULL or live.
            check(unsafe { ravelin_node_delete(n, now, u64::from(sa % 8)) });
        }
        Call::Shutdown => {
            // SAFETY: NULL or live.
            check(unsafe { ravelin_node_shutdown(n, now) });
        }
        Call::Poll => {
            let mut kind = 0;
            // SAFETY: NULL or live; `kind` may be written.
            check(unsafe { ravelin_node_poll_output(n, &raw mut kind) });
        }
        Call::Read(what) => read(n, what),
        _ => {}
    }
}

fn read(n: *mut ravelin_node, what: u8) {
    match what % 4 {
        0 => {
            let (mut path, mut data, mut len, mut how) = (ravelin_path::default(), null(), 0, 0);
            // SAFETY: NULL or live; all may be written.
            let status =
                unsafe { ravelin_node_output_datagram(n, &raw mut path, &raw mut data, &raw mut len, &raw mut how) };
            if check(status) {
                // SAFETY: lent until the next call on the node.
                let lent = unsafe { std::slice::from_raw_parts(data, len) };
                assert!(!lent.is_empty() && matches!(path.remote.family, 4 | 6));
            }
        }
        1 => {
            let mut event: std::mem::MaybeUninit<ravelin_event> = std::mem::MaybeUninit::zeroed();
            // SAFETY: NULL or live; `event` may be written.
            check(unsafe { ravelin_node_output_event(n, event.as_mut_ptr()) });
        }
        2 => {
            let mut change: std::mem::MaybeUninit<ravelin_change> = std::mem::MaybeUninit::zeroed();
            // SAFETY: NULL or live; `change` may be written.
            check(unsafe { ravelin_node_output_change(n, change.as_mut_ptr()) });
        }
        _ => {
            let mut idle = false;
            // SAFETY: NULL or live; `idle` may be written.
            check(unsafe { ravelin_node_is_idle(n, &raw mut idle) });
        }
    }
}
