//! Random schedules: operator commands and network events in random order, then the network heals and both nodes must
//! converge. To come next.
