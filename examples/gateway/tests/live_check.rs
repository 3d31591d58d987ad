//! Live: what others see of us: tshark decrypts a capture with the keys that the gateway exports and finds every ICV
//! correct; and ESP without UDP, as bare IP protocol 50.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{CBC, GCM, Lab, SOON, Suite, config, text, wait};
use std::process::Command;

fn decrypts(test: &str, suite: &Suite) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    if !Command::new("tshark").arg("--version").output().is_ok_and(|o| o.status.success()) {
        live::skip(test, "no tshark (lab/packages.sh check)");
        return;
    }
    let capture = lab.state.join("x.pcap");
    let capture = capture.to_str().unwrap();
    lab.strongswan("psk", "b", &suite.env());
    lab.ok("decrypt.sh", &["record", "b", capture, "60"], &[]);
    let keys = lab.state.join("keys");
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", suite, "start"), &["--keylog", keys.to_str().unwrap()]);
    gateway.wait("Child SA up");
    lab.ping("a");
    gateway.terminate();
    let shown = || {
        let out = Command::new("tshark")
            .args([
                "-o",
                "esp.enable_encryption_decode:TRUE",
                "-o",
                "esp.enable_authentication_check:TRUE",
                "-r",
                capture,
                "-V",
            ])
            .env("WIRESHARK_CONFIG_DIR", &keys)
            .output()
            .unwrap();
        text(&out)
    };
    // tcpdump writes each packet as it comes; the last one may be a moment away
    wait(SOON, || shown().contains("Payload: Delete (42)")).unwrap_or_else(|()| panic!("no Delete in\n{}", shown()));
    let shown = shown();
    assert!(shown.contains("Payload: Authentication (39)"), "{shown}");
    assert!(shown.contains("Echo (ping) reply"), "{shown}");
    assert!(shown.contains("[correct]") && !shown.contains("incorrect"), "{shown}");
}

#[test]
fn tshark_decrypts_gcm() {
    decrypts("tshark_gcm", &GCM);
}

#[test]
fn tshark_decrypts_cbc() {
    decrypts("tshark_cbc", &CBC);
}

/// A newer strongSwan sends ESP without UDP where there is no NAT.
#[test]
fn bare_esp() {
    let Some(lab) = Lab::up("bare_esp", "direct") else { return };
    if !lab.run("newer.sh", &["forky"], &[]).status.success() {
        live::skip("bare_esp", "no newer strongSwan (lab/packages.sh newer, and a Debian mirror)");
        return;
    }
    let env =
        [&GCM.env()[..], &[("LAB_SUITE", "forky"), ("LAB_CHARON", "plugins { kernel-libipsec { raw_esp = yes } }")]]
            .concat();
    lab.strongswan("psk", "b", &env);
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &GCM, "start"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    println!("{}", lab.transfer(500_000));
    let sas = lab.charon_sas("b");
    assert!(sas.contains("TUNNEL, ESP"), "no UDP: {sas}");
}
