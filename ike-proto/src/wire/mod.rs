//! Octets to typed values and back: the complete RFC 7296 message format, and the rule which payload may stand where.
//!
//! [`header`] and [`chain`] split a datagram, [`payload`] has one file per payload, [`notify`] one per notify with
//! data, [`message`] joins them. Decoding checks every length; what was decoded encodes to the same octets, with
//! reserved bits a foreign peer set. [`rules`] and [`order`] know no octets, only payload kinds.
//! To add a payload: one file in `payload/`, one variant and one arm each in `payload/mod.rs`, one row in [`rules`].

pub mod chain;
mod dump;
pub mod error;
pub mod header;
pub mod message;
pub mod notify;
pub mod order;
pub mod payload;
mod read;
pub mod rules;
mod write;

pub use error::{Fault, Place, WireError};
pub use header::{Flags, HEADER_LEN, Header, IkeSpi};
pub use message::{Envelope, Message, Protected};
pub use payload::{Payload, Payloads};
