//! A C program against the header and the static library: as C11 and as C++17 with every warning an error, and under
//! AddressSanitizer and UBSan.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The static library that this test run built.
fn library() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let folders = [exe.parent().unwrap(), exe.parent().unwrap().parent().unwrap()];
    let newest = |dir: &Path| {
        let files = std::fs::read_dir(dir).ok()?.flatten();
        let ours = files.filter(|f| {
            let name = f.file_name().to_string_lossy().into_owned();
            name.starts_with("libravelin_c") && name.ends_with(".a")
        });
        ours.max_by_key(|f| f.metadata().and_then(|m| m.modified()).ok()).map(|f| f.path())
    };
    folders.iter().find_map(|d| newest(d)).expect("libravelin_c.a, made by cargo test")
}

fn build_and_run(name: &str, compiler: &str, flags: &[&str]) {
    if Command::new(compiler).arg("--version").output().is_err() {
        println!("{name} skipped: no {compiler}");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let built = Command::new(compiler)
        .args(flags)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-I"])
        .arg(root.join("include"))
        .arg(root.join("tests/pair.c"))
        .args(["-x", "none"])
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(&out).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("packet across"), "{name}: {said}");
}

#[test]
fn as_c11() {
    build_and_run("pair-c11", "cc", &["-std=c11"]);
}

#[test]
fn as_cxx17() {
    build_and_run("pair-cxx17", "g++", &["-std=c++17", "-x", "c++"]);
}

#[test]
fn under_sanitizers() {
    build_and_run("pair-asan", "cc", &["-std=c11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
}
