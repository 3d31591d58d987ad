//! The vocabulary both planes speak, and the three databases of RFC 4301: PAD, SPD, SAD.
//!
//! `ike-proto` asks for [`Change`]s, `esp` says what it saw in [`Report`]s, neither knows the other.
//! Time is an argument everywhere ([`Now`]); nothing here can read a clock.
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod change;
pub mod db;
pub mod ids;
pub mod pad;
pub mod params;
pub mod path;
pub mod pool;
pub mod proposal;
pub mod report;
pub mod sad;
pub mod selector;
#[cfg(feature = "std")]
pub mod shared;
#[cfg(feature = "serde")]
pub mod snapshot;
pub mod spd;
pub mod spi;
pub mod time;

pub use change::{Change, SaRef};
pub use db::Db;
pub use ids::{ChildId, PeerId, PolicyId};
pub use pad::{AuthMethod, IdKind, IdPattern, Identity, Pad, Peer, Secrets};
pub use params::{CipherSuite, Direction, Encapsulation, Lifetime, Limits, Mode, Protocol, SaParams};
pub use path::Path;
pub use pool::{Lease, Pool, PoolInfo, Pools};
pub use proposal::{EncrAlg, Proposal, ProposalProtocol};
pub use report::Report;
pub use sad::{Sad, SpiAllocator};
pub use selector::{AddrRange, PacketKey, PortRange, Selector, TrafficSelector};
pub use spd::{Action, Policy, Protect, Scope, Spd};
pub use spi::Spi;
pub use time::{Instant, Now, UnixTime};
