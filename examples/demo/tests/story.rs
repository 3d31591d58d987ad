//! The demo as a user runs it: it must succeed and tell the whole story.
#![allow(clippy::unwrap_used, reason = "a test fails by panic")]

use std::process::Command;

#[test]
fn the_demo_tells_what_happened() {
    let out = Command::new(env!("CARGO_BIN_EXE_demo")).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    for part in [
        "authenticated both ways, as initiator",
        "authenticated both ways, as responder",
        "10.1.0.0/24 to 10.2.0.0/24",
        "1000 UDP datagrams each way at once: all came",
        "Gbit/s",
        "IKE SA closed: deleted by the peer",
    ] {
        assert!(said.contains(part), "no \"{part}\" in\n{said}");
    }
}
