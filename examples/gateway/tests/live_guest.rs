//! Live: libreswan and OpenIKED, with the ESP of the Linux kernel, in a user-mode-linux guest (`lab/uml.sh`): tunnels started
//! by either side, with traffic, and rekeying; and strongSwan there in transport mode, which its libipsec has not. Wants
//! `lab/packages.sh guest libreswan`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Gateway, Lab, SOON, Suite, config, wait, with_cert};
use std::time::Duration;

/// A guest boots, and its packets cost more: on a busy machine that takes its time.
const LONG: Duration = Duration::from_secs(120);

fn lab(test: &str, group: &str) -> Option<Lab> {
    lab_of(test, "direct", &["guest", group])
}

fn lab_of(test: &str, topology: &str, groups: &[&str]) -> Option<Lab> {
    let lab = Lab::up(test, topology)?;
    let missing = lab.run("packages.sh", &[&["missing"], groups].concat(), &[]);
    if !missing.status.success() {
        live::skip(test, &format!("packages are missing: {}", live::text(&missing).trim()));
        return None;
    }
    Some(lab)
}

/// The guest's first packets of an SA may be lost while its kernel asks for one.
#[track_caller]
fn carries(lab: &Lab) {
    lab.ping_until("a", "10.10.1.1", "10.10.2.1");
    lab.ping("a");
    let from_guest = lab.run("uml.sh", &["exec", "b", "ping -c3 -i0.2 -W5 -I 10.10.2.1 10.10.1.1"], &[]);
    assert!(live::text(&from_guest).contains(" 0% packet loss"), "{}", live::text(&from_guest));
}

fn libreswan(lab: &Lab, scenario: &str, env: &[(&str, &str)]) {
    lab.ok("libreswan-peer.sh", &["up", scenario, "b"], env);
}

/// Bare ESP with AES-GCM, we start; either side rekeys both kinds of SA. libreswan wants a key exchange in every Child SA but
/// the first.
#[test]
fn libreswan_we_start() {
    let Some(lab) = lab("lsw_we", "libreswan") else { return };
    libreswan(&lab, "psk", &[]);
    let suite = Suite { esp: "aes128gcm16-ecp256", ..GCM };
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &suite, "start"), &[]);
    gateway.wait_for("Child SA up", LONG);
    carries(&lab);
    assert!(gateway.ask(&["show"]).contains("tunnel, ESP, "), "no UDP");
    rekeys(&lab, &gateway);
}

fn rekeys(lab: &Lab, gateway: &Gateway) {
    gateway.ask(&["rekey", "net"]);
    gateway.wait_count("Child SA rekeyed", 1, LONG);
    lab.ping("a");
    gateway.ask(&["rekey", "t"]);
    gateway.wait_count("IKE SA rekeyed", 1, LONG);
    lab.ping("a");
    let whack = |what: &str| {
        lab.ok("libreswan-peer.sh", &["whack", "b", what, "--name", "t", "--asynchronous"], &[]);
    };
    whack("--rekey-ipsec");
    gateway.wait_count("Child SA rekeyed", 2, LONG);
    lab.ping("a");
    whack("--rekey-ike");
    gateway.wait_count("IKE SA rekeyed", 2, LONG);
    lab.ping("a");
    gateway.wait_show(SOON, |s| s.matches("child-").count() == 1 && s.matches("ike-").count() == 1);
}

/// libreswan starts; AES-CBC with SHA-2, certificates.
#[test]
fn libreswan_they_start() {
    let Some(lab) = lab("lsw_they", "libreswan") else { return };
    let suite = Suite { ike: "aes256-sha256-modp2048", esp: "aes256-sha256", ..GCM };
    let text = with_cert(&lab, "ecdsa", "a", &config("a", "10.9.0.2", &suite, "none"), "");
    libreswan(
        &lab,
        "cert",
        &[("LAB_IKE", "aes256-sha2_256-modp2048"), ("LAB_ESP", "aes256-sha2_256"), ("LAB_CERT", "ecdsa")],
    );
    let gateway = lab.gateway("a", &text, &[]);
    lab.ok("libreswan-peer.sh", &["initiate", "b"], &[]);
    gateway.wait_for("Child SA up", LONG);
    carries(&lab);
}

