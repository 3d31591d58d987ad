//! Every way a configuration can be wrong, and what the operator then reads.

use super::*;
use ravelin::db::pad::{Childless, NatTraversal, Uniqueness};
use ravelin::db::spd::CloseAction;
use ravelin::ike::config::CookiePolicy;
use std::time::Duration;

const GOOD: &str = r#"
[gateway]
control = "/tmp/g.sock"
tun = "tun7"
mtu = 1_300

[[peer]]
name = "office"
local = "10.9.0.1"
remote = "10.9.0.2"
local_id = "a.lab.test"
remote_id = "b@lab.test"
psk = "0x00ff"
ike = ["aes128gcm16-prfsha256-ecp256"]
dpd_delay = "5s"
encapsulation = "always"

[[peer.child]]
name = "net"
local_ts = ["10.10.1.0/24"]
remote_ts = "10.10.2.0/24"
esp = "aes128-sha256"
start = "start"

[[peer.child]]
name = "six"
local_ts = ["fd10:1::/64", "10.0.0.1[udp/53]"]
remote_ts = ["fd10:2::/64"]
"#;

fn parse(text: &str) -> Result<Config> {
    Config::parse(Path::new("/etc/g.toml"), text, &ravelin::crypto::rustcrypto::provider())
}

#[test]
fn a_child_may_be_in_transport_mode() {
    use ravelin::db::Mode;
    let read = |mode: &str| parse(&GOOD.replace("esp = \"aes128-sha256\"", mode));
    let modes = |c: Config| c.db.spd.iter().map(|p| p.protect().unwrap().mode).collect::<Vec<_>>();
    assert_eq!(modes(read("mode = \"transport\"").unwrap()), [Mode::Transport, Mode::Tunnel]);
    assert_eq!(modes(read("mode = \"tunnel\"").unwrap()), [Mode::Tunnel, Mode::Tunnel]);
    let why = read("mode = \"beet\"").unwrap_err().to_string();
    assert!(why.contains("expected \"tunnel\" or \"transport\""), "{why}");
}

/// Keys and certificates in one file, with the password beside it or in a file of its own.
#[test]
fn pkcs12() {
    let read = |keys: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pkcs12/");
        let keys = format!("auth = \"pubkey\"\nremote_auth = \"psk\"\npsk = \"x\"\n{}", keys.replace("@", folder));
        parse(&GOOD.replace("psk = \"0x00ff\"", &keys))
    };
    let two = read("pkcs12 = \"@default.p12\"\npkcs12_password = \"geheim \u{e4}\"\nkey = \"x\"").unwrap_err();
    assert!(two.to_string().contains("stands beside cert or key"), "{two}");
    let good = read("pkcs12 = \"@default.p12\"\npkcs12_password = \"geheim \u{e4}\"");
    let filed = read("pkcs12 = \"@old.p12\"\npkcs12_password_file = \"@old.password\"\nocsp_response = \"@clear.p12\"");
    let wrong = read("pkcs12 = \"@default.p12\"").unwrap_err().to_string();
    if cfg!(feature = "pkcs12") {
        let own = |c: Config| c.db.pad.credentials.own(Some("office")).next().unwrap().clone();
        assert!(own(good.unwrap()).chain.len() == 2);
        let filed = own(filed.unwrap());
        assert!(filed.chain.len() == 2 && filed.ocsp_response.as_ref().is_some_and(|r| !r.is_empty()));
        assert!(wrong.contains("default.p12: the PKCS#12 password is wrong"), "{wrong}");
        assert!(!wrong.contains("geheim"));
    } else {
        assert!(wrong.contains("reads no PKCS#12") && good.is_err() && filed.is_err(), "{wrong}");
    }
}

