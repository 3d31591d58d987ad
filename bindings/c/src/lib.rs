//! The C ABI: `ravelin::Node` through opaque handles (design §10). The contract is in `docs/c.md`; in short:
//!
//! * Every function returns a status; out-parameters are written only on `RAVELIN_STATUS_OK`.
//! * NULL and lengths are checked; a panic never crosses (`RAVELIN_STATUS_PANIC`).
//! * A handle is used by one thread at a time; a second one gets `RAVELIN_STATUS_BUSY`. Handles are independent.
//! * Lent octets live until the next call on the same handle.
//! * No clock, socket, thread or randomness of the operating system: time and seed are arguments.
//!
//! To add a call: the Rust side in `src/` first, then here, then `bindings/surface.txt`.

mod config;
mod guard;
mod node;
mod output;
mod types;

pub use config::*;
pub use node::*;
pub use output::*;
pub use types::*;
