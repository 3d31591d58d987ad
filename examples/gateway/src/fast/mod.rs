//! The way of packets through the gateway, apart from everything that thinks: worker threads, each with a queue of the TUN
//! device, sockets of its own, and a `ravelin::esp::Worker` on the node's plane. IKE stays in the thread of `daemon.rs`;
//! what a worker cannot decide goes there (`wire.rs`), and comes back as an SA or a policy.
//!
//! | file | what |
//! |---|---|
//! | `worker.rs` | the threads and their loop |
//! | `wire.rs` | between workers and the daemon |
//! | `outgoing.rs` | TUN device to sockets: read, split, seal, send in bursts |
//! | `incoming.rs` | sockets to TUN device: receive in bursts, open, join, write |
//! | `virtio.rs` | the header before packets of a TUN device with offloads, and the Internet checksum |
//! | `split.rs`, `join.rs` | a super-packet to segments, and back |
//! | `bare.rs` | bare ESP out, many packets in a call |
//! | `pathmtu.rs` | what the path carries, from the kernel to the plane |
//! | `pause.rs` | when a worker rests |
//! | `traffic.rs` | counters |
//!
//! Nothing is allocated per packet, and no lock is taken.

pub(crate) mod bare;
pub(crate) mod incoming;
pub(crate) mod join;
pub(crate) mod outgoing;
pub(crate) mod pathmtu;
pub(crate) mod pause;
pub(crate) mod split;
pub(crate) mod traffic;
pub(crate) mod virtio;
pub(crate) mod wire;
pub(crate) mod worker;
