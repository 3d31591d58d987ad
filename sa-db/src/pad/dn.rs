//! Distinguished names: text to DER and back, comparison, wildcards (RFC 5280 §4.1.2.4 and §7.1, RFC 4514, RFC 4945
//! §3.1.5). Only what ID_DER_ASN1_DN needs; certificates are read elsewhere.
//!
//! To add an attribute type: one line in [`TYPES`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Keyword and DER content octets of the attribute's OID.
const TYPES: &[(&str, &[u8])] = &[
    ("CN", &[0x55, 4, 3]),
    ("SN", &[0x55, 4, 4]),
    ("serialNumber", &[0x55, 4, 5]),
    ("C", &[0x55, 4, 6]),
    ("L", &[0x55, 4, 7]),
    ("ST", &[0x55, 4, 8]),
    ("STREET", &[0x55, 4, 9]),
    ("O", &[0x55, 4, 10]),
    ("OU", &[0x55, 4, 11]),
    ("T", &[0x55, 4, 12]),
    ("G", &[0x55, 4, 42]),
    ("I", &[0x55, 4, 43]),
    ("UID", &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 1]),
    ("DC", &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25]),
    ("E", &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1]),
];
const ALIASES: &[(&str, &str)] = &[("emailAddress", "E"), ("S", "ST"), ("GN", "G"), ("surname", "SN")];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 6;
const UTF8: u8 = 12;
const PRINTABLE: u8 = 19;
const IA5: u8 = 22;

fn tlv(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    let len = body.len().to_be_bytes();
    match u8::try_from(body.len()) {
        Ok(n) if n < 0x80 => out.push(n),
        _ => {
            let significant: Vec<u8> = len.iter().copied().skip_while(|b| *b == 0).collect();
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            out.extend(significant);
        }
    }
    out.extend_from_slice(body);
}

/// Splits one element off: tag, body, rest. Definite lengths of at most two octets.
fn take(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, len], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match len {
        0..=0x7f => (usize::from(len), rest),
        0x81 => rest.split_first().map(|(l, r)| (usize::from(*l), r))?,
        0x82 => rest.split_first_chunk::<2>().map(|(l, r)| (usize::from(u16::from_be_bytes(*l)), r))?,
        _ => return None,
    };
    let (body, rest) = rest.split_at_checked(len)?;
    Some((tag, body, rest))
}

fn printable(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&c)
}

/// Splits at unescaped `,` or `/` and removes the backslashes.
fn split(text: &str) -> Vec<String> {
    // "/C=CH/O=Lab" or "C=CH, O=Lab".
    let (separator, body) = match text.strip_prefix('/') {
        Some(rest) => ('/', rest),
        None => (',', text),
    };
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for c in body.chars() {
        match c {
            _ if escaped => {
                part.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if c == separator => parts.push(core::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    parts.push(part);
    parts
}

/// "C=CH, O=Lab, CN=moon" in the order written, as DER. Values are PrintableString where they can be, IA5String for
/// E and DC, else UTF8String, which is what certificates mostly hold.
pub(super) fn encode(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut names = Vec::new();
    for part in split(text) {
        let (key, value) = part.split_once('=').ok_or("a distinguished name such as \"C=CH, O=Lab, CN=moon\"")?;
        let (key, value) = (key.trim(), value.trim());
        let key = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(key)).map_or(key, |(_, k)| *k);
        let (key, oid) = TYPES
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(key))
            .ok_or("attribute types among C, O, OU, CN, ST, L, E, DC, UID, serialNumber, SN, G, I, T, STREET")?;
        if value.is_empty() {
            return Err("a value after '=' in every part of the distinguished name");
        }
        let tag = match *key {
            "E" | "DC" if value.is_ascii() => IA5,
            _ if value.bytes().all(printable) => PRINTABLE,
            _ => UTF8,
        };
        let (mut attribute, mut pair, mut set) = (Vec::new(), Vec::new(), Vec::new());
        tlv(&mut attribute, OID, oid);
        tlv(&mut attribute, tag, value.as_bytes());
        tlv(&mut pair, SEQUENCE, &attribute);
        tlv(&mut set, SET, &pair);
        names.extend(set);
    }
    let mut der = Vec::new();
    tlv(&mut der, SEQUENCE, &names);
    Ok(der)
}

struct Attribute<'a> {
    oid: &'a [u8],
    tag: u8,
    value: &'a [u8],
}

/// The attributes in order; each with whether it opens a new relative name.
fn attributes(der: &[u8]) -> Option<Vec<(bool, Attribute<'_>)>> {
    let mut list = Vec::new();
    let (SEQUENCE, mut names, []) = take(der)? else { return None };
    while !names.is_empty() {
        let (SET, mut set, rest) = take(names)? else { return None };
        names = rest;
        let mut first = true;
        while !set.is_empty() {
            let (SEQUENCE, pair, rest) = take(set)? else { return None };
            set = rest;
            let (OID, oid, value) = take(pair)? else { return None };
            let (tag, value, []) = take(value)? else { return None };
            list.push((first, Attribute { oid, tag, value }));
            first = false;
        }
    }
    Some(list)
}

/// Case and inner space do not count in textual values (RFC 5280 §7.1).
fn folded(a: &Attribute<'_>) -> Vec<u8> {
    if !matches!(a.tag, UTF8 | PRINTABLE | IA5 | 20) {
        return a.value.to_vec();
    }
    let mut out = Vec::new();
    for word in a.value.split(|b| *b == b' ').filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend(word.to_ascii_lowercase());
    }
    out
}

