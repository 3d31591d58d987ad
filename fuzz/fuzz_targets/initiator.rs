//! libFuzzer's way into `ravelin_fuzz_targets`, target `initiator`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (ravelin_fuzz_targets::target("initiator").run)(data));
