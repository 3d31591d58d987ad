//! `docs/rfc7296.md` tells the truth as far as a test can tell: every section has a row, and every file and every name in
//! it exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sections of RFC 7296 that ask something of an implementation, by its table of contents. Left out are the overviews
/// before 1.2, the terms and histories in 1.6 to 1.8, and what is about documents only (6 and later).
fn sections() -> BTreeSet<String> {
    let groups: [(&str, &[u32]); 9] = [
        ("1", &[2, 3, 4, 5]),
        ("1.3", &[1, 2, 3]),
        ("2.8", &[1, 2, 3]),
        ("2.9", &[1, 2]),
        ("2.21", &[1, 2, 3, 4]),
        ("2.25", &[1, 2]),
        ("3.3", &[1, 2, 3, 4, 5, 6]),
        ("3.15", &[1, 2, 3, 4]),
        ("5", &[1]),
    ];
    let single = ["1.4.1", "2.6.1", "2.23.1", "3.10.1", "3.13.1", "4", "5"].map(String::from);
    let parts = groups.iter().flat_map(|(head, tails)| tails.iter().map(move |t| format!("{head}.{t}")));
    let second = (1..=25).map(|n| format!("2.{n}"));
    let third = (1..=16).map(|n| format!("3.{n}"));
    parts.chain(single).chain(second).chain(third).collect()
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/rfc7296.md")).expect("docs/rfc7296.md")
}

#[test]
fn every_section_of_rfc_7296_has_a_row() {
    let text = document();
    let rows: BTreeSet<String> = text
        .lines()
        .filter_map(|l| l.strip_prefix("| ")?.split(" |").next().map(str::trim))
        .filter(|s| s.starts_with(|c: char| c.is_ascii_digit()))
        .map(String::from)
        .collect();
    assert_eq!(rows, sections());
    for line in text.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| Section")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" |").map(str::trim).collect();
        let [_, asks, place, shown] = cells[..] else { panic!("four cells: {line}") };
        assert!(!asks.is_empty() && !place.is_empty(), "{line}");
        // What is implemented has a place; what is not says so in words.
        assert!(!shown.is_empty() || place.contains(' ') || place.contains("esp/"), "neither test nor reason: {line}");
    }
}

#[test]
fn every_file_and_name_in_it_exists() {
    let text = document();
    let mut seen = 0;
    for word in text.split('`').skip(1).step_by(2).filter(|w| w.contains(".rs")) {
        let (file, name) = word.split_once("::").map_or((word, None), |(f, n)| (f, Some(n)));
        let places = [("T/", "testkit/tests/"), ("IT/", "ike-proto/tests/"), ("I/", "ike-proto/src/")];
        let found = places.iter().find_map(|(short, long)| Some(format!("{long}{}", file.strip_prefix(short)?)));
        let path = root().join(found.unwrap_or_else(|| file.to_string()));
        let Ok(source) = std::fs::read_to_string(&path) else { panic!("{word}: no such file") };
        if let Some(name) = name {
            let there = ["(", "<"].iter().any(|next| source.contains(&format!("fn {name}{next}")));
            assert!(there, "{word}: no such function");
        }
        seen += 1;
    }
    assert!(seen > 150, "only {seen} names were found");
}
