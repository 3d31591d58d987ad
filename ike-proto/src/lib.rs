//! IKEv2 (RFC 7296) without I/O: messages, keys, exchanges, SAs and the endpoint that holds them.
//!
//! Rooms, lowest first: [`registry`] (IANA's numbers), [`wire`] (octets to typed values and back). Arrows between
//! the rooms only point down; `tests/layers.rs` reads the sources and checks that.
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "tls"))]
extern crate std;

pub mod ask;
pub mod auth;
pub mod config;
pub mod eap;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod exchange;
pub mod ext;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod ids;
pub mod keys;
pub mod negotiate;
pub mod output;
pub mod registry;
pub mod sa;
pub mod seal;
pub mod wire;

pub use ask::{Answer, Ask, Ticket};
pub use config::Config;
pub use endpoint::{Deadline, Endpoint};
pub use error::{ApiError, Reason};
pub use event::Event;
pub use ids::{IkeSaId, Role};
pub use output::{Output, Transmit};
