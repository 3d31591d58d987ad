//! Configuration payloads (RFC 7296 §2.19, §3.15; split DNS: RFC 8598): what we ask for, what we tell, what we were told.
//!
//! Attributes of no known meaning are kept and shown, never refused. To add one that has a meaning: a field of
//! [`Assigned`] with its arm in [`read`], and its line in [`reply`].

use crate::event::Assigned;
use crate::registry::{ConfigAttributeType as T, ConfigType};
use crate::wire::payload::{ConfigAttribute, ConfigValue, Configuration};
use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use ravelin_sa_db::pad::Peer;
use ravelin_sa_db::pool::PoolInfo;
use ravelin_sa_db::{AddrRange, Lease};

/// What we ask for as initiator; `None` when the PAD entry wants no address. `had` are addresses to have again.
#[must_use]
pub fn request(peer: &Peer, had: &[(IpAddr, u8)]) -> Option<Configuration> {
    if !peer.request_v4 && !peer.request_v6 {
        return None;
    }
    let mut list = Vec::new();
    let mut ask = |kind| list.push(ConfigAttribute::new(kind, Vec::new()));
    if peer.request_v4 {
        [T::INTERNAL_IP4_DNS, T::INTERNAL_IP4_NBNS, T::INTERNAL_IP4_SUBNET].into_iter().for_each(&mut ask);
    }
    if peer.request_v6 {
        [T::INTERNAL_IP6_DNS, T::INTERNAL_IP6_SUBNET].into_iter().for_each(&mut ask);
    }
    ask(T::INTERNAL_DNS_DOMAIN);
    let wish = |v4: bool| had.iter().find(|(a, _)| a.is_ipv4() == v4);
    let mut addrs = Vec::new();
    if peer.request_v4 {
        addrs.push(
            wish(true).map_or_else(
                || ConfigAttribute::new(T::INTERNAL_IP4_ADDRESS, Vec::new()),
                |(a, len)| address(*a, *len),
            ),
        );
    }
    if peer.request_v6 {
        addrs.push(
            wish(false).map_or_else(
                || ConfigAttribute::new(T::INTERNAL_IP6_ADDRESS, Vec::new()),
                |(a, len)| address(*a, *len),
            ),
        );
    }
    addrs.append(&mut list);
    Some(Configuration::new(ConfigType::REQUEST, addrs))
}

/// What a peer asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// Wants IPv4 addresses, each with the one it had, if any.
    pub v4: Vec<Option<IpAddr>>,
    /// As `v4`.
    pub v6: Vec<Option<IpAddr>>,
    kinds: BTreeSet<u16>,
}

/// Addresses of one family that one peer may ask for at once.
const MAX_ADDRESSES: usize = 4;

/// Reads a CFG_REQUEST.
#[must_use]
pub fn wishes(request: &Configuration) -> Wishes {
    let mut out = Wishes::default();
    for a in &request.attributes {
        out.kinds.insert(a.kind.0);
        let had = match a.typed() {
            Ok(ConfigValue::Ip4(a)) if !a.is_unspecified() => Some(IpAddr::V4(a)),
            Ok(ConfigValue::Ip6Prefix(a, _)) if !a.is_unspecified() => Some(IpAddr::V6(a)),
            _ => None,
        };
        let list = match a.kind {
            T::INTERNAL_IP4_ADDRESS => &mut out.v4,
            T::INTERNAL_IP6_ADDRESS => &mut out.v6,
            _ => continue,
        };
        if list.len() < MAX_ADDRESSES {
            list.push(had);
        }
    }
    out
}

fn address(addr: IpAddr, prefix: u8) -> ConfigAttribute {
    match addr {
        IpAddr::V4(a) => ConfigAttribute::new(T::INTERNAL_IP4_ADDRESS, a.octets().to_vec()),
        IpAddr::V6(a) => {
            let mut value = a.octets().to_vec();
            value.push(if prefix == 0 { 128 } else { prefix });
            ConfigAttribute::new(T::INTERNAL_IP6_ADDRESS, value)
        }
    }
}

