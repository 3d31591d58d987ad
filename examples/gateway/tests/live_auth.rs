//! Live: certificates that must be refused, EAP-TLS, EAP through FreeRADIUS, two authentications (RFC 4739), with
//! strongSwan in both roles. Scenarios `cert`, `eap`, `radius`, `two`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, config};

const PSK: &str = "psk = \"labsecret-psk-0123456789\"\n";

/// The folder with certificates of a kind.
fn pki(lab: &Lab, kind: &str) -> String {
    let out = lab.ok("pki.sh", &[], &[]);
    format!("{}/{kind}", out.lines().last().unwrap().trim())
}

/// Our configuration, with other keys in the place of the secret.
fn with(side: &str, start: bool, keys: &str) -> String {
    let (remote, start) =
        if start { (if side == "a" { "10.9.0.2" } else { "10.9.0.1" }, "start") } else { ("any", "none") };
    let text = config(side, remote, &GCM, start);
    assert!(text.contains(PSK));
    text.replace(PSK, keys)
}

/// strongSwan proves itself by a bad certificate; our own is good, or of the same kind.
fn refused(test: &str, kind: &str, we_start: bool, more: &str, why: &str) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let (bad, good) = (pki(&lab, kind), pki(&lab, "ecdsa"));
    let (me, it) = if we_start { ("a", "b") } else { ("b", "a") };
    let keys = format!(
        "auth = \"pubkey\"\ncert = \"{good}/{me}.pem\"\nkey = \"{good}/{me}.key\"\nca = \"{bad}/ca.pem\"\n{}",
        more.replace("DIR", &bad)
    );
    let text = with(me, we_start, &keys);
    let env = [&GCM.env()[..], &[("LAB_CERT", kind)]].concat();
    // It must trust our certificate, or it would not show its own as initiator.
    let trusts = || {
        lab.strongswan("cert", it, &env);
        let to = lab.state.join(format!("strongswan-{it}/swanctl/x509ca/good.pem"));
        std::fs::copy(format!("{good}/ca.pem"), to).unwrap();
        lab.ok("strongswan-peer.sh", &["ctl", it, "--load-creds"], &[]);
    };
    let gateway = if we_start {
        trusts();
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        trusts();
        let out = lab.run("strongswan-peer.sh", &["initiate", it], &[]);
        assert!(!out.status.success(), "{}", live::text(&out));
        gateway
    };
    gateway.wait(why);
    assert!(!gateway.log().contains("Child SA up") && !gateway.log().contains("IKE SA up"));
}

const CRL: &str = "crl = \"DIR/crl.pem\"\n";

#[test]
fn we_refuse_revoked() {
    refused("we_revoked", "revoked", true, CRL, "revoked");
}

#[test]
fn they_revoked_refused() {
    refused("they_revoked", "revoked", false, CRL, "revoked");
}

#[test]
fn we_refuse_expired() {
    refused("we_expired", "expired", true, "", "expired: valid until 157");
}

#[test]
fn they_expired_refused() {
    refused("they_expired", "expired", false, "", "expired: valid until 157");
}

/// A good certificate, about somebody else than the peer may be.
#[test]
fn they_wrong_identity() {
    let Some(lab) = Lab::up("they_id", "direct") else { return };
    let good = pki(&lab, "ecdsa");
    let keys = format!("auth = \"pubkey\"\ncert = \"{good}/b.pem\"\nkey = \"{good}/b.key\"\nca = \"{good}/ca.pem\"\n");
    let text = with("b", false, &keys).replace("remote_id = \"a.lab.test\"", "remote_id = \"c.lab.test\"");
    let gateway = lab.gateway("b", &text, &[]);
    lab.strongswan("cert", "a", &[&GCM.env()[..], &[("LAB_CERT", "ecdsa")]].concat());
    assert!(!lab.run("strongswan-peer.sh", &["initiate", "a"], &[]).status.success());
    gateway.wait("a.lab.test");
    assert!(!gateway.log().contains("IKE SA up"));
}