#[test]
fn a_good_file() {
    let c = parse(GOOD).unwrap();
    assert_eq!((c.gateway.tun.as_str(), c.gateway.mtu, c.gateway.ike.ports.ike), ("tun7", 1300, 500));
    let id = c.db.pad.find_by_name("office").unwrap();
    let p = c.db.pad.peer(id).unwrap();
    assert_eq!((p.times.dpd, p.nat_traversal), (Duration::from_secs(5), NatTraversal::Force));
    assert_eq!((p.local, p.remote), (Some("10.9.0.1".parse().unwrap()), Some("10.9.0.2:500".parse().unwrap())));
    assert_eq!((p.local_id.to_string(), p.remote_id.to_string()), ("a.lab.test".into(), "b@lab.test".into()));
    assert_eq!(c.db.pad.secret_for(&p.local_id, p.remote_id.exact().unwrap()).unwrap().expose(), [0, 255]);
    let policies: Vec<_> = c.db.spd.policies_of(id).collect();
    let shown = |i: usize| format!("{} {:?} {:?}", policies[i].name, policies[i].local, policies[i].remote);
    assert_eq!(shown(0), "office/net [10.10.1.0/24] [10.10.2.0/24]", "one string stands for an array of one");
    assert_eq!(shown(1), "office/six [fd10:1::/64, 10.0.0.1/32[udp/53]] [fd10:2::/64]");
    let protect = |i: usize| policies[i].protect().unwrap();
    assert_eq!((protect(0).start, protect(1).start), (StartAction::Start, StartAction::None));
    assert_eq!(protect(0).proposals.len(), 1);
    assert!(protect(1).proposals.len() > 1, "built-in proposals");
}

/// Pools, inner addresses, lives and limits.
const LIVES: &str = r#"
[gateway]
interfaces = "eth0"
resolv_conf = "/etc/resolv.conf"
retransmit_cap = "10s"
retransmit_base = 150
cookies = "always"
puzzle_threshold = 7
puzzle_difficulty = 12
half_open_max = 10
initiator_only = "yes"
fragment_size = 600
retry_first = "1s"

[[pool]]
name = "four"
addrs = ["10.3.0.0/24", "10.4.0.1-10.4.0.5"]
netmask = "255.255.255.0"
dns = ["10.2.0.53"]
nbns = "10.2.0.54"
dhcp = "10.2.0.55"
subnets = "10.2.0.0/16"
domains = ["example.org"]

[[peer]]
name = "p"
remote = "192.0.2.2"
remote_addrs = ["192.0.2.0/24", "198.51.100.1"]
local_id = "a.lab.test"
psk = "x"
pools = "four"
virtual_ip = ["ipv4", "ipv6"]
mobike = "no"
fragmentation = "no"
childless = "prefer"
unique = "replace"
keying_tries = 0
rekey_time = "10h"
reauth_time = "1d"
dpd_delay = "off"
nat_keepalive = "5s"

[[peer.child]]
name = "c"
local_ts = "dynamic"
remote_ts = "dynamic"
start = "start"
dpd_action = "restart"
close_action = "trap"
rekey_time = "100s"
rekey_bytes = 1_000_000
life_bytes = 2_000_000
rekey_packets = 1000
life_packets = 2000
"#;

