//! libFuzzer's way into `ravelin_fuzz_targets`, target `sk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (ravelin_fuzz_targets::target("sk").run)(data));