fn eap_tls(kind: &str, we_start: bool) {
    let test = format!("tls_{}_{kind}", if we_start { "we" } else { "they" });
    let Some(lab) = Lab::up(&test, "direct") else { return };
    let folder = pki(&lab, kind);
    let (me, it) = if we_start { ("a", "b") } else { ("b", "a") };
    let auth = if we_start {
        "auth = \"eap\"\neap_id = \"a@lab.test\"\n"
    } else {
        "auth = \"pubkey\"\nremote_auth = \"eap\"\n"
    };
    let keys = format!(
        "{auth}eap = \"tls\"\ncert = \"{folder}/{me}.pem\"\nkey = \"{folder}/{me}.key\"\nca = \"{folder}/ca.pem\"\n"
    );
    let text = with(me, we_start, &keys).replace("a.lab.test", "a@lab.test");
    let env = [&GCM.env()[..], &[("LAB_CERT", kind), ("LAB_EAP", "tls")]].concat();
    let gateway = if we_start {
        lab.strongswan("eap", it, &env);
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        lab.strongswan("eap", it, &env);
        lab.ok("strongswan-peer.sh", &["initiate", it], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
}

#[test]
fn we_eap_tls() {
    eap_tls("ecdsa", true);
}

#[test]
fn they_eap_tls() {
    eap_tls("ecdsa", false);
}

#[test]
fn we_eap_tls_rsa() {
    eap_tls("rsa", true);
}

#[test]
fn they_eap_tls_rsa() {
    eap_tls("rsa", false);
}

/// The user's certificate is of a CA that we do not trust.
#[test]
fn they_eap_tls_stranger() {
    let Some(lab) = Lab::up("tls_stranger", "direct") else { return };
    let (ours, other) = (pki(&lab, "ecdsa"), pki(&lab, "ecdsa384"));
    let keys = format!(
        "auth = \"pubkey\"\nremote_auth = \"eap\"\neap = \"tls\"\ncert = \"{ours}/b.pem\"\nkey = \"{ours}/b.key\"\nca = \"{other}/ca.pem\"\n"
    );
    let gateway = lab.gateway("b", &with("b", false, &keys).replace("a.lab.test", "a@lab.test"), &[]);
    lab.strongswan("eap", "a", &[&GCM.env()[..], &[("LAB_CERT", "ecdsa"), ("LAB_EAP", "tls")]].concat());
    assert!(!lab.run("strongswan-peer.sh", &["initiate", "a"], &[]).status.success());
    gateway.wait("no path to a trusted CA");
    assert!(!gateway.log().contains("IKE SA up"));
}

/// The initiator proves itself twice: certificate, then `method`.
fn two(method: &str, we_start: bool) {
    let test = format!("two_{}_{}", if we_start { "we" } else { "they" }, &method[..3]);
    let Some(lab) = Lab::up(&test, "direct") else { return };
    let folder = pki(&lab, "ecdsa");
    let (me, it) = if we_start { ("a", "b") } else { ("b", "a") };
    let word = if method == "psk" { "psk" } else { "eap" };
    let second = match we_start {
        true => format!("auth2 = \"{word}\"\nlocal_id2 = \"a@lab.test\"\n"),
        false => format!("remote_auth2 = \"{word}\"\nremote_id2 = \"a@lab.test\"\n"),
    };
    let secret = if word == "psk" { PSK } else { "eap_id = \"a@lab.test\"\neap_password = \"labsecret-eap\"\n" };
    let keys = format!(
        "auth = \"pubkey\"\ncert = \"{folder}/{me}.pem\"\nkey = \"{folder}/{me}.key\"\nca = \"{folder}/ca.pem\"\n{second}{secret}"
    );
    let text = with(me, we_start, &keys);
    let env = [&GCM.env()[..], &[("LAB_CERT", "ecdsa"), ("LAB_AUTH", method)]].concat();
    let gateway = if we_start {
        lab.strongswan("two", it, &env);
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        lab.strongswan("two", it, &env);
        lab.ok("strongswan-peer.sh", &["initiate", it], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
}

#[test]
fn we_two_rounds() {
    two("psk", true);
}

#[test]
fn they_two_rounds() {
    two("psk", false);
}

#[test]
fn we_two_rounds_eap() {
    two("eap-mschapv2", true);
}

#[test]
fn they_two_rounds_eap() {
    two("eap-mschapv2", false);
}

/// Both sides prove themselves twice (RFC 4739): certificate, then pre-shared key.
fn both_two(we_start: bool) {
    let Some(lab) = Lab::up(if we_start { "both2_we" } else { "both2_they" }, "direct") else { return };
    let folder = pki(&lab, "ecdsa");
    let (me, it) = if we_start { ("a", "b") } else { ("b", "a") };
    let keys = format!(
        "auth = \"pubkey\"\ncert = \"{folder}/{me}.pem\"\nkey = \"{folder}/{me}.key\"\nca = \"{folder}/ca.pem\"\n\
         auth2 = \"psk\"\nlocal_id2 = \"{me}@lab.test\"\nremote_auth2 = \"psk\"\nremote_id2 = \"{it}@lab.test\"\n{PSK}"
    );
    let text = with(me, we_start, &keys);
    let env = [&GCM.env()[..], &[("LAB_CERT", "ecdsa")]].concat();
    let gateway = if we_start {
        lab.strongswan("multiauth", it, &env);
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        lab.strongswan("multiauth", it, &env);
        lab.ok("strongswan-peer.sh", &["initiate", it], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    lab.wait_charon_log(it, &format!("authentication of '{me}@lab.test' with pre-shared key successful"));
}

#[test]
fn we_start_and_both_prove_themselves_twice() {
    both_two(true);
}

#[test]
fn they_start_and_both_prove_themselves_twice() {
    both_two(false);
}

/// The responder proves itself once where two are demanded.
#[test]
fn we_refuse_one_round_of_two() {
    let Some(lab) = Lab::up("two_short", "direct") else { return };
    let folder = pki(&lab, "ecdsa");
    let keys = format!(
        "auth = \"pubkey\"\ncert = \"{folder}/a.pem\"\nkey = \"{folder}/a.key\"\nca = \"{folder}/ca.pem\"\nremote_auth2 = \"psk\"\n{PSK}"
    );
    lab.strongswan("cert", "b", &[&GCM.env()[..], &[("LAB_CERT", "ecdsa")]].concat());
    let gateway = lab.gateway("a", &with("a", true, &keys), &[]);
    gateway.wait("expected two authentications (RFC 4739), came one authentication");
    assert!(!gateway.log().contains("IKE SA up"));
}

/// One authentication is not enough where two are demanded.
#[test]
fn they_one_round_of_two() {
    let Some(lab) = Lab::up("two_one", "direct") else { return };
    let folder = pki(&lab, "ecdsa");
    let keys = format!(
        "auth = \"pubkey\"\ncert = \"{folder}/b.pem\"\nkey = \"{folder}/b.key\"\nca = \"{folder}/ca.pem\"\nremote_auth2 = \"psk\"\n{PSK}"
    );
    let gateway = lab.gateway("b", &with("b", false, &keys), &[]);
    lab.strongswan("cert", "a", &[&GCM.env()[..], &[("LAB_CERT", "ecdsa")]].concat());
    assert!(!lab.run("strongswan-peer.sh", &["initiate", "a"], &[]).status.success());
    gateway.wait("two authentications (RFC 4739)");
    assert!(!gateway.log().contains("IKE SA up"));
}

/// strongSwan, our gateway, FreeRADIUS: the user is known there alone, and gets the address that it grants.
fn radius(test: &str, password: &str, works: bool) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let missing = lab.run("packages.sh", &["missing", "radius"], &[]);
    if !missing.status.success() {
        return live::skip(test, &format!("packages are missing: {}", live::text(&missing).trim()));
    }
    let folder = pki(&lab, "ecdsa");
    let keys = format!(
        "auth = \"pubkey\"\nremote_auth = \"eap\"\neap = \"radius\"\ncert = \"{folder}/b.pem\"\nkey = \"{folder}/b.key\"\n"
    );
    let text = with("b", false, &keys).replace("a.lab.test", "a@lab.test").replace("10.10.1.0/24", "10.3.0.0/24");
    let servers = "[[radius]]\nserver = \"127.0.0.1\"\nsecret = \"labsecret-radius\"\n";
    lab.ok("radius-peer.sh", &["up", "b"], &[]);
    let gateway = lab.gateway("b", &format!("{servers}{text}"), &[]);
    lab.strongswan("radius", "a", &GCM.env());
    if password != "labsecret-eap" {
        let conf = lab.state.join("strongswan-a/swanctl/swanctl.conf");
        let changed = std::fs::read_to_string(&conf).unwrap().replace("labsecret-eap", password);
        std::fs::write(&conf, changed).unwrap();
        lab.ok("strongswan-peer.sh", &["ctl", "a", "--load-all"], &[]);
    }
    let out = lab.run("strongswan-peer.sh", &["initiate", "a"], &[]);
    assert_eq!(out.status.success(), works, "{}\n{}", live::text(&out), gateway.log());
    let radius_log = || lab.ok("radius-peer.sh", &["log", "b"], &[]);
    if works {
        gateway.wait("Child SA up");
        assert!(radius_log().contains("Login OK"), "{}", radius_log());
        lab.ping_addresses("a", "10.3.0.7", "10.10.2.1");
        let name_servers = lab.charon_log("a");
        assert!(name_servers.contains("10.3.0.53") || name_servers.contains("DNS"), "{name_servers}");
        let reports = lab.state.join("radius-b/detail");
        let reports = || std::fs::read_to_string(&reports).unwrap_or_default();
        live::wait(live::SOON, || reports().contains("Acct-Status-Type = Start")).unwrap();
        gateway.ask(&["terminate", "t"]);
        live::wait(live::SOON, || reports().contains("Acct-Status-Type = Stop")).unwrap();
        let all = reports();
        for wanted in ["User-Name = \"a@lab.test\"", "Framed-IP-Address = 10.3.0.7", "Class = 0x676f6c64"] {
            assert!(all.contains(wanted), "{wanted}\n{all}");
        }
    } else {
        gateway.wait("the EAP server refused");
        assert!(!gateway.log().contains("IKE SA up"));
    }
    lab.run("radius-peer.sh", &["down", "b"], &[]);
}

#[test]
fn they_radius() {
    radius("radius", "labsecret-eap", true);
}

#[test]
fn they_radius_wrong_password() {
    radius("radius_wrong", "another", false);
}
