//! The usual packet's way: ESP in tunnel mode, an IP packet with ports and without options. What the general way decides
//! for each packet is decided here when the SA is installed, and the combined modes with the IV of 8 octets and the ICV
//! of 16 (RFC 4106, RFC 7634), which nearly all SAs have, are put together in registers. Both ways make the same octets
//! and the same decisions (`lane_tests.rs`); whatever is not usual in a packet is left to the general way, untouched.
//!
//! What it costs is its instructions, four or five of which the processor does at a time; hence one function for each
//! direction, with IPv6 and all that is rare in functions of their own.
//!
//! To widen the lane: its conditions in [`Front::new`] and `packet::usual_v4`, and the tests' list of suites.

pub(crate) mod open;
pub(crate) mod seal;

use super::PlaneConfig;
use super::sink::OutputForm;
use crate::checksum;
use crate::encap::udp;
use crate::mode::{OuterHeader, header};
use crate::packet::protocol;
use alloc::boxed::Box;
use core::net::IpAddr;
use ravelin_sa_db::{Encapsulation, Mode, Path, Protocol};

/// The ESP header with its IV.
pub(crate) const HEAD: usize = 16;
/// The ICV.
pub(crate) const TAG: usize = 16;
/// Outer IPv4, outer IPv6.
const V4: usize = 20;
const V6: usize = 40;

/// The outer headers of one SA as far as they are the same in each packet.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct Front {
    /// IPv4: octets 8 to 15 without the checksum, the destination, both ports.
    middle: u64,
    dst: [u8; 4],
    ports: u32,
    /// Of the IPv4 header, without length, traffic class, identification and flags.
    sum: u32,
    /// Octets written in front of the ESP header.
    len: u8,
    /// Octets that will be in front of it on the wire.
    around: u8,
    /// The lane is open for the SA.
    pub(crate) usual: bool,
    /// IPv6, which is as long as all the rest.
    octets: Option<Box<[u8; V6]>>,
}

impl Front {
    pub(crate) fn new(
        mode: Mode,
        protocol: Protocol,
        path: &Path,
        encapsulation: Encapsulation,
        config: &PlaneConfig,
    ) -> Self {
        let udp = encapsulation == Encapsulation::Udp;
        let mut octets = [0; V6];
        let dst = [0; 4];
        let mut front = Self { middle: 0, dst, ports: 0, sum: 0, len: 0, around: 0, usual: false, octets: None };
        let form = config.output;
        let written = match (path.local.ip(), path.remote.ip()) {
            (IpAddr::V4(_), IpAddr::V4(_)) => V4,
            // The checksum of UDP over IPv6 covers the whole packet.
            (IpAddr::V6(_), IpAddr::V6(_)) if !udp || form == OutputForm::Esp => V6,
            _ => return front,
        };
        let ends = matches!(encapsulation, Encapsulation::None | Encapsulation::Udp);
        let plain = config.mss_clamp == 0 && config.tfc_min == 0 && ends;
        let around = written.saturating_add(if udp { udp::HEADER } else { 0 });
        front.usual = plain && mode == Mode::Tunnel && protocol == Protocol::Esp;
        front.around = u8::try_from(around).unwrap_or(0);
        if form == OutputForm::Esp {
            return front;
        }
        front.len = front.around;
        let next = if udp { protocol::UDP } else { protocol::ESP };
        let outer = OuterHeader { hop_limit: config.header.hop_limit.max(1), ..OuterHeader::default() };
        front.usual &= octets.get_mut(..around).is_some_and(|room| {
            let ip = header::write_ip(room, path, next, &outer, 0);
            let datagram = ip.ok().and_then(|at| room.get_mut(at..));
            datagram.is_some_and(|d| !udp || udp::write_header(d, *path).is_some())
        });
        if written == V6 {
            front.octets = Some(Box::new(octets));
        } else if let Some((head, _)) = octets.split_first_chunk_mut::<V4>() {
            // Length and checksum of the model are its own.
            let [_, _, l0, l1, .., c0, c1, _, _, _, _, _, _, _, _] = head;
            (*l0, *l1, *c0, *c1) = (0, 0, 0, 0);
            front.sum = u32::from(checksum::sum(head));
            let [.., m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3] = *head;
            front.middle = u64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
            front.dst = [d0, d1, d2, d3];
            front.ports = u32::from(path.local.port()) << 16 | u32::from(path.remote.port());
        }
        front
    }
}

/// What an entry knows of the lane: outbound the headers, inbound nothing but whether it is open.
pub(crate) trait Lane: From<Front> {
    /// The lane is open for the SA.
    fn is_usual(&self) -> bool;
}

impl Lane for Front {
    #[inline(always)]
    fn is_usual(&self) -> bool {
        self.usual
    }
}

/// The lane is open for an inbound SA, or not.
pub(crate) struct Usual(bool);

impl From<Front> for Usual {
    fn from(front: Front) -> Self {
        Self(front.usual)
    }
}

impl Lane for Usual {
    #[inline(always)]
    fn is_usual(&self) -> bool {
        self.0
    }
}

/// Octets of a number as the wire has them, in a register whose lowest octet is the first. Registers go to memory whole:
/// octets put together one by one cost a third of all this, and a word that was stored in parts makes its reader wait.
#[inline(always)]
fn image(number: u64) -> u64 {
    u64::from_le_bytes(number.to_be_bytes())
}

/// Two such registers.
#[inline(always)]
fn sixteen(first: u64, last: u64) -> [u8; 16] {
    (u128::from(last) << 64 | u128::from(first)).to_le_bytes()
}

/// The second half of an image.
#[inline(always)]
fn second(image: u64) -> u64 {
    image & 0xffff_ffff_0000_0000
}
