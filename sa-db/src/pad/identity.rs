//! Identities of RFC 7296 §3.5 and patterns over them (RFC 4301 §4.4.3.1).
//!
//! To add an ID type: one constant in [`IdKind`]'s table, one arm in `parse` and one in `Display`.

use super::dn;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

ravelin_crypto::registry! {
    /// Identification types (RFC 7296 §3.5, RFC 4595, RFC 7619). Unknown numbers survive.
    pub struct IdKind(u8) {
        IPV4_ADDR = 1, FQDN = 2, RFC822_ADDR = 3, IPV6_ADDR = 5, DER_ASN1_DN = 9, DER_ASN1_GN = 10, KEY_ID = 11,
        FC_NAME = 12, NULL = 13,
    }
}

/// One identity as it travels in IDi and IDr.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Identification type.
    pub kind: IdKind,
    /// Identification data. Names have no terminator; addresses are in network order.
    pub data: Vec<u8>,
}

impl Identity {
    /// From the wire. Nothing is checked here: a malformed identity simply matches no pattern.
    #[must_use]
    pub fn new(kind: IdKind, data: impl Into<Vec<u8>>) -> Self {
        Self { kind, data: data.into() }
    }

    /// ID_IPV4_ADDR or ID_IPV6_ADDR.
    #[must_use]
    pub fn addr(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(a) => Self::new(IdKind::IPV4_ADDR, a.octets()),
            IpAddr::V6(a) => Self::new(IdKind::IPV6_ADDR, a.octets()),
        }
    }

    /// ID_FQDN.
    #[must_use]
    pub fn fqdn(name: &str) -> Self {
        Self::new(IdKind::FQDN, name.as_bytes())
    }

    /// ID_RFC822_ADDR.
    #[must_use]
    pub fn email(name: &str) -> Self {
        Self::new(IdKind::RFC822_ADDR, name.as_bytes())
    }

    /// ID_KEY_ID.
    #[must_use]
    pub fn key_id(octets: &[u8]) -> Self {
        Self::new(IdKind::KEY_ID, octets)
    }

    /// ID_NULL (RFC 7619): who I am is not said.
    #[must_use]
    pub fn null() -> Self {
        Self::new(IdKind::NULL, Vec::new())
    }

    /// The address of ID_IPV4_ADDR and ID_IPV6_ADDR.
    #[must_use]
    pub fn as_addr(&self) -> Option<IpAddr> {
        match self.kind {
            IdKind::IPV4_ADDR => Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.data.as_slice()).ok()?).into()),
            IdKind::IPV6_ADDR => Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.data.as_slice()).ok()?).into()),
            _ => None,
        }
    }

    /// The text of ID_FQDN and ID_RFC822_ADDR, when it is UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        matches!(self.kind, IdKind::FQDN | IdKind::RFC822_ADDR).then(|| core::str::from_utf8(&self.data).ok())?
    }

    /// True when both name the same: names without regard to ASCII case (RFC 4945 §3.1.2, §3.1.3; the mailbox too, as
    /// deployed stacks do), DNs by attribute with case and space folded (RFC 5280 §7.1), the rest by octets.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && (self.data == other.data || self.to_canonical() == other.to_canonical())
    }

    /// The form in which [`Identity::same`] is equality; for use as a key of maps.
    #[must_use]
    pub fn canonical(&self) -> Self {
        self.to_canonical().into_owned()
    }

    /// The same, borrowed where it is in that form already.
    #[must_use]
    pub fn to_canonical(&self) -> Cow<'_, Self> {
        let data = match self.kind {
            IdKind::FQDN | IdKind::RFC822_ADDR if self.data.iter().any(u8::is_ascii_uppercase) => {
                Some(self.data.to_ascii_lowercase())
            }
            IdKind::DER_ASN1_DN => dn::canonical(&self.data),
            _ => None,
        };
        data.map_or(Cow::Borrowed(self), |data| Cow::Owned(Self { kind: self.kind, data }))
    }
}

impl From<IpAddr> for Identity {
    fn from(addr: IpAddr) -> Self {
        Self::addr(addr)
    }
}

/// Why a text is no identity or pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdentityError {
    /// The text.
    pub text: String,
    /// What was expected in its place.
    pub expected: &'static str,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no identity; expected {}", self.text, self.expected)
    }
}

