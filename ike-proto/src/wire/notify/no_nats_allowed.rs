//! NO_NATS_ALLOWED (RFC 4555 §4.2.6): the addresses and ports the sender sees; the receiver compares them.
use super::{NotifyData, reader, wrong_len};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Source and destination of the datagram as it was sent; both of one address family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoNatsAllowed {
    source: SocketAddr,
    destination: SocketAddr,
}

impl NoNatsAllowed {
    /// `None` when the two addresses are not of one family. Flow labels and scopes are not sent.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Option<Self> {
        let bare = |a: SocketAddr| SocketAddr::new(a.ip(), a.port());
        let same = source.is_ipv4() == destination.is_ipv4();
        same.then(|| Self { source: bare(source), destination: bare(destination) })
    }

    /// Where the sender sent from.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Where the sender sent to.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }
}

impl NotifyData for NoNatsAllowed {
    const KIND: NotifyType = NotifyType::NO_NATS_ALLOWED;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        let (from, to): (IpAddr, IpAddr) = match data.len() {
            12 => (r.array::<4>()?.into(), r.array::<4>()?.into()),
            36 => (r.array::<16>()?.into(), r.array::<16>()?.into()),
            came => return Err(wrong_len(came, 12, 36)),
        };
        Ok(Self { source: SocketAddr::new(from, r.u16()?), destination: SocketAddr::new(to, r.u16()?) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        for address in [self.source.ip(), self.destination.ip()] {
            match address {
                IpAddr::V4(a) => out.extend_from_slice(&a.octets()),
                IpAddr::V6(a) => out.extend_from_slice(&a.octets()),
            }
        }
        out.extend_from_slice(&self.source.port().to_be_bytes());
        out.extend_from_slice(&self.destination.port().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 1, 244, 17, 148];
        super::super::check::<NoNatsAllowed>(&[&v4, &[7; 36]], &[&[], &[7; 13], &[7; 35], &[7; 24]]);
        let n = NoNatsAllowed::parse(&v4).unwrap();
        assert_eq!(NoNatsAllowed::new("192.0.2.1:500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap()), Some(n));
        assert_eq!(NoNatsAllowed::new("192.0.2.1:500".parse().unwrap(), "[::1]:4500".parse().unwrap()), None);
    }
}