#[test]
fn lives_and_limits() {
    let c = parse(LIVES).unwrap();
    let g = &c.gateway;
    assert_eq!(
        (g.interfaces.as_slice(), g.resolv_conf.as_deref()),
        (&["eth0".to_owned()][..], Some(Path::new("/etc/resolv.conf")))
    );
    assert_eq!((g.ike.cookies, g.ike.half_open_max, g.ike.initiator_only), (CookiePolicy::Always, 10, true));
    assert_eq!((g.ike.puzzle_threshold, g.ike.puzzle_difficulty), (7, 12));
    assert_eq!((g.ike.fragment_size, g.ike.retransmit.base_percent), (600, 150));
    let pool = c.db.pools.pool("four").unwrap();
    let ranges: Vec<_> = pool.ranges.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.3.0.1-10.3.0.254", "10.4.0.1-10.4.0.5"], "no network address, no broadcast address");
    assert_eq!((pool.info.dns.len(), pool.info.nbns.len(), pool.info.domains.len()), (1, 1, 1));
    let (_, p) = c.db.pad.iter().next().unwrap();
    assert_eq!((p.pools.len(), p.request_v4, p.request_v6, p.mobike, p.fragmentation), (1, true, true, false, false));
    assert_eq!((p.childless, p.uniqueness, p.keying_tries), (Childless::Prefer, Uniqueness::Replace, 0));
    assert!(p.may_speak_from("192.0.2.77".parse().unwrap()) && !p.may_speak_from("198.51.100.2".parse().unwrap()));
    let hours = |h: u64| Duration::from_secs(h * 3600);
    assert_eq!((p.times.rekey, p.times.reauth, p.times.jitter), (hours(10), hours(24), hours(1)));
    let policy = c.db.spd.iter().next().unwrap();
    assert!(policy.local.is_empty() && policy.remote.is_empty());
    let x = policy.protect().unwrap();
    assert_eq!((x.dpd, x.close), (CloseAction::Start, CloseAction::Trap));
    let seconds = Duration::from_secs;
    assert_eq!((x.times.rekey, x.times.hard, x.times.jitter), (seconds(100), seconds(110), seconds(10)));
    assert_eq!((x.lifetime.soft.bytes, x.lifetime.hard.packets), (1_000_000, 2000));
}

