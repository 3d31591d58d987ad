//! An independent oracle of the key schedule: `oracle/oracle.py` (Python's standard library, none of our code) is given
//! the wire, the pre-shared keys and the raw secret of every key exchange of a run, and recomputes SK_*, AUTH and KEYMAT
//! for each variant: it opens every message with its own keys, compares AUTH with the wire and KEYMAT with what both data
//! planes were given. Without python3 one line says that it is passed over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod endpoints;

use endpoints::{Side, run_with, side_on};
use rand_chacha::rand_core::CryptoRng;
use ravelin_crypto::ke::{KeSecret, KeyExchange};
use ravelin_crypto::{CryptoError, KeId, Provider, Secret};
use ravelin_ike_proto::{Config, Event};
use ravelin_sa_db::pad::{Peer, PpkMethod, TranscriptAuth};
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};
use ravelin_sa_db::spd::Protect;
use ravelin_sa_db::{Db, Instant, Now};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Method, both public values, the secret.
type Agreement = (u16, Vec<u8>, Vec<u8>, Vec<u8>);

thread_local! {
    /// What every responder made: method, initiator's value, its own value, the secret.
    static SECRETS: RefCell<Vec<Agreement>> = const { RefCell::new(Vec::new()) };
}

/// A key exchange method that writes its secrets down.
struct Recorded(&'static dyn KeyExchange);

impl KeyExchange for Recorded {
    fn id(&self) -> KeId {
        self.0.id()
    }
    fn initiator_len(&self) -> usize {
        self.0.initiator_len()
    }
    fn responder_len(&self) -> usize {
        self.0.responder_len()
    }
    fn initiate(&self, rng: &mut dyn CryptoRng) -> Result<(Box<dyn KeSecret>, Vec<u8>), CryptoError> {
        self.0.initiate(rng)
    }
    fn respond(&self, rng: &mut dyn CryptoRng, peer: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let (own, secret) = self.0.respond(rng, peer)?;
        let entry = (self.id().0, peer.to_vec(), own.clone(), secret.expose().to_vec());
        SECRETS.with_borrow_mut(|all| all.push(entry));
        Ok((own, secret))
    }
}

fn recorded() -> Provider {
    let mut p = ravelin_crypto::rustcrypto::provider();
    p.kes = p.kes.iter().map(|k| &*Box::leak(Box::new(Recorded(*k))) as &'static dyn KeyExchange).collect();
    p
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const PPK_ID: &[u8] = b"\x02lab";
const PPK: [u8; 32] = [0x5A; 32];

/// What a variant is made of.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    ike: &'static str,
    esp: &'static str,
    transcript: TranscriptAuth,
    ppk: Option<PpkMethod>,
    /// The responder does not have the PPK.
    one_sided: bool,
    ppk_rekey: bool,
    /// Octets of the largest packet that carries a fragment.
    fragment: u16,
}

const PLAIN: Variant = Variant {
    name: "plain",
    ike: "aes128gcm16-prfsha256-x25519",
    esp: "aes128gcm16",
    transcript: TranscriptAuth::Off,
    ppk: None,
    one_sided: false,
    ppk_rekey: false,
    fragment: 1280,
};

const VARIANTS: &[Variant] = &[
    PLAIN,
    Variant { name: "AES-CTR and HMAC", ike: "aes256ctr-sha384-prfsha512-ecp384", esp: "aes128-sha256", ..PLAIN },
    Variant {
        name: "SHA-384, own key exchange",
        ike: "aes256gcm16-prfsha384-ecp256",
        esp: "aes256gcm16-x25519",
        ..PLAIN
    },
    Variant { name: "full transcript", transcript: TranscriptAuth::Require, ..PLAIN },
    Variant { name: "PPK, RFC 8784", ppk: Some(PpkMethod::Auth), ..PLAIN },
    Variant { name: "PPK that one side lacks, RFC 8784", ppk: Some(PpkMethod::Auth), one_sided: true, ..PLAIN },
    Variant { name: "PPK, RFC 9867", ppk: Some(PpkMethod::Intermediate), ..PLAIN },
    Variant {
        name: "PPK, RFC 9867, and a fresh one at every rekeying",
        esp: "aes128gcm16-x25519",
        ppk: Some(PpkMethod::Intermediate),
        ppk_rekey: true,
        ..PLAIN
    },
    Variant {
        name: "X25519 and ML-KEM-768, in fragments",
        ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
        esp: "aes256gcm16-x25519-ke1_mlkem768",
        ..PLAIN
    },
    Variant {
        name: "X25519 and ML-KEM-512, in small fragments, full transcript",
        ike: "aes128gcm16-prfsha256-x25519-ke1_mlkem512",
        transcript: TranscriptAuth::Require,
        fragment: 576,
        ..PLAIN
    },
    Variant { name: "ML-KEM-512 alone", ike: "aes128gcm16-prfsha256-mlkem512", esp: "aes128gcm16-mlkem512", ..PLAIN },
    Variant {
        name: "three additional key exchanges, PPK, full transcript, fresh PPKs",
        ike: "aes128gcm16-prfsha256-x25519-ke1_ecp256-ke3_ecp384-ke7_mlkem512",
        esp: "aes128gcm16-ecp256-ke2_x25519-ke5_mlkem512",
        transcript: TranscriptAuth::Offer,
        ppk: Some(PpkMethod::Intermediate),
        ppk_rekey: true,
        ..PLAIN
    },
];

fn side(v: &Variant, me: u8) -> Side {
    let list = |protocol, text| Proposal::parse_list(protocol, text).unwrap();
    let edit = |p: &mut Peer, t: &mut Protect, c: &mut Config, db: &mut Db| {
        p.proposals = list(ProposalProtocol::Ike, v.ike);
        t.proposals = list(ProposalProtocol::Esp, v.esp);
        (p.transcript_auth, p.ppk_rekey) = (v.transcript, v.ppk_rekey);
        c.fragment_size = v.fragment;
        if let Some(method) = v.ppk.filter(|_| me == 1 || !v.one_sided) {
            (p.ppk, p.ppk_method) = (Some(PPK_ID.to_vec()), method);
            db.pad.secrets.add_ppk(PPK_ID.to_vec(), Secret::new(PPK.to_vec()));
        } else if v.ppk.is_some() {
            db.pad.secrets.add_ppk(b"\x02another".to_vec(), Secret::new(vec![1; 32]));
        }
    };
    side_on(me, u64::from(me), recorded(), edit)
}

/// Sets an IKE SA and a Child SA up, rekeys both from both sides; what a wiretap saw, and what the oracle may know.
fn play(v: &Variant) -> Value {
    SECRETS.with_borrow_mut(Vec::clear);
    let (mut a, mut b) = (side(v, 1), side(v, 2));
    let mut wire: Vec<String> = Vec::new();
    let mut tap = |bytes: &[u8]| {
        let skip = if bytes[..4] == [0; 4] { 4 } else { 0 };
        wire.push(hex(&bytes[skip..]));
    };
    let mut now = 1_000_000;
    let mut carry = |a: &mut Side, b: &mut Side, now: u64| {
        run_with(a, b, now, &mut |_, bytes| {
            tap(&bytes);
            Some(bytes)
        });
    };
    a.start(0);
    carry(&mut a, &mut b, now);
    assert!(a.is_up() && b.is_up(), "{}: {} {}", v.name, a.story(), b.story());
    for (from_a, ike) in [(true, false), (false, false), (true, true), (false, true), (true, false)] {
        now += 1_000_000;
        let side = if from_a { &mut a } else { &mut b };
        let sa = side.endpoint.snapshot(Instant(0))[0].clone();
        match ike {
            true => side.endpoint.rekey(Now::at(now), &side.db, sa.id).unwrap(),
            false => side.endpoint.rekey_child(Now::at(now), &side.db, sa.children[0].id).unwrap(),
        }
        carry(&mut a, &mut b, now);
    }
    let rekeyed =
        |s: &Side| s.events.iter().filter(|e| matches!(e, Event::Rekeyed { .. } | Event::ChildRekeyed { .. })).count();
    assert_eq!((rekeyed(&a), rekeyed(&b)), (5, 5), "{}: {}", v.name, a.story());
    let halves = a.installed().into_iter().chain(b.installed());
    let installed: Vec<_> = halves
        .map(|p| (hex(&p.spi.to_be_bytes()), hex(p.suite.encr_key.expose()), hex(p.suite.integ_key.expose())))
        .collect();
    let shared: Vec<_> =
        SECRETS.with_borrow(|all| all.iter().map(|(m, a, b, s)| (*m, hex(a), hex(b), hex(s))).collect());
    json!({
        "psk": hex(b"a shared secret"),
        "ppks": { hex(PPK_ID): hex(&PPK) },
        "shared": shared,
        "installed": installed,
        "wire": wire,
    })
}

/// What the oracle says to a record; none without python3.
fn oracle(record: &Value) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/oracle.py");
    let spawned = Command::new("python3").arg("-B").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) => {
            println!("key schedule oracle skipped: python3 does not run ({e})");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(record.to_string().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    Some(serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("the oracle said nothing: {e}")))
}

#[test]
fn an_independent_oracle_agrees_on_every_variant() {
    for v in VARIANTS {
        let Some(said) = oracle(&play(v)) else { return };
        assert_eq!(said["ok"], true, "{}: {said}", v.name);
        let n = |key: &str| said[key].as_u64().unwrap();
        // Three IKE SAs, four Child SA pairs with both halves on both sides, and AUTH both ways.
        assert_eq!((n("sas"), n("children"), n("halves")), (3, 4, 16), "{}: {said}", v.name);
        assert_eq!(n("auths"), if v.ppk == Some(PpkMethod::Auth) { 3 } else { 2 }, "{}: {said}", v.name);
        let chains = |text: &str| text.matches("-ke").count() as u64;
        assert_eq!(n("follow_ups"), 2 * chains(v.ike) + 3 * chains(v.esp), "{}: {said}", v.name);
        assert_eq!(n("fresh_ppks"), if v.ppk_rekey { 5 } else { 0 }, "{}: {said}", v.name);
        println!("{}: {said}", v.name);
    }
}

#[test]
fn the_oracle_is_not_easily_pleased() {
    let v = VARIANTS.iter().find(|v| v.name.starts_with("three")).unwrap();
    let good = play(v);
    let flip = |text: &Value| {
        let text = text.as_str().unwrap();
        let last = if text.ends_with('0') { "1" } else { "0" };
        json!(format!("{}{last}", &text[..text.len() - 1]))
    };
    let mut spoiled: Vec<(&str, Value)> = Vec::new();
    let mut spoil = |what: &'static str, edit: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        edit(&mut bad);
        spoiled.push((what, bad));
    };
    spoil("the PSK", &|r| r["psk"] = flip(&r["psk"]));
    spoil("the PPK", &|r| {
        let id = hex(PPK_ID);
        r["ppks"][&id] = flip(&r["ppks"][&id]);
    });
    spoil("the first secret", &|r| r["shared"][0][3] = flip(&r["shared"][0][3]));
    spoil("the last secret", &|r| {
        let last = r["shared"].as_array().unwrap().len() - 1;
        r["shared"][last][3] = flip(&r["shared"][last][3]);
    });
    spoil("a Child SA's key", &|r| r["installed"][7][1] = flip(&r["installed"][7][1]));
    for (what, bad) in spoiled {
        let Some(said) = oracle(&bad) else { return };
        assert_eq!(said["ok"], false, "{what} was changed, and the oracle did not mind");
    }
}
