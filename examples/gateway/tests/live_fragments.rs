//! Live: IKE messages in fragments (RFC 7383) with strongSwan, both ways, and a path that swallows large datagrams.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, config, with_cert};

/// RSA-4096 with an intermediate CA: an IKE_AUTH of about 5 kB on either side, in fragments of 600 octets from us and of
/// strongSwan's 1280.
fn big(test: &str, we_start: bool) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let (me, it, remote, start) = if we_start { ("a", "b", "10.9.0.2", "start") } else { ("b", "a", "any", "none") };
    let text = format!("fragment_size = 600\n{}", with_cert(&lab, "big", me, &config(me, remote, &GCM, start), ""));
    let env = [&GCM.env()[..], &[("LAB_CERT", "big")]].concat();
    let gateway = if we_start {
        lab.strongswan("cert", it, &env);
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        lab.strongswan("cert", it, &env);
        lab.ok("strongswan-peer.sh", &["initiate", it], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    let log = lab.charon_log(it);
    let of = |what: &str| log.lines().filter(|l| l.contains(what)).count();
    println!("{} fragments of ours came, {} went to us", of("received fragment #"), of("generating IKE_AUTH") - 1);
    assert!(of("received fragment #") >= 6, "ours are small: {log}");
    assert!(log.contains("splitting IKE message"), "theirs come in fragments too: {log}");
}

#[test]
fn we_start_with_big_certificates() {
    big("we_frag", true);
}

#[test]
fn they_start_with_big_certificates() {
    big("they_frag", false);
}

/// What is larger than 800 octets never arrives at strongSwan: after some transmissions ours get smaller
/// (RFC 7383 §2.5.2).
#[test]
fn a_path_that_swallows_large_datagrams() {
    let Some(lab) = Lab::up("frag_mtu", "direct") else { return };
    lab.strongswan("cert", "b", &[&GCM.env()[..], &[("LAB_CERT", "big")]].concat());
    let rule = "add table inet l; add chain inet l c { type filter hook prerouting priority -300; }; \
                add rule inet l c ip protocol udp ip length > 800 drop";
    assert!(lab.inside("b", &["nft", rule]).output().unwrap().status.success());
    let text = with_cert(&lab, "big", "a", &config("a", "10.9.0.2", &GCM, "start"), "");
    let gateway = lab.gateway("a", &format!("retransmit = \"300ms\"\nretransmit_tries = 8\n{text}"), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
}