impl core::error::Error for IdentityError {}

/// Prefixes that say the type outright; what follows is text, or octets as `#hex` or `0xhex`.
const PREFIXES: &[(&str, IdKind)] = &[
    ("ipv4:", IdKind::IPV4_ADDR),
    ("ipv6:", IdKind::IPV6_ADDR),
    ("fqdn:", IdKind::FQDN),
    ("dns:", IdKind::FQDN),
    ("rfc822:", IdKind::RFC822_ADDR),
    ("email:", IdKind::RFC822_ADDR),
    ("userfqdn:", IdKind::RFC822_ADDR),
    ("asn1dn:", IdKind::DER_ASN1_DN),
    ("asn1gn:", IdKind::DER_ASN1_GN),
    ("xmppaddr:", IdKind::RFC822_ADDR),
    ("keyid:", IdKind::KEY_ID),
    ("fcname:", IdKind::FC_NAME),
];

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix('#').or_else(|| text.strip_prefix("0x"))?;
    let nibbles: Vec<u8> = digits
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[h, l]| (h << 4) | l).collect())
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Reads an identity as swanctl does: an IP address, a name, `user@name`, a distinguished name ("C=CH, O=..."),
    /// `@name` or `@#hex` (key id), `%null`, or `<type>:<value>` with the types ipv4, ipv6, fqdn, rfc822 (email),
    /// asn1dn, asn1gn, keyid, fcname; `<number>:#hex` for any other type.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        let wrong = |expected| IdentityError { text: text.to_string(), expected };
        for (prefix, kind) in PREFIXES {
            if let Some(value) = text.strip_prefix(prefix) {
                return typed(*kind, value).map_err(wrong);
            }
        }
        if let Some((number, value)) = text.split_once(":#")
            && let Ok(number) = number.parse::<u8>()
        {
            let octets = hex(&alloc::format!("#{value}")).ok_or_else(|| wrong("hex digits in pairs after '#'"))?;
            return Ok(Self::new(IdKind(number), octets));
        }
        if text == "%null" {
            return Ok(Self::null());
        }
        if text.is_empty() || text.starts_with('%') || text.contains('*') {
            return Err(wrong(
                "one identity here; patterns such as %any and *.example.org only where a peer is matched",
            ));
        }
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(Self::addr(addr));
        }
        if text.contains('=') {
            return typed(IdKind::DER_ASN1_DN, text).map_err(wrong);
        }
        if text.starts_with("@#") {
            let octets = text.strip_prefix('@').and_then(hex).ok_or_else(|| wrong("hex digits in pairs after '@#'"))?;
            return Ok(Self::key_id(&octets));
        }
        if let Some(email) = text.strip_prefix("@@") {
            return Ok(Self::email(email));
        }
        if let Some(name) = text.strip_prefix('@') {
            return Ok(Self::fqdn(name));
        }
        Ok(if text.contains('@') { Self::email(text) } else { Self::fqdn(text) })
    }
}