/// On a Linux kernel OpenIKED does AES-CBC with SHA-1, SHA-384 or SHA-512 for ESP.
const IKED: Suite = Suite { esp: "aes256-sha512", ..GCM };

#[test]
fn openiked_we_start() {
    let Some(lab) = lab("iked_we", "guest") else { return };
    lab.ok("iked-peer.sh", &["up", "psk", "b"], &[]);
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &IKED, "start"), &[]);
    gateway.wait_for("Child SA up", LONG);
    carries(&lab);
    gateway.ask(&["rekey", "net"]);
    gateway.wait_count("Child SA rekeyed", 1, LONG);
    lab.ping("a");
    gateway.ask(&["rekey", "t"]);
    gateway.wait_count("IKE SA rekeyed", 1, LONG);
    lab.ping("a");
}

#[test]
fn openiked_they_start() {
    let Some(lab) = lab("iked_they", "guest") else { return };
    let text = with_cert(&lab, "ecdsa", "a", &config("a", "10.9.0.2", &IKED, "none"), "");
    let gateway = lab.gateway("a", &text, &[]);
    lab.ok("iked-peer.sh", &["up", "cert", "b", "client"], &[]);
    gateway.wait_for("Child SA up", LONG);
    wait(LONG, || lab.run("iked-peer.sh", &["status", "b"], &[]).status.success()).expect("iked answers");
    carries(&lab);
}

/// libreswan leases us an address and names a DNS server; our IKE_AUTH comes in three fragments, and so does its own. Then we
/// move (MOBIKE), and it follows.
#[test]
fn libreswan_gives_us_an_address_and_follows() {
    let Some(lab) = lab("lsw_vip", "libreswan") else { return };
    let conn = "rightaddresspool=10.10.3.10-10.10.3.20; leftmodecfgserver=yes; rightmodecfgclient=yes; \
                modecfgdns=10.10.2.53; fragmentation=yes; mobike=yes";
    libreswan(&lab, "cert", &[("LAB_CONN", conn), ("LAB_REMOTE", "%any"), ("LAB_DEBUG", "base")]);
    lab.ok("uml.sh", &["exec", "b", "ip route add 10.10.3.0/24 via 10.9.0.1 src 10.10.2.1"], &[]);
    let suite = Suite { esp: "aes128gcm16-ecp256", ..GCM };
    let resolv = lab.state.join("resolv-a.conf");
    std::fs::write(&resolv, "").unwrap();
    let text = with_cert(&lab, "rsa", "a", &config("a", "10.9.0.2", &suite, "start"), "")
        .replace("\"10.10.1.0/24\"", "\"dynamic\"")
        .replace("dpd_delay", "virtual_ip = \"ipv4\"\ndpd_delay");
    let gateway =
        lab.gateway("a", &format!("fragment_size = 600\nresolv_conf = \"{}\"\n{text}", resolv.display()), &[]);
    gateway.wait_for("Child SA up", LONG);
    let pluto = || std::fs::read_to_string(lab.state.join("libreswan-b/pluto.log")).unwrap();
    assert!(pluto().contains("total fragments: 3 (00 03)"), "ours come in fragments");
    let show = gateway.ask(&["show"]);
    assert!(show.contains("assigned  10.10.3.10, DNS 10.10.2.53"), "{show}");
    assert!(std::fs::read_to_string(&resolv).unwrap().starts_with("nameserver 10.10.2.53 "));
    lab.ping_until("a", "10.10.3.10", "10.10.2.1");
    lab.ping_addresses("a", "10.10.3.10", "10.10.2.1");

    lab.ok("uml.sh", &["exec", "b", "ip route change 10.10.3.0/24 via 10.9.0.11 src 10.10.2.1"], &[]);
    lab.ip("a", "addr add 10.9.0.11/24 dev eth0");
    lab.ip("a", "addr del 10.9.0.1/24 dev eth0");
    gateway.wait_for("moved", LONG);
    lab.ping_until("a", "10.10.3.10", "10.10.2.1");
    lab.ping_addresses("a", "10.10.3.10", "10.10.2.1");
    assert!(gateway.ask(&["show"]).contains("10.9.0.11:4500"), "{}", pluto());
    assert_eq!(gateway.count("IKE SA up"), 1, "{}", gateway.log());
}

