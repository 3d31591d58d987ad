//! The C ABI by its contract: two nodes that talk to each other through it, and any sequence of calls with live or NULL
//! handles, any lengths, numbers and texts. What every call owes is in `contract.rs`; calls on nodes are here, on
//! configurations in `settings.rs`, on planes, workers and messages in `others.rs`.
//!
//! To add a call: an arm where its handle is.

mod contract;
mod others;
mod settings;

use arbitrary::{Arbitrary, Unstructured};
use contract::{check, end, octets, out, packet, text, values, words};
use ravelin_c::*;
use std::collections::VecDeque;
use std::ptr::{null, null_mut};

#[derive(Arbitrary, Debug)]
enum Call {
    Configure { who: bool, what: u8, id: u8, text: Vec<u8>, number: u32 },
    New { who: bool, seed: u8, len: u8 },
    Initiate { who: bool, peer: u8, policy: u8 },
    Operate { who: bool, what: u8, id: u8, port: u16 },
    Pump(u8),
    Lose(u8),
    Datagram { who: bool, octets: Vec<u8>, family: u8, port: u16, how: u8 },
    Packet { who: bool, kind: u8, octets: Vec<u8>, room: u16, burst: u8 },
    Advance(u16),
    Report { who: bool, kind: u8, id: u8, policy: u8 },
    Answer { who: bool, how: u8, octets: Vec<u8> },
    Look { who: bool, what: u8, index: u8 },
    Plane { which: bool, what: u8, id: u8, octets: Vec<u8>, room: u16 },
    Message { what: u8, index: u8, octets: Vec<u8> },
    Null(u8),
    Free(u8),
}

/// A datagram on its way to a node: as the receiver sees the path, and how it is carried.
struct Flying {
    to: usize,
    path: ravelin_path,
    bytes: Vec<u8>,
    bare: bool,
}

struct Hands {
    config: [*mut ravelin_config; 2],
    node: [*mut ravelin_node; 2],
    plane: [*mut ravelin_plane; 2],
    worker: *mut ravelin_worker,
    snapshot: *mut ravelin_snapshot,
    message: *mut ravelin_message,
    now: ravelin_now,
    wire: VecDeque<Flying>,
    sas: [Vec<u64>; 2],
    children: [Vec<u64>; 2],
    tickets: [Vec<(u32, ravelin_ticket)>; 2],
}

/// Frees a handle twice: the second time is found out.
macro_rules! free {
    ($free:ident, $handle:expr) => {{
        let handle = std::mem::replace(&mut $handle, null_mut());
        // SAFETY: NULL or live, and forgotten; the second call only compares its address.
        let (first, second) = unsafe { ($free(handle), $free(handle)) };
        assert_eq!(first, 0, "a live handle cannot be freed");
        assert_eq!(second, if handle.is_null() { 0 } else { ravelin_status_code::NoHandle as i32 });
    }};
}

impl Drop for Hands {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            (0..9).for_each(|n| free(self, n));
        }
    }
}

fn free(h: &mut Hands, what: u8) {
    match what % 9 {
        n @ 0..=1 => free!(ravelin_config_free, h.config[usize::from(n)]),
        n @ 2..=3 => {
            let n = usize::from(n - 2);
            free!(ravelin_node_free, h.node[n]);
            (h.sas[n], h.children[n], h.tickets[n]) = Default::default();
        }
        n @ 4..=5 => free!(ravelin_plane_free, h.plane[usize::from(n - 4)]),
        6 => free!(ravelin_worker_free, h.worker),
        7 => free!(ravelin_snapshot_free, h.snapshot),
        _ => free!(ravelin_message_free, h.message),
    }
}

