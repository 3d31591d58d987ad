//! What an Access-Accept grants: addresses for the client, name servers, times, and what goes into accounting.

use crate::attribute::{Attributes, kind, vendor};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use ravelin_sa_db::AddrRange;
use ravelin_sa_db::pool::{Pool, PoolInfo};

/// What the server grants.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grant {
    /// Framed-IP-Address and Framed-IPv6-Address.
    pub addresses: Vec<IpAddr>,
    /// Framed-IP-Netmask.
    pub netmask: Option<Ipv4Addr>,
    /// MS-Primary-DNS-Server, MS-Secondary-DNS-Server, DNS-Server-IPv6-Address.
    pub dns: Vec<IpAddr>,
    /// Session-Timeout.
    pub session: Option<Duration>,
    /// Acct-Interim-Interval, at least 60 s (RFC 2869 §5.16).
    pub interim: Option<Duration>,
    /// Class: to be sent back in accounting.
    pub class: Vec<Vec<u8>>,
    /// User-Name, when the server says another one.
    pub user: Option<Vec<u8>>,
}

fn v4(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

fn v6(value: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from)
}

fn seconds(value: &[u8]) -> Option<Duration> {
    let n = u32::from_be_bytes(value.try_into().ok()?);
    (n != 0).then(|| Duration::from_secs(u64::from(n)))
}

impl Grant {
    /// Reads it. Attributes with a wrong length are left out.
    #[must_use]
    pub fn read(attributes: Attributes<'_>) -> Self {
        let mut grant = Self::default();
        for (kind, value) in attributes.iter() {
            match kind {
                // 255.255.255.255 and .254 mean: the client or the NAS chooses (RFC 2865 §5.8).
                kind::FRAMED_IP_ADDRESS => {
                    let given = v4(value).filter(|a| a.to_bits() < 0xFFFF_FFFE && !a.is_unspecified());
                    grant.addresses.extend(given.map(IpAddr::V4));
                }
                kind::FRAMED_IPV6_ADDRESS => grant.addresses.extend(v6(value).map(IpAddr::V6)),
                kind::FRAMED_IP_NETMASK => grant.netmask = v4(value),
                kind::DNS_SERVER_IPV6_ADDRESS => grant.dns.extend(v6(value).map(IpAddr::V6)),
                kind::SESSION_TIMEOUT => grant.session = seconds(value),
                kind::ACCT_INTERIM_INTERVAL => {
                    grant.interim = seconds(value).map(|s| s.max(Duration::from_secs(60)));
                }
                kind::CLASS => grant.class.push(value.to_vec()),
                kind::USER_NAME => grant.user = Some(value.to_vec()),
                _ => {}
            }
        }
        for (kind, value) in attributes.of_vendor(vendor::MICROSOFT) {
            if kind == vendor::MS_PRIMARY_DNS_SERVER || kind == vendor::MS_SECONDARY_DNS_SERVER {
                grant.dns.extend(v4(value).map(IpAddr::V4));
            }
        }
        grant
    }

    /// The addresses as a pool of their own, from which the IKE responder answers CFG_REQUEST (INTERNAL_IP4_ADDRESS,
    /// INTERNAL_IP4_NETMASK, INTERNAL_IP4_DNS and their IPv6 kin); `None` without addresses.
    #[must_use]
    pub fn pool(&self) -> Option<Arc<Pool>> {
        let ranges: Vec<AddrRange> = self.addresses.iter().map(|a| AddrRange::host(*a)).collect();
        let mut pool = Pool::new(String::new(), ranges);
        pool.info = PoolInfo { netmask: self.netmask, dns: self.dns.clone(), ..PoolInfo::default() };
        (!self.addresses.is_empty()).then(|| Arc::new(pool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::put;

    #[test]
    fn attributes_become_configuration() {
        let mut octets = Vec::new();
        put(&mut octets, kind::FRAMED_IP_ADDRESS, &[10, 3, 0, 7]);
        put(&mut octets, kind::FRAMED_IP_ADDRESS, &[255, 255, 255, 254]);
        put(&mut octets, kind::FRAMED_IP_ADDRESS, &[10, 3, 0]);
        put(&mut octets, kind::FRAMED_IP_NETMASK, &[255, 255, 255, 0]);
        put(&mut octets, kind::SESSION_TIMEOUT, &[0, 0, 14, 16]);
        put(&mut octets, kind::ACCT_INTERIM_INTERVAL, &[0, 0, 0, 5]);
        put(&mut octets, kind::CLASS, b"gold");
        put(&mut octets, kind::VENDOR_SPECIFIC, &[0, 0, 1, 55, 28, 6, 10, 0, 0, 1, 29, 6, 10, 0, 0, 2]);
        let grant = Grant::read(Attributes::parse(&octets).unwrap());
        assert_eq!(grant.addresses, [IpAddr::from([10, 3, 0, 7])]);
        assert_eq!(grant.dns, [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])]);
        assert_eq!((grant.session, grant.interim), (Some(Duration::from_secs(3600)), Some(Duration::from_secs(60))));
        let pool = grant.pool().unwrap();
        assert!(pool.contains(IpAddr::from([10, 3, 0, 7])) && pool.info.dns.len() == 2);
        assert_eq!(pool.info.netmask, Some(Ipv4Addr::new(255, 255, 255, 0)));
        assert!(Grant::default().pool().is_none());
    }
}
