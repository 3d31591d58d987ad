//! Calls on planes, workers and messages, and calls with nothing but NULL.

use super::contract::{check, end, octets, out, packet, values, words};
use super::{Hands, some};
use ravelin_c::*;
use std::ptr::{null, null_mut};

/// A packet of a burst, in place.
pub(super) fn in_place(b: &mut [u8], offset: usize, len: usize, child: u64, policy: u32) -> ravelin_packet {
    // SAFETY: numbers, and an enum that has a 0.
    let result = unsafe { std::mem::zeroed() };
    ravelin_packet { buf: b.as_mut_ptr(), cap: b.len(), offset, len, child, policy, result }
}

/// A step of an external plane: all that it points to is read, and plane 1 does it.
pub(super) fn carry_out(h: &mut Hands, n: usize, change: &ravelin_change) {
    for sa in values(change.sa, usize::from(!change.sa.is_null())) {
        let _ = (octets(sa.encr_key), octets(sa.integ_key));
        let _ = (values(sa.local_ts, sa.local_ts_len), values(sa.remote_ts, sa.remote_ts_len));
        h.children[n].push(sa.child);
    }
    for p in values(change.policy, usize::from(!change.policy.is_null())) {
        let _ = (words(p.name), values(p.local_ts, p.local_ts_len), values(p.remote_ts, p.remote_ts_len));
    }
    if h.plane[1].is_null() {
        // SAFETY: the seed has 32 octets.
        let made = out(|to| unsafe { ravelin_plane_new(null(), [3u8; 32].as_ptr(), 32, to) });
        h.plane[1] = made.expect("a plane");
    }
    // SAFETY: live; the step is lent now.
    check(unsafe { ravelin_plane_apply(h.plane[1], h.now.mono_us, &raw const *change) });
}

pub(super) fn plane(h: &mut Hands, which: usize, what: u8, id: u8, octet: &[u8], room: u16) {
    let (p, now, child) = (h.plane[which], h.now.mono_us, some(&h.children[which], id));
    let policy = u32::from(room % 4);
    let path = ravelin_path { local: end(which, 4500, 4), remote: end(1 - which, 4500, 4 + u8::from(room == 9)) };
    let ip = packet(which, id, octet);
    let mut dst = vec![0u8; usize::from(room % 4096)];
    // SAFETY: NULL or live; buffers are ours and apart; out-parameters may be written.
    unsafe {
        match what % 16 {
            0 => {
                let config =
                    ravelin_plane_config { whole_packets: id & 1 == 1, mss_clamp: room, tfc_min: u16::from(id) };
                let len = if octet.len() > 8 { octet.len().min(32) } else { 32 };
                if let Some(new) = out(|to| ravelin_plane_new(&raw const config, [id; 32].as_ptr(), len, to)) {
                    super::free(h, 4 + which as u8);
                    h.plane[which] = new;
                }
            }
            1 => {
                if let Some(new) = out(|to| ravelin_node_plane(h.node[which], to)) {
                    super::free(h, 4 + which as u8);
                    h.plane[which] = new;
                }
            }
            2 | 3 => by_hand(h, which, id, octet, room),
            4 => {
                let mut data = octet.to_vec();
                let r =
                    out(|to| ravelin_plane_open(p, now, &raw const path, null(), data.as_mut_ptr(), data.len(), to));
                assert!(r.is_none_or(|r| r.offset + r.len <= data.len()));
            }
            5 => sealed_and_opened(h, which, child, policy, &ip, &mut dst),
            6 => drop(out(|to| ravelin_plane_poll_report(p, to))),
            7 => drop(out(|to| ravelin_plane_traffic(p, child, to))),
            8 => drop(check(ravelin_plane_handle_timeout(p, now))),
            9 => drop(out(|to| ravelin_plane_deadline(p, to))),
            10 => drop(check(ravelin_plane_set_path_mtu(p, child, room))),
            11 => drop(out(|to| ravelin_plane_stats(p, child, to))),
            12 => drop(out(|to| ravelin_plane_drops(p, id, to))),
            13 => {
                if let Some(new) = out(|to| ravelin_worker_new(p, to)) {
                    super::free(h, 6);
                    h.worker = new;
                }
            }
            14 => worker(h, which, child, policy, &ip, room),
            _ => drop(check(ravelin_worker_quiesce(h.worker))),
        }
    }
}

