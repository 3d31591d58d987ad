//! Rekeying, lifetimes and reauthentication between two endpoints in memory; every order of crossing messages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod document;
#[path = "../endpoints/mod.rs"]
mod endpoints;
mod followup;
mod fresh_ppk;
mod life;
mod matrix;
mod world;
