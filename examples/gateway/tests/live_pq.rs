//! Live: post-quantum IKEv2 with strongSwan. PPK (RFC 8784) with 5.9.8; ML-KEM as additional key exchange over
//! IKE_INTERMEDIATE (RFC 9370, RFC 9242) with 6.1, where Debian's mirror has it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, Suite, config};

const PPK: &str = "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const HYBRID: Suite =
    Suite { ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768", esp: "aes256gcm16", shown: "ESP:AES_GCM_16-256" };
const ALONE: Suite = Suite { ike: "aes256gcm16-prfsha384-mlkem768", esp: "aes256gcm16", shown: "ESP:AES_GCM_16-256" };

fn with_ppk(text: &str, required: &str) -> String {
    let keys = format!("ppk_id = \"lab-ppk\"\nppk = \"{PPK}\"\nppk_required = \"{required}\"\n\n[[peer.child]]");
    text.replace("[[peer.child]]", &keys)
}

fn ppk(test: &str, we_start: bool, ours: &str, theirs: &str) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let (me, it, remote, start) = if we_start { ("a", "b", "10.9.0.2", "start") } else { ("b", "a", "any", "none") };
    let text = with_ppk(&config(me, remote, &GCM, start), ours);
    let env = [&GCM.env()[..], &[("LAB_PPK_REQUIRED", theirs)]].concat();
    let gateway = if we_start {
        lab.strongswan("ppk", it, &env);
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        lab.strongswan("ppk", it, &env);
        lab.ok("strongswan-peer.sh", &["initiate", it], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    lab.wait_charon_log(it, "using PPK");
}

#[test]
fn we_ppk_required() {
    ppk("we_ppk", true, "yes", "yes");
}

#[test]
fn they_ppk_required() {
    ppk("they_ppk", false, "yes", "yes");
}

#[test]
fn we_ppk_optional() {
    ppk("we_ppk_opt", true, "no", "no");
}

#[test]
fn they_ppk_optional() {
    ppk("they_ppk_opt", false, "no", "no");
}

/// We have a PPK and may do without, strongSwan knows nothing of it.
#[test]
fn ppk_that_the_peer_has_not() {
    let Some(lab) = Lab::up("ppk_not", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let gateway = lab.gateway("a", &with_ppk(&config("a", "10.9.0.2", &GCM, "start"), "no"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
}

/// The same where we demand it: no tunnel, and the operator hears which notify is missing.
#[test]
fn ppk_demanded_of_a_peer_without() {
    let Some(lab) = Lab::up("ppk_demand", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let gateway = lab.gateway("a", &with_ppk(&config("a", "10.9.0.2", &GCM, "start"), "yes"), &[]);
    gateway.wait("policy demands USE_PPK");
}

fn newer(test: &str, we_start: bool, suite: &Suite) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    if !lab.run("newer.sh", &["forky"], &[]).status.success() {
        live::skip(test, "no newer strongSwan (lab/packages.sh newer, and a Debian mirror)");
        return;
    }
    let env = [&suite.env()[..], &[("LAB_SUITE", "forky")]].concat();
    let gateway = if we_start {
        lab.strongswan("psk", "b", &env);
        lab.gateway("a", &config("a", "10.9.0.2", suite, "start"), &[])
    } else {
        let gateway = lab.gateway("b", &config("b", "any", suite, "none"), &[]);
        lab.strongswan("psk", "a", &env);
        lab.ok("strongswan-peer.sh", &["initiate", "a"], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    let show = gateway.ask(&["show"]);
    assert!(show.contains("ML_KEM_768"), "{show}");
}

#[test]
fn we_hybrid_mlkem() {
    newer("we_hybrid", true, &HYBRID);
}

#[test]
fn they_hybrid_mlkem() {
    newer("they_hybrid", false, &HYBRID);
}

#[test]
fn we_mlkem_alone() {
    newer("we_mlkem", true, &ALONE);
}

#[test]
fn they_mlkem_alone() {
    newer("they_mlkem", false, &ALONE);
}