fn typed(kind: IdKind, value: &str) -> Result<Identity, &'static str> {
    if let Some(octets) = hex(value) {
        return Ok(Identity::new(kind, octets));
    }
    match kind {
        IdKind::IPV4_ADDR => {
            value.parse::<Ipv4Addr>().map(|a| Identity::addr(a.into())).map_err(|_| "an IPv4 address after 'ipv4:'")
        }
        IdKind::IPV6_ADDR => {
            value.parse::<Ipv6Addr>().map(|a| Identity::addr(a.into())).map_err(|_| "an IPv6 address after 'ipv6:'")
        }
        IdKind::DER_ASN1_DN => dn::encode(value).map(|der| Identity::new(kind, der)),
        IdKind::DER_ASN1_GN => Err("DER octets as '#hex' after 'asn1gn:'"),
        _ if value.is_empty() => Err("a value after the type"),
        _ => Ok(Identity::new(kind, value.as_bytes())),
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    f.write_str("#")?;
    data.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Peers choose these octets: nothing unprintable reaches a log or a terminal.
        let text = core::str::from_utf8(&self.data).ok();
        let text = text.filter(|t| !t.is_empty() && !t.starts_with('#') && t.chars().all(|c| c.is_ascii_graphic()));
        match (self.kind, text) {
            (IdKind::IPV4_ADDR | IdKind::IPV6_ADDR, _) if self.as_addr().is_some() => {
                self.as_addr().into_iter().try_for_each(|a| write!(f, "{a}"))
            }
            (IdKind::FQDN | IdKind::RFC822_ADDR, Some(t)) if t.parse().as_ref() == Ok(self) => f.write_str(t),
            (IdKind::DER_ASN1_DN, _) => match dn::decode(&self.data) {
                Some(t) if dn::encode(&t).as_ref() == Ok(&self.data) => f.write_str(&t),
                _ => f.write_str("asn1dn:").and_then(|()| write_hex(f, &self.data)),
            },
            (IdKind::NULL, _) if self.data.is_empty() => f.write_str("%null"),
            (kind, text) => match PREFIXES.iter().find(|(_, k)| *k == kind) {
                Some((prefix, IdKind::KEY_ID | IdKind::FQDN | IdKind::RFC822_ADDR)) if text.is_some() => {
                    write!(f, "{prefix}{}", text.unwrap_or_default())
                }
                Some((prefix, _)) => f.write_str(prefix).and_then(|()| write_hex(f, &self.data)),
                None => write!(f, "{}:", kind.0).and_then(|()| write_hex(f, &self.data)),
            },
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.kind)
    }
}

/// Which identities a PAD entry is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum IdPattern {
    /// Every identity, ID_NULL included ("%any").
    Any,
    /// This one ([`Identity::same`]).
    Exact(Identity),
    /// Names below a domain: "*.lab.test" as `.lab.test` (ID_FQDN; the domain itself is not below).
    Below(String),
    /// Mailboxes of a domain: "*@lab.test" as `lab.test` (ID_RFC822_ADDR).
    MailboxOf(String),
    /// Addresses in a range ("10.0.0.0/8"; ID_IPV4_ADDR, ID_IPV6_ADDR).
    Addrs(crate::AddrRange),
    /// A DN in which the attribute values "*" stand for any value ("C=CH, O=Lab, CN=*"), DER.
    Dn(#[cfg_attr(feature = "serde", serde(with = "crate::snapshot::hex"))] Vec<u8>),
}

impl IdPattern {
    /// True when `id` is one of these.
    #[must_use]
    pub fn matches(&self, id: &Identity) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => own.same(id),
            Self::Below(suffix) => {
                id.kind == IdKind::FQDN && id.data.len() > suffix.len() && ends_with(&id.data, suffix.as_bytes())
            }
            Self::MailboxOf(domain) => {
                id.kind == IdKind::RFC822_ADDR
                    && id.data.rsplit(|b| *b == b'@').next().is_some_and(|d| d.eq_ignore_ascii_case(domain.as_bytes()))
                    && id.data.len() > domain.len()
            }
            Self::Addrs(range) => id.as_addr().is_some_and(|a| range.contains(a)),
            Self::Dn(pattern) => id.kind == IdKind::DER_ASN1_DN && dn::matches(pattern, &id.data),
        }
    }

    /// The identity, when there is exactly one.
    #[must_use]
    pub fn exact(&self) -> Option<&Identity> {
        match self {
            Self::Exact(id) => Some(id),
            _ => None,
        }
    }
}

fn ends_with(name: &[u8], suffix: &[u8]) -> bool {
    name.len().checked_sub(suffix.len()).and_then(|at| name.get(at..)).is_some_and(|t| t.eq_ignore_ascii_case(suffix))
}

impl From<Identity> for IdPattern {
    fn from(id: Identity) -> Self {
        Self::Exact(id)
    }
}

impl FromStr for IdPattern {
    type Err = IdentityError;

