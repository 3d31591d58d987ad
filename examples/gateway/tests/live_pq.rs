//! Live: post-quantum IKEv2 with strongSwan. PPK (RFC 8784) with 5.9.8; ML-KEM as additional key exchange over
//! IKE_INTERMEDIATE (RFC 9370, RFC 9242) and alone with 6.1, where Debian's mirror has it, and rekeying by IKE_FOLLOWUP_KE.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Gateway, Lab, SOON, Suite, config, wait};

const PPK: &str = "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const HYBRID: Suite = Suite {
    ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
    esp: "aes256gcm16-x25519-ke1_mlkem768",
    shown: "ESP:AES_GCM_16-256",
};
const ALONE: Suite =
    Suite { ike: "aes256gcm16-prfsha384-mlkem768", esp: "aes256gcm16-mlkem768", shown: "ESP:AES_GCM_16-256" };

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

fn newer(test: &str, we_start: bool, suite: &Suite) -> Option<(Lab, Gateway)> {
    let lab = Lab::up(test, "direct")?;
    if !lab.run("newer.sh", &["forky"], &[]).status.success() {
        live::skip(test, "no newer strongSwan (lab/packages.sh newer, and a Debian mirror)");
        return None;
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
    Some((lab, gateway))
}

/// One Child SA in one IKE SA on both sides, which carries traffic.
#[track_caller]
fn one_of_each(lab: &Lab, gateway: &Gateway, it: &str) {
    let count = |text: &str, what: &str| text.matches(what).count();
    let one = || {
        let sas = lab.charon_sas(it);
        count(&sas, "ESTABLISHED") == 1
            && count(&sas, "INSTALLED") == 1
            && !sas.contains("DELET")
            && !sas.contains("REKEY")
    };
    wait(SOON, one).unwrap_or_else(|()| panic!("{}\n{}", lab.charon_sas(it), gateway.log()));
    gateway.wait_show(SOON, |s| count(s, "child-") == 1 && count(s, "ike-") == 1);
    lab.ping("a");
    lab.ping("b");
}

/// Sets up, then both sides rekey the Child SA and the IKE SA, and once both at the same time.
fn rekeyed(test: &str, we_start: bool, suite: &Suite, follow_ups: bool) {
    let Some((lab, gateway)) = newer(test, we_start, suite) else { return };
    let it = if we_start { "b" } else { "a" };
    // Whole messages only: each may have come in fragments, which have lines of their own.
    let follow_up = |line: &&str| line.contains("IKE_FOLLOWUP_KE re") && !line.contains("EF(");
    let rekeyed = |log: &str| log.lines().filter(follow_up).count();
    let mut before = 0;
    for (what, theirs, ours) in [("--child", "net", "net"), ("--ike", "t", "t")] {
        for by_us in [true, false] {
            if by_us {
                gateway.ask(&["rekey", ours]);
            } else {
                lab.ok("strongswan-peer.sh", &["ctl", it, "--rekey", what, theirs], &[("LAB_SUITE", "forky")]);
            }
            one_of_each(&lab, &gateway, it);
            let seen = rekeyed(&lab.charon_log(it));
            // A request and a response of each IKE_FOLLOWUP_KE stand in charon's log, one parsed, one generated.
            assert_eq!(seen, if follow_ups { before + 2 } else { 0 }, "{what} by us: {by_us}\n{}", lab.charon_log(it));
            before = seen;
        }
        std::thread::scope(|s| {
            let lab = &lab;
            let theirs = ["ctl", it, "--rekey", what, theirs];
            s.spawn(move || lab.run("strongswan-peer.sh", &theirs, &[("LAB_SUITE", "forky")]));
            gateway.ask(&["rekey", ours]);
        });
        one_of_each(&lab, &gateway, it);
        before = rekeyed(&lab.charon_log(it));
    }
    let show = gateway.ask(&["show"]);
    assert!(show.contains("ML_KEM_768"), "{show}");
}

#[test]
fn we_hybrid_mlkem() {
    rekeyed("we_hybrid", true, &HYBRID, true);
}

#[test]
fn they_hybrid_mlkem() {
    rekeyed("they_hybrid", false, &HYBRID, true);
}

#[test]
fn we_mlkem_alone() {
    rekeyed("we_mlkem", true, &ALONE, false);
}

#[test]
fn they_mlkem_alone() {
    rekeyed("they_mlkem", false, &ALONE, false);
}
