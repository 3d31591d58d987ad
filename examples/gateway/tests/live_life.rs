//! Live: how tunnels with strongSwan end and how each side notices that the other lives or does not; and refusals.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, SOON, config, wait};

fn tunnel(lab: &Lab, scenario: &str) -> live::Gateway {
    lab.strongswan(scenario, "b", &GCM.env());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &GCM, "start"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    gateway
}

#[test]
fn strongswan_deletes_the_ike_sa() {
    let Some(lab) = Lab::up("they_delete_ike", "direct") else { return };
    let gateway = tunnel(&lab, "psk");
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--terminate", "--ike", "t"], &[]);
    gateway.wait("IKE SA closed");
    gateway.wait_show(SOON, |s| !s.contains("established"));
}

#[test]
fn strongswan_deletes_the_child_sa() {
    let Some(lab) = Lab::up("they_delete_child", "direct") else { return };
    let gateway = tunnel(&lab, "psk");
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--terminate", "--child", "net"], &[]);
    gateway.wait("Child SA down");
    let show = gateway.wait_show(SOON, |s| !s.contains("child-"));
    assert!(show.contains("established"), "the IKE SA stays: {show}");
}

#[test]
fn we_delete_the_ike_sa() {
    let Some(lab) = Lab::up("we_delete", "direct") else { return };
    let gateway = tunnel(&lab, "psk");
    gateway.ask(&["terminate", "t"]);
    lab.wait_charon_log("b", "received DELETE for IKE_SA");
    gateway.wait("IKE SA closed");
    assert!(!lab.charon_sas("b").contains("ESTABLISHED"));
    gateway.ask(&["initiate", "net"]);
    wait(SOON, || lab.charon_sas("b").contains("INSTALLED")).expect("up again");
    lab.ping("a");
}

/// SIGTERM: the peer hears a Delete, the routes and the device are gone.
#[test]
fn clean_shutdown() {
    let Some(lab) = Lab::up("shutdown", "direct") else { return };
    let gateway = tunnel(&lab, "psk");
    let log = gateway.terminate();
    assert!(log.contains("IKE SA closed"), "{log}");
    lab.wait_charon_log("b", "received DELETE for IKE_SA");
    assert!(!lab.charon_sas("b").contains("ESTABLISHED"));
    let left = |args: &[&str]| live::text(&lab.inside("a", args).output().unwrap());
    assert!(!left(&["ip", "rule"]).contains("220"));
    assert!(!left(&["ip", "link"]).contains("ravelin0"));
}

/// strongSwan probes every 2 s of silence; we answer, so it keeps the SA.
#[test]
fn strongswan_finds_us_alive() {
    let Some(lab) = Lab::up("they_probe", "direct") else { return };
    let gateway = tunnel(&lab, "dpd");
    let answers = |log: &str| log.matches("parsed INFORMATIONAL response").count();
    wait(SOON, || answers(&lab.charon_log("b")) >= 3).expect("three probes answered");
    assert!(!lab.charon_log("b").contains("retransmit"), "{}", lab.charon_log("b"));
    assert!(gateway.ask(&["show"]).contains("established"));
    lab.ping("b");
}