/// An SA of manual keys, good or not, and other steps.
fn by_hand(h: &mut Hands, which: usize, id: u8, octet: &[u8], room: u16) {
    let at = |n: usize| octet.get(n).copied().unwrap_or(0);
    let (encr, bits, integ, len, icv) = [
        (20, 128, 0, 20, 0),
        (12, 256, 12, 32, 32),
        (11, 0, 12, 0, 32),
        (28, 0, 0, 36, 0),
        (u16::from(at(0)), 128, at(1).into(), at(2).into(), at(3).into()),
    ][usize::from(at(4)) % 5];
    let key = vec![at(5); len.max(icv)];
    let net = ravelin_selector {
        family: 4 + at(6) / 128 * 2,
        protocol: at(7) / 128 * 17,
        opaque_ports: at(8) > 250,
        first_port: 0,
        last_port: 65_535,
        first: [0; 16],
        last: [255; 16],
    };
    let path = ravelin_path { local: end(which, 4500, 4), remote: end(1 - which, 4500, 4) };
    let inbound = id & 1 == 0;
    let sa = ravelin_sa {
        child: u64::from(id / 2) + 1,
        policy: u32::from(room % 4),
        spi: 0x1000 + u32::from(id / 2),
        direction: u8::from(!inbound),
        protocol: if at(9) > 240 { at(9) } else { 50 + u8::from(integ != 0 && at(9) > 200) },
        mode: at(10) % 4,
        encapsulation: at(11) % 4,
        esn: at(12) & 1 == 1,
        tfc_padding: at(12) & 2 == 2,
        encr,
        key_bits: bits,
        integ,
        path,
        encr_key: ravelin_octets { data: if len == 0 { null() } else { key.as_ptr() }, len },
        integ_key: ravelin_octets { data: key.as_ptr(), len: icv },
        replay_window: u32::from(room) * 2,
        if_id: 0,
        mark: 0,
        local_ts: &raw const net,
        local_ts_len: 1,
        remote_ts: &raw const net,
        remote_ts_len: usize::from(at(13) < 250),
        soft_bytes: at(14).into(),
        soft_packets: 0,
        hard_bytes: u64::from(at(15)) * 100,
        hard_packets: u64::from(at(16)),
        idle_us: u64::from(at(17)) * 1_000_000,
    };
    let change = ravelin_change {
        kind: if room & 0x100 == 0 { 2 - u32::from(inbound) } else { u32::from(room >> 9) % 9 },
        direction: u8::from(!inbound),
        encapsulation: at(11) % 4,
        spi: sa.spi,
        child: sa.child,
        to: sa.child + 1,
        path,
        sa: if room & 0x80 == 0x80 { null() } else { &raw const sa },
        policy: null(),
    };
    // SAFETY: NULL or live; what the step points to lives.
    if check(unsafe { ravelin_plane_apply(h.plane[which], h.now.mono_us, &raw const change) }) {
        h.children[which].push(sa.child);
    }
}

