//! EAP (RFC 3748) as IKEv2 carries it (RFC 7296 §2.16): a server and a client that take one packet and say what
//! follows. No packet, in whatever order or shape, makes a success that the method has not come to by itself.
//! To add a method: one file here, one arm each in `method.rs`, a name in `sa_db::pad::EapMethod`.

mod aka;
mod client;
mod gtc;
mod md5;
mod method;
pub mod mschapv2;
mod server;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tls")]
mod ttls;

pub use client::{Client, ClientVerdict};
pub use server::{Server, ServerVerdict};

#[cfg(test)]
mod states;
#[cfg(test)]
mod tests;