pub(crate) fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(variant) = u8::arbitrary(&mut u) else { return };
    let Ok(calls) = Vec::<Call>::arbitrary_take_rest(u) else { return };
    let mut h = Hands {
        config: [null_mut(); 2],
        node: [null_mut(); 2],
        plane: [null_mut(); 2],
        worker: null_mut(),
        snapshot: null_mut(),
        message: null_mut(),
        now: ravelin_now { mono_us: 1_000_000, wall_s: 1_800_000_000 },
        wire: VecDeque::new(),
        sas: Default::default(),
        children: Default::default(),
        tickets: Default::default(),
    };
    if variant & 0x80 == 0 {
        for n in 0..2 {
            settings::good(&mut h, n, variant);
            new(&mut h, n, 7 + n as u8, 32);
        }
        if variant & 0x40 == 0 {
            let (node, now) = (h.node[0], h.now);
            // SAFETY: live; the text lives.
            let peer = out(|to| unsafe { ravelin_node_find_peer(node, c"p".as_ptr(), to) }).expect("the peer");
            // SAFETY: live.
            let policy = out(|to| unsafe { ravelin_node_policy(node, 0, to) }).expect("the policy").id;
            // SAFETY: live.
            assert!(out(|to| unsafe { ravelin_node_initiate(node, now, peer, policy, to) }).is_some());
            drain(&mut h, 0);
            pump(&mut h, 20);
            let asks = variant & 2 != 0;
            assert!(asks || !h.children[1].is_empty(), "two good nodes come up");
        }
    }
    for call in calls.into_iter().take(48) {
        play(&mut h, call);
        (0..2).for_each(|n| drain(&mut h, n));
    }
}

fn play(h: &mut Hands, call: Call) {
    match call {
        Call::Configure { who, what, id, text, number } => {
            settings::configure(h, usize::from(who), what, id.into(), &text, number);
        }
        Call::New { who, seed, len } => {
            new(h, usize::from(who), seed, if len < 240 { 32 } else { usize::from(len) - 240 })
        }
        Call::Initiate { who, peer, policy } => initiate(h, usize::from(who), peer, policy),
        Call::Operate { who, what, id, port } => operate(h, usize::from(who), what, id, port),
        Call::Pump(n) => pump(h, n % 32),
        Call::Lose(n) => drop(h.wire.remove(usize::from(n) % (h.wire.len() + 1))),
        Call::Datagram { who, octets, family, port, how } => {
            let (n, family) = (usize::from(who), if family < 200 { 4 } else { family % 8 });
            let path = ravelin_path {
                local: end(n, [500, 4500][usize::from(how & 1)], family),
                remote: end(1 - n, port, family),
            };
            deliver(h, Flying { to: n, path, bytes: octets, bare: how & 2 == 2 }, how);
        }
        Call::Packet { who, kind, octets, room, burst } => send(h, usize::from(who), kind, &octets, room, burst),
        Call::Advance(ms) => {
            h.now.mono_us += u64::from(ms) * 1000;
            h.now.wall_s += u64::from(ms) / 1000;
            for node in h.node {
                // SAFETY: NULL or live.
                assert_eq!(check(unsafe { ravelin_node_handle_timeout(node, h.now) }), !node.is_null());
            }
        }
        Call::Report { who, kind, id, policy } => {
            let n = usize::from(who);
            let report = ravelin_report {
                kind: u32::from(kind % 12),
                policy: u32::from(policy % 4),
                child: some(&h.children[n], id),
                spi: u32::from(id),
                last_us: h.now.mono_us,
                path: ravelin_path { local: end(n, 4500, 4 + policy / 128), remote: end(1 - n, 4500, 4) },
                packet: ravelin_packet_key {
                    local: end(n, 1, 4),
                    remote: end(1 - n, 2, 4),
                    protocol: id,
                    has_ports: kind > 99,
                },
            };
            // SAFETY: NULL or live; the report lives.
            check(unsafe { ravelin_node_handle_report(h.node[n], h.now, &raw const report) });
        }
        Call::Answer { who, how, octets } => answer(h, usize::from(who), how, &octets),
        Call::Look { who, what, index } => look(h, usize::from(who), what, index.into()),
        Call::Plane { which, what, id, octets, room } => others::plane(h, usize::from(which), what, id, &octets, room),
        Call::Message { what, index, octets } => others::message(h, what, index.into(), &octets),
        Call::Null(what) => others::nulls(what),
        Call::Free(what) => free(h, what),
    }
}

/// One of those that were seen, or none that ever was.
fn some(list: &[u64], n: u8) -> u64 {
    list.get(usize::from(n) % (list.len() + 1)).copied().unwrap_or(u64::from(n) << 40)
}