fn sealed_and_opened(h: &mut Hands, which: usize, child: u64, policy: u32, ip: &[u8], dst: &mut [u8]) {
    let (p, now, cap) = (h.plane[which], h.now.mono_us, dst.len());
    // SAFETY: NULL or live; both buffers are ours and apart.
    let sealed = out(|to| unsafe {
        ravelin_plane_seal(p, now, child, policy, ip.as_ptr(), ip.len(), dst.as_mut_ptr(), cap, to)
    });
    let Some(e) = sealed.filter(|e| e.kind == ravelin_egress_kind::Sent) else { return };
    let packet = &mut dst[e.offset..][..e.len];
    let path = ravelin_path { local: e.path.remote, remote: e.path.local };
    let other = h.plane[1 - which];
    // SAFETY: NULL or live; the octets are ours.
    let opened = out(|to| unsafe {
        ravelin_plane_open(other, now, &raw const path, null(), packet.as_mut_ptr(), packet.len(), to)
    });
    if let Some(r) = opened {
        assert!(r.offset + r.len <= packet.len());
        let mut text = [0; 256];
        // SAFETY: the text may be written for its length.
        let named = unsafe { ravelin_drop_reason_text(r.drop_reason, text.as_mut_ptr(), text.len()) };
        assert!(check(named) || r.drop_reason == 0);
    }
}

fn worker(h: &mut Hands, which: usize, child: u64, policy: u32, ip: &[u8], room: u16) {
    let (w, now) = (h.worker, h.now.mono_us);
    let (mut before, mut behind) = (0, 0);
    // SAFETY: NULL or live; out-parameters may be written.
    check(unsafe { ravelin_plane_room(h.plane[which], &raw mut before, &raw mut behind) });
    if room & 1 == 1 {
        (before, behind) = (usize::from(room % 64), usize::from(room % 32));
    }
    let count = usize::from(room >> 8) % 70;
    let mut buffers = vec![[vec![0; before], ip.to_vec(), vec![0; behind]].concat(); count];
    let mut all: Vec<ravelin_packet> =
        buffers.iter_mut().map(|b| in_place(b, before, ip.len(), child, policy)).collect();
    if room & 2 == 2 {
        all.iter_mut().take(1).for_each(|p| p.len = usize::MAX);
    }
    // SAFETY: NULL or live; the buffers are apart.
    let ok = check(unsafe { ravelin_worker_seal(w, now, all.as_mut_ptr(), all.len()) });
    assert!(!ok || count == 0 || room & 2 == 0);
    assert!(all.iter().all(|p| p.result.offset + p.result.len <= p.cap));
    let sent = |p: &ravelin_packet| ok && p.result.kind == ravelin_egress_kind::Sent;
    let mut arrived: Vec<ravelin_datagram> = all
        .iter()
        .filter(|p| sent(p))
        .map(|p| ravelin_datagram {
            path: ravelin_path { local: p.result.path.remote, remote: p.result.path.local },
            outer: ravelin_outer::default(),
            // SAFETY: inside the buffer, as asserted.
            data: unsafe { p.buf.add(p.result.offset) },
            len: p.result.len,
            result: ravelin_ingress {
                kind: ravelin_ingress_kind::Dropped,
                drop_reason: 0,
                child: 0,
                offset: 0,
                len: 0,
            },
        })
        .collect();
    // SAFETY: NULL or live; the buffers are apart.
    check(unsafe { ravelin_worker_open(w, now, arrived.as_mut_ptr(), arrived.len()) });
    assert!(arrived.iter().all(|d| d.result.offset + d.result.len <= d.len));
}

