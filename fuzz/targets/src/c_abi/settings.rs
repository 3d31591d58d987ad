//! Calls on configurations: good ones, and any.

use super::Hands;
use super::contract::{check, octets, out, text, words};
use ravelin_c::*;
use std::ffi::CString;
use std::ptr::{null, null_mut};

pub(super) const SECRET: &[u8; 32] = b"a secret of thirty-two octets...";
const CA: &[u8] = include_bytes!("../../../../ike-proto/tests/certs/ca.der");
const NODE: &[u8] = include_bytes!("../../../../ike-proto/tests/certs/node1.der");
const KEY: &[u8] = include_bytes!("../../../../ike-proto/tests/certs/node1.p8");

/// A configuration for node `n`. `variant` 1: the other node's plane is external; 2: it asks for its secret; 4: keys
/// are exported; 8: by calls instead of a text.
pub(super) fn good(h: &mut Hands, n: usize, variant: u8) {
    let mut config = null_mut();
    // SAFETY: may be written; the configuration is live from then on; texts live.
    unsafe {
        assert!(check(ravelin_config_new(&raw mut config)));
        h.config[n] = config;
        let (asks, ids) = (n == 1 && variant & 2 == 2, [c"a.test", c"b.test"]);
        // A text must name a secret.
        if asks || variant & 8 == 8 {
            let (nets, ends) = ([c"10.0.1.0/24", c"10.0.2.0/24"], [c"192.0.2.1", c"192.0.2.2"]);
            let peer =
                out(|to| ravelin_config_add_peer(config, c"p".as_ptr(), ids[n].as_ptr(), ids[1 - n].as_ptr(), to));
            let peer = peer.expect("a good peer");
            assert!(check(ravelin_config_peer_addresses(config, peer, ends[n].as_ptr(), ends[1 - n].as_ptr(), 500)));
            assert!(asks || check(ravelin_config_peer_psk(config, peer, SECRET.as_ptr(), SECRET.len())));
            let (local, remote) = (nets[n].as_ptr(), nets[1 - n].as_ptr());
            let child = out(|to| ravelin_config_add_child(config, peer, c"net".as_ptr(), local, remote, null(), to));
            assert!(child.is_some());
        } else {
            let toml = toml(n, !asks);
            assert!(check(ravelin_config_load_toml(config, toml.as_ptr().cast(), toml.len(), c"x.toml".as_ptr())));
        }
        assert!(!asks || check(ravelin_config_asks(config, true, 5_000)));
        assert!(n == 0 || check(ravelin_config_external_plane(config, variant & 1 == 1)));
        assert!(check(ravelin_config_export_keys(config, variant & 4 == 4)));
    }
}

fn toml(n: usize, secret: bool) -> String {
    let (me, it) = (
        [("192.0.2.1", "a.test", 1), ("192.0.2.2", "b.test", 2)][n],
        [("192.0.2.1", "a.test", 1), ("192.0.2.2", "b.test", 2)][1 - n],
    );
    let psk =
        if secret { format!("psk = \"{}\"\n", std::str::from_utf8(SECRET).expect("ASCII")) } else { String::new() };
    format!(
        "[[peer]]\nname = \"p\"\nlocal = \"{}\"\nremote = \"{}\"\nlocal_id = \"{}\"\nremote_id = \"{}\"\n{psk}\
         ike = \"aes128gcm16-prfsha256-x25519\"\n\n[[peer.child]]\nname = \"net\"\nlocal_ts = \"10.0.{}.0/24\"\n\
         remote_ts = \"10.0.{}.0/24\"\nesp = \"aes128gcm16\"\nstart = \"trap\"\n",
        me.0, it.0, me.1, it.1, me.2, it.2
    )
}

/// One call. What it refuses, it says in words.
pub(super) fn configure(h: &mut Hands, n: usize, what: u8, id: u32, octet: &[u8], number: u32) {
    if h.config[n].is_null() {
        // SAFETY: may be written.
        assert!(check(unsafe { ravelin_config_new(&raw mut h.config[n]) }));
    }
    let (c, peer) = (h.config[n], id % 4);
    let ok = match what % 28 {
        0..=9 => node(c, what % 28, peer, octet, number),
        10..=19 => about_peer(c, what % 28, peer, octet, number),
        other => about_child(c, other, peer, octet, number),
    };
    let mut why = null();
    // SAFETY: live; out-parameters may be written.
    let said = unsafe { ravelin_config_error(c, &raw mut why) } == 0;
    assert!(ok || !what.is_multiple_of(28) || !said || words(why).is_some_and(|w| !w.is_empty()));
    let (mut line, mut column, mut key) = (0, 0, null());
    // SAFETY: live; out-parameters may be written.
    if check(unsafe { ravelin_config_error_place(c, &raw mut line, &raw mut column, &raw mut key) }) {
        words(key);
    }
}

