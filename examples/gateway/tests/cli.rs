//! The program's face: what it prints, and its exit status.
#![allow(clippy::unwrap_used, reason = "a test fails by panic")]

use std::process::{Command, Output};

fn gateway(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway")).args(args).output().unwrap()
}

fn file(name: &str, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("ravelin-cli-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const GOOD: &str = r#"
[[peer]]
name = "office"
remote = "192.0.2.2"
local_id = "gw.example.org"
psk = "a long and random secret"
[[peer.child]]
name = "net"
local_ts = "10.10.1.0/24"
remote_ts = "10.10.2.0/24"
"#;

#[test]
fn a_good_file_is_explained() {
    let path = file("good", GOOD);
    let out = gateway(&["check", &path]);
    std::fs::remove_file(&path).unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success());
    assert_eq!(
        said,
        format!(
            "{path}: good; 1 peers, 1 children\npeer office at 192.0.2.2, gw.example.org === 192.0.2.2\n  \
             child office/net: 10.10.1.0/24 === 10.10.2.0/24\n"
        )
    );
}

#[test]
fn a_mistake_is_one_line_with_its_place() {
    let path = file("bad", &GOOD.replace("192.0.2.2", "192.0.2.256"));
    for command in ["check", "run"] {
        let out = gateway(&[command, &path]);
        assert_eq!(out.status.code(), Some(1));
        assert_eq!(
            String::from_utf8(out.stderr).unwrap(),
            format!(
                "gateway: {path}:4:10: peer[0].remote: expected an IP address, or \"any\" for a peer that starts by \
                 itself, found \"192.0.2.256\"\n"
            )
        );
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_client_without_a_gateway_says_so() {
    let out = gateway(&["show", "--control", "/no/such/socket"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8(out.stderr).unwrap().contains("is the gateway running?"));
}
