//! A RADIUS client without I/O: it carries EAP between an IKE responder and an authentication server (RFC 3579), reads
//! keys (RFC 2548) and addresses out of the answer, and reports what was used (RFC 2866). Datagrams and time come in by
//! [`Client::handle_datagram`] and [`Client::handle_timeout`]; what it wants from the world comes out by
//! [`Client::poll_output`].
//!
//! Every request that asks for access begins with Message-Authenticator, and every answer to it must have one: what only
//! the response authenticator protects can be forged (CVE-2024-3596). A wrong answer is dropped and counted, never
//! believed, and never ends the waiting.
//!
//! To add an attribute: a constant in `attribute.rs`; what is made of it in `grant.rs`.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod accounting;
pub mod attribute;
pub mod client;
pub mod grant;
pub mod mppe;
pub mod packet;

pub use accounting::{Cause, Kind, Record};
pub use client::{Answer, Client, Config, Counters, Output, Server, Token};
pub use grant::Grant;