fn by_family(v4: T, v6: T, addr: &IpAddr) -> ConfigAttribute {
    match addr {
        IpAddr::V4(a) => ConfigAttribute::new(v4, a.octets().to_vec()),
        IpAddr::V6(a) => ConfigAttribute::new(v6, a.octets().to_vec()),
    }
}

fn subnet(range: &AddrRange) -> Option<ConfigAttribute> {
    let len = range.prefix_len()?;
    Some(match range {
        AddrRange::V4(a, b) => {
            let mask = Ipv4Addr::from_bits(!(a.to_bits() ^ b.to_bits()));
            ConfigAttribute::new(T::INTERNAL_IP4_SUBNET, [a.octets(), mask.octets()].concat())
        }
        AddrRange::V6(a, _) => {
            let mut value = a.octets().to_vec();
            value.push(len);
            ConfigAttribute::new(T::INTERNAL_IP6_SUBNET, value)
        }
    })
}

/// The CFG_REPLY for what was leased, with what the pools tell along. Split DNS is told only to those who asked
/// (RFC 8598 §3.2), the netmask only with an IPv4 address.
#[must_use]
pub fn reply(leases: &[Lease], wishes: &Wishes) -> Configuration {
    let mut infos: Vec<&PoolInfo> = Vec::new();
    let mut list = Vec::new();
    for lease in leases {
        let info = &lease.pool.info;
        list.push(address(lease.addr, info.prefix_v6));
        if let (true, Some(mask)) = (lease.addr.is_ipv4(), info.netmask) {
            list.push(ConfigAttribute::new(T::INTERNAL_IP4_NETMASK, mask.octets().to_vec()));
        }
        if !infos.iter().any(|i| core::ptr::eq(*i, info)) {
            infos.push(info);
        }
    }
    for info in infos {
        list.extend(info.dns.iter().map(|a| by_family(T::INTERNAL_IP4_DNS, T::INTERNAL_IP6_DNS, a)));
        list.extend(info.nbns.iter().map(|a| ConfigAttribute::new(T::INTERNAL_IP4_NBNS, a.octets().to_vec())));
        list.extend(info.dhcp.iter().map(|a| by_family(T::INTERNAL_IP4_DHCP, T::INTERNAL_IP6_DHCP, a)));
        list.extend(info.subnets.iter().filter_map(subnet));
        if wishes.kinds.contains(&T::INTERNAL_DNS_DOMAIN.0) {
            split_dns(info, &mut list);
        }
        list.extend(info.other.iter().map(|(kind, value)| ConfigAttribute::new(T(*kind), value.clone())));
    }
    Configuration::new(ConfigType::REPLY, list)
}

/// Each domain is followed by its trust anchors (RFC 8598 §4.2).
fn split_dns(info: &PoolInfo, list: &mut Vec<ConfigAttribute>) {
    for (n, domain) in info.domains.iter().enumerate() {
        list.push(ConfigAttribute::new(T::INTERNAL_DNS_DOMAIN, domain.as_bytes().to_vec()));
        let anchors = info.trust_anchors.iter().filter(|(of, _)| *of == n);
        list.extend(anchors.map(|(_, ta)| ConfigAttribute::new(T::INTERNAL_DNSSEC_TA, ta.clone())));
    }
}

