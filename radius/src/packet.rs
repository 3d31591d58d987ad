//! The packet (RFC 2865 §3): code, identifier, length, authenticator, attributes; how both sides' authenticators are
//! made, and Message-Authenticator (RFC 3579 §3.2).

use crate::attribute::{Attributes, kind, put};
use alloc::vec::Vec;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use ravelin_crypto::Secret;
use subtle::ConstantTimeEq;

/// Codes.
pub mod code {
    #![allow(missing_docs, reason = "the names are IANA's")]
    pub const ACCESS_REQUEST: u8 = 1;
    pub const ACCESS_ACCEPT: u8 = 2;
    pub const ACCESS_REJECT: u8 = 3;
    pub const ACCOUNTING_REQUEST: u8 = 4;
    pub const ACCOUNTING_RESPONSE: u8 = 5;
    pub const ACCESS_CHALLENGE: u8 = 11;
}

/// Octets of the header.
pub const HEADER: usize = 20;
/// The longest packet.
pub const MAX: usize = 4096;
/// Where Message-Authenticator's value stands in a request of ours: it is the first attribute.
const OURS_AT: usize = HEADER + 2;

/// A packet that came, its form checked.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Code.
    pub code: u8,
    /// Identifier.
    pub identifier: u8,
    /// Authenticator.
    pub authenticator: [u8; 16],
    /// Attributes.
    pub attributes: Attributes<'a>,
    octets: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram; octets after the length are padding (RFC 2865 §3).
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let [code, identifier, hi, lo, ..] = datagram else { return None };
        let len = usize::from(u16::from_be_bytes([*hi, *lo]));
        let octets = datagram.get(..len).filter(|_| (HEADER..=MAX).contains(&len))?;
        let (head, attributes) = octets.split_at_checked(HEADER)?;
        let authenticator = *head.last_chunk()?;
        let attributes = Attributes::parse(attributes)?;
        Some(Self { code: *code, identifier: *identifier, authenticator, attributes, octets })
    }

    /// True when this answers the request with that authenticator: both checks of the server's are right. Without
    /// Message-Authenticator only what accounting answers is taken.
    #[must_use]
    pub fn answers(&self, request: &[u8; 16], secret: &Secret) -> bool {
        let Some((head, attributes)) = self.octets.split_at_checked(4) else { return false };
        let attributes = attributes.get(16..).unwrap_or_default();
        let right: [u8; 16] = Md5::new()
            .chain_update(head)
            .chain_update(request)
            .chain_update(attributes)
            .chain_update(secret.expose())
            .finalize()
            .into();
        let signed = self.code == code::ACCOUNTING_RESPONSE || self.is_signed(request, secret);
        bool::from(right.ct_eq(&self.authenticator)) && signed
    }

    /// One Message-Authenticator, and it is right.
    fn is_signed(&self, request: &[u8; 16], secret: &Secret) -> bool {
        let mut at = HEADER;
        let mut found = None;
        for (kind, value) in self.attributes.iter() {
            if kind == self::kind::MESSAGE_AUTHENTICATOR {
                if found.is_some() || value.len() != 16 {
                    return false;
                }
                found = Some((at.saturating_add(2), value));
            }
            at = at.saturating_add(value.len()).saturating_add(2);
        }
        let Some((at, value)) = found else { return false };
        let mut copy = self.octets.to_vec();
        copy.iter_mut().skip(4).zip(request).for_each(|(to, from)| *to = *from);
        copy.iter_mut().skip(at).take(16).for_each(|b| *b = 0);
        mac(secret, &copy).is_some_and(|m| m.ct_eq(value).into())
    }
}

fn mac(secret: &Secret, octets: &[u8]) -> Option<[u8; 16]> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret.expose()).ok()?;
    mac.update(octets);
    Some(mac.finalize().into_bytes().into())
}

fn header(code: u8, identifier: u8, authenticator: &[u8; 16]) -> Vec<u8> {
    let mut out = alloc::vec![code, identifier, 0, 0];
    out.extend_from_slice(authenticator);
    out
}

fn finish(out: &mut Vec<u8>, attributes: &[u8]) -> Option<()> {
    out.extend_from_slice(attributes);
    let len = u16::try_from(out.len()).ok().filter(|l| usize::from(*l) <= MAX)?;
    out.iter_mut().skip(2).zip(len.to_be_bytes()).for_each(|(to, from)| *to = from);
    Some(())
}