/// We probe after 1 s of silence; strongSwan answers, until it stops: then we give the SA up.
#[test]
fn we_find_strongswan_alive_then_dead() {
    let Some(lab) = Lab::up("we_probe", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let text = config("a", "10.9.0.2", &GCM, "start").replace("dpd_delay = \"off\"", "dpd_delay = \"1s\"");
    let gateway = lab.gateway("a", &format!("retransmit = \"300ms\"\nretransmit_tries = 3\n{text}"), &[]);
    gateway.wait("Child SA up");
    let probes = |log: &str| log.matches("parsed INFORMATIONAL request").count();
    wait(SOON, || probes(&lab.charon_log("b")) >= 2).expect("two probes answered");
    assert!(gateway.ask(&["show"]).contains("established"));
    lab.signal_charon("b", "-STOP");
    gateway.wait_for("IKE SA closed", SOON);
    lab.signal_charon("b", "-CONT");
    gateway.wait_show(SOON, |s| !s.contains("child-"));
}

/// A tunnel whose other end falls asleep and is found dead; then it is awake again.
fn dead(lab: &Lab, action: &str) -> live::Gateway {
    lab.strongswan("psk", "b", &GCM.env());
    let text = config("a", "10.9.0.2", &GCM, "none")
        .replace("dpd_delay = \"off\"", "dpd_delay = \"1s\"\nkeying_tries = 0")
        .replace("start = ", &format!("dpd_action = \"{action}\"\nstart = "));
    let gateway =
        lab.gateway("a", &format!("retransmit = \"300ms\"\nretransmit_tries = 3\nretry_cap = \"2s\"\n{text}"), &[]);
    gateway.ask(&["initiate", "net"]);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.signal_charon("b", "-STOP");
    gateway.wait_for("IKE SA closed", SOON);
    gateway
}

/// `dpd_action = "clear"`: nothing is left, and traffic does not bring it back.
#[test]
fn dead_and_cleared() {
    let Some(lab) = Lab::up("dpd_clear", "direct") else { return };
    let gateway = dead(&lab, "clear");
    lab.signal_charon("b", "-CONT");
    let lost = lab.inside("a", &["ping", "-c2", "-i0.5", "-W1", "-I", "10.10.1.1", "10.10.2.1"]).output().unwrap();
    assert!(live::text(&lost).contains("100% packet loss"), "{}", live::text(&lost));
    let show = gateway.ask(&["show"]);
    assert!(
        !show.contains("ike-") && show.contains("the peer did not answer: 4 datagrams sent"),
        "the policy says why it is down: {show}"
    );
}

/// `dpd_action = "restart"`: we call again until the peer answers.
#[test]
fn dead_and_restarted() {
    let Some(lab) = Lab::up("dpd_restart", "direct") else { return };
    let gateway = dead(&lab, "restart");
    gateway.wait_count("IKE SA closed", 2, SOON); // an attempt that nobody answered
    lab.signal_charon("b", "-CONT");
    gateway.wait_count("Child SA up", 2, SOON);
    lab.ping("a");
    lab.ping("b");
}

/// `dpd_action = "trap"`: the next packet calls.
#[test]
fn dead_and_trapped() {
    let Some(lab) = Lab::up("dpd_trap", "direct") else { return };
    let gateway = dead(&lab, "trap");
    lab.signal_charon("b", "-CONT");
    assert!(!gateway.ask(&["show", "sas"]).contains("ike-"));
    lab.ping_until("a", "10.10.1.1", "10.10.2.1");
    gateway.wait_count("Child SA up", 2, SOON);
    lab.ping("b");
}

/// `close_action = "start"`: a Child SA that strongSwan deletes comes back.
#[test]
fn closed_and_started() {
    let Some(lab) = Lab::up("close_start", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let text = config("a", "10.9.0.2", &GCM, "start").replace("start = ", "close_action = \"start\"\nstart = ");
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("Child SA up");
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--terminate", "--child", "net"], &[]);
    gateway.wait_count("Child SA up", 2, SOON);
    lab.ping("a");
    lab.ping("b");
}

/// The IKE SA comes first, the Child SA by CREATE_CHILD_SA (RFC 6023); strongSwan insists on it.
#[test]
fn we_childless() {
    let Some(lab) = Lab::up("we_childless", "direct") else { return };
    lab.strongswan("childless", "b", &GCM.env());
    let text = config("a", "10.9.0.2", &GCM, "start").replace("dpd_delay", "childless = \"prefer\"\ndpd_delay");
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.wait_charon_log("b", "parsed CREATE_CHILD_SA request");
}

#[test]
fn they_childless() {
    let Some(lab) = Lab::up("they_childless", "direct") else { return };
    let gateway = lab.gateway("b", &config("b", "any", &GCM, "none"), &[]);
    lab.strongswan("childless", "a", &GCM.env());
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.wait_charon_log("a", "generating CREATE_CHILD_SA request");
}

/// We demand a cookie of everybody, and another group than strongSwan's first.
#[test]
fn our_cookie_and_invalid_ke() {
    let Some(lab) = Lab::up("our_cookie", "direct") else { return };
    let suite = live::Suite { ike: "aes128gcm16-prfsha256-ecp384", ..GCM };
    let gateway = lab.gateway("b", &format!("cookies = \"always\"\n{}", config("b", "any", &suite, "none")), &[]);
    lab.strongswan("psk", "a", &[("LAB_IKE", "aes128gcm16-prfsha256-x25519-ecp384"), ("LAB_ESP", GCM.esp)]);
    lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    let log = lab.charon_log("a");
    assert!(log.contains("N(COOKIE) ]") && log.contains("N(INVAL_KE)"), "{log}");
    assert!(gateway.ask(&["show", "counters"]).contains("cookies demanded"));
}

/// Another secret: both roles refuse, and say why.
#[test]
fn wrong_secret() {
    let Some(lab) = Lab::up("wrong_secret", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let text = config("a", "10.9.0.2", &GCM, "start").replace("labsecret-psk-0123456789", "another-secret-9876543210");
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("AUTHENTICATION_FAILED");
    gateway.wait("IKE SA closed");
    drop(gateway);
    lab.run("strongswan-peer.sh", &["down", "b"], &[]);
    let text = config("b", "any", &GCM, "none").replace("labsecret-psk-0123456789", "another-secret-9876543210");
    let gateway = lab.gateway("b", &text, &[]);
    lab.strongswan("psk", "a", &GCM.env());
    assert!(!lab.run("strongswan-peer.sh", &["initiate", "a"], &[]).status.success());
    lab.wait_charon_log("a", "received AUTHENTICATION_FAILED notify error");
    assert!(!gateway.log().contains("Child SA up"));
}
