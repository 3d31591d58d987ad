//! The checked-in header is the one that cbindgen makes of the sources. `RAVELIN_BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

#[test]
fn header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(root)
        .with_config(config)
        .with_parse_deps(false)
        .generate()
        .unwrap()
        .write(&mut made);
    let path = root.join("include/ravelin.h");
    let made = String::from_utf8(made).unwrap();
    if std::env::var_os("RAVELIN_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(have == made, "include/ravelin.h is stale: RAVELIN_BLESS=1 cargo test -p ravelin-c --test header");
}

#[test]
fn surface_names_every_call() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let surface = std::fs::read_to_string(root.join("../surface.txt")).unwrap();
    let header = std::fs::read_to_string(root.join("include/ravelin.h")).unwrap();
    let listed: Vec<&str> = surface
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_whitespace().nth(1))
        .filter(|c| *c != "-")
        .collect();
    for call in &listed {
        assert!(header.contains(&format!("{call}(")), "surface.txt names {call}, the header lacks it");
    }
    let in_header = header.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| w.starts_with("ravelin_"));
    for word in in_header {
        let is_call = header.contains(&format!(" {word}(")) || header.contains(&format!("*{word}("));
        assert!(!is_call || listed.contains(&word), "{word} is in the header and not in bindings/surface.txt");
    }
}