fn new(h: &mut Hands, n: usize, seed: u8, len: usize) {
    let (config, octets) = (h.config[n], [seed; 32]);
    // SAFETY: the configuration is NULL or live, the seed has `len` octets at most.
    if let Some(node) = out(|to| unsafe { ravelin_node_new(config, octets.as_ptr(), len.min(32), to) }) {
        assert!(len == 32 && !config.is_null());
        free(h, 2 + n as u8);
        h.node[n] = node;
    }
}

fn initiate(h: &mut Hands, n: usize, peer: u8, policy: u8) {
    let (node, now) = (h.node[n], h.now);
    // SAFETY: NULL or live.
    out(|to| unsafe { ravelin_node_initiate(node, now, u32::from(peer % 4), u32::from(policy % 4), to) })
        .inspect(|sa| h.sas[n].push(*sa));
    drain(h, n);
}

fn operate(h: &mut Hands, n: usize, what: u8, id: u8, port: u16) {
    let (node, now, sa, child) = (h.node[n], h.now, some(&h.sas[n], id), some(&h.children[n], id));
    let path = ravelin_path { local: end(n, port, 4), remote: end(1 - n, port, 4 + u8::from(port == 77)) };
    let addresses = [end(n, 0, 4), end(n, 0, if port & 1 == 1 { 6 } else { 4 }), end(n, 0, id % 8)];
    let len = usize::from(id % 4);
    // SAFETY: NULL or live; what is pointed to lives.
    check(unsafe {
        match what % 11 {
            0 => ravelin_node_start(node, now),
            1 => ravelin_node_delete(node, now, sa),
            2 => ravelin_node_delete_child(node, now, child),
            3 => ravelin_node_rekey(node, now, sa),
            4 => ravelin_node_rekey_child(node, now, child),
            5 => ravelin_node_reauth(node, now, sa),
            6 => ravelin_node_probe(node, now, sa),
            7 => ravelin_node_roam(node, now, sa, if port == 78 { null() } else { &raw const path }),
            8 => ravelin_node_set_addresses(node, now, addresses.as_ptr(), len),
            9 => ravelin_node_set_addresses(node, now, null(), len),
            _ => ravelin_node_shutdown(node, now),
        }
    });
}

/// Takes everything a node wants; what is lent is read at once, by the right call and by all others.
fn drain(h: &mut Hands, n: usize) {
    let node = h.node[n];
    for count in 0.. {
        assert!(count < 4096, "a node does not come to an end");
        // SAFETY: NULL or live.
        let Some(kind) = out(|to| unsafe { ravelin_node_poll_output(node, to) }) else { return };
        // SAFETY: NULL or live; out-parameters may be written.
        let sent = unsafe {
            let (mut path, mut data, mut len, mut how) = (ravelin_path::default(), null(), 0, 0);
            check(ravelin_node_output_datagram(node, &raw mut path, &raw mut data, &raw mut len, &raw mut how))
                .then(|| (path, values(data, len), how == 0))
        };
        assert_eq!(sent.is_some(), matches!(kind, 1 | 2));
        if let Some((path, bytes, bare)) = sent {
            assert!(!bytes.is_empty() && matches!(path.remote.family, 4 | 6));
            let to = if path.remote.addr == end(0, 0, 4).addr { 0 } else { 1 };
            h.wire.push_back(Flying { to, path: ravelin_path { local: path.remote, remote: path.local }, bytes, bare });
            h.wire.truncate(64);
        }
        // SAFETY: NULL or live.
        let change = out(|to| unsafe { ravelin_node_output_change(node, to) });
        assert_eq!(change.is_some(), kind == 3);
        if let Some(change) = change {
            others::carry_out(h, n, &change);
        }
        // SAFETY: NULL or live.
        let ask = out(|to| unsafe { ravelin_node_output_ask(node, to) });
        assert_eq!(ask.is_some(), kind == 4);
        if let Some(a) = ask {
            let _ = (octets(a.public_key), octets(a.octets));
            values(a.chain, a.chain_len).into_iter().for_each(|der| drop(octets(der)));
            let _ = [a.local_id, a.remote_id, a.peer_name].map(words);
            h.tickets[n].push((a.kind, a.ticket));
        }
        // SAFETY: NULL or live.
        let event = out(|to| unsafe { ravelin_node_output_event(node, to) });
        assert_eq!(event.is_some(), kind >= 32);
        if let Some(e) = event {
            assert_eq!(e.kind, kind);
            let _ = [e.local_id, e.remote_id, e.proposal, e.reason].map(words);
            let _ = (values(e.local_ts, e.local_ts_len), values(e.remote_ts, e.remote_ts_len));
            let _ = (values(e.addresses, e.addresses_len), values(e.dns, e.dns_len));
            h.sas[n].extend((e.sa != 0).then_some(e.sa));
            h.children[n].extend((e.child != 0).then_some(e.child));
        }
        for index in 0..3 {
            let (mut table, mut line) = (null(), null());
            // SAFETY: NULL or live; out-parameters may be written.
            if check(unsafe { ravelin_node_output_keylog(node, index, &raw mut table, &raw mut line) }) {
                assert!(matches!(kind, 42 | 43 | 47) && words(table).is_some() && words(line).is_some());
            }
        }
        h.sas[n].truncate(16);
        h.children[n].truncate(16);
    }
}

