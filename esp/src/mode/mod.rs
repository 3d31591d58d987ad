//! How the inner packet is carried (RFC 4301 §4.1). To add a mode: a file here, a variant in `sa_db::Mode`, one arm in
//! `plane/ingress.rs` and one in `plane/egress.rs`.

pub mod beet;
pub mod header;
pub mod transport;
pub mod tunnel;

pub use header::{DfPolicy, DscpPolicy, FlowLabelPolicy, HeaderPolicy, OuterHeader};
