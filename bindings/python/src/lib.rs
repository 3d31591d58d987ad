//! The native half of the Python package `ravelin`: `ravelin::Node` and its parts, thin. Plain values (events,
//! asks, changes, errors) are classes written in Python, in `python/ravelin/`; this side imports and makes them.
//!
//! * Every object may be used from any thread; calls on one object take turns. Work that takes longer than a look
//!   at a field runs without the interpreter lock.
//! * No clock, socket or thread: time is an argument. Only a node without a seed asks the operating system, once.
//!
//! To add a call: the Rust side in `src/` first, then here and in `_ravelin.pyi`, then `bindings/surface.txt`.

mod change;
mod config;
mod convert;
mod error;
mod event;
mod node;
mod outcome;
mod plane;
mod snapshot;
mod wire;

/// `ravelin._ravelin`.
#[pyo3::pymodule(gil_used = false)]
mod _ravelin {
    #[pymodule_export]
    use crate::config::Config;
    #[pymodule_export]
    use crate::error::{drop_reasons, statuses};
    #[pymodule_export]
    use crate::event::Ticket;
    #[pymodule_export]
    use crate::node::Node;
    #[pymodule_export]
    use crate::outcome::{Acquiring, Bypass, Consumed, Deliver, Discard, Dropped, NoSa, Sealed, Sent, TooBig};
    #[pymodule_export]
    use crate::plane::Plane;
    #[pymodule_export]
    use crate::wire::{IkeCipher, algorithms, describe, esp_line, fields, ike_line, names, walk};
    /// The version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
