//! libFuzzer's way into `ravelin_fuzz_targets`, target `crl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (ravelin_fuzz_targets::target("radius").run)(data));