pub(super) fn message(h: &mut Hands, what: u8, index: usize, octet: &[u8]) {
    if h.message.is_null() {
        // SAFETY: may be written.
        assert!(check(unsafe { ravelin_message_new(&raw mut h.message) }));
    }
    let (m, data, len) = (h.message, octet.as_ptr(), octet.len());
    // SAFETY: live; octets live; out-parameters may be written.
    unsafe {
        match what % 9 {
            0 | 1 => {
                let ok = if what.is_multiple_of(9) {
                    check(ravelin_message_decode(m, data, len))
                } else {
                    check(ravelin_message_decode_inner(m, index as u8, data, len))
                };
                let mut why = null();
                if check(ravelin_message_error(m, &raw mut why)) {
                    assert!(words(why).is_some_and(|w| ok || !w.is_empty()));
                }
                if ok && what.is_multiple_of(9) {
                    // Unchanged: the same octets.
                    let (mut again, mut count) = (null(), 0);
                    assert!(check(ravelin_message_encode(m, &raw mut again, &raw mut count)));
                    assert_eq!(values(again, count), octet);
                }
            }
            // A message in flight, as our nodes make them.
            2 => {
                if let Some(f) = h.wire.get(index % (h.wire.len() + 1)) {
                    check(ravelin_message_decode(m, f.bytes.as_ptr(), f.bytes.len()));
                }
            }
            3 => {
                let mut tree = null();
                if check(ravelin_message_text(m, &raw mut tree)) {
                    assert!(words(tree).is_some());
                }
            }
            4 => {
                if let Some(header) = out(|to| ravelin_message_header(m, to)) {
                    let new = ravelin_header {
                        message_id: index as u32,
                        flags: octet.first().copied().unwrap_or(8),
                        ..header
                    };
                    check(ravelin_message_set_header(m, &raw const new));
                }
            }
            5 => {
                if let Some(p) = out(|to| ravelin_message_payload(m, index % 8, to)) {
                    octets(p.body);
                }
            }
            6 => {
                let body = ravelin_octets { data, len };
                let kind = [33, 34, 40, 41, 43, 46, 53, index as u8][index % 8];
                let payload = ravelin_payload { kind, flags: (index as u8) & 0x80, first: 41, body };
                check(ravelin_message_add(m, &raw const payload));
            }
            7 => drop(check(ravelin_message_remove(m, index % 8))),
            _ => {
                let (mut again, mut count) = (null(), 0);
                if check(ravelin_message_encode(m, &raw mut again, &raw mut count)) {
                    let encoded = values(again, count);
                    // What it makes, it reads.
                    let text = out(|to: *mut *mut ravelin_message| ravelin_message_new(to)).expect("a message");
                    check(ravelin_message_decode(text, encoded.as_ptr(), encoded.len()));
                    assert_eq!(ravelin_message_free(text), 0);
                }
            }
        }
    }
}

/// A call in which every pointer is NULL: refused, and nothing happens.
pub(super) fn nulls(what: u8) {
    let now = ravelin_now { mono_us: 1, wall_s: 1 };
    // SAFETY: NULL is checked everywhere.
    let status = unsafe {
        match what % 20 {
            0 => ravelin_config_new(null_mut()),
            1 => ravelin_config_load_toml(null_mut(), null(), 0, null()),
            2 => ravelin_node_new(null_mut(), null(), 32, null_mut()),
            3 => ravelin_node_handle_timeout(null_mut(), now),
            4 => ravelin_node_handle_datagram(null_mut(), now, null(), null_mut(), 10, null_mut()),
            5 => ravelin_node_handle_esp(null_mut(), now, null(), null(), null_mut(), 10, null_mut()),
            6 => ravelin_node_handle_packet(null_mut(), now, null(), null(), 10, null_mut(), 10, null_mut()),
            7 => ravelin_node_poll_output(null_mut(), null_mut()),
            8 => ravelin_node_output_datagram(null_mut(), null_mut(), null_mut(), null_mut(), null_mut()),
            9 => ravelin_plane_new(null(), null(), 32, null_mut()),
            10 => ravelin_plane_apply(null(), 0, null()),
            11 => ravelin_worker_open(null_mut(), 0, null_mut(), 5),
            12 => ravelin_worker_seal(null_mut(), 0, null_mut(), 5),
            13 => ravelin_message_new(null_mut()),
            14 => ravelin_message_decode(null_mut(), null(), 5),
            15 => ravelin_node_snapshot(null_mut(), now, null_mut()),
            16 => ravelin_snapshot_sa(null_mut(), 0, null_mut()),
            17 => ravelin_node_handle_report(null_mut(), now, null()),
            18 => ravelin_drop_reason_text(1, null_mut(), 9),
            _ => ravelin_node_answer_secret(null_mut(), now, ravelin_ticket { sa: 1, number: 1 }, null(), 5),
        }
    };
    assert_eq!(status, ravelin_status_code::NullPointer as i32, "call {}", what % 20);
}
