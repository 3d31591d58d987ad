//! REDIRECT (RFC 5685 §7.2): go to another gateway.
use super::{NotifyData, reader, wrong_len};
use crate::registry::{GatewayType, NotifyType};
use crate::wire::error::WireError;
use crate::wire::read::Reader;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How a gateway is named: type, length and identity, whatever the type is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gateway {
    kind: GatewayType,
    identity: Vec<u8>,
}

impl Gateway {
    /// A gateway by its address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self { kind: GatewayType::IPV4, identity: a.octets().to_vec() },
            IpAddr::V6(a) => Self { kind: GatewayType::IPV6, identity: a.octets().to_vec() },
        }
    }

    /// A gateway by its name, of 1 to 255 octets.
    #[must_use]
    pub fn fqdn(name: &str) -> Option<Self> {
        let fits = (1..=255).contains(&name.len());
        fits.then(|| Self { kind: GatewayType::FQDN, identity: name.as_bytes().to_vec() })
    }

    /// How `identity` is to be read.
    #[must_use]
    pub fn kind(&self) -> GatewayType {
        self.kind
    }

    /// The address, when it is named by one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let v4 = || <[u8; 4]>::try_from(self.identity.as_slice()).ok().map(Ipv4Addr::from);
        let v6 = || <[u8; 16]>::try_from(self.identity.as_slice()).ok().map(Ipv6Addr::from);
        match self.kind {
            GatewayType::IPV4 => v4().map(IpAddr::V4),
            GatewayType::IPV6 => v6().map(IpAddr::V6),
            _ => None,
        }
    }

    /// The name, when it is named by one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        if self.kind == GatewayType::FQDN { core::str::from_utf8(&self.identity).ok() } else { None }
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let kind = GatewayType(r.u8()?);
        let len = usize::from(r.u8()?);
        let (min, max) = match kind {
            GatewayType::IPV4 => (4, 4),
            GatewayType::IPV6 => (16, 16),
            GatewayType::FQDN => (1, 255),
            _ => (0, 255),
        };
        if !(min..=max).contains(&len) {
            return Err(wrong_len(len, min, max).shifted(1));
        }
        Ok(Self { kind, identity: r.take(len)?.to_vec() })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        // Both constructors and `parse` keep the identity within one octet's range.
        let len = u8::try_from(self.identity.len()).unwrap_or(u8::MAX);
        out.extend_from_slice(&[self.kind.0, len]);
        out.extend(self.identity.iter().take(usize::from(len)));
    }
}

/// The new gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// Where to go.
    pub gateway: Gateway,
    /// In an IKE_SA_INIT response the initiator's nonce, which ties the answer to the request; else empty.
    pub nonce: Vec<u8>,
}

impl NotifyData for Redirect {
    const KIND: NotifyType = NotifyType::REDIRECT;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        Ok(Self { gateway: Gateway::parse(&mut r)?, nonce: r.rest().to_vec() })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        self.gateway.emit(out);
        out.extend_from_slice(&self.nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let good: [&[u8]; 4] = [&[1, 4, 192, 0, 2, 1], &[1, 4, 192, 0, 2, 1, 9, 9], b"\x03\x02gw", &[9, 0]];
        let bad: [&[u8]; 5] = [&[], &[1], &[1, 3, 1, 1, 1], b"\x03\x03gw", b"\x03\x00"];
        super::super::check::<Redirect>(&good, &bad);
        let to = Redirect::parse(good[1]).unwrap();
        assert_eq!((to.gateway.ip(), to.nonce.as_slice()), (Some([192, 0, 2, 1].into()), &[9, 9][..]));
        assert_eq!(Gateway::fqdn("gw").unwrap().name(), Some("gw"));
        assert_eq!(Gateway::address([192, 0, 2, 1].into()), to.gateway);
        assert!(Gateway::fqdn("").is_none());
    }
}
