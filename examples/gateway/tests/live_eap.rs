//! Live: EAP-TTLS, a post-quantum PSK together with EAP (RFC 8784 §3), and keys from PKCS#12, with strongSwan in both
//! roles. Scenarios `eap` and `cert`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, PSK, config, pki};
use std::process::Command;

const USER: &str = "eap_id = \"a@lab.test\"\neap_password = \"labsecret-eap\"\n";

/// A tunnel between our gateway and strongSwan's scenario `eap`, where side a is the client and b the server. `more`:
/// keys for ours; `edit` changes strongSwan's configuration.
fn tunnel(test: &str, we_start: bool, more: &str, env: &[(&str, &str)], edit: impl Fn(&str) -> String) -> Option<Lab> {
    let lab = Lab::up(test, "direct")?;
    let folder = pki(&lab, "ecdsa");
    let (me, it, remote, start) = if we_start { ("a", "b", "10.9.0.2", "start") } else { ("b", "a", "any", "none") };
    let auth = match we_start {
        true => format!("auth = \"eap\"\nca = \"{folder}/ca.pem\"\n"),
        false => {
            format!("auth = \"pubkey\"\nremote_auth = \"eap\"\ncert = \"{folder}/b.pem\"\nkey = \"{folder}/b.key\"\n")
        }
    };
    let text = config(me, remote, &GCM, start);
    assert!(text.contains(PSK));
    let text = text.replace(PSK, &format!("{auth}{USER}{more}")).replace("a.lab.test", "a@lab.test");
    let env = [&GCM.env()[..], env].concat();
    let strongswan = || {
        lab.strongswan("eap", it, &env);
        let conf = lab.state.join(format!("strongswan-{it}/swanctl/swanctl.conf"));
        let changed = edit(&std::fs::read_to_string(&conf).unwrap());
        std::fs::write(&conf, changed).unwrap();
        lab.ok("strongswan-peer.sh", &["ctl", it, "--load-all"], &[]);
    };
    let gateway = if we_start {
        strongswan();
        lab.gateway(me, &text, &[])
    } else {
        let gateway = lab.gateway(me, &text, &[]);
        strongswan();
        lab.ok("strongswan-peer.sh", &["initiate", it], &[]);
        gateway
    };
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
    drop(gateway);
    Some(lab)
}

/// `inside`: what strongSwan's server does in the tunnel; its client does what it is asked for.
fn ttls(we_start: bool, ours: &str, inside: &str) {
    let test = format!("ttls_{}_{inside}", if we_start { "we" } else { "they" });
    let phase2 = format!("plugins {{;eap-ttls {{;phase2_method = {inside};}};}}");
    let env = [("LAB_EAP", "ttls"), ("LAB_CHARON", phase2.as_str())];
    let Some(lab) = tunnel(&test, we_start, ours, &env, str::to_owned) else { return };
    lab.wait_charon_log(if we_start { "b" } else { "a" }, "EAP_TTLS");
}

#[test]
fn we_eap_ttls() {
    ttls(true, "eap = [\"ttls\", \"mschapv2\"]\neap_inner = \"eap\"\n", "mschapv2");
}

#[test]
fn they_eap_ttls() {
    ttls(false, "eap = [\"ttls\", \"mschapv2\"]\neap_inner = \"eap\"\n", "mschapv2");
}

const PPK: &str = "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// EAP-MSCHAPv2 with a PPK that `ours` and `theirs` demand, or would only like.
fn ppk(test: &str, we_start: bool, ours: &str, theirs: &str) {
    let keys = format!("ppk_id = \"lab-ppk\"\nppk = \"{PPK}\"\nppk_required = \"{ours}\"\n");
    let lab = tunnel(test, we_start, &keys, &[], |conf| {
        let demands = format!("t : lab.conn {{\n    ppk_id = lab-ppk\n    ppk_required = {theirs}\n");
        let secret = format!("secrets {{\n  ppk {{\n    id = lab-ppk\n    secret = {PPK}\n  }}\n");
        conf.replace("t : lab.conn {\n", &demands).replace("secrets {\n", &secret)
    });
    let Some(lab) = lab else { return };
    lab.wait_charon_log(if we_start { "b" } else { "a" }, "using PPK");
}

#[test]
fn we_eap_with_ppk() {
    ppk("we_eap_ppk", true, "yes", "yes");
}

#[test]
fn they_eap_with_ppk() {
    ppk("they_eap_ppk", false, "yes", "yes");
}

#[test]
fn we_eap_with_ppk_optional() {
    ppk("we_eap_ppk_opt", true, "no", "no");
}

/// Our key, certificate and intermediate CA come from one PKCS#12 file with a password in a file.
#[test]
fn we_pkcs12() {
    let Some(lab) = Lab::up("pkcs12", "direct") else { return };
    let folder = pki(&lab, "big");
    let (file, password) = (lab.state.join("a.p12"), lab.state.join("a.password"));
    std::fs::write(&password, "lab secret\n").unwrap();
    let made = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "pass:lab secret", "-out", file.to_str().unwrap()])
        .args(["-inkey", &format!("{folder}/a.key"), "-in", &format!("{folder}/a.pem")])
        .args(["-certfile", &format!("{folder}/sub.pem")])
        .status();
    assert!(made.unwrap().success());
    let keys = format!(
        "auth = \"pubkey\"\npkcs12 = \"{}\"\npkcs12_password_file = \"{}\"\nca = \"{folder}/ca.pem\"\n",
        file.display(),
        password.display()
    );
    lab.strongswan("cert", "b", &[&GCM.env()[..], &[("LAB_CERT", "big")]].concat());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &GCM, "start").replace(PSK, &keys), &[]);
    gateway.wait("Child SA up");
    lab.ping("a");
    lab.ping("b");
}
