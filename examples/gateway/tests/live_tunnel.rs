//! Live: tunnels between our gateway and strongSwan, either side starting, three kinds of algorithms, on a direct
//! path and through a NAT; each carries pings both ways and a TCP transfer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{CBC, CHACHA, GCM, Lab, Suite, config};

/// Enough for the replay window to move far and for the sequence numbers to grow.
const OCTETS: usize = 2_000_000;

/// Our gateway on side a starts.
fn we_start(test: &str, topology: &str, suite: &Suite) {
    let Some(lab) = Lab::up(test, topology) else { return };
    lab.strongswan("psk", "b", &suite.env());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", suite, "start"), &[]);
    gateway.wait("Child SA up");
    carries(&lab, "b", suite);
    let show = gateway.ask(&["show"]);
    assert!(show.contains("10.10.1.0/24 === 10.10.2.0/24"), "{show}");
}

/// Both sides are ours: super-packets at both ends, or at neither, or at one; several threads, and one.
fn ours(test: &str, a: &str, b: &str, encapsulation: &str) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let how = format!("encapsulation = \"{encapsulation}\"\ndpd_delay");
    let with = |keys: &str, rest: String| format!("{keys}\n{}", rest.replace("dpd_delay", &how));
    let gateway = lab.gateway("b", &with(b, config("b", "any", &GCM, "none")), &[]);
    let start = lab.gateway("a", &with(a, config("a", "10.9.0.2", &GCM, "start")), &[]);
    start.wait("Child SA up");
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    println!("{test}: {}", lab.transfer(4 * OCTETS));
    let before = (spared(&start).0, spared(&gateway).1);
    println!("{test}: {}", lab.datagrams());
    let after = (spared(&start).0, spared(&gateway).1);
    let [here, there] = [&start, &gateway].map(|g| g.log().contains("udp=true"));
    if here {
        assert!(after.0 > before.0 + 100, "{test}: runs of UDP were not sent together: {before:?} {after:?}");
    }
    if here && there && encapsulation == "always" {
        assert!(after.1 > before.1 + 100, "{test}: runs of UDP were not joined: {before:?} {after:?}");
    }
}

/// How many calls a gateway did without, as many packets went in one: to send, and to deliver.
fn spared(gateway: &live::Gateway) -> (u64, u64) {
    let show = gateway.ask(&["show", "counters"]);
    let line = show.lines().find(|l| l.contains("ESP packets sent")).unwrap();
    let numbers: Vec<u64> = line.split(' ').filter_map(|w| w.parse().ok()).collect();
    let [sent, calls, delivered, writes] = numbers.try_into().unwrap();
    (sent - calls, delivered - writes)
}

/// A router on the way carries less than both ends think; then the interface of one end too. Senders inside are told.
#[test]
fn path_mtu() {
    for encapsulation in ["auto", "never"] {
        // a NAT passes no bare ESP: there the narrow place is the interface only
        let Some(lab) = Lab::up("path_mtu", if encapsulation == "auto" { "nat" } else { "direct" }) else { return };
        let with = |text: String| text.replace("dpd_delay", &format!("encapsulation = \"{encapsulation}\"\ndpd_delay"));
        let gateway = lab.gateway("b", &with(config("b", "any", &GCM, "none")), &[]);
        let start = lab.gateway("a", &with(config("a", "10.9.0.2", &GCM, "start")), &[]);
        start.wait("Child SA up");
        gateway.wait("Child SA up");
        if encapsulation == "auto" {
            // the kernel is asked before the way gets narrow; then only the router's error can tell
            lab.ping("a");
            start.wait("as the kernel has it");
            lab.ok_inside("n", &["ip", "link", "set", "wan0", "mtu", "1300"]);
        } else {
            lab.ok_inside("a", &["ip", "link", "set", "eth0", "mtu", "1300"]);
        }
        lab.ok_inside("b", &["ip", "link", "set", "eth0", "mtu", "1300"]);
        let big = ["ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1250", "10.10.2.1"];
        let _ = lab.inside("a", &big).output().unwrap();
        let learned = if encapsulation == "auto" { "as a router says" } else { "as the kernel has it" };
        start.wait(learned);
        let out = lab.inside("a", &big).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(said.contains("mtu"), "{said}\n{}", start.log());
        lab.ping("a");
        println!("path_mtu, {encapsulation}: {}", lab.transfer(OCTETS));
    }
}

#[test]
fn ours_with_offloads() {
    ours("offload", "workers = 3", "workers = 1", "always");
}

#[test]
fn ours_without_offloads() {
    ours("plain", "offload = \"no\"\nworkers = 2", "offload = \"no\"", "always");
}

#[test]
fn ours_with_offloads_at_one_end() {
    ours("oneend", "offload = \"no\"\nworkers = 1", "workers = 2", "always");
}

#[test]
fn ours_in_bare_esp() {
    ours("bare", "workers = 2", "workers = 2", "never");
}

/// strongSwan starts, from side a: the side behind the NAT, if there is one.
fn they_start(test: &str, topology: &str, suite: &Suite) {
    let Some(lab) = Lab::up(test, topology) else { return };
    let gateway = lab.gateway("b", &config("b", "any", suite, "none"), &[]);
    lab.strongswan("psk", "a", &suite.env());
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait("Child SA up");
    carries(&lab, "a", suite);
}

fn carries(lab: &Lab, strongswan: &str, suite: &Suite) {
    lab.ping("a");
    lab.ping("b");
    println!("{}", lab.transfer(OCTETS));
    let sas = lab.charon_sas(strongswan);
    assert!(sas.contains(suite.shown) && sas.contains("INSTALLED"), "{sas}");
}

