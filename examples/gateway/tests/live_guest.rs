//! Live: libreswan and OpenIKED, with the ESP of the Linux kernel, in a user-mode-linux guest (`lab/uml.sh`): tunnels started
//! by either side, with traffic, and rekeying. Wants `lab/packages.sh guest libreswan`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Gateway, Lab, SOON, Suite, config, wait, with_cert};
use std::time::Duration;

/// A guest boots, and its packets cost more: on a busy machine that takes its time.
const LONG: Duration = Duration::from_secs(60);

fn lab(test: &str, group: &str) -> Option<Lab> {
    let lab = Lab::up(test, "direct")?;
    let missing = lab.run("packages.sh", &["missing", "guest", group], &[]);
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