/// An Access-Request: a random authenticator, Message-Authenticator first. `None` when it becomes too long.
#[must_use]
pub fn access_request(identifier: u8, authenticator: &[u8; 16], attributes: &[u8], secret: &Secret) -> Option<Vec<u8>> {
    let mut out = header(code::ACCESS_REQUEST, identifier, authenticator);
    put(&mut out, kind::MESSAGE_AUTHENTICATOR, &[0; 16]);
    finish(&mut out, attributes)?;
    let mac = mac(secret, &out)?;
    out.iter_mut().skip(OURS_AT).zip(mac).for_each(|(to, from)| *to = from);
    Some(out)
}

/// An Accounting-Request: its authenticator is a hash over it (RFC 2866 §3). Gives the authenticator too.
#[must_use]
pub fn accounting_request(identifier: u8, attributes: &[u8], secret: &Secret) -> Option<(Vec<u8>, [u8; 16])> {
    let mut out = header(code::ACCOUNTING_REQUEST, identifier, &[0; 16]);
    finish(&mut out, attributes)?;
    let hash: [u8; 16] = Md5::new().chain_update(&out).chain_update(secret.expose()).finalize().into();
    out.iter_mut().skip(4).zip(hash).for_each(|(to, from)| *to = from);
    Some((out, hash))
}

/// What a server makes of a request: for tests of whoever uses this client.
#[must_use]
pub fn response(code: u8, identifier: u8, request: &[u8; 16], attributes: &[u8], secret: &Secret) -> Option<Vec<u8>> {
    let mut out = header(code, identifier, request);
    if code != code::ACCOUNTING_RESPONSE {
        put(&mut out, kind::MESSAGE_AUTHENTICATOR, &[0; 16]);
    }
    finish(&mut out, attributes)?;
    if code != code::ACCOUNTING_RESPONSE {
        let mac = mac(secret, &out)?;
        out.iter_mut().skip(OURS_AT).zip(mac).for_each(|(to, from)| *to = from);
    }
    let hash: [u8; 16] = Md5::new().chain_update(&out).chain_update(secret.expose()).finalize().into();
    out.iter_mut().skip(4).zip(hash).for_each(|(to, from)| *to = from);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new(b"xyzzy5461".to_vec())
    }

    /// RFC 2865 §7.1: the response authenticator of its Access-Accept, without Message-Authenticator.
    #[test]
    fn example_of_the_rfc() {
        let request = [0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a];
        let accept = [
            0x02, 0x00, 0x00, 0x26, 0x86, 0xfe, 0x22, 0x0e, 0x76, 0x24, 0xba, 0x2a, 0x10, 0x05, 0xf6, 0xbf, 0x9b, 0x55,
            0xe0, 0xb2, 0x06, 0x06, 0x00, 0x00, 0x00, 0x01, 0x0f, 0x06, 0x00, 0x00, 0x00, 0x00, 0x0e, 0x06, 0xc0, 0xa8,
            0x01, 0x03,
        ];
        let packet = Packet::parse(&accept).unwrap();
        let mut hash = Md5::new();
        for part in [&accept[..4], &request, &accept[20..], secret().expose()] {
            hash.update(part);
        }
        assert_eq!(<[u8; 16]>::from(hash.finalize()), packet.authenticator);
        assert!(!packet.answers(&request, &secret()), "CVE-2024-3596: no Message-Authenticator");
    }

    #[test]
    fn every_octet_counts() {
        let request = [7; 16];
        let mut attributes = Vec::new();
        put(&mut attributes, kind::STATE, b"state");
        let good = response(code::ACCESS_CHALLENGE, 9, &request, &attributes, &secret()).unwrap();
        assert!(Packet::parse(&good).unwrap().answers(&request, &secret()));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let taken = Packet::parse(&bad).is_some_and(|p| p.answers(&request, &secret()));
            assert!(!taken, "octet {at}");
            assert!(Packet::parse(&good[..at]).is_none(), "cut at {at}");
        }
        assert!(!Packet::parse(&good).unwrap().answers(&[8; 16], &secret()));
        assert!(!Packet::parse(&good).unwrap().answers(&request, &Secret::new(b"other".to_vec())));
    }
}
