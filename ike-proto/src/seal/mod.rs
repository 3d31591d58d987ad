//! Protection of IKE messages: the SK payload (RFC 7296 §3.14, RFC 5282) and its fragments (RFC 7383).
//! To add a cipher: nothing here; it comes with the provider.

pub mod alg;
pub mod reassembly;
pub mod sk;

pub use alg::SealAlg;
pub use reassembly::{Fragment, Reassembly};
pub use sk::{DirectionKeys, body_len, open, seal};
