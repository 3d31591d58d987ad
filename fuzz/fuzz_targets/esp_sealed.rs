//! libFuzzer's way into `ravelin_fuzz_targets`, target `esp_sealed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (ravelin_fuzz_targets::target("esp_sealed").run)(data));
