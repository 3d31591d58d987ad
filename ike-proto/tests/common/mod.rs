//! What the tests share: finding the vectors, taking IKE messages out of captures, and the properties every message
//! must have (plain functions over octets, so that a fuzzer can call them too).
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "tests read the vectors from disk")]
#![allow(unreachable_pub, reason = "a module of several test binaries")]

pub mod properties;

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use std::path::PathBuf;

/// The file `name` of the vectors, or `None` with one line on the terminal that says what is not tested.
pub fn vector(name: &str) -> Option<Vec<u8>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let dir = std::env::var_os("RAVELIN_VECTORS").map_or(beside, PathBuf::from);
    let path = dir.join(name);
    let found = std::fs::read(&path).ok();
    if found.is_none() {
        println!("skipped: no vector file {} (set RAVELIN_VECTORS)", path.display());
    }
    found
}

/// A UDP datagram of a capture.
pub struct Datagram {
    pub source_port: u16,
    pub destination_port: u16,
    pub data: Vec<u8>,
}

impl Datagram {
    /// The IKE message in it: everything on port 500, and on 4500 what stands behind four zero octets (RFC 3948 §2.2).
    pub fn ike(&self) -> Option<&[u8]> {
        let on = |port| self.source_port == port || self.destination_port == port;
        if on(4500) { self.data.strip_prefix(&[0, 0, 0, 0]) } else { on(500).then_some(&self.data[..]) }
    }
}

/// The UDP datagrams of a capture (pcap or pcapng; Ethernet or BSD loopback; IPv4, or IPv6 without extension headers),
/// in order.
pub fn datagrams(capture: &[u8]) -> Vec<Datagram> {
    frames(capture).iter().filter_map(|(link, frame)| udp(packet(*link, frame)?)).collect()
}

fn frames(capture: &[u8]) -> Vec<(DataLink, Vec<u8>)> {
    let mut out = Vec::new();
    if capture.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let mut reader = PcapNgReader::new(capture).unwrap();
        let mut links = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(i) => links.push(i.linktype),
                Block::EnhancedPacket(p) => out.push((links[p.interface_id as usize], p.data.into_owned())),
                Block::SimplePacket(p) => out.push((links[0], p.data.into_owned())),
                _ => {}
            }
        }
    } else {
        let mut reader = PcapReader::new(capture).unwrap();
        let link = reader.header().datalink;
        while let Some(packet) = reader.next_packet() {
            out.push((link, packet.unwrap().data.into_owned()));
        }
    }
    out
}

/// The IP packet of a frame.
fn packet(link: DataLink, frame: &[u8]) -> Option<&[u8]> {
    match link {
        DataLink::ETHERNET => matches!(frame[12..14], [0x08, 0x00] | [0x86, 0xdd]).then(|| &frame[14..]),
        DataLink::NULL => Some(&frame[4..]),
        other => panic!("link type {other:?} is not in the vectors"),
    }
}

fn udp(ip: &[u8]) -> Option<Datagram> {
    let be = |d: &[u8], at: usize| u16::from_be_bytes([d[at], d[at + 1]]);
    let datagram = match (ip[0] >> 4, ip[9], ip[6]) {
        (4, 17, _) => &ip[usize::from(ip[0] & 15) * 4..usize::from(be(ip, 2))],
        (6, _, 17) => &ip[40..40 + usize::from(be(ip, 4))],
        _ => return None,
    };
    let data = datagram[8..usize::from(be(datagram, 4))].to_vec();
    Some(Datagram { source_port: be(datagram, 0), destination_port: be(datagram, 2), data })
}

/// Hex digits to octets.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).expect("a hex digit") as u8).collect();
    digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// Octets to hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
