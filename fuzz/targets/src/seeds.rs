//! First inputs: exchanges of our own nodes, recorded; plaintexts that were inside; structured inputs that lead somewhere.
//! `cargo run -p ravelin-fuzz-targets --example seeds` writes them to `fuzz/corpus`. Captures of others are read in place
//! (`shared/vectors`), and never written into the tree.

use crate::world::{World, ike};
use std::path::PathBuf;

/// A named target and one input for it.
pub type Seed = (&'static str, Vec<u8>);

/// Messages of a conversation of our own nodes: brought up, rekeyed, probed, deleted, in order.
#[must_use]
pub fn recorded(variant: u8) -> Vec<Vec<u8>> {
    let mut world = World::new(variant);
    let mut out = Vec::new();
    world.initiate(0);
    for step in 0..6 {
        for _ in 0..100 {
            let Some(next) = world.wire.pop_front() else { break };
            out.extend(ike(next.path, &next.bytes).map(<[u8]>::to_vec));
            world.deliver(next);
        }
        let ids: Vec<_> = world.nodes[0].snapshot(ravelin::Instant(world.now)).iter().map(|s| s.id).collect();
        let Some(id) = ids.first().copied() else { break };
        match step {
            0 => world.packet(0),
            1 => world.with(0, |n, now| {
                let _ = n.probe(now, id);
            }),
            2 => world.with(0, |n, now| {
                let _ = n.rekey(now, id);
            }),
            3 => world.packet(1),
            _ => world.with(0, |n, now| {
                let _ = n.delete(now, id);
            }),
        }
    }
    out
}

/// Everything that is made here.
#[must_use]
pub fn all() -> Vec<Seed> {
    let mut out: Vec<Seed> = Vec::new();
    for variant in 0..4 {
        for message in recorded(variant) {
            if ravelin::ike::wire::Header::parse(&message).is_ok_and(|h| h.check(message.len()).is_ok()) {
                let mut with_len = vec![0];
                with_len.extend((message.len() as u16).to_be_bytes());
                with_len.extend(&message);
                out.push(("stranger", with_len));
                payloads(&message, &mut out);
                out.push(("message", message));
            }
        }
    }
    out.push(("initiator", vec![1, 0, 0, 1, 1]));
    for n in 0..=255u8 {
        // Rows of operations: `arbitrary` reads lengths from the end and choices from the front.
        let row = |len: usize| {
            (0..len).map(|i| n.wrapping_mul(31).wrapping_add((i * (usize::from(n) + 7)) as u8)).collect::<Vec<u8>>()
        };
        if n % 8 == 0 {
            for name in [
                "conversation",
                "c_abi",
                "radius",
                "spd",
                "esp_sealed",
                "skf",
                "sk",
                "replay_window",
                "eap_client",
                "eap_server",
            ] {
                out.push((name, row(200)));
            }
            out.push(("esp_raw", row(80)));
        }
    }
    out.push(("certificate", include_bytes!("../../../ike-proto/tests/certs/node1.der").to_vec()));
    out.push(("certificate", include_bytes!("../../../ike-proto/tests/certs/ca.der").to_vec()));
    out.push(("certificate", include_bytes!("../../../ike-proto/tests/certs/narrow.der").to_vec()));
    out.push(("crl", include_bytes!("../../../ike-proto/tests/certs/empty.crl").to_vec()));
    out.push(("crl", include_bytes!("../../../ike-proto/tests/certs/revoked.crl").to_vec()));
    out.extend(crate::x509::OCSP.map(|response| ("ocsp", response.to_vec())));
    out.push(("config_toml", CONFIG.as_bytes().to_vec()));
    for block in CONFIG.split("\n\n") {
        out.push(("config_toml", block.as_bytes().to_vec()));
    }
    out
}

fn payloads(message: &[u8], out: &mut Vec<Seed>) {
    use ravelin::ike::wire::Message;
    if let Ok(decoded) = Message::decode(message) {
        for payload in decoded.payloads.iter() {
            let mut one = vec![payload.kind().0];
            if payload.emit(&mut one).is_ok() {
                out.push(("payload", one));
            }
        }
    }
}

const CONFIG: &str = r#"[gateway]
control = "run/ctl"
tun = "tun7"
mtu = 1400

[[peer]]
name = "b"
local = "192.0.2.1"
remote = "192.0.2.2"
local_id = "a.test"
remote_id = "b.test"
psk = "hunter2-the-secret"
ike = "aes128gcm16-prfsha256-x25519"
dpd = "30s"

[[peer.child]]
name = "net"
local_ts = "10.0.1.0/24"
remote_ts = "10.0.2.0/24"
esp = "aes128gcm16"
start = "trap"
"#;

/// Files of `shared/vectors` that serve as seeds where they are; empty when the folder is not there.
#[must_use]
pub fn in_place(target: &str) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("RAVELIN_VECTORS").map(PathBuf::from);
    let places = [root.join("../shared/vectors"), root.join("../../shared/vectors")];
    let Some(vectors) = named.into_iter().chain(places).find(|p| p.is_dir()) else { return Vec::new() };
    let folder = match target {
        "certificate" => "fuzz-seeds/x509-certs",
        "crl" => "fuzz-seeds/x509-crls",
        "ocsp" => "fuzz-seeds/ocsp",
        _ => return Vec::new(),
    };
    read_dir(&vectors.join(folder))
}

/// The contents of every file of a folder, in the order of the names.
#[must_use]
pub fn read_dir(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_file()).collect();
    files.sort();
    files.iter().filter_map(|f| std::fs::read(f).ok()).collect()
}
