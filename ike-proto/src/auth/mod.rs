//! Authentication of the peers (RFC 7296 §2.15, §2.16): what is signed, and by which method.
//! To add a method: one file here, one line in `registry/auth.rs`, one arm in `exchange/auth.rs`.

pub mod psk;
pub mod signed_octets;
