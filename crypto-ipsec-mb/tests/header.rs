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
    let mut c = String::from("#include <intel-ipsec-mb.h>\n");
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
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("header.c");
    std::fs::write(&file, c).unwrap();
    let Ok(out) = Command::new("cc").args(["-std=c11", "-Wall", "-Werror", "-fsyntax-only"]).arg(&file).output() else {
        return println!("skipped: no C compiler");
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
