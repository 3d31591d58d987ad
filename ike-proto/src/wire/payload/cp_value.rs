//! Typed values of configuration attributes (RFC 7296 §3.15.1, RFC 5739 §4, RFC 6623, RFC 7651, RFC 8598, RFC 9464).
//!
//! To add an attribute of a known shape: its number in one arm of `shape`. A new shape: one variant of
//! [`ConfigValue`], one arm in `parse` and `emit`.
use super::cp::ConfigAttribute;
use crate::registry::{AuthHashId, ConfigAttributeType as T};
use crate::wire::error::{Fault, Place, WireError};
use crate::wire::read::Reader;
use crate::wire::write::{octet, put16};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// What an attribute says. Text and tails are borrowed from the attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigValue<'a> {
    /// No value: the attribute is asked for, or acknowledged.
    Empty,
    /// An IPv4 address or netmask.
    Ip4(Ipv4Addr),
    /// INTERNAL_IP4_SUBNET: address and netmask.
    Ip4Subnet(Ipv4Addr, Ipv4Addr),
    /// EXTERNAL_SOURCE_IP4_NAT_INFO: address and port.
    Ip4Port(Ipv4Addr, u16),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// An IPv6 address and a prefix length in bits, at most 128.
    Ip6Prefix(Ipv6Addr, u8),
    /// MIP6_HOME_PREFIX: lifetime in seconds, prefix, prefix length in bits.
    HomePrefix(u32, Ipv6Addr, u8),
    /// INTERNAL_IP6_LINK (RFC 5739 §4.2): interface id and the link id, opaque.
    Ip6Link(u64, &'a [u8]),
    /// HOME_AGENT_ADDRESS: IPv6, and IPv4 if there is one.
    HomeAgent(Ipv6Addr, Option<Ipv4Addr>),
    /// SUPPORTED_ATTRIBUTES.
    Types(Vec<T>),
    /// TIMEOUT_PERIOD_FOR_LIVENESS_CHECK: seconds.
    Seconds(u32),
    /// APPLICATION_VERSION or INTERNAL_DNS_DOMAIN: text without terminator. Not checked to be a domain name.
    Text(&'a str),
    /// INTERNAL_DNSSEC_TA (RFC 8598 §4.2): key tag, algorithm, digest type, digest.
    TrustAnchor(u16, u8, u8, &'a [u8]),
    /// ENCDNS_IP4 and ENCDNS_IP6 (RFC 9464 §3.1).
    EncryptedDns(EncryptedDns<'a>),
    /// ENCDNS_DIGEST_INFO (RFC 9464 §3.2).
    DnsDigest(DnsDigest<'a>),
    /// An attribute this stack knows no shape for.
    Unknown(&'a [u8]),
}

/// An encrypted DNS resolver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncryptedDns<'a> {
    /// Service priority; 0 is alias mode (RFC 9460 §2.4.1).
    pub priority: u16,
    /// IPv4 addresses (ENCDNS_IP4).
    pub ip4: Vec<Ipv4Addr>,
    /// IPv6 addresses (ENCDNS_IP6).
    pub ip6: Vec<Ipv6Addr>,
    /// Authentication domain name, at most 255 octets.
    pub name: &'a str,
    /// Service parameters, unparsed.
    pub params: &'a [u8],
}

/// How the resolver's certificate is recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsDigest<'a> {
    /// Hashes: those the asker can do, or the one of `digest`.
    pub hashes: Vec<AuthHashId>,
    /// Authentication domain name; empty in a request.
    pub name: &'a str,
    /// Digest of the public key; empty in a request.
    pub digest: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Ip4,
    Ip4Subnet,
    Ip4Port,
    Ip6,
    Ip6Prefix,
    HomePrefix,
    Ip6Link,
    HomeAgent,
    Types,
    Seconds,
    Text,
    TrustAnchor,
    EncryptedDns4,
    EncryptedDns6,
    DnsDigest,
    Unknown,
}

fn shape(kind: T) -> Shape {
    match kind {
        T::INTERNAL_IP4_ADDRESS
        | T::INTERNAL_IP4_NETMASK
        | T::INTERNAL_IP4_DNS
        | T::INTERNAL_IP4_NBNS
        | T::INTERNAL_IP4_DHCP
        | T::P_CSCF_IP4_ADDRESS => Shape::Ip4,
        T::INTERNAL_IP4_SUBNET => Shape::Ip4Subnet,
        T::EXTERNAL_SOURCE_IP4_NAT_INFO => Shape::Ip4Port,
        T::INTERNAL_IP6_DNS | T::INTERNAL_IP6_DHCP | T::P_CSCF_IP6_ADDRESS => Shape::Ip6,
        T::INTERNAL_IP6_ADDRESS | T::INTERNAL_IP6_SUBNET | T::INTERNAL_IP6_PREFIX => Shape::Ip6Prefix,
        T::MIP6_HOME_PREFIX => Shape::HomePrefix,
        T::INTERNAL_IP6_LINK => Shape::Ip6Link,
        T::HOME_AGENT_ADDRESS => Shape::HomeAgent,
        T::SUPPORTED_ATTRIBUTES => Shape::Types,
        T::TIMEOUT_PERIOD_FOR_LIVENESS_CHECK => Shape::Seconds,
        T::APPLICATION_VERSION | T::INTERNAL_DNS_DOMAIN => Shape::Text,
        T::INTERNAL_DNSSEC_TA => Shape::TrustAnchor,
        T::ENCDNS_IP4 => Shape::EncryptedDns4,
        T::ENCDNS_IP6 => Shape::EncryptedDns6,
        T::ENCDNS_DIGEST_INFO => Shape::DnsDigest,
        _ => Shape::Unknown,
    }
}

impl ConfigAttribute {
    /// The value by the attribute's type. An attribute with a wrong length is an error here and not in the payload:
    /// one bad attribute can be skipped. Offsets of errors count from the start of the value.
    pub fn typed(&self) -> Result<ConfigValue<'_>, WireError> {
        if self.value.is_empty() {
            return Ok(ConfigValue::Empty);
        }
        let mut r = Reader::new(Place::CpAttribute, &self.value);
        let value = parse(shape(self.kind), &mut r)?;
        r.finish()?;
        Ok(value)
    }

    /// An attribute of our own. Fails when the value is too long for its length fields.
    pub fn from_value(kind: T, value: &ConfigValue<'_>) -> Result<Self, WireError> {
        let mut out = Vec::new();
        emit(value, &mut out)?;
        Ok(Self::new(kind, out))
    }
}

fn text<'a>(r: &Reader<'_>, bytes: &'a [u8]) -> Result<&'a str, WireError> {
    core::str::from_utf8(bytes).map_err(|e| {
        let came = bytes.get(e.valid_up_to()).copied().unwrap_or(0).into();
        r.fail_back(bytes.len(), Fault::Value { field: "text", expected: "as UTF-8", came })
    })
}

fn prefix(r: &mut Reader<'_>) -> Result<(Ipv6Addr, u8), WireError> {
    let address = r.array::<16>()?.into();
    match r.u8()? {
        len @ 0..=128 => Ok((address, len)),
        len => Err(r.fail_back(1, Fault::Value { field: "prefix length", expected: "0 to 128", came: len.into() })),
    }
}

fn parse<'a>(shape: Shape, r: &mut Reader<'a>) -> Result<ConfigValue<'a>, WireError> {
    Ok(match shape {
        Shape::Ip4 => ConfigValue::Ip4(r.array::<4>()?.into()),
        Shape::Ip4Subnet => ConfigValue::Ip4Subnet(r.array::<4>()?.into(), r.array::<4>()?.into()),
        Shape::Ip4Port => ConfigValue::Ip4Port(r.array::<4>()?.into(), r.u16()?),
        Shape::Ip6 => ConfigValue::Ip6(r.array::<16>()?.into()),
        Shape::Ip6Prefix => {
            let (address, len) = prefix(r)?;
            ConfigValue::Ip6Prefix(address, len)
        }
        Shape::HomePrefix => {
            let lifetime = r.u32()?;
            let (address, len) = prefix(r)?;
            ConfigValue::HomePrefix(lifetime, address, len)
        }
        Shape::Ip6Link => ConfigValue::Ip6Link(r.u64()?, r.rest()),
        Shape::HomeAgent => {
            let ip6 = r.array::<16>()?.into();
            ConfigValue::HomeAgent(ip6, if r.is_empty() { None } else { Some(r.array::<4>()?.into()) })
        }
        Shape::Types => {
            let mut types = Vec::new();
            while !r.is_empty() {
                types.push(T(r.u16()? & 0x7fff));
            }
            ConfigValue::Types(types)
        }
        Shape::Seconds => ConfigValue::Seconds(r.u32()?),
        Shape::Text => {
            let bytes = r.rest();
            ConfigValue::Text(text(r, bytes)?)
        }
        Shape::TrustAnchor => ConfigValue::TrustAnchor(r.u16()?, r.u8()?, r.u8()?, r.rest()),
        Shape::EncryptedDns4 | Shape::EncryptedDns6 => encrypted_dns(shape, r)?,
        Shape::DnsDigest => dns_digest(r)?,
        Shape::Unknown => ConfigValue::Unknown(r.rest()),
    })
}

