//! Fuzz targets as plain functions: octets in, a panic when a property is broken. `fuzz/fuzz_targets` wraps each for
//! libFuzzer, `tests/replay.rs` replays corpora and past crashes and runs each for a stated number of executions in the
//! ordinary test run. How to run a campaign stands in `docs/fuzzing.md`.
//!
//! To add a target: a file here with a function of `&[u8]`, one line in [`TARGETS`], a wrapper in `fuzz/fuzz_targets`
//! (a test says when it is missing), seeds in `seeds.rs`.

pub mod alloc;
mod c_abi;
mod config_toml;
mod conversation;
mod eap;
mod esp;
mod message;
mod model;
pub mod mutate;
mod radius;
mod replay_window;
pub mod seeds;
mod sk;
mod spd;
mod world;
mod x509;

pub use conversation::{silently as conversation_run, told as conversation_told};
pub use model::judged as model_judged;

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// As in `cargo fuzz run NAME`.
    pub name: &'static str,
    /// What it does with octets.
    pub run: fn(&[u8]),
    /// Executions in the ordinary test run; `RAVELIN_FULL=1` makes it a hundred times as many.
    pub executions: u64,
    /// Longest input that makes sense.
    pub max_len: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "message", run: message::datagram, executions: 20_000, max_len: 2048 },
    Target { name: "payload", run: message::payload, executions: 30_000, max_len: 1024 },
    Target { name: "sk", run: sk::sk, executions: 4_000, max_len: 1024 },
    Target { name: "skf", run: sk::skf, executions: 2_000, max_len: 1024 },
    Target { name: "conversation", run: conversation::run, executions: 250, max_len: 1024 },
    Target { name: "initiator", run: conversation::initiator, executions: 150, max_len: 1024 },
    Target { name: "stranger", run: conversation::stranger, executions: 400, max_len: 2048 },
    Target { name: "esp_raw", run: esp::raw, executions: 10_000, max_len: 512 },
    Target { name: "esp_sealed", run: esp::sealed, executions: 3_000, max_len: 1024 },
    Target { name: "replay_window", run: replay_window::run, executions: 5_000, max_len: 512 },
    Target { name: "config_toml", run: config_toml::run, executions: 2_000, max_len: 4096 },
    Target { name: "certificate", run: x509::certificate, executions: 3_000, max_len: 4096 },
    Target { name: "crl", run: x509::crl, executions: 1_500, max_len: 4096 },
    Target { name: "ocsp", run: x509::ocsp, executions: 400, max_len: 4096 },
    Target { name: "radius", run: radius::run, executions: 2_000, max_len: 1024 },
    Target { name: "c_abi", run: c_abi::run, executions: 400, max_len: 1024 },
    Target { name: "eap_server", run: eap::server, executions: 4_000, max_len: 512 },
    Target { name: "eap_client", run: eap::client, executions: 4_000, max_len: 512 },
    Target { name: "spd", run: spd::run, executions: 1_000, max_len: 512 },
];

/// The target of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no target {name}"))
}
