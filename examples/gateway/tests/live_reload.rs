//! Live: reading the configuration again, and flushing, while a tunnel with strongSwan is up.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab, SOON, Stream, config, wait};

const MORE: &str = r#"
[[peer.child]]
name = "more"
local_ts = "10.10.1.0/24"
remote_ts = "10.10.9.0/24"
esp = "aes128gcm16"
"#;

#[test]
fn reload() {
    let Some(lab) = Lab::up("reload", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let good = config("a", "10.9.0.2", &GCM, "start");
    let gateway = lab.gateway("a", &good, &[]);
    gateway.wait("Child SA up");
    let stream = Stream::start(&lab);

    // A mistake: it is told with file, line and key, and nothing changes.
    gateway.write_config(&good.replace("start = \"start\"", "start = \"later\""));
    let said = gateway.ask_in_vain(&["reload"]);
    let expected = "peer[0].child[0].start: expected \"none\", \"start\" or \"trap\", found \"later\"";
    assert!(said.contains("gateway-a.toml:18:9: ") && said.contains(expected), "{said}");
    assert!(said.contains("stays in force"), "{said}");
    gateway.signal("-HUP");
    gateway.wait("reload: ");
    gateway.write_config("this is no TOML");
    assert!(gateway.ask_in_vain(&["reload"]).contains("not TOML"));
    gateway.write_config(&good);
    assert!(gateway.ask(&["reload"]).contains("nothing changed"));

    // A child and a pool more, by signal; the tunnel does not notice.
    gateway.write_config(&format!("mtu = 1300\n[[pool]]\nname = \"p\"\naddrs = \"10.10.3.0/24\"\n{good}{MORE}"));
    gateway.signal("-HUP");
    gateway.wait("added: p t/more");
    gateway.wait("[gateway] mtu: takes effect at the next start");
    let show = gateway.ask(&["show"]);
    assert!(show.contains("t/more") && show.contains("10.10.3.1-10.10.3.254"), "{show}");
    assert!(lab.ip("a", "route show table 220").contains("10.10.9.0/24"));

    // It goes again; then times change, which holds for SAs to come.
    gateway.write_config(&good.replace("dpd_delay = \"off\"", "dpd_delay = \"off\"\nrekey_time = \"1h\""));
    let said = gateway.ask(&["reload"]);
    assert!(said.contains("removed: t/more p") && said.contains("changed: t\n"), "{said}");
    assert!(!lab.ip("a", "route show table 220").contains("10.10.9.0/24"));
    stream.check();
    assert_eq!(gateway.count("Child SA up"), 1, "{}", gateway.log());

    // Other selectors: the Child SA for the old ones goes, and one for the new ones comes.
    gateway.write_config(&good.replace("10.10.1.0/24", "10.10.1.0/25"));
    gateway.ask(&["reload"]);
    gateway.wait_count("Child SA up", 2, SOON);
    gateway.wait_show(SOON, |s| {
        s.matches("10.10.1.0/25 === 10.10.2.0/24").count() == 1 && s.matches("child-").count() == 1
    });
    lab.ping("a");

    // Another peer in its place: strongSwan hears a Delete.
    gateway.write_config(&good.replace("name = \"t\"", "name = \"u\"").replace("\"start\"", "\"trap\""));
    let said = gateway.ask(&["reload"]);
    assert!(said.contains("added: u") && said.contains("removed: t"), "{said}");
    lab.wait_charon_log("b", "received DELETE for IKE_SA");
    lab.ping_until("a", "10.10.1.1", "10.10.2.1");
    assert!(gateway.ask(&["show"]).contains("u/net"));
}

#[test]
fn flush() {
    let Some(lab) = Lab::up("flush", "direct") else { return };
    lab.strongswan("psk", "b", &GCM.env());
    let gateway = lab.gateway("a", &config("a", "10.9.0.2", &GCM, "start"), &[]);
    gateway.wait("Child SA up");
    assert!(gateway.ask(&["flush"]).contains("deleting 1 IKE SA"));
    gateway.wait("IKE SA closed");
    wait(SOON, || !lab.charon_sas("b").contains("ESTABLISHED")).expect("strongSwan knows");
    assert!(!gateway.ask(&["show"]).contains("ike-"));
    lab.ping_until("a", "10.10.1.1", "10.10.2.1");
}