/// Reads a CFG_REPLY or CFG_SET. Attributes with a wrong length are left out (RFC 7296 §3.15.1).
#[must_use]
pub fn read(cp: &Configuration) -> Assigned {
    let mut out = Assigned::default();
    for a in &cp.attributes {
        match (a.kind, a.typed()) {
            (_, Ok(ConfigValue::Empty) | Err(_)) => {}
            (T::INTERNAL_IP4_ADDRESS, Ok(ConfigValue::Ip4(v))) => out.addrs.push((v.into(), 32)),
            (T::INTERNAL_IP6_ADDRESS, Ok(ConfigValue::Ip6Prefix(v, len))) => out.addrs.push((v.into(), len)),
            (T::INTERNAL_IP4_NETMASK, Ok(ConfigValue::Ip4(v))) => out.netmask = Some(v),
            (T::INTERNAL_IP4_DNS, Ok(ConfigValue::Ip4(v))) => out.dns.push(v.into()),
            (T::INTERNAL_IP6_DNS, Ok(ConfigValue::Ip6(v))) => out.dns.push(v.into()),
            (T::INTERNAL_IP4_NBNS, Ok(ConfigValue::Ip4(v))) => out.nbns.push(v),
            (T::INTERNAL_IP4_DHCP, Ok(ConfigValue::Ip4(v))) => out.dhcp.push(v.into()),
            (T::INTERNAL_IP6_DHCP, Ok(ConfigValue::Ip6(v))) => out.dhcp.push(v.into()),
            (T::INTERNAL_IP4_SUBNET, Ok(ConfigValue::Ip4Subnet(net, mask))) => out.subnets.extend(v4_subnet(net, mask)),
            (T::INTERNAL_IP6_SUBNET, Ok(ConfigValue::Ip6Prefix(net, len))) => {
                out.subnets.extend(AddrRange::prefix(net.into(), len));
            }
            (T::INTERNAL_DNS_DOMAIN, Ok(ConfigValue::Text(name))) => out.domains.push(name.to_string()),
            (T::INTERNAL_DNSSEC_TA, Ok(_)) => {
                if let Some(of) = out.domains.len().checked_sub(1) {
                    out.trust_anchors.push((of, a.value.clone()));
                }
            }
            (T::APPLICATION_VERSION, Ok(ConfigValue::Text(text))) => out.application_version = Some(text.to_string()),
            (kind, Ok(_)) => out.other.push((kind.0, a.value.clone())),
        }
    }
    out
}

/// A network with its mask; a mask with holes makes none.
fn v4_subnet(net: Ipv4Addr, mask: Ipv4Addr) -> Option<AddrRange> {
    let len = mask.to_bits().leading_ones();
    (mask.to_bits().count_ones() == len).then(|| AddrRange::prefix(net.into(), u8::try_from(len).ok()?)).flatten()
}

/// The answer to a CFG_REQUEST outside IKE_AUTH: no addresses there, but our version if `version` says one, and which
/// attributes we know (RFC 7296 §3.15.1).
#[must_use]
pub fn inform(request: &Configuration, version: &str) -> Configuration {
    let mut list = Vec::new();
    for a in &request.attributes {
        match a.kind {
            T::APPLICATION_VERSION if !version.is_empty() => {
                list.push(ConfigAttribute::new(T::APPLICATION_VERSION, version.as_bytes().to_vec()));
            }
            T::SUPPORTED_ATTRIBUTES => {
                let known = SUPPORTED.iter().flat_map(|t| t.0.to_be_bytes()).collect();
                list.push(ConfigAttribute::new(T::SUPPORTED_ATTRIBUTES, known));
            }
            _ => {}
        }
    }
    Configuration::new(ConfigType::REPLY, list)
}

const SUPPORTED: [T; 14] = [
    T::INTERNAL_IP4_ADDRESS,
    T::INTERNAL_IP4_NETMASK,
    T::INTERNAL_IP4_DNS,
    T::INTERNAL_IP4_NBNS,
    T::INTERNAL_IP4_DHCP,
    T::APPLICATION_VERSION,
    T::INTERNAL_IP6_ADDRESS,
    T::INTERNAL_IP6_DNS,
    T::INTERNAL_IP6_DHCP,
    T::INTERNAL_IP4_SUBNET,
    T::SUPPORTED_ATTRIBUTES,
    T::INTERNAL_IP6_SUBNET,
    T::INTERNAL_DNS_DOMAIN,
    T::INTERNAL_DNSSEC_TA,
];