/// The name with textual values folded and of one string type, so that equal names are equal octets.
pub(super) fn canonical(der: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (first, a) in attributes(der)? {
        let textual = matches!(a.tag, UTF8 | PRINTABLE | IA5 | 20);
        tlv(&mut out, u8::from(first), a.oid);
        tlv(&mut out, if textual { UTF8 } else { a.tag }, &folded(&a));
    }
    Some(out)
}

/// True when `der` has the attributes of `pattern` in the same order, where the value "*" stands for any.
pub(super) fn matches(pattern: &[u8], der: &[u8]) -> bool {
    let (Some(pattern), Some(name)) = (attributes(pattern), attributes(der)) else { return false };
    pattern.len() == name.len()
        && pattern.iter().zip(&name).all(|((first, p), (also, n))| {
            first == also && p.oid == n.oid && (p.value == b"*" || folded(p) == folded(n))
        })
}

/// Text of a name whose attributes are all known and textual.
pub(super) fn decode(der: &[u8]) -> Option<String> {
    let mut out = String::new();
    for (first, a) in attributes(der)? {
        let (key, _) = TYPES.iter().find(|(_, oid)| *oid == a.oid)?;
        let value = core::str::from_utf8(a.value).ok()?;
        if !first || value.chars().any(char::is_control) {
            return None;
        }
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(key);
        out.push('=');
        for c in value.chars() {
            if matches!(c, ',' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    (!out.is_empty()).then(|| out.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_der() {
        let der = encode("C=CH, O=Lab \\, Test, CN=moon").unwrap();
        assert_eq!(&der[..13], &[0x30, 13 + 21 + 15, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 6, 19, 2]);
        assert_eq!(decode(&der).unwrap(), "C=CH, O=Lab \\, Test, CN=moon");
        assert_eq!(encode("/C=CH/O=Lab , Test/CN=moon").unwrap().len(), der.len());
        assert!(encode("C=").is_err() && encode("X=1").unwrap_err().contains("attribute types"));
        let long = alloc::format!("CN={}", "x".repeat(300));
        assert_eq!(decode(&encode(&long).unwrap()).unwrap(), long);
    }

    #[test]
    fn comparison_folds_case_space_and_string_type() {
        let a = encode("C=CH, O=The  Lab").unwrap();
        let mut b = encode("C=ch, O=the lab").unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        let at = b.len() - 9;
        assert_eq!(b[at], PRINTABLE);
        b[at] = UTF8;
        assert_eq!(canonical(&a), canonical(&b));
        assert_ne!(canonical(&a), canonical(&encode("C=CH, O=TheLab").unwrap()));
        let p = encode("C=CH, O=*").unwrap();
        assert!(matches(&p, &a) && matches(&p, &b) && !matches(&p, &encode("C=DE, O=x").unwrap()));
    }

    #[test]
    fn truncations_are_no_names() {
        let der = encode("C=CH, O=Lab, CN=moon").unwrap();
        for n in 0..der.len() {
            assert!(canonical(&der[..n]).is_none() && decode(&der[..n]).is_none());
        }
    }
}
