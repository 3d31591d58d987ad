//! Live: inner addresses and DNS by configuration payloads (RFC 7296 §2.19) with strongSwan: we ask, and we give.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, SOON, config, wait};

/// strongSwan leases us an IPv4 and an IPv6 address and names DNS servers. The addresses are on the TUN device, packets
/// leave with them, the servers are in the file; all outlives rekeying, and all goes away at the end.
#[test]
fn we_ask() {
    let Some(lab) = Lab::up("we_vip", "direct") else { return };
    lab.strongswan("vip", "b", &GCM.env());
    let resolv = lab.state.join("resolv-a.conf");
    std::fs::write(&resolv, "nameserver 192.0.2.53\n").unwrap();
    let text = config("a", "10.9.0.2", &GCM, "start")
        .replace("\"10.10.1.0/24\"", "\"dynamic\"")
        .replace("\"10.10.2.0/24\"", "[\"10.10.2.0/24\", \"fd10:2::/64\"]")
        .replace("dpd_delay", "virtual_ip = [\"ipv4\", \"ipv6\"]\ndpd_delay");
    let gateway = lab.gateway("a", &format!("resolv_conf = \"{}\"\n{text}", resolv.display()), &[]);
    gateway.wait("Child SA up");
    let show = gateway.ask(&["show"]);
    assert!(show.contains("assigned") && show.contains("DNS 10.10.2.53 10.10.2.54 fd10:2::53"), "{show}");
    assert!(show.contains("subnets 10.10.2.0/24"), "{show}");
    let works = |after: &str| {
        let device = lab.ip("a", "addr show ravelin0");
        assert!(device.contains("10.10.3.1/32") && device.contains("fd10:3::1/128"), "after {after}: {device}");
        lab.ping_addresses("a", "10.10.3.1", "10.10.2.1");
        lab.ping_addresses("a", "fd10:3::1", "fd10:2::1");
        lab.ping_addresses("b", "10.10.2.1", "10.10.3.1");
    };
    works("IKE_AUTH");
    // Without a source address the route gives the leased one.
    assert!(lab.ip("a", "route get 10.10.2.1").contains("src 10.10.3.1"));
    let servers = std::fs::read_to_string(&resolv).unwrap();
    assert!(servers.starts_with("nameserver 10.10.2.53 #") && servers.contains("fd10:2::53"), "{servers}");
    gateway.ask(&["rekey", "t"]);
    gateway.wait_count("IKE SA rekeyed", 1, SOON);
    works("our rekeying");
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--rekey", "--ike", "t"], &[]);
    gateway.wait_count("IKE SA rekeyed", 2, SOON);
    works("strongSwan's rekeying");
    gateway.ask(&["terminate", "t"]);
    wait(SOON, || !lab.ip("a", "addr show ravelin0").contains("10.10.3.1")).expect("the address is gone");
    assert_eq!(std::fs::read_to_string(&resolv).unwrap(), "nameserver 192.0.2.53\n");
    gateway.ask(&["initiate", "net"]);
    gateway.wait_count("Child SA up", 2, SOON);
    works("the second IKE_AUTH");
}

const POOLS: &str = r#"
[[pool]]
name = "four"
addrs = "10.10.3.0/29"
dns = ["10.10.2.53", "10.10.2.54"]
nbns = "10.10.2.55"
subnets = "10.10.2.0/24"
domains = "lab.test"

[[pool]]
name = "six"
addrs = "fd10:3::/120"
dns = "fd10:2::53"
"#;

/// We lease strongSwan its addresses, from two pools, and name DNS servers.
#[test]
fn they_ask() {
    let Some(lab) = Lab::up("they_vip", "direct") else { return };
    let text = config("b", "any", &GCM, "none")
        .replace("\"10.10.1.0/24\"", "\"dynamic\"")
        .replace("\"10.10.2.0/24\"", "[\"10.10.2.0/24\", \"fd10:2::/64\"]")
        .replace("dpd_delay", "pools = [\"four\", \"six\"]\ndpd_delay");
    let gateway = lab.gateway("b", &format!("{POOLS}{text}"), &[]);
    lab.strongswan("vip", "a", &GCM.env());
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait("Child SA up");
    let works = |after: &str| {
        let sas = lab.charon_sas("a");
        assert!(sas.contains("10.10.3.1/32") && sas.contains("fd10:3::1/128"), "after {after}: {sas}");
        lab.ping_addresses("a", "10.10.3.1", "10.10.2.1");
        lab.ping_addresses("a", "fd10:3::1", "fd10:2::1");
        lab.ping_addresses("b", "10.10.2.1", "10.10.3.1");
        lab.ping_addresses("b", "fd10:2::1", "fd10:3::1");
    };
    works("IKE_AUTH");
    let resolv = std::fs::read_to_string(lab.state.join("strongswan-a/resolv.conf")).unwrap();
    for server in ["10.10.2.53", "10.10.2.54", "fd10:2::53"] {
        assert!(resolv.contains(server), "{resolv}");
    }
    let used = |n: &str| {
        let fits = |s: &str| s.lines().filter(|l| l.starts_with("four")).any(|l| l.contains(&format!("  {n}")));
        gateway.wait_show(SOON, fits)
    };
    used("1       0");
    lab.ok("strongswan-peer.sh", &["ctl", "a", "--rekey", "--ike", "t"], &[]);
    gateway.wait_count("IKE SA rekeyed", 1, SOON);
    works("rekeying");
    used("1       0");
    lab.ok("strongswan-peer.sh", &["ctl", "a", "--terminate", "--ike", "t"], &[]);
    used("0       1");
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    works("the second IKE_AUTH");
}

/// A pool that is empty: no Child SA, and both sides say why.
#[test]
fn exhausted() {
    let Some(lab) = Lab::up("vip_empty", "direct") else { return };
    let pools = "[[pool]]\nname = \"six\"\naddrs = \"fd10:3::/120\"\n";
    let text = config("b", "any", &GCM, "none")
        .replace("\"10.10.1.0/24\"", "\"dynamic\"")
        .replace("dpd_delay", "pools = \"six\"\ndpd_delay");
    let gateway = lab.gateway("b", &format!("{pools}{text}"), &[]);
    // a client that wants IPv4 only
    lab.strongswan("vip", "a", &GCM.env());
    let conf = lab.state.join("strongswan-a/swanctl/swanctl.conf");
    let only = std::fs::read_to_string(&conf).unwrap().replace("vips = 0.0.0.0, ::", "vips = 0.0.0.0");
    std::fs::write(&conf, only).unwrap();
    lab.ok("strongswan-peer.sh", &["ctl", "a", "--load-conns"], &[]);
    assert!(!lab.run("strongswan-peer.sh", &["initiate", "a"], &[]).status.success());
    gateway.wait("addresses of the peer's pools");
    lab.wait_charon_log("a", "INTERNAL_ADDRESS_FAILURE");
}
