//! The layer rule: `registry < wire < {keys, seal, negotiate, auth, eap, ext} < exchange < sa < endpoint`.
//!
//! `event`, `ask`, `error`, `ids`, `output`, `fault` and `config` are vocabulary that everything above `wire` may speak; it
//! speaks of nothing above itself. Rooms of one rank may use each
//! other, but never in a circle. The sources are read: every path that begins with `crate::`, and every `super::` that
//! leaves its room. A new room gets its rank in [`RANKS`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
#![allow(clippy::disallowed_methods, reason = "reads the sources from disk")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const RANKS: &[(&str, u8)] = &[
    ("registry", 0),
    ("wire", 1),
    ("event", VOCABULARY),
    ("ask", VOCABULARY),
    ("error", VOCABULARY),
    ("ids", VOCABULARY),
    ("output", VOCABULARY),
    ("config", VOCABULARY),
    ("fault", VOCABULARY),
    ("keys", 3),
    ("seal", 3),
    ("negotiate", 3),
    ("auth", 3),
    ("eap", 3),
    ("ext", 3),
    ("exchange", 4),
    ("sa", 5),
    ("endpoint", 6),
];
const VOCABULARY: u8 = 2;

fn rank(room: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// Rooms that a source file names. `module` is its path in the crate (`["wire", "notify", "cookie"]`).
fn used(module: &[&str], source: &str) -> BTreeSet<String> {
    let code: String = source.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` is a macro's own crate, `xcrate::` is no keyword.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        heads(&code[at + "crate::".len()..], &mut rooms);
    }
    let mut rest = code.as_str();
    while let Some(at) = rest.find("super::") {
        let mut tail = &rest[at..];
        let mut ups = 0;
        while let Some(t) = tail.strip_prefix("super::") {
            (tail, ups) = (t, ups + 1);
        }
        // As many steps as the path has segments lead to the crate's root; fewer stay in the room. In a module inside
        // the file the same steps lead to an item of the file, so only names of rooms count.
        if ups == module.len() {
            let mut names = BTreeSet::new();
            heads(tail, &mut names);
            rooms.extend(names.into_iter().filter(|n| rank(n).is_some()));
        }
        rest = tail;
    }
    rooms
}

/// The first names of a path, or of each path of a group in braces.
fn heads(path: &str, rooms: &mut BTreeSet<String>) {
    let name = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else {
        rooms.insert(name(path));
        return;
    };
    let mut depth = 0;
    let mut start = true;
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if c.is_whitespace() => {}
            _ if start => {
                rooms.insert(name(&group[i..]));
                start = false;
            }
            _ => {}
        }
    }
}

/// What is wrong with one room's use of others.
fn judge(room: &str, other: &str) -> Option<String> {
    let (Some(mine), Some(theirs)) = (rank(room), rank(other)) else {
        let unknown = if rank(room).is_none() { room } else { other };
        return Some(format!("room `{unknown}` has no rank in tests/layers.rs"));
    };
    (room != other && theirs > mine).then(|| format!("`{room}` must not use `{other}`: arrows point down"))
}

/// A circle among rooms, if there is one.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    fn visit(at: &str, edges: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>) -> Option<String> {
        if let Some(from) = path.iter().position(|p| p == at) {
            return Some(format!("circle: {} -> {at}", path[from..].join(" -> ")));
        }
        path.push(at.to_owned());
        let found = edges.get(at).into_iter().flatten().find_map(|next| visit(next, edges, path));
        path.pop();
        found
    }
    edges.keys().find_map(|room| visit(room, edges, &mut Vec::new()))
}

fn walk(dir: &Path, module: &mut Vec<String>, each: &mut dyn FnMut(&[String], &str, &Path)) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            module.push(stem);
            walk(&path, module, each);
            module.pop();
        } else if path.extension().is_some_and(|e| e == "rs") {
            let own = stem != "mod" && !(module.is_empty() && stem == "lib");
            if own {
                module.push(stem);
            }
            each(module, &std::fs::read_to_string(&path).unwrap(), &path);
            if own {
                module.pop();
            }
        }
    }
}

#[test]
fn arrows_only_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut files = 0;
    walk(&src, &mut Vec::new(), &mut |module, source, path| {
        files += 1;
        let Some(room) = module.first() else { return };
        let names: Vec<&str> = module.iter().map(String::as_str).collect();
        for other in used(&names, source) {
            wrong.extend(judge(room, &other).map(|e| format!("{}: {e}", path.display())));
            if *room != other {
                edges.entry(room.clone()).or_default().insert(other);
            }
        }
        if rank(room).is_some_and(|r| r < VOCABULARY) && source.contains("ravelin_sa_db") {
            wrong.push(format!("{}: `{room}` must not use sa-db", path.display()));
        }
    });
    wrong.extend(circle(&edges));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 60 && edges["wire"].contains("registry"), "the sources were not found");
}

#[test]
fn the_reader_sees_what_it_must() {
    let set = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<BTreeSet<_>>();
    let source =
        "use crate::registry::X;\nuse crate::{keys::{A, B}, sa,\n wire::Y};\nlet x = crate::ext::f();\n// crate::eap\n";
    assert_eq!(used(&["auth", "psk"], source), set(&["registry", "keys", "sa", "wire", "ext"]));
    assert_eq!(used(&["auth", "psk"], "super::x; super::super::endpoint::y"), set(&["endpoint"]));
    assert_eq!(used(&["config"], "mod tests { use super::*; use super::Config; }"), set(&[]));
    assert_eq!(used(&["auth", "psk"], "$crate::a; mycrate::b"), set(&["a"]));
}

#[test]
fn the_rule_can_be_broken() {
    assert!(judge("wire", "keys").is_some() && judge("sa", "endpoint").is_some() && judge("wire", "error").is_some());
    assert!(judge("wire", "attic").is_some_and(|e| e.contains("attic")));
    assert!(judge("keys", "wire").is_none() && judge("ext", "error").is_none() && judge("auth", "keys").is_none());
    let edge = |a: &str, b: &str| (a.to_owned(), BTreeSet::from([b.to_owned()]));
    assert!(circle(&BTreeMap::from([edge("auth", "keys"), edge("keys", "auth")])).is_some());
    assert!(circle(&BTreeMap::from([edge("auth", "keys"), edge("keys", "wire")])).is_none());
}
