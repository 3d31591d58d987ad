//! ESP and AH (RFC 4303, RFC 4302): packets in and out of protection, replay windows, modes, encapsulation, and the
//! [`Plane`] that any number of threads share.
//!
//! | room | what |
//! |---|---|
//! | [`packet`] | IP headers to selector keys |
//! | [`sequence`], [`replay`] | numbers out, window in |
//! | `nonce`, `transform` | IVs, the cryptographic part of a packet |
//! | [`outbound`], [`inbound`] | one keyed direction: seal, open |
//! | [`ah`] | the Authentication Header |
//! | [`mode`], [`encap`] | tunnel, transport, BEET; UDP, TCP |
//! | [`plane`] | SAs by SPI and policy, ingress, egress, bursts, reports, counters |
//!
//! No I/O, no clock, no thread, no randomness of the operating system; nothing is allocated per packet. Errors are
//! [`DropReason`]s: `Copy`, one per cause.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod ah;
pub mod checksum;
pub mod encap;
pub mod error;
pub mod fragment;
pub mod icmp;
pub mod inbound;
pub mod lifetime;
pub mod mode;
pub mod mss;
mod nonce;
pub mod outbound;
pub mod packet;
pub mod plane;
pub mod replay;
mod selectors;
pub mod sequence;
mod transform;

#[cfg(test)]
mod scapy;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;

pub use error::{DropReason, PlaneError};
pub use inbound::{InboundSa, Opened};
pub use outbound::OutboundSa;
pub use packet::IpPacket;
pub use plane::{
    Egress, Fragmentation, Ingress, OuterInfo, OutputForm, PacketSink, Plane, PlaneConfig, Target, TransmitMeta, Worker,
};
