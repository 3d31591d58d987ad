//! Key derivation (RFC 7296 §2.13 to §2.18): prf+, the SK_* schedule, Child SA keys.
//! To add a derivation: one file here; the order of keys in a schedule is in [`sk_schedule`] alone.

pub mod child_keys;
pub mod prf_plus;
pub mod sk_schedule;

pub use child_keys::{ChildKeyLengths, ChildKeys, child_keys};
pub use prf_plus::prf_plus;
pub use sk_schedule::{SkKeyLengths, SkKeys};
