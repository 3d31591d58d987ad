//! C programs against the header: as C11 and C++17 with every warning an error, under AddressSanitizer and UBSan, under
//! valgrind; against an installed prefix by `pkg-config` flags alone, dynamically and statically; what the libraries
//! show of themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: no {tool}");
    }
    there
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}\n{}", said(&out));
    said(&out)
}

/// The folder where this test run put the libraries.
fn built() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap();
    let newest = |end: &str| {
        let files = std::fs::read_dir(deps).unwrap().flatten();
        let ours = files.filter(|f| {
            let name = f.file_name().to_string_lossy().into_owned();
            name.starts_with("libravelin_c") && name.ends_with(end)
        });
        ours.max_by_key(|f| f.metadata().and_then(|m| m.modified()).ok()).map(|f| f.path()).expect(end)
    };
    let folder = scratch("libraries");
    std::fs::create_dir_all(&folder).unwrap();
    for end in [".a", ".so"] {
        let to = folder.join(format!("libravelin_c{end}"));
        let _ = std::fs::remove_file(&to);
        std::os::unix::fs::symlink(newest(end), to).unwrap();
    }
    folder
}

/// A prefix with everything installed. Tests share it, in one process or in many: whoever is first makes it.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let lock = std::fs::File::create(scratch("prefix.lock")).unwrap();
        lock.lock().unwrap();
        let (prefix, built) = (scratch("prefix"), built());
        let age = |path: PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let newest = [built.join("libravelin_c.so"), root().join("install.sh"), root().join("include/ravelin.h")];
        let newest = newest.into_iter().filter_map(age).max();
        if age(prefix.join("lib/pkgconfig/ravelin.pc")) <= newest {
            run(Command::new(root().join("install.sh")).arg("--prefix").arg(&prefix).arg("--no-build").arg(&built));
        }
        prefix
    })
}

fn pkg_config(args: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(args).arg("ravelin").env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    run(&mut command).split_whitespace().map(String::from).collect()
}

/// Compiles one of the programs against the installed prefix.
fn compile(program: &str, compiler: &str, flags: &[&str], statically: bool) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let out = scratch(&format!("{program}-{}-{number}", std::process::id()));
    let pc: &[&str] = if statically { &["--static", "--cflags", "--libs"] } else { &["--cflags", "--libs"] };
    let mut command = Command::new(compiler);
    command.args(flags).args(WARNINGS).arg(root().join("tests").join(program)).args(["-x", "none"]);
    command.args(pkg_config(pc)).arg("-pthread").arg("-o").arg(&out);
    if statically {
        command.arg("-static");
    }
    run(&mut command);
    out
}

/// Runs what was compiled, by itself or by `before`, and removes it.
fn execute(program: &Path, before: &[&str]) {
    let mut command = Command::new(before.first().map_or(program.as_os_str(), |b| b.as_ref()));
    if let Some(args) = before.get(1..) {
        command.args(args).arg(program);
    }
    let text = run(command.env("LD_LIBRARY_PATH", prefix().join("lib")));
    assert!(text.contains("all as it should be"), "{text}");
    let _ = std::fs::remove_file(program);
}

const C11: &[&str] = &["-std=c11", "-D_DEFAULT_SOURCE"];
const CXX17: &[&str] = &["-std=c++17", "-x", "c++"];

#[test]
fn as_c11_and_cxx17_dynamically_and_statically() {
    if !has("cc") || !has("g++") || !has("pkg-config") {
        return;
    }
    for statically in [false, true] {
        for program in ["pair.c", "areas.c", "auth.c"] {
            execute(&compile(program, "cc", C11, statically), &[]);
            execute(&compile(program, "g++", CXX17, statically), &[]);
        }
    }
    execute(&compile("misuse.c", "cc", C11, false), &[]);
}

/// `nm`: defined global symbols of both libraries.
#[test]
fn the_library_shows_only_its_own_names() {
    if !has("nm") || !has("objcopy") {
        return;
    }
    let lib = prefix().join("lib");
    let header = std::fs::read_to_string(root().join("include/ravelin.h")).unwrap();
    for (file, args) in [("libravelin.so", ["-D", "--defined-only"]), ("libravelin.a", ["-g", "--defined-only"])] {
        let text = run(Command::new("nm").args(args).arg(lib.join(file)));
        let names: Vec<&str> = text.lines().filter_map(|l| l.split_whitespace().nth(2)).collect();
        assert!(names.len() > 90, "{file}: {} names", names.len());
        for name in names {
            assert!(name.starts_with("ravelin_") && header.contains(&format!("{name}(")), "{file} shows {name}");
        }
    }
}

#[test]
fn the_shared_library_has_its_name() {
    if !has("readelf") || !has("objcopy") {
        return;
    }
    let lib = prefix().join("lib");
    let text = run(Command::new("readelf").arg("-d").arg(lib.join("libravelin.so")));
    assert!(text.contains("soname: [libravelin.so.1]"), "{text}");
    let version = std::fs::read_to_string(root().join("include/ravelin.h")).unwrap();
    let value = version.lines().find_map(|l| l.strip_prefix("#define RAVELIN_ABI_VERSION ")).unwrap();
    assert_eq!(value.parse::<u32>().unwrap() >> 16, 1, "soname and ABI version have the same major number");
    assert!(lib.join("libravelin.so.1").exists());
}

#[test]
fn under_sanitizers() {
    if !has("cc") || !has("pkg-config") {
        return;
    }
    let flags = [C11, &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]];
    for program in ["pair.c", "areas.c", "auth.c", "misuse.c"] {
        execute(&compile(program, "cc", &flags.concat(), false), &[]);
    }
}

#[test]
fn under_valgrind() {
    if !has("valgrind") || !has("cc") || !has("pkg-config") {
        return;
    }
    // What a library makes once for the whole process (a table of OIDs, say) stays reachable and is no leak; hash tables are held
    // by a pointer into their middle, which valgrind calls "possibly lost".
    let leaks = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"];
    let valgrind = [&["valgrind", "-q", "--error-exitcode=9", "--fair-sched=yes"], &leaks[..]].concat();
    std::thread::scope(|s| {
        for program in ["pair.c", "areas.c", "auth.c", "misuse.c"] {
            let valgrind = &valgrind;
            s.spawn(move || execute(&compile(program, "cc", C11, false), valgrind));
        }
    });
}
