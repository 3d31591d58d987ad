//! libFuzzer's way into `ravelin_fuzz_targets`, target `spd`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (ravelin_fuzz_targets::target("spd").run)(data));
