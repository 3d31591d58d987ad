//! EAP-TTLS, version 0 (RFC 5281; with TLS 1.3 RFC 9427): the server proves itself by a certificate, and inside the tunnel
//! the client proves itself by PAP, MSCHAPv2 or EAP. What is inside is one file each; `avp.rs` reads its form.
//! To add an inner method: a file here, a variant of `sa_db::pad::TtlsInner`, an arm in `client.rs` and `server.rs`.

mod avp;
mod client;
mod server;

pub(super) use client::ClientSide;
pub(super) use server::ServerSide;

/// Label of the key (RFC 5281 §8).
const LABEL: &[u8] = b"ttls keying material";
const NUMBER: u8 = 21;
/// Label of implicit challenges (RFC 5281 §11.1).
const CHALLENGE: &[u8] = b"ttls challenge";
