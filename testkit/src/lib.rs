//! A simulated network for IPsec nodes: hosts with addresses, NAT boxes, bad links, virtual time that jumps to the next
//! deadline, and one seed. Nothing here reads a clock or sleeps: the same seed and script give the same octets.
//!
//! [`Sim`] is the world; `pair.rs` makes ready-made nodes; `net.rs` has links, `nat.rs` NAT boxes, `message.rs` what
//! travels and the hooks on it, `packet.rs` inner packets, `check.rs` the assertions, `record.rs` captures for Wireshark,
//! `schedule.rs` random schedules. A test that panics prints seed, script and the last messages.
//!
//! ```
//! use ravelin_testkit::{Pair, Sim, secs};
//! let mut sim = Sim::new(7);
//! let (a, b) = Pair::new().build(&mut sim);
//! sim.network(|link| link.loss(30).duplicate(30).reorder(30));
//! sim.initiate(a, b);
//! sim.run_until(secs(170), "both up", |sim| sim.is_up(a, b));
//! sim.perfect_network();
//! sim.expect_ping(a, b);
//! sim.assert_in_step(a, b);
//! ```
//!
//! To add an impairment: a field of [`Link`] and an arm in `Sim::carry`. To add an assertion: a method in `check.rs`.

mod check;
mod command;
mod host;
mod message;
mod nat;
mod net;
mod network;
pub mod packet;
pub mod pair;
pub mod record;
pub mod schedule;
pub mod setting;
mod sim;
mod time;
mod traffic;
mod world;

pub use host::{Delivered, Host, Sealed};
pub use message::{Carrier, Fate, Kind, Message, of};
pub use nat::{Nat, NatBox, NatKind};
pub use net::Link;
pub use pair::{Pair, Side};
pub use sim::{Entry, Outcome, Sim};
pub use time::{millis, minutes, secs};
