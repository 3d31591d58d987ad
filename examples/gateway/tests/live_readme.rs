//! Live: what README.md tells a newcomer to do with strongSwan, word for word.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panic")]

mod live;
use live::{GCM, Lab};

/// The first block of README.md that begins with `begin`.
fn block(begin: &str) -> &'static str {
    let readme = include_str!("../../../README.md");
    readme.split("```").map(|b| b.trim_start_matches("toml").trim_start()).find(|b| b.starts_with(begin)).unwrap()
}

#[test]
fn a_tunnel_to_strongswan() {
    let Some(lab) = Lab::up("readme", "direct") else { return };
    lab.ip("a", "addr add 192.0.2.1/24 dev eth0");
    lab.ip("b", "addr add 192.0.2.2/24 dev eth0");
    lab.strongswan("psk", "b", &GCM.env());
    let conf = lab.state.join("strongswan-b/swanctl/swanctl.conf");
    std::fs::write(conf, block("connections {")).unwrap();
    let said = lab.ok("strongswan-peer.sh", &["ctl", "b", "--load-all", "--clear", "--noprompt"], &[]);
    assert!(said.contains("loaded connection 'gw'") && said.contains("loaded ike secret 'ike-gw'"), "{said}");
    let gateway = lab.gateway("a", block("[[peer]]"), &[]);
    lab.ping("a");
    let show = gateway.ask(&["show"]);
    assert!(show.contains("office/net: 10.10.1.0/24 === 10.10.2.0/24"), "{show}");
}
