//! Addresses inside and outside the tunnel, and what becomes of an IKE SA when its surroundings change: configuration
//! payloads, NATs, MOBIKE, dead peers. One behaviour per test.

mod actions;
mod config;
mod limits;
mod mobike;
mod nat;
mod nat_transport;

use std::net::IpAddr;

fn ip(s: &str) -> IpAddr {
    s.parse().expect("an address")
}
