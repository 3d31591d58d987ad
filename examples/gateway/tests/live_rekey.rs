//! Live: rekeying with strongSwan, Child SA and IKE SA, by either side and by both at once, under a steady stream of
//! pings of which none is lost; and reauthentication.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Gateway, Lab, SOON, Stream, Suite, config, one_of_each, wait};
use std::time::Duration;

/// With a key exchange of its own in every Child SA but the first.
const PFS: Suite = Suite { esp: "aes128gcm16-ecp256", ..GCM };

fn tunnel(test: &str, suite: &Suite) -> Option<(Lab, Gateway)> {
    let lab = Lab::up(test, "direct")?;
    lab.strongswan("psk", "b", &suite.env());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", suite, "start"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    Some((lab, gateway))
}

fn strongswan_rekeys(lab: &Lab, what: &str, name: &str) {
    lab.ok("strongswan-peer.sh", &["ctl", "b", "--rekey", what, name], &[]);
}

#[test]
fn we_rekey() {
    for (test, suite) in [("we_rekey", &GCM), ("we_rekey_pfs", &PFS)] {
        let Some((lab, gateway)) = tunnel(test, suite) else { return };
        let stream = Stream::start(&lab);
        for _ in 0..3 {
            gateway.ask(&["rekey", "net"]);
            one_of_each(&lab, &gateway);
            gateway.ask(&["rekey", "t"]);
            one_of_each(&lab, &gateway);
        }
        stream.check();
    }
}

#[test]
fn they_rekey() {
    for (test, suite) in [("they_rekey", &GCM), ("they_rekey_pfs", &PFS)] {
        let Some((lab, gateway)) = tunnel(test, suite) else { return };
        let stream = Stream::start(&lab);
        for _ in 0..3 {
            strongswan_rekeys(&lab, "--child", "net");
            one_of_each(&lab, &gateway);
            strongswan_rekeys(&lab, "--ike", "t");
            one_of_each(&lab, &gateway);
        }
        stream.check();
    }
}

#[test]
fn both_rekey_at_once() {
    let Some((lab, gateway)) = tunnel("both_rekey", &PFS) else { return };
    let stream = Stream::start(&lab);
    for (ours, what, theirs) in [("net", "--child", "net"), ("t", "--ike", "t")].repeat(5) {
        std::thread::scope(|s| {
            s.spawn(|| strongswan_rekeys(&lab, what, theirs));
            gateway.ask(&["rekey", ours]);
        });
        one_of_each(&lab, &gateway);
    }
    stream.check();
}

/// Our first group for a rekeying is not strongSwan's: INVALID_KE_PAYLOAD, and again with the right one (RFC 7296 §1.3).
#[test]
fn invalid_ke_in_a_rekeying() {
    let ours = Suite { esp: "aes128gcm16-x25519-ecp384", ..GCM };
    let Some(lab) = Lab::up("rekey_ke", "direct") else { return };
    lab.strongswan("psk", "b", &[("LAB_IKE", GCM.ike), ("LAB_ESP", "aes128gcm16-ecp384")]);
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &ours, "start"), &[]);
    gateway.wait("Child SA up");
    gateway.ask(&["rekey", "net"]);
    gateway.wait("Child SA rekeyed");
    lab.wait_charon_log("b", "N(INVAL_KE)");
    one_of_each(&lab, &gateway);
}

#[test]
fn we_authenticate_anew() {
    let Some((lab, gateway)) = tunnel("we_reauth", &GCM) else { return };
    let established = || lab.charon_log("b").matches("established between").count();
    let before = established();
    gateway.ask(&["reauth", "t"]);
    wait(SOON, || established() > before).expect("a second IKE SA");
    one_of_each(&lab, &gateway);
}

/// Equal lifetimes on both sides, without jitter: rekeys cross all the time, and nothing is lost or left over. Child SAs
/// every 4 s, the IKE SA every 10 s (`lab/conf/rekey.conf`).
#[test]
fn equal_lifetimes() {
    let Some(lab) = Lab::up("equal_lives", "direct") else { return };
    let text = config("a", "10.9.0.2", &PFS, "start")
        .replace(
            "dpd_delay = \"off\"",
            "dpd_delay = \"off\"\nrekey_time = \"10s\"\nrekey_jitter = \"off\"\nover_time = \"5s\"",
        )
        .replace("start = ", "rekey_time = \"4s\"\nrekey_jitter = \"off\"\nlife_time = \"10s\"\nstart = ");
    lab.strongswan("rekey", "b", &PFS.env());
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    let stream = Stream::start(&lab);
    gateway.wait_count("IKE SA rekeyed", 1, Duration::from_secs(90));
    gateway.wait_count("Child SA rekeyed", 4, Duration::from_secs(90));
    // strongSwan started rekeys of its own, at the same times as we
    let log = lab.charon_log("b");
    println!(
        "strongSwan: {} rekeys started, {} collisions noticed",
        log.matches("initiating").count() + log.matches("establishing CHILD_SA").count(),
        log.matches("collision").count()
    );
    stream.check();
    assert!(!gateway.log().contains("IKE SA closed: deleted by the peer"), "{}", gateway.log());
}