/// In transport mode between the hosts themselves.
fn transport(side: &str, remote: &str, start: &str) -> String {
    config(side, remote, &GCM, start)
        .replace("\"10.10.1.0/24\"", "\"dynamic\"")
        .replace("\"10.10.2.0/24\"", "\"dynamic\"")
        .replace("[[peer.child]]", "[[peer.child]]\nmode = \"transport\"")
}

const GUEST: (&str, &str) = ("LAB_KERNEL", "uml");

/// From a host of ours: pings, then octets over TCP and back, whose checksums were made with other addresses.
#[track_caller]
fn talks(lab: &Lab, side: &str, own: &str, peer: &str, in_guest: &str) {
    lab.ping_until(side, own, peer);
    lab.ping_addresses(side, own, peer);
    let echo =
        "import socket; s = socket.create_server(('', 7777)); c = s.accept()[0]; c.sendall(c.recv(99)); c.close()";
    lab.ok("uml.sh", &["exec", in_guest, &format!("timeout 60 python3 -c \"{echo}\" & sleep 1")], &[]);
    let ask = format!(
        "import socket; s = socket.create_connection(('{peer}', 7777), 20, ('{own}', 0)); s.sendall(b'hello'); print(s.recv(99))"
    );
    let out = lab.inside(side, &["python3", "-c", &ask]).output().unwrap();
    assert!(live::text(&out).contains("hello"), "{}", live::text(&out));
}

/// RFC 7296 section 2.23.1: we start from behind a NAT, strongSwan and its kernel judge us by the address of the box. Then
/// either side rekeys.
#[test]
fn strongswan_transport_we_behind_a_nat() {
    let Some(lab) = guest("sw_tr_we") else { return };
    lab.strongswan("transport", "b", &[&GCM.env()[..], &[GUEST]].concat());
    let gateway = lab.gateway("a", &transport("a", "10.9.0.2", "start"), &[]);
    gateway.wait_for("Child SA up", LONG);
    let show = gateway.ask(&["show"]);
    assert!(show.contains("192.168.77.2/32 === 10.9.0.2/32") && show.contains("transport, "), "{show}");
    talks(&lab, "a", "192.168.77.2", "10.9.0.2", "b");
    gateway.ask(&["rekey", "net"]);
    gateway.wait_count("Child SA rekeyed", 1, LONG);
    talks(&lab, "a", "192.168.77.2", "10.9.0.2", "b");
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--rekey", "--child", "net"], &[]);
    gateway.wait_count("Child SA rekeyed", 2, LONG);
    talks(&lab, "a", "192.168.77.2", "10.9.0.2", "b");
}

/// The same the other way round: strongSwan starts from behind the NAT.
#[test]
fn strongswan_transport_they_behind_a_nat() {
    let Some(lab) = guest("sw_tr_they") else { return };
    let gateway = lab.gateway("b", &transport("b", "any", "none"), &[]);
    lab.strongswan("transport", "a", &[&GCM.env()[..], &[GUEST]].concat());
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait_for("Child SA up", LONG);
    let show = gateway.ask(&["show"]);
    assert!(show.contains("10.9.0.2/32 === 10.9.0.254/32") && show.contains("transport, "), "{show}");
    talks(&lab, "b", "10.9.0.2", "10.9.0.254", "a");
    gateway.ask(&["rekey", "net"]);
    gateway.wait_count("Child SA rekeyed", 1, LONG);
    talks(&lab, "b", "10.9.0.2", "10.9.0.254", "a");
}

fn guest(test: &str) -> Option<Lab> {
    lab_of(test, "nat", &["guest"])
}