#[test]
fn wrong_lives_and_limits() {
    let cases = [
        (
            "pools = \"four\"",
            "pools = \"five\"",
            "peer[0].pools: expected the name of a [[pool]] of this file, found \"five\"",
        ),
        ("addrs = [\"10.3.0.0/24\",", "addrs = [\"10.3.0.0/33\",", "pool[0].addrs[0]: expected addresses such as"),
        ("netmask = \"255.255.255.0\"", "netmask = \"255.0.255.0\"", "pool[0].netmask: expected a netmask such as"),
        (
            "start = \"start\"",
            "start = \"trap\"",
            "peer[0].child[0].start: an address that is not known yet traps no packet; expected",
        ),
        (
            "rekey_time = \"100s\"",
            "rekey_time = \"100s\"\nlife_time = \"99s\"",
            "peer[0].child[0].life_time: expected a time after rekey_time, found \"99s\"",
        ),
        (
            "dpd_action = \"restart\"",
            "dpd_action = \"hold\"",
            "peer[0].child[0].dpd_action: expected \"clear\", \"trap\" or \"restart\", found \"hold\"",
        ),
        (
            "virtual_ip = [\"ipv4\",",
            "virtual_ip = [\"ip4\",",
            "peer[0].virtual_ip[0]: expected \"ipv4\", \"ipv6\" or both, found \"ip4\"",
        ),
        (
            "cookies = \"always\"",
            "cookies = \"often\"",
            "gateway.cookies: expected \"threshold\", \"always\" or \"never\", found \"often\"",
        ),
        (
            "[[peer]]",
            "[[pool]]\nname = \"four\"\naddrs = \"10.9.0.1\"\n[[peer]]",
            "pool[1].name: two pools have this name",
        ),
    ];
    for (from, to, says) in cases {
        assert!(LIVES.contains(from), "{from}");
        let e = parse(&LIVES.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(e.split_once(": ").unwrap().1.starts_with(says), "\n{e}\nexpected to start with\n{says}");
    }
}

/// Replaces a line of [`GOOD`] and gives the error as the operator reads it.
fn broken(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    parse(&GOOD.replacen(from, to, 1)).expect_err(to).to_string()
}

#[test]
fn errors_name_file_line_key_and_what_was_expected() {
    let cases = [
        ("mtu = 1_300", "mtu = 12", "/etc/g.toml:5:7: gateway.mtu: expected an integer from 576 to 65535, found 12"),
        (
            "mtu = 1_300",
            "mtu = \"x\"",
            "/etc/g.toml:5:7: gateway.mtu: expected an integer from 576 to 65535, found \"x\"",
        ),
        (
            "tun = \"tun7\"",
            "tun = \"a name far too long\"",
            "/etc/g.toml:4:7: gateway.tun: expected a device name of at most 15 characters, found \"a name far too long\"",
        ),
        (
            "tun = \"tun7\"",
            "tum = \"tun7\"",
            "/etc/g.toml:4:1: gateway.tum: unknown key; expected one of control, tun, mtu, workers, offload, ike_port, nat_port, route_table, mark, interfaces, resolv_conf, retransmit",
        ),
        (
            "remote = \"10.9.0.2\"",
            "remote = \"10.9.0.256\"",
            "/etc/g.toml:10:10: peer[0].remote: expected an IP address, or \"any\" for a peer that starts by itself, found \"10.9.0.256\"",
        ),
        (
            "remote = \"10.9.0.2\"",
            "remote = \"fd00::1\"",
            "/etc/g.toml:10:10: peer[0].remote: expected an address of the same family as local, found \"fd00::1\"",
        ),
        (
            "remote = \"10.9.0.2\"",
            "",
            "/etc/g.toml:7:1: peer[0].remote: missing; expected an IP address, or \"any\" for a peer that starts by itself",
        ),
        (
            "dpd_delay = \"5s\"",
            "dpd_delay = 5",
            "/etc/g.toml:15:13: peer[0].dpd_delay: expected a duration such as \"90s\", \"5m\", \"4h\", \"2d\" or \"off\", found 5",
        ),
        (
            "ecp256\"]",
            "ecp255\"]",
            "/etc/g.toml:14:8: peer[0].ike[0]: \"ecp255\" is no algorithm of an IKE proposal; expected words like",
        ),
        (
            "aes128-sha256",
            "aes128",
            "/etc/g.toml:22:7: peer[0].child[0].esp: \"aes128\" has no integrity; expected an AEAD cipher or an algorithm such as sha256",
        ),
        (
            "[udp/53]",
            "[udp/53",
            "/etc/g.toml:27:28: peer[0].child[1].local_ts[1]: \"10.0.0.1[udp/53\" is no traffic selector; expected an address",
        ),
        (
            "start = \"start\"",
            "start = \"now\"",
            "/etc/g.toml:23:9: peer[0].child[0].start: expected \"none\", \"start\" or \"trap\", found \"now\"",
        ),
        (
            "name = \"six\"",
            "name = \"net\"",
            "/etc/g.toml:26:8: peer[0].child[1].name: two policies are called \"office/net\"; expected unique names",
        ),
        (
            "name = \"six\"",
            "nam = \"six\"",
            "/etc/g.toml:25:1: peer[0].child[1].name: missing; expected a name of letters",
        ),
        ("[gateway]", "[gatway]", "/etc/g.toml:2:2: gatway: unknown key; expected one of gateway, radius, pool, peer"),
        ("[gateway]", "[gateway", "/etc/g.toml:2:9: not TOML: "),
        (
            "psk = \"0x00ff\"",
            "psk_file = \"no-such-file\"",
            "/etc/g.toml:13:12: peer[0].psk_file: /etc/no-such-file cannot be read: ",
        ),
        ("psk = \"0x00ff\"", "", "/etc/g.toml:7:1: peer[0].psk: missing; expected psk or psk_file"),
    ];
    for (from, to, says) in cases {
        let e = broken(from, to);
        assert!(e.starts_with(says), "\n{e}\nexpected to start with\n{says}");
    }
    assert_eq!(parse("").unwrap_err().to_string(), "/etc/g.toml:1:1: peer: missing; expected at least one [[peer]]");
}

#[test]
fn a_secret_is_never_repeated() {
    for wrong in ["psk = 123454321", "psk = \"0x123454321\"", "psk = \"\"", "psk = [\"123454321\"]"] {
        let e = broken("psk = \"0x00ff\"", wrong);
        assert!(e.starts_with("/etc/g.toml:13:7: peer[0].psk: expected a secret"), "{e}");
        assert!(!e.contains("123454321"), "{e}");
    }
}

#[test]
fn a_peer_of_unknown_address_cannot_be_started() {
    let e = broken("remote = \"10.9.0.2\"", "remote = \"any\"");
    assert_eq!(
        e,
        "/etc/g.toml:23:9: peer[0].child[0].start: the peer's remote is \"any\", so only it can start; expected \"none\""
    );
}

#[test]
fn the_documented_example_is_good() {
    let docs = include_str!("../../docs/gateway.md");
    let examples: Vec<_> = docs.split("```toml\n").skip(1).filter_map(|s| s.split("```").next()).collect();
    assert!(!examples.is_empty());
    for text in examples {
        if let Err(e) = parse(&text.replace("psk_file = \"office.psk\"", "psk = \"x\"")) {
            panic!("{e}\n{text}");
        }
    }
}

/// The commented-out keys of the documented example show defaults that are read, too: without their comment signs the file is good.
#[test]
fn the_documented_defaults_are_good() {
    let docs = include_str!("../../docs/gateway.md");
    let text = docs.split("```toml\n").nth(1).and_then(|s| s.split("```").next()).unwrap();
    let uncommented: String = text.lines().map(|l| l.strip_prefix("# ").unwrap_or(l).to_owned() + "\n").collect();
    // these two have no default that can be written down
    let without = uncommented.replace("interfaces = []", "").replace("psk_file = \"office.psk\"", "psk = \"x\"");
    let c = parse(&without).unwrap_or_else(|e| panic!("{e}"));
    let plain = parse(&text.replace("psk_file = \"office.psk\"", "psk = \"x\"")).unwrap();
    let ignored = |mut g: Gateway| {
        g.resolv_conf = None;
        g
    };
    assert_eq!(ignored(c.gateway), ignored(plain.gateway));
    let peer = |c: &Db| (**c.pad.iter().next().unwrap().1).clone();
    let (mut a, b) = (peer(&c.db), peer(&plain.db));
    (a.request_v4, a.request_v6, a.pools) = (false, false, vec![]);
    assert_eq!(a, b);
    let policy = |c: &Db| c.spd.iter().next().unwrap().clone();
    assert_eq!(policy(&c.db), policy(&plain.db));
}

#[test]
fn the_examples_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway/configs");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        Config::load(&path, &ravelin::crypto::rustcrypto::provider()).unwrap_or_else(|e| panic!("{e}"));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// A reload names what it cannot change: each key that the manual has.
#[test]
fn every_key_of_the_gateway_is_named_when_it_differs() {
    let docs = include_str!("../../docs/gateway.md");
    let table = docs.split("```toml\n[gateway]\n").nth(1).and_then(|s| s.split("\n\n").next()).unwrap();
    let keys: Vec<_> = table.lines().filter_map(|l| l.trim_start_matches("# ").split(" = ").next()).collect();
    assert!(keys.len() > 30);
    let plain = parse(GOOD.replace("[gateway]", "[gateway]\nretransmit = \"3s\"").as_str()).unwrap().gateway;
    for key in keys {
        // some value of the right kind that is no default
        let values = ["7", "\"7s\"", "\"no\"", "\"yes\"", "\"always\"", "\"eth7\"", "700", "\"/tmp/7\""];
        let mut text = GOOD.replace("[gateway]", "[gateway]\nretransmit = \"3s\"");
        text = text.lines().filter(|l| !l.starts_with(&format!("{key} = "))).map(|l| format!("{l}\n")).collect();
        let named = values.iter().any(|v| {
            let changed = parse(&text.replace("[gateway]", &format!("[gateway]\n{key} = {v}")));
            changed.is_ok_and(|c| {
                plain.differences(&c.gateway) == [if key == "cookie_threshold" { "cookies" } else { key }]
            })
        });
        assert!(named, "{key}");
    }
    assert!(plain.differences(&plain).is_empty());
}
