//! Every way a configuration can be wrong, and what the operator then reads.

use super::*;

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
fn a_good_file() {
    let c = parse(GOOD).unwrap();
    assert_eq!((c.gateway.tun.as_str(), c.gateway.mtu, c.gateway.ike_port), ("tun7", 1300, 500));
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
            "/etc/g.toml:4:1: gateway.tum: unknown key; expected one of control, tun, mtu, ike_port, nat_port, route_table, mark, retransmit, retransmit_tries",
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
        ("[gateway]", "[gatway]", "/etc/g.toml:2:2: gatway: unknown key; expected one of gateway, peer"),
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
