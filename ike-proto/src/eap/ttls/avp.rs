//! AVPs of TTLS (RFC 5281 §10.1): code, flags, length over all but the padding, vendor where the flag says so, value,
//! zeros up to a multiple of four. Lengths are checked before anything is cut (the class of CVE-2026-25075).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Attributes that are understood; vendor 0 is RADIUS's space.
pub(super) const USER_NAME: (u32, u32) = (0, 1);
pub(super) const USER_PASSWORD: (u32, u32) = (0, 2);
pub(super) const EAP_MESSAGE: (u32, u32) = (0, 79);
pub(super) const MS_CHAP_CHALLENGE: (u32, u32) = (311, 11);
pub(super) const MS_CHAP2_RESPONSE: (u32, u32) = (311, 25);
pub(super) const MS_CHAP2_SUCCESS: (u32, u32) = (311, 26);
pub(super) const MS_CHAP_ERROR: (u32, u32) = (311, 2);

const VENDOR: u8 = 0x80;
const MANDATORY: u8 = 0x40;
/// AVPs of one message.
const MAX: usize = 64;

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Avp<'a> {
    /// Vendor and code.
    pub(super) kind: (u32, u32),
    pub(super) mandatory: bool,
    pub(super) value: &'a [u8],
}

/// All attributes of a message.
pub(super) fn parse(mut data: &[u8]) -> Result<Vec<Avp<'_>>, String> {
    let bad = |what: &str| Err(alloc::format!("TTLS: {what} (RFC 5281 section 10.1)"));
    let mut out = Vec::new();
    while !data.is_empty() {
        let Some(([c0, c1, c2, c3, flags, l0, l1, l2], _)) = data.split_first_chunk::<8>() else {
            return bad("an AVP is cut off");
        };
        let length = usize::try_from(u32::from_be_bytes([0, *l0, *l1, *l2])).unwrap_or(usize::MAX);
        let header = if flags & VENDOR != 0 { 12 } else { 8 };
        let Some(mut body) = data.get(8..length).filter(|_| length >= header) else {
            return bad("the length of an AVP is less than its header or more than there is");
        };
        let mut vendor = 0;
        if flags & VENDOR != 0 {
            let Some((id, value)) = body.split_first_chunk::<4>() else { return bad("an AVP has no vendor") };
            vendor = u32::from_be_bytes(*id);
            body = value;
        }
        let kind = (vendor, u32::from_be_bytes([*c0, *c1, *c2, *c3]));
        out.push(Avp { kind, mandatory: flags & MANDATORY != 0, value: body });
        if out.len() > MAX {
            return bad("too many AVPs");
        }
        // The padding of the last may be missing.
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(out)
}

/// Appends an attribute.
pub(super) fn put(out: &mut Vec<u8>, kind: (u32, u32), value: &[u8]) {
    let header = if kind.0 == 0 { 8usize } else { 12 };
    let length = u32::try_from(value.len().saturating_add(header)).unwrap_or(u32::MAX).to_be_bytes();
    let flags = if kind.0 == 0 { MANDATORY } else { MANDATORY | VENDOR };
    out.extend(kind.1.to_be_bytes());
    out.push(flags);
    out.extend(length.iter().skip(1));
    if kind.0 != 0 {
        out.extend(kind.0.to_be_bytes());
    }
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The value of an attribute that stands once.
pub(super) fn one<'a>(all: &[Avp<'a>], kind: (u32, u32)) -> Result<Option<&'a [u8]>, String> {
    let mut found = all.iter().filter(|a| a.kind == kind);
    let first = found.next().map(|a| a.value);
    if found.next().is_some() { Err("TTLS: an AVP stands twice".to_string()) } else { Ok(first) }
}

/// Fails at a mandatory attribute that is not understood.
pub(super) fn understood(all: &[Avp<'_>]) -> Result<(), String> {
    let known =
        [USER_NAME, USER_PASSWORD, EAP_MESSAGE, MS_CHAP_CHALLENGE, MS_CHAP2_RESPONSE, MS_CHAP2_SUCCESS, MS_CHAP_ERROR];
    match all.iter().find(|a| a.mandatory && !known.contains(&a.kind)) {
        Some(a) => Err(alloc::format!("TTLS: AVP {} of vendor {} is mandatory and not known", a.kind.1, a.kind.0)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let mut out = Vec::new();
        put(&mut out, USER_NAME, b"carol");
        put(&mut out, MS_CHAP_CHALLENGE, &[7; 16]);
        let all = parse(&out).unwrap();
        assert_eq!(one(&all, USER_NAME).unwrap(), Some(&b"carol"[..]));
        assert_eq!(one(&all, MS_CHAP_CHALLENGE).unwrap(), Some(&[7; 16][..]));
        assert!(understood(&all).is_ok() && out.len().is_multiple_of(4));
        put(&mut out, (0, 9999), &[]);
        assert!(understood(&parse(&out).unwrap()).is_err());
    }

    /// The class of CVE-2026-25075: a length below the header.
    #[test]
    fn cve_2026_25075_lengths_below_the_header() {
        for length in 0..8u8 {
            assert!(parse(&[0, 0, 0, 1, 0x40, 0, 0, length, 1, 2, 3, 4]).is_err(), "{length}");
        }
        for length in 0..12u8 {
            assert!(parse(&[0, 0, 0, 1, 0xC0, 0, 0, length, 0, 0, 1, 55, 9, 9, 9, 9]).is_err(), "vendor, {length}");
        }
        assert!(parse(&[0, 0, 0, 1, 0x40, 0xFF, 0xFF, 0xFF, 1]).is_err());
        assert!(parse(&[0, 0, 0, 1, 0x40, 0, 0, 8]).is_ok() && parse(&[0; 7]).is_err());
        let many: Vec<u8> = [0, 0, 0, 1, 0x40, 0, 0, 8].repeat(65);
        assert!(parse(&many).is_err());
    }
}
