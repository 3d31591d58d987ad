//! Extensions, one RFC each, called by name from the exchanges they ride on.
//! To add one: one file here, one field in `exchange::Agreed`, one call in each exchange.

pub mod config;
pub mod int_auth;
pub mod mobike;
pub mod natd;
pub mod ppk;
pub mod puzzle;
pub mod sighash;
pub mod strength;
