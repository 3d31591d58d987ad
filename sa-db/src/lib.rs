//! The vocabulary both planes speak, and the three databases of RFC 4301: PAD, SPD, SAD.
//!
//! `ike-proto` asks for [`Change`]s, `esp` says what it saw in [`Report`]s, neither knows the other.
//! Time is an argument everywhere ([`Now`]); nothing here can read a clock.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod change;
pub mod ids;
pub mod params;
pub mod path;
pub mod report;
pub mod selector;
pub mod spi;
pub mod time;

pub use change::{Change, SaRef};
pub use ids::{ChildId, PeerId, PolicyId};
pub use params::{CipherSuite, Direction, Encapsulation, Lifetime, Limits, Mode, Protocol, SaParams};
pub use path::Path;
pub use report::Report;
pub use selector::{AddrRange, PacketKey, PortRange, Selector, TrafficSelector};
pub use spi::Spi;
pub use time::{Instant, Now, UnixTime};
