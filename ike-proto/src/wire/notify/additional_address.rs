//! ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS (RFC 4555 §4.2.2): one more address of the sender each.
use super::{NotifyData, exactly};
use crate::registry::NotifyType;
use crate::wire::error::WireError;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// One more IPv4 address of the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdditionalIp4Address(pub Ipv4Addr);

/// One more IPv6 address of the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdditionalIp6Address(pub Ipv6Addr);

impl NotifyData for AdditionalIp4Address {
    const KIND: NotifyType = NotifyType::ADDITIONAL_IP4_ADDRESS;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<4>(data).map(|b| Self(b.into()))
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.octets());
    }
}

impl NotifyData for AdditionalIp6Address {
    const KIND: NotifyType = NotifyType::ADDITIONAL_IP6_ADDRESS;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        exactly::<16>(data).map(|b| Self(b.into()))
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        super::super::check::<AdditionalIp4Address>(&[&[192, 0, 2, 1]], &[&[7; 3], &[7; 16], &[]]);
        super::super::check::<AdditionalIp6Address>(&[&[7; 16]], &[&[7; 4], &[7; 17], &[]]);
        assert_eq!(AdditionalIp4Address::parse(&[192, 0, 2, 1]).unwrap().0, Ipv4Addr::new(192, 0, 2, 1));
    }
}
