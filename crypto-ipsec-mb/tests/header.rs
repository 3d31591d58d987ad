//! The declarations of `src/ffi.rs`, which are made by hand, against the header that is installed: a C compiler accepts
//! each function declared once more as we have it only when both say the same, and checks sizes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::fmt::Write as _;
use std::process::Command;

#[test]
fn declarations_are_those_of_the_header() {
    if ravelin_crypto_ipsec_mb::instructions().is_none() {
        return println!("skipped: no ipsec-mb in this build or on this processor");
    }
    let mut c = String::from("#include <stddef.h>\n#include <intel-ipsec-mb.h>\n");
    let mut functions = 0;
    // Every name in the invocations of `code!`, which are all there is.
    for name in include_str!("../src/ffi.rs").split(|c: char| !c.is_alphanumeric() && c != '_') {
        let arguments = match name.get(..12) {
            Some("aes_gcm_pre_") => "const void *, struct gcm_key_data *",
            Some("aes_gcm_enc_" | "aes_gcm_dec_") => {
                "const struct gcm_key_data *, struct gcm_context_data *, uint8_t *, uint8_t const *, uint64_t, \
                 const uint8_t *, uint8_t const *, uint64_t, uint8_t *, uint64_t"
            }
            _ => continue,
        };
        functions += 1;
        writeln!(c, "void {name}({arguments});").unwrap();
    }
    assert_eq!(functions, 5 * 9, "functions found in src/ffi.rs");
    // Its parts; what pads it to its alignment is ours.
    c += "_Static_assert(sizeof(((struct gcm_key_data *)0)->expanded_keys) \
          + sizeof(((struct gcm_key_data *)0)->ghash_keys) <= 1008, \"key data\");\n";
    c += "_Static_assert(sizeof(struct gcm_key_data) <= 1024, \"padded key data\");\n";
    c += "_Static_assert(_Alignof(struct gcm_key_data) <= 64, \"alignment of key data\");\n";
    c += "_Static_assert(sizeof(struct gcm_context_data) <= 128, \"context\");\n";
    c += "_Static_assert(_Alignof(struct gcm_context_data) <= 16, \"alignment of context\");\n";
    c += "unsigned imb_get_version(void);\nint imb_get_errno(IMB_MGR *);\nIMB_MGR *alloc_mb_mgr(uint64_t);\n";
    c += "void init_mb_mgr_auto(IMB_MGR *, IMB_ARCH *);\nvoid free_mb_mgr(IMB_MGR *);\n";
    c += "_Static_assert(sizeof(IMB_ARCH) == 4, \"IMB_ARCH\");\n";
    jobs(&mut c);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("header.c");
    std::fs::write(&file, c).unwrap();
    let Ok(out) = Command::new("cc").args(["-std=c11", "-Wall", "-Werror", "-fsyntax-only"]).arg(&file).output() else {
        return println!("skipped: no C compiler");
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Places of what `src/ffi.rs` uses of jobs and managers, as its structures have them, and its numbers.
fn jobs(c: &mut String) {
    let source = include_str!("../src/ffi.rs");
    let fields = |name: &str| {
        let body =
            source.split_once(&format!("struct {name} {{")).and_then(|(_, rest)| rest.split_once('}')).unwrap().0;
        let lines: Vec<_> = body.lines().filter_map(|l| l.trim().strip_suffix(',')?.split_once(": ")).collect();
        assert!(lines.len() > 4, "{name}");
        lines.into_iter().map(|(field, kind)| (field.to_owned(), kind.to_owned()))
    };
    for (name, in_c) in [("Job", "IMB_JOB"), ("Manager", "IMB_MGR")] {
        let mut at = 0;
        for (field, kind) in fields(name) {
            let size = match &*kind {
                "u32" => 4,
                "[u64; 8]" => 64,
                _ => 8,
            };
            if !field.starts_with('_') {
                let field = if field.starts_with("aad") { format!("u.CHACHA20_POLY1305.{field}") } else { field };
                writeln!(c, "_Static_assert(offsetof({in_c}, {field}) == {at}, \"{field}\");").unwrap();
                writeln!(c, "_Static_assert(sizeof((({in_c} *)0)->{field}) == {size}, \"{field}\");").unwrap();
            }
            at += size;
        }
    }
    for call in ["get_next_job", "submit_job_nocheck", "flush_job"] {
        writeln!(c, "IMB_JOB *{call}_of(IMB_MGR *m) {{ IMB_JOB *(*f)(IMB_MGR *) = m->{call}; return f(m); }}").unwrap();
    }
    let numbers =
        source.lines().filter_map(|l| l.strip_prefix("const IMB_")?.strip_suffix(';')?.split_once(": u32 = "));
    let mut numbers: Vec<_> = numbers.map(|(name, value)| (format!("IMB_{name}"), value)).collect();
    numbers.extend([("IMB_DIR_ENCRYPT".to_owned(), "1"), ("IMB_DIR_DECRYPT".to_owned(), "2")]);
    assert_eq!(numbers.len(), 6, "numbers found in src/ffi.rs");
    for (name, value) in numbers {
        writeln!(c, "_Static_assert({name} == {value}, \"{name}\");").unwrap();
    }
}
