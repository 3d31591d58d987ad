//! Attributes (RFC 2865 §5): type, length, value; one after another. Vendor-Specific ones (§5.26) hold attributes of
//! their own. To add one: a constant.

use alloc::vec::Vec;

/// A type number; vendors' ones are in [`vendor`].
pub type Type = u8;

/// Attribute numbers.
pub mod kind {
    #![allow(missing_docs, reason = "the names are IANA's")]
    pub const USER_NAME: u8 = 1;
    pub const NAS_IP_ADDRESS: u8 = 4;
    pub const NAS_PORT: u8 = 5;
    pub const SERVICE_TYPE: u8 = 6;
    pub const FRAMED_IP_ADDRESS: u8 = 8;
    pub const FRAMED_IP_NETMASK: u8 = 9;
    pub const REPLY_MESSAGE: u8 = 18;
    pub const STATE: u8 = 24;
    pub const CLASS: u8 = 25;
    pub const VENDOR_SPECIFIC: u8 = 26;
    pub const SESSION_TIMEOUT: u8 = 27;
    pub const CALLED_STATION_ID: u8 = 30;
    pub const CALLING_STATION_ID: u8 = 31;
    pub const NAS_IDENTIFIER: u8 = 32;
    pub const ACCT_STATUS_TYPE: u8 = 40;
    pub const ACCT_INPUT_OCTETS: u8 = 42;
    pub const ACCT_OUTPUT_OCTETS: u8 = 43;
    pub const ACCT_SESSION_ID: u8 = 44;
    pub const ACCT_SESSION_TIME: u8 = 46;
    pub const ACCT_INPUT_PACKETS: u8 = 47;
    pub const ACCT_OUTPUT_PACKETS: u8 = 48;
    pub const ACCT_TERMINATE_CAUSE: u8 = 49;
    pub const ACCT_INPUT_GIGAWORDS: u8 = 52;
    pub const ACCT_OUTPUT_GIGAWORDS: u8 = 53;
    pub const NAS_PORT_TYPE: u8 = 61;
    pub const EAP_MESSAGE: u8 = 79;
    pub const MESSAGE_AUTHENTICATOR: u8 = 80;
    pub const ACCT_INTERIM_INTERVAL: u8 = 85;
    pub const NAS_IPV6_ADDRESS: u8 = 95;
    pub const FRAMED_IPV6_ADDRESS: u8 = 168;
    pub const DNS_SERVER_IPV6_ADDRESS: u8 = 169;
}

/// Attributes of vendor 311 (RFC 2548).
pub mod vendor {
    #![allow(missing_docs, reason = "the names are the RFC's")]
    pub const MICROSOFT: u32 = 311;
    pub const MS_MPPE_SEND_KEY: u8 = 16;
    pub const MS_MPPE_RECV_KEY: u8 = 17;
    pub const MS_PRIMARY_DNS_SERVER: u8 = 28;
    pub const MS_SECONDARY_DNS_SERVER: u8 = 29;
}

/// The attributes of a packet, in order.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// `None` when lengths do not fit.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        let all = Self(octets);
        let mut rest = octets;
        while !rest.is_empty() {
            rest = Self::cut(rest)?.2;
        }
        Some(all)
    }

    /// Type, value, and what follows.
    fn cut(rest: &'a [u8]) -> Option<(Type, &'a [u8], &'a [u8])> {
        let [kind, len, ..] = rest else { return None };
        let (one, rest) = rest.split_at_checked(usize::from(*len))?;
        Some((*kind, one.get(2..)?, rest))
    }

    /// Each attribute.
    pub fn iter(self) -> impl Iterator<Item = (Type, &'a [u8])> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (kind, value, after) = Self::cut(rest)?;
            rest = after;
            Some((kind, value))
        })
    }

    /// The first of a type.
    #[must_use]
    pub fn first(self, kind: Type) -> Option<&'a [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, v)| v)
    }

    /// All of a type.
    pub fn all(self, kind: Type) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(k, _)| *k == kind).map(|(_, v)| v)
    }

    /// Attributes of a vendor.
    pub fn of_vendor(self, vendor: u32) -> impl Iterator<Item = (Type, &'a [u8])> {
        self.all(kind::VENDOR_SPECIFIC)
            .filter_map(move |v| v.split_first_chunk::<4>().filter(|(id, _)| u32::from_be_bytes(**id) == vendor))
            .filter_map(|(_, inner)| Attributes::parse(inner))
            .flat_map(Attributes::iter)
    }
}

/// Appends an attribute; a value above 253 octets is cut, which no caller does.
pub fn put(out: &mut Vec<u8>, kind: Type, value: &[u8]) {
    let value = value.get(..253).unwrap_or(value);
    out.push(kind);
    out.push(u8::try_from(value.len().saturating_add(2)).unwrap_or(u8::MAX));
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert!(Attributes::parse(&[]).is_some());
        for bad in [&[1][..], &[1, 0], &[1, 1], &[1, 3], &[1, 2, 3], &[1, 255, 0]] {
            assert!(Attributes::parse(bad).is_none(), "{bad:?}");
        }
        let mut octets = Vec::new();
        put(&mut octets, kind::USER_NAME, b"carol");
        put(&mut octets, kind::VENDOR_SPECIFIC, &[0, 0, 1, 55, 28, 6, 10, 0, 0, 1]);
        put(&mut octets, kind::VENDOR_SPECIFIC, &[0, 0, 1, 55, 28, 7, 10, 0, 0, 1]);
        put(&mut octets, kind::VENDOR_SPECIFIC, &[0, 0]);
        let all = Attributes::parse(&octets).unwrap();
        assert_eq!(all.first(kind::USER_NAME), Some(&b"carol"[..]));
        assert_eq!(all.of_vendor(vendor::MICROSOFT).collect::<Vec<_>>(), [(28, &[10, 0, 0, 1][..])]);
    }
}
