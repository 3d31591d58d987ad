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

fn is_function(declared: &str) -> bool {
    !declared.starts_with("typedef") && !declared.starts_with('#')
}

/// One documented declaration of the header: its name, its comment, its text.
fn declarations(header: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for block in header.split("\n/**\n").skip(1) {
        let Some((comment, rest)) = block.split_once("\n */\n") else { continue };
        let comment: Vec<&str> = comment.lines().map(|l| l.trim_start_matches(" *").trim_start()).collect();
        let first = rest.lines().next().unwrap_or_default();
        let body = rest.find("\n}").and_then(|at| rest.get(at..)?.find(';').map(|semi| at + semi + 1));
        let declared = match () {
            () if first.starts_with("#define") || first.ends_with(';') => first,
            () if first.starts_with("typedef") => rest.get(..body.unwrap_or(0)).unwrap_or_default(),
            () => rest.get(..rest.find(";\n").map_or(0, |at| at + 1)).unwrap_or_default(),
        };
        let words: Vec<&str> = declared.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let mut names = words.iter().filter(|w| w.to_lowercase().starts_with("ravelin_"));
        let name = match is_function(declared) {
            true => names.find(|w| declared.contains(&format!("{w}("))),
            false => names.next(),
        };
        let Some(name) = name else { continue };
        all.push((
            (*name).to_owned(),
            comment.join("\n").replace("# Safety", "**The caller vouches:**"),
            declared.to_owned(),
        ));
    }
    all
}

/// The header as a document: functions by what they are about, then types.
#[test]
fn reference_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("include/ravelin.h")).unwrap();
    let all = declarations(&header);
    let parts = [
        ("Configuration", "ravelin_config_"),
        ("Nodes", "ravelin_node_"),
        ("Snapshots", "ravelin_snapshot_"),
        ("Planes", "ravelin_plane_"),
        ("Workers", "ravelin_worker_"),
        ("Messages", "ravelin_message_"),
        ("Of the library", "ravelin_"),
    ];
    let mut text = String::from(
        "# Reference of the C library\n\nMade of `bindings/c/include/ravelin.h` by `RAVELIN_BLESS=1 cargo test -p ravelin-c --test header`; \
         do not edit. The contract and examples: [c.md](c.md).\n",
    );
    let mut done: Vec<&str> = Vec::new();
    for (title, prefix) in parts {
        text += &format!("\n## {title}\n");
        for (name, comment, declared) in &all {
            if is_function(declared) && name.starts_with(prefix) && !done.contains(&name.as_str()) {
                text += &format!("\n### `{name}`\n\n```c\n{declared}\n```\n\n{comment}\n");
                done.push(name);
            }
        }
    }
    text += "\n## Types\n";
    for (name, comment, declared) in all.iter().filter(|(.., d)| !is_function(d)) {
        text += &format!("\n### `{name}`\n\n{comment}\n\n```c\n{declared}\n```\n");
        done.push(name);
    }
    let surface = std::fs::read_to_string(root.join("../surface.txt")).unwrap();
    let calls = surface.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_whitespace().nth(1));
    for call in calls.filter(|c| *c != "-") {
        assert!(done.contains(&call), "{call} is not in the reference: it has no comment?");
    }
    let path = root.join("../../docs/c-reference.md");
    if std::env::var_os("RAVELIN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(have == text, "docs/c-reference.md is stale: RAVELIN_BLESS=1 cargo test -p ravelin-c --test header");
}