    /// Reads "%any", "*.lab.test", "*@lab.test", "10.0.0.0/8", "10.0.0.1-10.0.0.9", a DN with "*" values, or any one
    /// identity.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        let wrong = |expected| IdentityError { text: text.to_string(), expected };
        if text == "%any" || text == "*" {
            return Ok(Self::Any);
        }
        if let Some(domain) = text.strip_prefix("*@") {
            let fine = !domain.is_empty() && !domain.contains('*');
            return fine.then(|| Self::MailboxOf(domain.to_string())).ok_or_else(|| wrong("a domain after '*@'"));
        }
        if let Some(suffix) = text.strip_prefix('*').filter(|s| s.starts_with('.')) {
            let fine = suffix.len() > 1 && !suffix.contains('*');
            return fine.then(|| Self::Below(suffix.to_string())).ok_or_else(|| wrong("a domain after '*.'"));
        }
        if text.contains('=') && text.contains('*') {
            let body = text.strip_prefix("asn1dn:").unwrap_or(text);
            return dn::encode(body).map(Self::Dn).map_err(wrong);
        }
        if let Some(range) = crate::AddrRange::parse(text).filter(|r| r.first() != r.last()) {
            return Ok(Self::Addrs(range));
        }
        text.parse().map(Self::Exact)
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("%any"),
            Self::Exact(id) => write!(f, "{id}"),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::MailboxOf(domain) => write!(f, "*@{domain}"),
            Self::Addrs(range) => write!(f, "{range}"),
            Self::Dn(der) => write!(f, "{}", dn::decode(der).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(s: &str) -> Identity {
        s.parse().unwrap_or_else(|e| panic!("{e}"))
    }
    fn pat(s: &str) -> IdPattern {
        s.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn types_are_found_from_the_text() {
        for (text, kind, data) in [
            ("192.0.2.1", IdKind::IPV4_ADDR, &[192, 0, 2, 1][..]),
            ("moon.lab.test", IdKind::FQDN, b"moon.lab.test"),
            ("@moon", IdKind::FQDN, b"moon"),
            ("carol@lab.test", IdKind::RFC822_ADDR, b"carol@lab.test"),
            ("@@carol", IdKind::RFC822_ADDR, b"carol"),
            ("keyid:abc", IdKind::KEY_ID, b"abc"),
            ("@#0aFF", IdKind::KEY_ID, &[10, 255]),
            ("fqdn:#00", IdKind::FQDN, &[0]),
            ("asn1gn:#3000", IdKind::DER_ASN1_GN, &[0x30, 0]),
            ("fcname:#0102", IdKind::FC_NAME, &[1, 2]),
            ("%null", IdKind::NULL, b""),
            ("200:#aa", IdKind(200), &[0xaa]),
        ] {
            let i = id(text);
            assert_eq!((i.kind, i.data.as_slice()), (kind, data), "{text}");
            assert_eq!(id(&i.to_string()), i, "{text} printed as {i}");
        }
        assert_eq!(id("2001:db8::1").as_addr(), Some("2001:db8::1".parse().unwrap()));
        assert!("%any".parse::<Identity>().unwrap_err().to_string().contains("patterns"));
        assert!("ipv4:300.1.1.1".parse::<Identity>().is_err() && "".parse::<Identity>().is_err());
    }

    #[test]
    fn what_a_peer_sends_cannot_soil_a_log() {
        assert_eq!(Identity::fqdn("a\x1b[31m").to_string(), "fqdn:#611b5b33316d");
        assert_eq!(Identity::new(IdKind::IPV4_ADDR, [1, 2, 3]).to_string(), "ipv4:#010203");
        assert_eq!(Identity::fqdn("10.0.0.1").to_string(), "fqdn:10.0.0.1");
    }

    #[test]
    fn patterns() {
        assert!(pat("%any").matches(&Identity::null()));
        assert!(pat("*.lab.test").matches(&id("Moon.LAB.test")) && !pat("*.lab.test").matches(&id("lab.test")));
        assert!(!pat("*.lab.test").matches(&id("x@a.lab.test")));
        assert!(pat("*@lab.test").matches(&id("carol@Lab.Test")) && !pat("*@lab.test").matches(&id("c@x.lab.test")));
        assert!(pat("10.0.0.0/8").matches(&id("10.9.9.9")) && !pat("10.0.0.0/8").matches(&id("11.0.0.1")));
        assert!(pat("moon.lab.test").matches(&id("MOON.lab.test")));
        for text in ["%any", "*.lab.test", "*@lab.test", "10.0.0.0/8", "moon"] {
            assert_eq!(pat(text).to_string(), text);
        }
        assert!("*.".parse::<IdPattern>().is_err() && "a*b".parse::<IdPattern>().is_err());
    }
}