fn node(c: *mut ravelin_config, what: u8, peer: u32, octet: &[u8], number: u32) -> bool {
    let name = text(octet, &["p", "net", "q", ""]);
    // SAFETY: live; texts and octets live; out-parameters may be written.
    unsafe {
        match what {
            // No bit of this names a file: one octet of a good text is another, or it is cut.
            0 => {
                let mut toml = toml(usize::from(peer > 1), number & 1 == 0).into_bytes();
                let (len, at) = (toml.len(), number as usize >> 1);
                toml[at % len] ^= octet.first().copied().unwrap_or(0) & 0x5F;
                toml.truncate(if octet.len() > 1 { at % len } else { len });
                let name = if peer == 3 { null() } else { name.as_ptr() };
                let status = ravelin_config_load_toml(c, toml.as_ptr().cast(), toml.len(), name);
                // Other refusals are about the arguments; this one has words.
                check(status) || status != ravelin_status_code::Configuration as i32
            }
            1 => check(ravelin_config_ports(c, number as u16, (number >> 8) as u16, (number >> 16) as u16)),
            2 => check(ravelin_config_retransmit(c, number, peer)),
            3 => check(ravelin_config_retransmit(c, number % 5_000, number % 300)),
            4 => check(ravelin_config_export_keys(c, number & 1 == 1)),
            5 => check(ravelin_config_external_plane(c, number & 1 == 1)),
            6 => check(ravelin_config_asks(c, number & 1 == 1, number >> 1)),
            7 => out(|to| ravelin_config_find_peer(c, name.as_ptr(), to)).is_some(),
            8 => out(|to| ravelin_config_find_policy(c, name.as_ptr(), to)).is_some(),
            _ => out(|to| ravelin_config_gateway(c, to)).map(|g| (words(g.tun), words(g.control))).is_some(),
        }
    }
}

fn about_peer(c: *mut ravelin_config, what: u8, peer: u32, octet: &[u8], number: u32) -> bool {
    let (data, len) = (octet.as_ptr(), octet.len());
    let one = text(
        octet,
        &["p", "192.0.2.1", "any", "psk", "pubkey", "eap", "null", "mschapv2,gtc", "aes256gcm16-prfsha512-x25519", ""],
    );
    let two = text(
        &octet.iter().rev().copied().collect::<Vec<_>>(),
        &["b.test", "192.0.2.2", "psk,eap", "user", "@b.test", "fe80::1"],
    );
    let (a, b) = (one.as_ptr(), if number == 3 { null() } else { two.as_ptr() });
    let list = |der: &[u8]| ravelin_octets { data: der.as_ptr(), len: der.len() };
    let chains = [vec![list(NODE), list(CA)], vec![list(octet)], Vec::new()];
    let chain = &chains[number as usize % 3];
    assert!(chain.iter().all(|o| octets(*o).len() == o.len));
    // SAFETY: live; texts and octets live; out-parameters may be written.
    unsafe {
        match what {
            10 => {
                let new = out(|to| ravelin_config_add_peer(c, a, b, a, to));
                new.is_some_and(|p| {
                    out(|to| ravelin_config_peer(c, p as usize, to)).is_none_or(|i| words(i.name).is_some())
                })
            }
            11 => check(ravelin_config_peer_addresses(c, peer, a, b, number as u16)),
            12 => check(ravelin_config_peer_psk(c, peer, data, len)),
            13 => check(ravelin_config_peer_ppk(c, peer, data, len, data, len, number & 1 == 1)),
            14 => check(ravelin_config_peer_auth(c, peer, a, b)),
            15 => check(ravelin_config_peer_eap(c, peer, a, b, data, len)),
            16 => check(ravelin_config_peer_proposals(c, peer, a)),
            17 => {
                let key = if number & 8 == 8 { KEY } else { octet };
                check(ravelin_config_peer_credential(c, peer, chain.as_ptr(), chain.len(), key.as_ptr(), key.len()))
            }
            18 => {
                let schemes = [ravelin_scheme { kind: number % 12, hash: (number >> 4) as u16 % 8 }; 3];
                let count = (number >> 8) as usize % 4;
                check(ravelin_config_peer_credential_elsewhere(
                    c,
                    peer,
                    chain.as_ptr(),
                    chain.len(),
                    data,
                    len,
                    schemes.as_ptr(),
                    count,
                ))
            }
            _ => {
                let ca = if number & 1 == 1 { CA } else { octet };
                check(ravelin_config_peer_anchor(c, peer, ca.as_ptr(), ca.len()))
                    | check(ravelin_config_peer_raw_key(c, peer, data, len))
            }
        }
    }
}

fn about_child(c: *mut ravelin_config, what: u8, id: u32, octet: &[u8], number: u32) -> bool {
    let ts = ["10.0.1.0/24", "10.0.2.0/24", "0.0.0.0/0", "::/0", "10.0.0.0/8[tcp/80]", "10.0.0.1-10.0.0.9", ""];
    let (one, two) = (text(octet, &ts), CString::new(ts[number as usize % ts.len()]).expect("no NUL"));
    let esp = text(octet, &["aes256gcm16", "aes128-sha256", "null", "chacha20poly1305"]);
    let limits = ravelin_limits {
        rekey_s: number % 7_200,
        hard_s: number >> 16,
        soft_bytes: octet.len() as u64,
        hard_bytes: u64::from(number),
        soft_packets: 0,
        hard_packets: u64::from(id),
        idle_s: number % 100,
        replay_window: number % 100_000,
    };
    // SAFETY: live; texts live; out-parameters may be written.
    unsafe {
        match what {
            20 => check(ravelin_config_peer_times(c, id, number, number >> 4, number % 60, number % 90)),
            21 => check(ravelin_config_peer_option(c, id, number % 9, number & 16 == 16)),
            22 | 23 => {
                let esp = if number & 1 == 1 { esp.as_ptr() } else { null() };
                out(|to| ravelin_config_add_child(c, id, c"more".as_ptr(), one.as_ptr(), two.as_ptr(), esp, to))
                    .is_some()
            }
            24 => {
                out(|to| ravelin_config_add_policy(c, c"by".as_ptr(), one.as_ptr(), two.as_ptr(), number & 1 == 1, to))
                    .is_some()
            }
            25 => check(ravelin_config_child_mode(c, id, number as u8 % 4)),
            26 => check(ravelin_config_child_start(c, id, number as u8 % 4)),
            _ => check(ravelin_config_child_limits(c, id, if number == 1 { null() } else { &raw const limits })),
        }
    }
}