fn pump(h: &mut Hands, most: u8) {
    for _ in 0..most {
        let Some(next) = h.wire.pop_front() else { return };
        let to = next.to;
        deliver(h, next, 0);
        drain(h, to);
    }
}

/// A datagram to its node, alone or in a burst of equals; `how` 128 and up: with a NULL somewhere.
fn deliver(h: &mut Hands, f: Flying, how: u8) {
    let (node, now, mut bytes) = (h.node[f.to], h.now, f.bytes);
    let (len, path) = (bytes.len(), if how & 0x90 == 0x90 { null() } else { &raw const f.path });
    let data = if how & 0xA0 == 0xA0 { null_mut() } else { bytes.as_mut_ptr() };
    if how & 4 == 4 {
        let mut copies = vec![bytes.clone(); usize::from(how >> 4)];
        let none = ravelin_ingress { kind: ravelin_ingress_kind::Dropped, drop_reason: 0, child: 0, offset: 0, len: 0 };
        let one = |b: &mut Vec<u8>| ravelin_datagram {
            path: f.path,
            outer: ravelin_outer::default(),
            data: b.as_mut_ptr(),
            len: b.len(),
            result: none,
        };
        let mut burst: Vec<ravelin_datagram> = copies.iter_mut().map(one).collect();
        // SAFETY: the buffers are apart.
        check(unsafe { ravelin_node_handle_datagrams(node, now, burst.as_mut_ptr(), burst.len()) });
        assert!(burst.iter().all(|d| d.result.offset + d.result.len <= len));
        return;
    }
    let outer = ravelin_outer { traffic_class: how, hop_limit: 7 };
    // SAFETY: NULL or live; the octets are ours, or NULL.
    let result = out(|to| unsafe {
        if f.bare {
            ravelin_node_handle_esp(
                node,
                now,
                path,
                if how & 8 == 8 { null() } else { &raw const outer },
                data,
                len,
                to,
            )
        } else {
            ravelin_node_handle_datagram(node, now, path, data, len, to)
        }
    });
    if let Some(r) = result {
        assert!(r.offset + r.len <= len && (r.kind == ravelin_ingress_kind::Deliver || r.len == 0));
    }
}

