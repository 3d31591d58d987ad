//! Private keys in their older clothes, as `openssl` and `pki` write them: PKCS#1 RSAPrivateKey (PEM "RSA PRIVATE KEY")
//! and SEC 1 ECPrivateKey (RFC 5915, PEM "EC PRIVATE KEY") wrapped into PKCS#8, which is what
//! [`crate::Provider::signing_key`] takes. To add one: a function that builds the PrivateKeyInfo.

use crate::{CryptoError, Secret};
use alloc::vec::Vec;
use zeroize::Zeroize;

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 4;
/// INTEGER 0: PrivateKeyInfo version 1.
const VERSION: &[u8] = &[2, 1, 0];
/// AlgorithmIdentifier of rsaEncryption.
const RSA_ENCRYPTION: &[u8] = &[0x30, 13, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];
/// OID id-ecPublicKey.
const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];

/// PKCS#8 around a PKCS#1 RSAPrivateKey. The contents are judged when the key is loaded.
#[must_use]
pub fn pkcs8_from_pkcs1(der: &[u8]) -> Secret {
    wrap(RSA_ENCRYPTION, der)
}

/// PKCS#8 around a SEC 1 ECPrivateKey, whose curve must be named inside (RFC 5915 §3).
///
/// # Errors
/// [`CryptoError::Key`] when it is not an ECPrivateKey or names no curve.
pub fn pkcs8_from_sec1(der: &[u8]) -> Result<Secret, CryptoError> {
    // SEQUENCE { INTEGER 1, OCTET STRING, [0] { OID }, … }
    let fields = match read(der) {
        Some((SEQUENCE, fields, [])) => fields,
        _ => return Err(CryptoError::Key),
    };
    let rest = fields.strip_prefix(&[2, 1, 1]).ok_or(CryptoError::Key)?;
    let Some((OCTET_STRING, _, rest)) = read(rest) else { return Err(CryptoError::Key) };
    let Some((0xA0, curve, _)) = read(rest) else { return Err(CryptoError::Key) };
    let Some((6, _, [])) = read(curve) else { return Err(CryptoError::Key) };
    Ok(wrap(&tlv(SEQUENCE, &[EC_PUBLIC_KEY, curve]), der))
}

fn wrap(algorithm: &[u8], key: &[u8]) -> Secret {
    let mut inner = tlv(OCTET_STRING, &[key]);
    let whole = tlv(SEQUENCE, &[VERSION, algorithm, &inner]);
    inner.zeroize();
    Secret::new(whole)
}

/// One DER element; the length is written in the shortest form. Allocated once, so that no copy of a key stays behind.
fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let len: usize = contents.iter().map(|c| c.len()).sum();
    let mut out = Vec::with_capacity(len.saturating_add(10));
    out.push(tag);
    let octets = len.to_be_bytes();
    let significant = octets.iter().skip_while(|b| **b == 0);
    if len >= 128 {
        out.push(0x80 | significant.clone().count() as u8);
        out.extend(significant);
    } else {
        out.push(len as u8);
    }
    contents.iter().for_each(|c| out.extend_from_slice(c));
    out
}

/// Tag, contents and what follows of the element at the front; lengths of up to two octets.
fn read(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, len, rest) = match der {
        [tag, len @ 0..=127, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x81, len, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x82, high, low, rest @ ..] => (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_shortest() {
        assert_eq!(tlv(4, &[&[1, 2]]), [4, 2, 1, 2]);
        assert_eq!(tlv(4, &[&[0; 127]])[..2], [4, 127]);
        assert_eq!(tlv(4, &[&[0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[&[0; 200], &[0; 100]])[..4], [4, 0x82, 1, 44]);
        for len in [0, 1, 127, 128, 255, 256, 1200] {
            let contents = alloc::vec![7; len];
            assert_eq!(read(&tlv(4, &[&contents])), Some((4, &contents[..], &[][..])));
        }
    }

    #[test]
    fn sec1_without_a_curve_is_refused() {
        let with = [0x30, 14, 2, 1, 1, 4, 1, 9, 0xA0, 6, 6, 4, 0x2B, 0x81, 4, 0];
        assert!(pkcs8_from_sec1(&with).is_ok());
        assert_eq!(pkcs8_from_sec1(&with[..15]).err(), Some(CryptoError::Key));
        assert_eq!(pkcs8_from_sec1(&[0x30, 6, 2, 1, 1, 4, 1, 9]).err(), Some(CryptoError::Key));
        assert_eq!(pkcs8_from_sec1(&[]).err(), Some(CryptoError::Key));
    }
}