fn encrypted_dns<'a>(shape: Shape, r: &mut Reader<'a>) -> Result<ConfigValue<'a>, WireError> {
    let priority = r.u16()?;
    let addresses = r.u8()?;
    let name_len = usize::from(r.u8()?);
    let (mut ip4, mut ip6) = (Vec::new(), Vec::new());
    for _ in 0..addresses {
        if shape == Shape::EncryptedDns4 { ip4.push(r.array::<4>()?.into()) } else { ip6.push(r.array::<16>()?.into()) }
    }
    let name = r.take(name_len)?;
    let name = text(r, name)?;
    Ok(ConfigValue::EncryptedDns(EncryptedDns { priority, ip4, ip6, name, params: r.rest() }))
}

fn dns_digest<'a>(r: &mut Reader<'a>) -> Result<ConfigValue<'a>, WireError> {
    let count = r.u8()?;
    let name_len = usize::from(r.u8()?);
    let name = r.take(name_len)?;
    let name = text(r, name)?;
    let mut hashes = Vec::new();
    for _ in 0..count {
        hashes.push(AuthHashId(r.u16()?));
    }
    Ok(ConfigValue::DnsDigest(DnsDigest { hashes, name, digest: r.rest() }))
}

fn emit(value: &ConfigValue<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    match value {
        ConfigValue::Empty => {}
        ConfigValue::Ip4(a) => out.extend_from_slice(&a.octets()),
        ConfigValue::Ip4Subnet(a, mask) => out.extend([a.octets(), mask.octets()].as_flattened()),
        ConfigValue::Ip4Port(a, port) => {
            out.extend_from_slice(&a.octets());
            put16(out, *port);
        }
        ConfigValue::Ip6(a) => out.extend_from_slice(&a.octets()),
        ConfigValue::Ip6Prefix(a, len) => {
            out.extend_from_slice(&a.octets());
            out.push(*len);
        }
        ConfigValue::HomePrefix(seconds, a, len) => {
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&a.octets());
            out.push(*len);
        }
        ConfigValue::Ip6Link(interface, link) => {
            out.extend_from_slice(&interface.to_be_bytes());
            out.extend_from_slice(link);
        }
        ConfigValue::HomeAgent(ip6, ip4) => {
            out.extend_from_slice(&ip6.octets());
            out.extend(ip4.iter().flat_map(Ipv4Addr::octets));
        }
        ConfigValue::Types(types) => types.iter().for_each(|t| put16(out, t.0 & 0x7fff)),
        ConfigValue::Seconds(seconds) => out.extend_from_slice(&seconds.to_be_bytes()),
        ConfigValue::Text(text) => out.extend_from_slice(text.as_bytes()),
        ConfigValue::TrustAnchor(tag, algorithm, digest_type, digest) => {
            put16(out, *tag);
            out.extend_from_slice(&[*algorithm, *digest_type]);
            out.extend_from_slice(digest);
        }
        ConfigValue::EncryptedDns(dns) => {
            put16(out, dns.priority);
            let addresses = octet(Place::CpAttribute, dns.ip4.len().saturating_add(dns.ip6.len()))?;
            out.extend_from_slice(&[addresses, octet(Place::CpAttribute, dns.name.len())?]);
            dns.ip4.iter().for_each(|a| out.extend_from_slice(&a.octets()));
            dns.ip6.iter().for_each(|a| out.extend_from_slice(&a.octets()));
            out.extend_from_slice(dns.name.as_bytes());
            out.extend_from_slice(dns.params);
        }
        ConfigValue::DnsDigest(dns) => {
            out.push(octet(Place::CpAttribute, dns.hashes.len())?);
            out.push(octet(Place::CpAttribute, dns.name.len())?);
            out.extend_from_slice(dns.name.as_bytes());
            dns.hashes.iter().for_each(|h| put16(out, h.0));
            out.extend_from_slice(dns.digest);
        }
        ConfigValue::Unknown(bytes) => out.extend_from_slice(bytes),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn check(kind: T, good: &[u8], value: &ConfigValue<'_>, bad: &[&[u8]]) {
        let attribute = ConfigAttribute::new(kind, good.to_vec());
        assert_eq!(&attribute.typed().unwrap(), value);
        assert_eq!(ConfigAttribute::from_value(kind, value).unwrap(), attribute);
        assert_eq!(ConfigAttribute::new(kind, vec![]).typed().unwrap(), ConfigValue::Empty);
        for raw in bad {
            assert!(ConfigAttribute::new(kind, raw.to_vec()).typed().is_err(), "{kind} {raw:02x?}");
        }
    }

    #[test]
    fn addresses() {
        let v4 = Ipv4Addr::new(10, 0, 0, 1);
        check(T::INTERNAL_IP4_DNS, &[10, 0, 0, 1], &ConfigValue::Ip4(v4), &[&[1; 3], &[1; 5]]);
        let net = ConfigValue::Ip4Subnet(v4, Ipv4Addr::new(255, 0, 0, 0));
        check(T::INTERNAL_IP4_SUBNET, &[10, 0, 0, 1, 255, 0, 0, 0], &net, &[&[1; 4], &[1; 9]]);
        let nat = ConfigValue::Ip4Port(v4, 500);
        check(T::EXTERNAL_SOURCE_IP4_NAT_INFO, &[10, 0, 0, 1, 1, 244], &nat, &[&[1; 4]]);
        let v6 = Ipv6Addr::from([1; 16]);
        check(T::INTERNAL_IP6_DNS, &[1; 16], &ConfigValue::Ip6(v6), &[&[1; 15], &[1; 17]]);
        check(T::INTERNAL_IP6_ADDRESS, &[1; 17], &ConfigValue::Ip6Prefix(v6, 1), &[&[1; 16], &[129; 17]]);
        check(T::MIP6_HOME_PREFIX, &[1; 21], &ConfigValue::HomePrefix(0x0101_0101, v6, 1), &[&[1; 20]]);
        check(T::HOME_AGENT_ADDRESS, &[1; 16], &ConfigValue::HomeAgent(v6, None), &[&[1; 15], &[1; 18]]);
        let both = ConfigValue::HomeAgent(v6, Some([1; 4].into()));
        check(T::HOME_AGENT_ADDRESS, &[1; 20], &both, &[&[1; 21]]);
        let link = ConfigValue::Ip6Link(7, &[9]);
        check(T::INTERNAL_IP6_LINK, &[0, 0, 0, 0, 0, 0, 0, 7, 9], &link, &[&[1; 7]]);
    }

    #[test]
    fn numbers_and_text() {
        let types = ConfigValue::Types(vec![T::INTERNAL_IP4_ADDRESS, T(999)]);
        check(T::SUPPORTED_ATTRIBUTES, &[0, 1, 3, 231], &types, &[&[0]]);
        check(T::TIMEOUT_PERIOD_FOR_LIVENESS_CHECK, &[0, 0, 0, 9], &ConfigValue::Seconds(9), &[&[9]]);
        check(T::INTERNAL_DNS_DOMAIN, b"example.org", &ConfigValue::Text("example.org"), &[&[0xff]]);
        check(T(0x7000), &[1, 2], &ConfigValue::Unknown(&[1, 2]), &[]);
        let anchor = ConfigValue::TrustAnchor(258, 8, 2, &[7]);
        check(T::INTERNAL_DNSSEC_TA, &[1, 2, 8, 2, 7], &anchor, &[&[1, 2, 8]]);
    }

    #[test]
    fn encrypted_dns_values() {
        let dns = EncryptedDns { priority: 1, ip4: vec![[9; 4].into()], ip6: vec![], name: "dns", params: b"alpn=h2" };
        let raw = [&[0, 1, 1, 3, 9, 9, 9, 9][..], b"dnsalpn=h2"].concat();
        check(T::ENCDNS_IP4, &raw, &ConfigValue::EncryptedDns(dns), &[&raw[..9], &raw[..3]]);
        let dns = EncryptedDns { priority: 1, ip4: vec![], ip6: vec![[9; 16].into()], name: "d", params: b"" };
        let raw = [&[0, 1, 1, 1][..], &[9; 16], b"d"].concat();
        check(T::ENCDNS_IP6, &raw, &ConfigValue::EncryptedDns(dns), &[&raw[..20]]);
        let digest = DnsDigest { hashes: vec![AuthHashId::SHA2_256], name: "d", digest: &[5, 5] };
        check(T::ENCDNS_DIGEST_INFO, &[1, 1, b'd', 0, 2, 5, 5], &ConfigValue::DnsDigest(digest), &[&[1, 1, b'd', 0]]);
        let long = "x".repeat(256);
        let long = DnsDigest { hashes: vec![], name: &long, digest: &[] };
        assert!(ConfigAttribute::from_value(T::ENCDNS_DIGEST_INFO, &ConfigValue::DnsDigest(long)).is_err());
    }
}