/// The answer to a CFG_SET: which of its attributes we took, which is none (RFC 7296 §3.15: CFG_ACK without them).
#[must_use]
pub fn acknowledge() -> Configuration {
    Configuration::new(ConfigType::ACK, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use ravelin_sa_db::{Identity, Pool, Pools};

    #[test]
    fn a_reply_comes_back_as_it_was_meant() {
        let net = |s: &str| AddrRange::parse(s).unwrap();
        let mut pool = Pool::new("p", [net("10.0.0.1-10.0.0.9"), net("fd00::/64")]);
        pool.info = PoolInfo {
            netmask: Some("255.255.255.0".parse().unwrap()),
            prefix_v6: 64,
            dns: alloc::vec!["10.0.0.53".parse().unwrap(), "fd00::53".parse().unwrap()],
            nbns: alloc::vec!["10.0.0.54".parse().unwrap()],
            dhcp: alloc::vec!["10.0.0.55".parse().unwrap()],
            subnets: alloc::vec![net("10.1.0.0/16"), net("fd01::/48"), net("10.0.0.1-10.0.0.6")],
            domains: alloc::vec!["example.org".into(), "example.net".into()],
            trust_anchors: alloc::vec![(1, alloc::vec![0, 7, 8, 2, 1, 2, 3])],
            other: alloc::vec![(28672, b"hello".to_vec())],
        };
        let mut pools = Pools::default();
        pools.add(pool);
        let (names, who) = (["p".to_string()], Identity::fqdn("a.test"));
        let lease = |f| pools.lease(&names, f, &who, None).unwrap();
        let leases = [lease(ravelin_sa_db::pool::Family::V4), lease(ravelin_sa_db::pool::Family::V6)];
        let mut peer = Peer::new("p", who.clone(), who.clone());
        assert_eq!(request(&peer, &[]), None);
        (peer.request_v4, peer.request_v6) = (true, true);
        let asked = wishes(&request(&peer, &[]).unwrap());
        assert_eq!((asked.v4.as_slice(), asked.v6.as_slice()), (&[None][..], &[None][..]));
        let told = read(&reply(&leases, &asked));
        let info = &leases[0].pool.info;
        assert_eq!(told.addrs, [("10.0.0.1".parse().unwrap(), 32), ("fd00::".parse().unwrap(), 64)]);
        assert_eq!(
            (told.netmask, &told.dns, &told.nbns, &told.dhcp),
            (info.netmask, &info.dns, &info.nbns, &info.dhcp)
        );
        assert_eq!(told.subnets, info.subnets[..2]);
        assert_eq!(
            (&told.domains, &told.trust_anchors, &told.other),
            (&info.domains, &info.trust_anchors, &info.other)
        );
        // Who does not ask for split DNS is not told (RFC 8598 section 3.2).
        let plain = read(&reply(&leases, &Wishes::default()));
        assert!(plain.domains.is_empty() && plain.trust_anchors.is_empty());
        // What we had we ask for again.
        let again = wishes(&request(&peer, &told.addrs).unwrap());
        assert_eq!((again.v4, again.v6), (alloc::vec![Some(told.addrs[0].0)], alloc::vec![Some(told.addrs[1].0)]));
        let _ = Arc::clone(&leases[0].pool);
    }

    #[test]
    fn bad_attributes_are_left_out_one_by_one() {
        let cp = Configuration::new(
            ConfigType::REPLY,
            alloc::vec![
                ConfigAttribute::new(T::INTERNAL_IP4_ADDRESS, alloc::vec![1, 2, 3]),
                ConfigAttribute::new(T::INTERNAL_IP4_SUBNET, alloc::vec![10, 0, 0, 0, 255, 0, 255, 0]),
                ConfigAttribute::new(T::INTERNAL_DNSSEC_TA, alloc::vec![0, 7, 8, 2, 1]),
                ConfigAttribute::new(T::INTERNAL_IP4_DNS, alloc::vec![9, 9, 9, 9]),
            ],
        );
        let told = read(&cp);
        assert_eq!(told, Assigned { dns: alloc::vec!["9.9.9.9".parse().unwrap()], ..Assigned::default() });
    }

    #[test]
    fn wishes_are_bounded() {
        let many = alloc::vec![ConfigAttribute::new(T::INTERNAL_IP4_ADDRESS, Vec::new()); 100];
        assert_eq!(wishes(&Configuration::new(ConfigType::REQUEST, many)).v4.len(), MAX_ADDRESSES);
    }
}
