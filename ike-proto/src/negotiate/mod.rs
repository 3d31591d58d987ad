//! Coming to terms: proposals (RFC 7296 §2.7, §3.3) and traffic selectors (§2.9).
//! To add a transform type: `proposal.rs`. Nothing here knows which exchange it serves.

pub mod proposal;
pub mod selectors;

pub use proposal::{ChildAlgorithms, Chosen, Offered, choose, offer, verify_answer};
pub use selectors::{Narrowed, narrow};
