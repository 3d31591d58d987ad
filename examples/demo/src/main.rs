//! Placeholder until the node lands.
fn main() {}
