//! NAT boxes (RFC 4787 words: mapping and filtering). A box has one public address; hosts behind it reach the world, and
//! the world reaches them by the mappings that their own datagrams made. Bare ESP (protocol 50) does not pass.

use ravelin::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Names a NAT box of a simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NatBox(pub(crate) usize);

impl NatBox {
    /// The box that was made first.
    #[must_use]
    pub fn first() -> Self {
        Self(0)
    }
}

/// How mappings are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NatKind {
    /// One public port per inside socket, open for everybody (full cone).
    Cone,
    /// One public port per inside socket and destination, open for that destination only.
    Symmetric,
}

/// What a NAT box is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nat {
    /// How mappings are made.
    pub kind: NatKind,
    /// A mapping that carries nothing outward for this long is forgotten.
    pub timeout: Duration,
}

impl Nat {
    /// Full cone, mappings live for 60 s.
    #[must_use]
    pub fn cone() -> Self {
        Self { kind: NatKind::Cone, timeout: Duration::from_secs(60) }
    }

    /// Symmetric, mappings live for 60 s.
    #[must_use]
    pub fn symmetric() -> Self {
        Self { kind: NatKind::Symmetric, timeout: Duration::from_secs(60) }
    }

    /// Other life of mappings.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    /// Symmetric: the only outside socket that may use it.
    only: Option<SocketAddr>,
    used: Instant,
    forever: bool,
}

/// A box at work.
#[derive(Debug)]
pub(crate) struct NatState {
    pub(crate) rules: Nat,
    pub(crate) public: IpAddr,
    mappings: BTreeMap<u16, Mapping>,
    next_port: u16,
}

impl NatState {
    pub(crate) fn new(rules: Nat, public: IpAddr) -> Self {
        Self { rules, public, mappings: BTreeMap::new(), next_port: 10_000 }
    }

    /// A datagram leaves: its source as the world sees it.
    pub(crate) fn outward(&mut self, now: Instant, inside: SocketAddr, to: SocketAddr) -> SocketAddr {
        self.expire(now);
        let only = (self.rules.kind == NatKind::Symmetric).then_some(to);
        let found = self.mappings.iter_mut().find(|(_, m)| m.inside == inside && (m.forever || m.only == only));
        let port = match found {
            Some((port, mapping)) => {
                mapping.used = now;
                *port
            }
            None => {
                let port = self.fresh_port();
                self.mappings.insert(port, Mapping { inside, only, used: now, forever: false });
                port
            }
        };
        SocketAddr::new(self.public, port)
    }

    /// A datagram comes: its destination inside, if a mapping lets it in.
    pub(crate) fn inward(&mut self, now: Instant, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        self.expire(now);
        self.peek(from, port)
    }

    pub(crate) fn peek(&self, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        self.mappings.get(&port).filter(|m| m.only.is_none_or(|only| only == from)).map(|m| m.inside)
    }

    pub(crate) fn forward(&mut self, port: u16, inside: SocketAddr) {
        self.mappings.insert(port, Mapping { inside, only: None, used: Instant::NEVER, forever: true });
    }

    /// Forgets all mappings; the next ones have other ports. Port forwards stay.
    pub(crate) fn rebind(&mut self) {
        self.mappings.retain(|_, m| m.forever);
        self.next_port = self.next_port.wrapping_add(1000).max(10_000);
    }

    fn fresh_port(&mut self) -> u16 {
        while self.mappings.contains_key(&self.next_port) {
            self.next_port = self.next_port.wrapping_add(1).max(10_000);
        }
        let port = self.next_port;
        self.next_port = self.next_port.wrapping_add(1).max(10_000);
        port
    }

    fn expire(&mut self, now: Instant) {
        let timeout = self.rules.timeout;
        self.mappings.retain(|_, m| m.forever || m.used + timeout > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sock(s: &str) -> SocketAddr {
        s.parse().unwrap()
    }

    #[test]
    fn cone_is_open_for_all_symmetric_for_one() {
        let (inside, x, y) = (sock("10.0.0.9:500"), sock("1.1.1.1:500"), sock("2.2.2.2:500"));
        for (rules, same) in [(Nat::cone(), true), (Nat::symmetric(), false)] {
            let mut nat = NatState::new(rules, "203.0.113.1".parse().unwrap());
            let (px, py) = (nat.outward(Instant(0), inside, x), nat.outward(Instant(0), inside, y));
            assert_eq!(px == py, same);
            assert_eq!(nat.inward(Instant(1), x, px.port()), Some(inside));
            assert_eq!(nat.inward(Instant(1), y, px.port()).is_some(), same);
            assert_eq!(nat.inward(Instant::from_secs(60), x, px.port()), None);
            let before = nat.outward(Instant::from_secs(61), inside, x);
            nat.rebind();
            assert_ne!(nat.outward(Instant::from_secs(61), inside, x), before);
        }
    }
}
