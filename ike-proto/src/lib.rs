//! IKEv2 (RFC 7296) without I/O: messages, keys, exchanges, SAs and the endpoint that holds them.
//!
//! Rooms, lowest first: [`registry`] (IANA's numbers), [`wire`] (octets to typed values and back). Arrows between
//! the rooms only point down; `tests/layers.rs` reads the sources and checks that.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod registry;
pub mod wire;
