//! The C ABI: `ravelin::Node` through opaque handles (design §10). The contract is in `docs/c.md`; in short:
//!
//! * Every function returns a status; out-parameters are written only on `RAVELIN_STATUS_CODE_OK`.
//! * NULL, lengths and handles are checked; a panic never crosses (`RAVELIN_STATUS_CODE_PANIC`).
//! * Each function says which threads may call it. Where it says one at a time, a second one gets
//!   `RAVELIN_STATUS_CODE_BUSY`. Handles are independent.
//! * What a node lends lives until its next `ravelin_node_poll_output`; each function says if it is otherwise.
//! * No clock, socket, thread or randomness of the operating system: time and seed are arguments.
//!
//! To add a call: the Rust side in `src/` first, then here, then `bindings/surface.txt`.

#![allow(clippy::unit_arg, reason = "`Ok(call())` keeps an entry without a result in one line")]

mod ask;
mod config;
mod guard;
mod message;
mod node;
mod output;
mod packets;
mod peer;
mod plane;
mod sa;
mod saved;
mod snapshot;
mod types;

pub use ask::*;
pub use config::*;
pub use message::*;
pub use node::*;
pub use output::*;
pub use packets::*;
pub use peer::*;
pub use plane::*;
pub use sa::*;
pub use saved::*;
pub use snapshot::*;
pub use types::*;