macro_rules! matrix {
    ($($test:ident: $who:ident, $topology:literal, $suite:expr;)*) => {
        $(#[test] fn $test() { $who(stringify!($test), $topology, &$suite); })*
    };
}

matrix! {
    we_gcm: we_start, "direct", GCM;
    we_cbc: we_start, "direct", CBC;
    we_chacha: we_start, "direct", CHACHA;
    they_gcm: they_start, "direct", GCM;
    they_cbc: they_start, "direct", CBC;
    they_chacha: they_start, "direct", CHACHA;
    we_gcm_nat: we_start, "nat", GCM;
    we_cbc_nat: we_start, "nat", CBC;
    we_chacha_nat: we_start, "nat", CHACHA;
    they_gcm_nat: they_start, "nat", GCM;
    they_cbc_nat: they_start, "nat", CBC;
    they_chacha_nat: they_start, "nat", CHACHA;
}

/// Both sides as they come, without a word about algorithms.
#[test]
fn default_proposals() {
    let Some(lab) = Lab::up("defaults", "direct") else { return };
    lab.strongswan("psk", "b", &[("LAB_IKE", "default"), ("LAB_ESP", "default")]);
    let text = config("a", "10.9.0.2", &GCM, "start").replace("ike = ", "# ").replace("esp = ", "# ");
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    gateway.terminate();
    let gateway = lab.gateway("a", &text.replace("\"start\"", "\"none\""), &[]);
    lab.ok("strongswan-peer.sh", &["initiate", "b"], &[]);
    gateway.wait("Child SA up");
    lab.ping("b");
}

/// ML-KEM beside X25519 (RFC 9370), with a newer strongSwan, either side starting.
#[test]
fn ml_kem() {
    let Some(lab) = Lab::up("ml_kem", "direct") else { return };
    if !lab.run("newer.sh", &["forky"], &[]).status.success() {
        return live::skip("ml_kem", "no newer strongSwan (lab/packages.sh newer, and a Debian mirror)");
    }
    let suite = Suite { ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768", esp: "aes256gcm16", ..GCM };
    lab.strongswan("psk", "b", &[&suite.env()[..], &[("LAB_SUITE", "forky")]].concat());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &suite, "start"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.wait_charon_log("b", "IKE_INTERMEDIATE request");
    gateway.terminate();
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &suite, "none"), &[]);
    lab.ok("strongswan-peer.sh", &["initiate", "b"], &[]);
    gateway.wait("Child SA up");
    lab.ping("b");
}

/// The outer path is IPv6.
#[test]
fn we_v6() {
    let Some(lab) = Lab::up("we_v6", "v6") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let gateway = lab.gateway("a", &config("a", "fd09::2", &GCM, "start"), &[]);
    gateway.wait("Child SA up");
    carries(&lab, "b", &GCM);
}

/// Inner IPv6 beside inner IPv4, on demand: the first packet starts the negotiation and is not lost.
#[test]
fn on_demand_with_inner_v6() {
    let Some(lab) = Lab::up("on_demand", "direct") else { return };
    let (mine, theirs) = ("10.10.1.0/24,fd10:1::/64", "10.10.2.0/24,fd10:2::/64");
    lab.strongswan("psk", "b", &[&GCM.env()[..], &[("LAB_MY_TS", theirs), ("LAB_PEER_TS", mine)]].concat());
    let text = config("a", "10.9.0.2", &GCM, "trap")
        .replace("\"10.10.1.0/24\"", r#"["10.10.1.0/24", "fd10:1::/64"]"#)
        .replace("\"10.10.2.0/24\"", r#"["10.10.2.0/24", "fd10:2::/64"]"#);
    let gateway = lab.gateway("a", &text, &[]);
    assert!(!gateway.log().contains("Child SA up"), "nothing asked for it yet");
    lab.ping_addresses("a", "fd10:1::1", "fd10:2::1");
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
}

/// The peer wants another group than our first (INVALID_KE_PAYLOAD), and cookies (RFC 7296 §2.6) from everybody.
#[test]
fn cookie_and_invalid_ke() {
    let Some(lab) = Lab::up("cookie", "direct") else { return };
    let env = [
        ("LAB_IKE", "aes128gcm16-prfsha256-ecp384-ecp256"),
        ("LAB_ESP", "aes128gcm16"),
        ("LAB_CHARON", "cookie_threshold = 2"),
    ];
    lab.strongswan("psk", "b", &env);
    let half_open = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lab/half-open.py");
    assert!(lab.inside("a", &[half_open, "10.9.0.2", "4"]).output().unwrap().status.success());
    let suite = Suite { ike: "aes128gcm16-prfsha256-x25519-ecp384", ..GCM };
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &suite, "start"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    let log = lab.charon_log("b");
    assert!(log.contains("N(COOKIE) ]") && log.contains("N(INVAL_KE)"), "{log}");
}

/// strongSwan asks for more than our policy allows and gets what both allow (RFC 7296 §2.9).
#[test]
fn narrowing() {
    let Some(lab) = Lab::up("narrowing", "direct") else { return };
    let gateway = lab.gateway("b", &config("b", "any", &GCM, "none"), &[]);
    lab.strongswan("psk", "a", &[&GCM.env()[..], &[("LAB_PEER_TS", "10.10.0.0/16")]].concat());
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    let sas = lab.charon_sas("a");
    assert!(sas.contains("remote 10.10.2.0/24"), "{sas}");
}
