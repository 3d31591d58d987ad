//! What travels between hosts, and what a hook may do to it.

use crate::host::Host;
use ravelin::Instant;
use ravelin::ike::registry::ExchangeType;
use ravelin::ike::wire::Header;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What is below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Carrier {
    /// UDP with the ports of the addresses.
    Udp,
    /// IP protocol 50; ports are 0.
    Esp,
}

/// What a datagram is, by its look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An IKE message (its header reads, which does not make it a good one).
    Ike(Header),
    /// An ESP packet: SPI and sequence number.
    Esp {
        /// SPI.
        spi: u32,
        /// Low half of the sequence number.
        sequence: u32,
    },
    /// A NAT keepalive.
    Keepalive,
    /// None of these.
    Junk,
}

/// One datagram on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Counts the datagrams of the run, from 1.
    pub number: u64,
    /// When it left.
    pub sent: Instant,
    /// Who sent it; `None` for what a test injected.
    pub sender: Option<Host>,
    /// Source as the sender wrote it.
    pub from: SocketAddr,
    /// Destination as the sender wrote it.
    pub to: SocketAddr,
    /// What is below.
    pub carrier: Carrier,
    /// From the non-ESP marker, IKE or ESP header on.
    pub bytes: Vec<u8>,
}

impl Message {
    /// Where the IKE header starts, on the NAT traversal port after the marker.
    #[must_use]
    pub fn ike_start(&self) -> Option<usize> {
        let nat_t = self.from.port() == 4500 || self.to.port() == 4500;
        match (self.carrier, nat_t) {
            (Carrier::Udp, false) => Some(0),
            (Carrier::Udp, true) => self.bytes.starts_with(&[0; 4]).then_some(4),
            (Carrier::Esp, _) => None,
        }
    }

    /// What it looks like.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.bytes == [0xFF] {
            return Kind::Keepalive;
        }
        if let Some(start) = self.ike_start() {
            return Header::parse(self.bytes.get(start..).unwrap_or_default()).map_or(Kind::Junk, Kind::Ike);
        }
        let word = |at: usize| self.bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        match (word(0), word(4)) {
            (Some(spi), Some(sequence)) => Kind::Esp { spi, sequence },
            _ => Kind::Junk,
        }
    }

    /// The IKE header, if it is IKE.
    #[must_use]
    pub fn ike(&self) -> Option<Header> {
        match self.kind() {
            Kind::Ike(header) => Some(header),
            _ => None,
        }
    }

    /// True for a request of this exchange.
    #[must_use]
    pub fn is_request(&self, exchange: ExchangeType) -> bool {
        self.ike().is_some_and(|h| h.exchange == exchange && !h.is_response())
    }

    /// True for a response of this exchange.
    #[must_use]
    pub fn is_response(&self, exchange: ExchangeType) -> bool {
        self.ike().is_some_and(|h| h.exchange == exchange && h.is_response())
    }

    /// True for ESP.
    #[must_use]
    pub fn is_esp(&self) -> bool {
        matches!(self.kind(), Kind::Esp { .. })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Ike(h) => {
                let way = if h.is_response() { "response" } else { "request" };
                write!(f, "{} {way} {}", h.exchange, h.message_id)?;
            }
            Kind::Esp { spi, sequence } => write!(f, "ESP {spi:08x} #{sequence}")?,
            Kind::Keepalive => f.write_str("keepalive")?,
            Kind::Junk => f.write_str("junk")?,
        }
        write!(f, " ({} > {}, {} octets)", self.from, self.to, self.bytes.len())
    }
}

/// What a hook decides. The octets and addresses of the message may be changed besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fate {
    /// The network decides.
    #[default]
    Pass,
    /// It arrives, whatever the network is like, after the link's delay.
    Deliver,
    /// It is lost.
    Drop,
    /// It arrives this often (one more than once: duplicates).
    Times(u32),
    /// It arrives later by this much.
    Delay(Duration),
    /// It is put aside until the test calls `Sim::release`.
    Keep,
}

/// Predicates for hooks: `of(ExchangeType::IKE_AUTH, true)` is a response of IKE_AUTH.
pub fn of(exchange: ExchangeType, response: bool) -> impl Fn(&Message) -> bool {
    move |m: &Message| m.ike().is_some_and(|h| h.exchange == exchange && h.is_response() == response)
}
