//! Live: how tunnels with strongSwan end and how each side notices that the other lives or does not; and refusals.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, SOON, config, wait};
use std::process::Command;
use std::time::Duration;

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
    let pid = std::fs::read_to_string(lab.state.join("strongswan-b/pid")).unwrap();
    let signal = |s: &str| assert!(Command::new("kill").args([s, pid.trim()]).status().unwrap().success());
    signal("-STOP");
    gateway.wait_for("IKE SA closed", Duration::from_secs(30));
    signal("-CONT");
    gateway.wait_show(SOON, |s| !s.contains("child-"));
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
