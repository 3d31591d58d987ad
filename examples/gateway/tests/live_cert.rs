//! Live: certificates (RFC 7427, RFC 4945) and EAP-MSCHAPv2 with strongSwan, in both roles. Scenarios `cert` and `eap`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, PSK, config, pki, with_cert};

fn cert(test: &str, kind: &str, we_start: bool, theirs: &str, more: &str) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let (me, it, remote, start) = if we_start { ("a", "b", "10.9.0.2", "start") } else { ("b", "a", "any", "none") };
    let text = with_cert(&lab, kind, me, &config(me, remote, &GCM, start), more);
    let env = [&GCM.env()[..], &[("LAB_CERT", kind), ("LAB_AUTH", theirs)]].concat();
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
    lab.ping("b");
}

macro_rules! both_roles {
    ($($we:ident $they:ident: $kind:literal, $theirs:literal, $more:literal;)*) => {$(
        #[test]
        fn $we() {
            cert(stringify!($we), $kind, true, $theirs, $more);
        }
        #[test]
        fn $they() {
            cert(stringify!($they), $kind, false, $theirs, $more);
        }
    )*};
}

both_roles! {
    we_rsa they_rsa: "rsa", "pubkey", "signature = \"pkcs1\"\n";
    we_pss they_pss: "rsa", "ike:rsa/pss-sha256", "";
    we_ec they_ec: "ecdsa", "pubkey", "";
    we_ec384 they_ec384: "ecdsa384", "pubkey", "";
    we_ed they_ed: "ed25519", "pubkey", "";
    we_big they_big: "big", "pubkey", "";
}

/// The certificate is good and about somebody else: no tunnel, and the operator reads which names are in it.
#[test]
fn wrong_identity() {
    let Some(lab) = Lab::up("cert_id", "direct") else { return };
    // strongSwan says that it is b, we expect its address: it proves b, which is not what was expected
    let text = with_cert(&lab, "ecdsa", "a", &config("a", "10.9.0.2", &GCM, "start"), "");
    let text = text.replace("remote_id = \"b.lab.test\"", "remote_id = \"c.lab.test\"");
    lab.strongswan("cert", "b", &[&GCM.env()[..], &[("LAB_CERT", "ecdsa")]].concat());
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("AUTHENTICATION_FAILED");
    assert!(!gateway.log().contains("Child SA up"));
}

/// A CA that we do not trust.
#[test]
fn unknown_authority() {
    let Some(lab) = Lab::up("cert_ca", "direct") else { return };
    let text = with_cert(&lab, "ecdsa", "a", &config("a", "10.9.0.2", &GCM, "start"), "");
    let text = text.replace("ecdsa/ca.pem", "ecdsa384/ca.pem");
    lab.strongswan("cert", "b", &[&GCM.env()[..], &[("LAB_CERT", "ecdsa")]].concat());
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait("no path to a trusted CA");
    assert!(!gateway.log().contains("Child SA up"));
}

const USER: &str = "eap_id = \"a@lab.test\"\neap_password = \"labsecret-eap\"\n";

/// We are the client, strongSwan the gateway with a certificate.
fn eap_client(test: &str, password: &str, sees: &str) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let folder = pki(&lab, "ecdsa");
    let keys = format!("auth = \"eap\"\nca = \"{folder}/ca.pem\"\n{}", USER.replace("labsecret-eap", password));
    let text = config("a", "10.9.0.2", &GCM, "start").replace(PSK, &keys).replace("a.lab.test", "a@lab.test");
    lab.strongswan("eap", "b", &GCM.env());
    let gateway = lab.gateway("a", &text, &[]);
    gateway.wait(sees);
    if sees == "Child SA up" {
        lab.ping("a");
        lab.ping("b");
    }
}

#[test]
fn we_eap_mschapv2() {
    eap_client("we_eap", "labsecret-eap", "Child SA up");
}

#[test]
fn we_eap_wrong_password() {
    eap_client("we_eap_wrong", "another", "EAP of");
}

/// strongSwan is the client, we are the gateway with a certificate.
fn eap_server(test: &str, password: &str, works: bool) {
    let Some(lab) = Lab::up(test, "direct") else { return };
    let folder = pki(&lab, "ecdsa");
    let keys = format!(
        "auth = \"pubkey\"\nremote_auth = \"eap\"\ncert = \"{folder}/b.pem\"\nkey = \"{folder}/b.key\"\n{}",
        USER.replace("labsecret-eap", password)
    );
    let text = config("b", "any", &GCM, "none").replace(PSK, &keys).replace("a.lab.test", "a@lab.test");
    let gateway = lab.gateway("b", &text, &[]);
    lab.strongswan("eap", "a", &GCM.env());
    let out = lab.run("strongswan-peer.sh", &["initiate", "a"], &[]);
    assert_eq!(out.status.success(), works, "{}\n{}", live::text(&out), gateway.log());
    if works {
        gateway.wait("Child SA up");
        lab.ping("a");
        lab.ping("b");
    } else {
        gateway.wait("wrong password");
    }
}

#[test]
fn they_eap_mschapv2() {
    eap_server("they_eap", "labsecret-eap", true);
}

#[test]
fn they_eap_wrong_password() {
    eap_server("they_eap_wrong", "another", false);
}