/// An inner packet, alone or in a burst.
fn send(h: &mut Hands, n: usize, kind: u8, octets: &[u8], room: u16, burst: u8) {
    let (node, now, ip) = (h.node[n], h.now, packet(n, kind, octets));
    let scope = ravelin_scope { vrf: u32::from(room == 3), if_id: 0, mark: 0 };
    let scope = if room & 1 == 0 { null() } else { &raw const scope };
    if burst == 0 {
        let mut dst = vec![0u8; usize::from(room % 4096)];
        // SAFETY: NULL or live; both buffers are ours and apart.
        let sent = out(|to| unsafe {
            ravelin_node_handle_packet(node, now, scope, ip.as_ptr(), ip.len(), dst.as_mut_ptr(), dst.len(), to)
        });
        if let Some(e) = sent {
            assert!(e.offset + e.len <= dst.len());
            if e.kind == ravelin_egress_kind::Sent {
                let path = ravelin_path { local: e.path.remote, remote: e.path.local };
                h.wire.push_back(Flying {
                    to: 1 - n,
                    path,
                    bytes: dst[e.offset..][..e.len].to_vec(),
                    bare: e.encapsulation == 0,
                });
            }
        }
        return;
    }
    let before = usize::from(room % 256);
    let mut buffers =
        vec![[vec![0; before], ip.clone(), vec![0; usize::from(room >> 8)]].concat(); usize::from(burst % 80)];
    let mut all: Vec<ravelin_packet> =
        buffers.iter_mut().map(|b| others::in_place(b, before, ip.len(), 0, 0)).collect();
    // SAFETY: the buffers are apart.
    check(unsafe { ravelin_node_handle_packets(node, now, scope, all.as_mut_ptr(), all.len()) });
    assert!(all.iter().all(|p| p.result.offset + p.result.len <= p.cap));
}

fn answer(h: &mut Hands, n: usize, how: u8, octets: &[u8]) {
    let (node, now) = (h.node[n], h.now);
    let (kind, ticket) = h.tickets[n].pop().unwrap_or((u32::from(how), ravelin_ticket { sa: 1, number: how.into() }));
    let (data, len) = (octets.as_ptr(), octets.len());
    let why = text(octets, &["not here", ""]);
    // SAFETY: NULL or live; the octets live.
    check(unsafe {
        match if how < 128 { kind } else { u32::from(how) } % 8 {
            1 => ravelin_node_answer_signature(node, now, ticket, data, len),
            2 => ravelin_node_answer_public_key(node, now, ticket, data, len),
            3 | 4 => ravelin_node_answer_secret(node, now, ticket, settings::SECRET.as_ptr(), settings::SECRET.len()),
            5 => ravelin_node_answer_eap(node, now, ticket, data, len, data, if how & 1 == 0 { len } else { 0 }),
            6 => ravelin_node_answer_ppk(node, now, ticket, data, len, settings::SECRET.as_ptr(), 16),
            _ => ravelin_node_answer_refused(node, now, ticket, if how == 255 { null() } else { why.as_ptr() }),
        }
    });
}

fn look(h: &mut Hands, n: usize, what: u8, index: usize) {
    let (node, now) = (h.node[n], h.now);
    // SAFETY: NULL or live, everywhere here.
    unsafe {
        match what % 9 {
            0 => drop(out(|to| ravelin_node_deadline(node, to))),
            1 => drop(out(|to| ravelin_node_is_idle(node, to)).map(|idle: bool| assert!(!idle || !node.is_null()))),
            2 => {
                if let Some(p) = out(|to| ravelin_node_policy(node, index % 4, to)) {
                    let _ = (words(p.name), values(p.local_ts, p.local_ts_len), values(p.remote_ts, p.remote_ts_len));
                }
            }
            3 => drop(out(|to| ravelin_node_find_peer(node, c"p".as_ptr(), to))),
            4 => drop(out(|to| ravelin_node_counters(node, to))),
            5 => drop(out(|to| ravelin_node_stats(node, some(&h.children[n], index as u8), to))),
            6 => {
                if let Some(new) = out(|to| ravelin_node_snapshot(node, now, to)) {
                    free(h, 7);
                    h.snapshot = new;
                }
            }
            7 => {
                if let Some(sa) = out(|to| ravelin_snapshot_sa(h.snapshot, index % 4, to)) {
                    let _ = [sa.peer_name, sa.local_id, sa.remote_id, sa.proposal].map(words);
                }
            }
            _ => {
                if let Some(c) = out(|to| ravelin_snapshot_child(h.snapshot, index % 4, index / 4 % 4, to)) {
                    let _ =
                        (words(c.proposal), values(c.local_ts, c.local_ts_len), values(c.remote_ts, c.remote_ts_len));
                }
            }
        }
    }
}
