//! The small languages inside the configuration's strings: durations, traffic selectors, identities, secrets.
//! To add one: a function from text to value, `None` for "not that", and its tests.

use ravelin_crypto::Secret;
use ravelin_sa_db::{AddrRange, PortRange, TrafficSelector};
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const DURATION: &str = "a duration such as \"90s\", \"5m\", \"4h\", \"2d\" or \"off\"";
pub(crate) const SELECTOR: &str =
    "a traffic selector such as \"10.1.0.0/16\", \"fd00::1\", \"10.0.0.1-10.0.0.9\" or \"10.1.0.0/16[tcp/80]\"";
pub(crate) const IDENTITY: &str = "an identity such as \"vpn.example.org\", \"me@example.org\", \"10.0.0.1\", \
     \"keyid:name\", \"keyid:0x0a0b\" or \"dn:0x30…\" (DER)";
pub(crate) const SECRET: &str = "a secret of at least one octet: text, or hexadecimal after 0x";

/// `90s`, `500ms`, `5m`, `4h`, `2d`; `off` is zero.
pub(crate) fn duration(s: &str) -> Option<Duration> {
    if s == "off" {
        return Some(Duration::ZERO);
    }
    let digits = s.find(|c: char| !c.is_ascii_digit())?;
    let (n, unit) = s.split_at_checked(digits)?;
    let n: u64 = n.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(millis).map(Duration::from_millis)
}

/// Addresses, then optionally `[protocol]` or `[protocol/port]` or `[protocol/port-port]`; the protocol is `tcp`, `udp`,
/// `icmp`, `icmp6`, `sctp`, a number, or `any`.
pub(crate) fn selector(s: &str) -> Option<TrafficSelector> {
    let (addresses, rest) = match s.split_once('[') {
        Some((a, rest)) => (a, Some(rest.strip_suffix(']')?)),
        None => (s, None),
    };
    let (protocol, ports) = match rest.map(|r| r.split_once('/').unwrap_or((r, "any"))) {
        Some((protocol, ports)) => (protocol_number(protocol)?, port_range(ports)?),
        None => (0, PortRange::ANY),
    };
    Some(TrafficSelector { addrs: address_range(addresses)?, protocol, ports })
}

fn address_range(s: &str) -> Option<AddrRange> {
    if let Some((addr, len)) = s.split_once('/') {
        AddrRange::prefix(addr.parse().ok()?, len.parse().ok()?)
    } else if let Some((first, last)) = s.split_once('-') {
        AddrRange::new(first.parse().ok()?, last.parse().ok()?)
    } else {
        Some(AddrRange::host(s.parse().ok()?))
    }
}

fn protocol_number(s: &str) -> Option<u8> {
    match s {
        "any" => Some(0),
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        "icmp6" | "icmpv6" => Some(58),
        "sctp" => Some(132),
        n => n.parse().ok(),
    }
}

fn port_range(s: &str) -> Option<PortRange> {
    if s == "any" {
        return Some(PortRange::ANY);
    }
    let (first, last) = s.split_once('-').unwrap_or((s, s));
    PortRange::new(first.parse().ok()?, last.parse().ok()?)
}

/// An IKE identity (RFC 7296 §3.5): type and data, as on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: u8,
    pub(crate) data: Vec<u8>,
}

/// An IP address is ID_IPV4_ADDR or ID_IPV6_ADDR, text with `@` is ID_RFC822_ADDR, `keyid:` and `dn:` say what they are,
/// anything else is ID_FQDN.
pub(crate) fn identity(s: &str) -> Option<Identity> {
    let id = |kind, data: &[u8]| (!data.is_empty()).then(|| Identity { kind, data: data.to_vec() });
    if let Ok(addr) = s.parse() {
        return Some(address_identity(addr));
    }
    if let Some(key) = s.strip_prefix("keyid:") {
        return match key.strip_prefix("0x") {
            Some(h) => id(11, &hex(h)?),
            None => id(11, key.as_bytes()),
        };
    }
    if let Some(dn) = s.strip_prefix("dn:0x") {
        return id(9, &hex(dn)?);
    }
    if s.starts_with("dn:") || s.chars().any(|c| c.is_whitespace() || c == '=') {
        return None;
    }
    id(if s.contains('@') { 3 } else { 2 }, s.as_bytes())
}

