//! Live: tunnels whose ends move, with strongSwan: MOBIKE (RFC 4555) in both roles and across families, and NATs that forget
//! their mappings (RFC 4555 §3.8, RFC 7296 §2.23).
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Gateway, Lab, SOON, config, wait};

fn we_start(lab: &Lab, remote: &str, change: impl Fn(String) -> String) -> Gateway {
    lab.strongswan("psk", "b", &GCM.env());
    let gateway = lab.gateway("a", &change(config("a", remote, &GCM, "start")), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    gateway
}

fn they_start(lab: &Lab, change: impl Fn(String) -> String) -> Gateway {
    let gateway = lab.gateway("b", &change(config("b", "any", &GCM, "none")), &[]);
    lab.strongswan("psk", "a", &GCM.env());
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    gateway
}

/// Side a gets another address and loses the one that it had.
fn move_a(lab: &Lab) {
    lab.ip("a", "addr add 10.9.0.11/24 dev eth0");
    lab.ip("a", "addr del 10.9.0.1/24 dev eth0");
}

fn same(text: String) -> String {
    text
}

#[track_caller]
fn works(lab: &Lab) {
    lab.ping_until("a", "10.10.1.1", "10.10.2.1");
    lab.ping("a");
    lab.ping("b");
}

#[test]
fn we_move() {
    let Some(lab) = Lab::up("we_move", "direct") else { return };
    let gateway = we_start(&lab, "10.9.0.2", same);
    move_a(&lab);
    gateway.wait("moved");
    wait(SOON, || lab.charon_sas("b").contains("10.9.0.11")).expect("strongSwan follows");
    works(&lab);
    let show = gateway.ask(&["show"]);
    assert!(show.contains("10.9.0.11:4500") && gateway.count("IKE SA up") == 1, "{show}");
}

#[test]
fn they_move() {
    let Some(lab) = Lab::up("they_move", "direct") else { return };
    let gateway = they_start(&lab, same);
    move_a(&lab);
    gateway.wait("moved");
    gateway.wait_show(SOON, |s| s.contains("10.9.0.11:4500"));
    works(&lab);
    assert_eq!(gateway.count("IKE SA up"), 1, "{}", gateway.log());
}

/// The IPv4 address goes, the IPv6 address is there.
#[test]
fn we_change_the_family() {
    let Some(lab) = Lab::up("we_family", "dual") else { return };
    let gateway = we_start(&lab, "10.9.0.2", same);
    lab.ip("a", "addr del 10.9.0.1/24 dev eth0");
    gateway.wait("moved");
    wait(SOON, || lab.charon_sas("b").contains("fd09::1")).expect("strongSwan follows");
    works(&lab);
}

#[test]
fn they_change_the_family() {
    let Some(lab) = Lab::up("they_family", "dual") else { return };
    let gateway = they_start(&lab, same);
    lab.ip("a", "addr del 10.9.0.1/24 dev eth0");
    gateway.wait("moved");
    gateway.wait_show(SOON, |s| s.contains("fd09::1"));
    works(&lab);
}

/// The operator moves a tunnel to another address, while both are there.
#[test]
fn we_move_by_command() {
    let Some(lab) = Lab::up("we_roam", "direct") else { return };
    let gateway = we_start(&lab, "10.9.0.2", same);
    lab.ip("a", "addr add 10.9.0.11/24 dev eth0");
    gateway.wait("this host's addresses");
    gateway.ask(&["roam", "t", "10.9.0.11"]);
    wait(SOON, || lab.charon_sas("b").contains("10.9.0.11")).expect("strongSwan follows");
    works(&lab);
}

/// As responder we lose the address that strongSwan talks to, and have another one: only the initiator may move, so it must
/// hear of it.
#[test]
fn we_move_as_responder() {
    let Some(lab) = Lab::up("resp_move", "direct") else { return };
    lab.ip("b", "addr add 10.9.0.12/24 dev eth0");
    let gateway = they_start(&lab, same);
    lab.ip("b", "addr del 10.9.0.2/24 dev eth0");
    gateway.wait("this host's addresses");
    wait(SOON, || lab.charon_sas("a").contains("10.9.0.12")).expect("strongSwan follows");
    works(&lab);
    assert_eq!(gateway.count("IKE SA up"), 1, "{}", gateway.log());
}

/// The NAT before us forgets its mapping: our liveness check finds out and tells strongSwan.
#[test]
fn nat_before_us_rebinds() {
    let Some(lab) = Lab::up("we_rebind", "nat") else { return };
    let gateway = we_start(&lab, "10.9.0.2", |t| t.replace("dpd_delay = \"off\"", "dpd_delay = \"1s\""));
    // the mapping must be known before a change of it can be seen
    wait(SOON, || lab.charon_log("b").contains("parsed INFORMATIONAL request")).expect("a liveness check");
    lab.ping("b");
    forget(&lab);
    lab.wait_charon_log("b", "N(UPD_SA_ADDR)");
    works(&lab);
    assert_eq!(gateway.count("IKE SA up"), 1, "{}", gateway.log());
}

/// The NAT before strongSwan forgets its mapping: its next ESP packet shows us the new one.
fn nat_before_them(test: &str, mobike: &str) {
    let Some(lab) = Lab::up(test, "nat") else { return };
    let gateway = they_start(&lab, |t| t.replace("dpd_delay", &format!("mobike = \"{mobike}\"\ndpd_delay")));
    forget(&lab);
    // The answer to the very first packet may still go to the old address: the threads that carry packets learn the new
    // one from the thread of IKE.
    works(&lab);
    gateway.wait("moved");
    assert_eq!(gateway.count("IKE SA up"), 1, "{}", gateway.log());
}

#[test]
fn nat_before_them_rebinds() {
    nat_before_them("they_rebind", "yes");
}

#[test]
fn nat_before_them_rebinds_without_mobike() {
    nat_before_them("they_rebind0", "no");
}

fn forget(lab: &Lab) {
    assert!(lab.inside("n", &["conntrack", "-F"]).output().unwrap().status.success());
}