/// ID_IPV4_ADDR or ID_IPV6_ADDR.
pub(crate) fn address_identity(addr: IpAddr) -> Identity {
    match addr {
        IpAddr::V4(a) => Identity { kind: 1, data: a.octets().to_vec() },
        IpAddr::V6(a) => Identity { kind: 5, data: a.octets().to_vec() },
    }
}

/// Hexadecimal after `0x`, else the text's own octets.
pub(crate) fn secret(s: &str) -> Option<Secret> {
    let octets = match s.strip_prefix("0x") {
        Some(h) => hex(h)?,
        None => s.as_bytes().to_vec(),
    };
    (!octets.is_empty()).then(|| Secret::new(octets))
}

fn hex(s: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = s.chars().map(|c| c.to_digit(16)).collect();
    digits?.chunks(2).map(|p| u8::try_from(p.first()? << 4 | p.get(1)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("90s", 90_000), ("5m", 300_000), ("4h", 14_400_000), ("2d", 172_800_000), ("500ms", 500), ("off", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-5s", "5w", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn selectors() {
        let shown = |s: &str| selector(s).map(|t| (t.addrs.to_string(), t.protocol, t.ports.to_string()));
        let some = |a: &str, p, r: &str| Some((a.to_owned(), p, r.to_owned()));
        assert_eq!(shown("10.1.2.3/16"), some("10.1.0.0/16", 0, "any"));
        assert_eq!(shown("fd00::1"), some("fd00::1/128", 0, "any"));
        assert_eq!(shown("10.0.0.1-10.0.0.9"), some("10.0.0.1-10.0.0.9", 0, "any"));
        assert_eq!(shown("10.1.0.0/16[tcp/80]"), some("10.1.0.0/16", 6, "80"));
        assert_eq!(shown("fd00::/8[udp/1000-2000]"), some("fd00::/8", 17, "1000-2000"));
        assert_eq!(shown("10.0.0.1[icmp]"), some("10.0.0.1/32", 1, "any"));
        for text in [
            "",
            "10.1.0.0/33",
            "10.1.0.0/",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-fd00::1",
            "10.0.0.1[tcp/80",
            "10.0.0.1[tcp/80-79]",
            "10.0.0.1[foo]",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn identities() {
        let shown = |s: &str| identity(s).map(|i| (i.kind, i.data));
        assert_eq!(shown("vpn.example.org"), Some((2, b"vpn.example.org".to_vec())));
        assert_eq!(shown("me@example.org"), Some((3, b"me@example.org".to_vec())));
        assert_eq!(shown("10.0.0.1"), Some((1, vec![10, 0, 0, 1])));
        assert_eq!(shown("::1").map(|i| i.0), Some(5));
        assert_eq!(shown("keyid:lab"), Some((11, b"lab".to_vec())));
        assert_eq!(shown("keyid:0x0aFF"), Some((11, vec![10, 255])));
        assert_eq!(shown("dn:0x3000"), Some((9, vec![0x30, 0])));
        for text in ["", "keyid:", "keyid:0xabc", "dn:CN=a", "CN=a", "two words"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn secrets() {
        let shown = |s: &str| secret(s).map(|s| s.expose().to_vec());
        assert_eq!(shown("0x00ff"), Some(vec![0, 255]));
        assert_eq!(shown("plain"), Some(b"plain".to_vec()));
        assert_eq!(shown(""), None);
        assert_eq!(shown("0x0"), None);
    }
}
