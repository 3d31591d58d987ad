//! AlgorithmIdentifiers of method 14 (RFC 7427 §3, appendix A; RFC 8420 §2; draft pqc-auth §3.1), DER both ways.
//!
//! Written forms are the RFC's. Read, a missing NULL of an RSA algorithm or of a hash is accepted (RFC 4055 §2.1, §5),
//! and the explicit default trailer that appendix A.4.3 shows; everything else must be exact.
//! To add one: its OID here, one arm in each direction.

use super::SignatureScheme;
use crate::AuthHashId;
use alloc::vec::Vec;

const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1]; // pkcs-1; one octet follows
const PSS: u8 = 10;
const MGF1: u8 = 8;
const ECDSA_SHA2: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3]; // ecdsa-with-SHA2; one octet follows
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2]; // hashAlgs; one octet follows
const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3]; // sigAlgs; one octet follows
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
const NULL: &[u8] = &[5, 0];

const SEQUENCE: u8 = 0x30;
const OID: u8 = 6;

impl SignatureScheme {
    /// The AlgorithmIdentifier sent with the signature; `None` for the schemes of methods 9 to 11 and for SHA-1 other
    /// than PKCS#1 v1.5.
    #[must_use]
    pub fn algorithm_identifier(self) -> Option<Vec<u8>> {
        let contents = match self {
            Self::RsaPkcs1(hash) => [oid(RSA, Some(rsa_octet(hash)?)), NULL.to_vec()].concat(),
            Self::RsaPss(hash) => [oid(RSA, Some(PSS)), pss_parameters(hash)?].concat(),
            Self::Ecdsa(hash) => oid(ECDSA_SHA2, Some(sha2_length(hash)?.ecdsa)),
            Self::EcdsaRaw(_) => return None,
            Self::Ed25519 => oid(ED25519, None),
            Self::MlDsa44 => oid(ML_DSA, Some(17)),
            Self::MlDsa65 => oid(ML_DSA, Some(18)),
            Self::MlDsa87 => oid(ML_DSA, Some(19)),
        };
        Some(tlv(SEQUENCE, &contents))
    }

    /// The scheme that an AlgorithmIdentifier names; `None` for every other and for bad DER.
    #[must_use]
    pub fn from_algorithm_identifier(der: &[u8]) -> Option<Self> {
        let (contents, []) = take(der, SEQUENCE)? else { return None };
        let (name, parameters) = take(contents, OID)?;
        let null_or_absent = parameters.is_empty() || parameters == NULL;
        if let Some([octet]) = name.strip_prefix(RSA) {
            return match octet {
                &PSS => Self::pss_from(parameters),
                5 if null_or_absent => Some(Self::RsaPkcs1(AuthHashId::SHA1)),
                11 if null_or_absent => Some(Self::RsaPkcs1(AuthHashId::SHA2_256)),
                12 if null_or_absent => Some(Self::RsaPkcs1(AuthHashId::SHA2_384)),
                13 if null_or_absent => Some(Self::RsaPkcs1(AuthHashId::SHA2_512)),
                _ => None,
            };
        }
        if !parameters.is_empty() {
            return None;
        }
        if name == ED25519 {
            return Some(Self::Ed25519);
        }
        match (name.strip_prefix(ECDSA_SHA2), name.strip_prefix(ML_DSA)) {
            (Some([2]), _) => Some(Self::Ecdsa(AuthHashId::SHA2_256)),
            (Some([3]), _) => Some(Self::Ecdsa(AuthHashId::SHA2_384)),
            (Some([4]), _) => Some(Self::Ecdsa(AuthHashId::SHA2_512)),
            (_, Some([17])) => Some(Self::MlDsa44),
            (_, Some([18])) => Some(Self::MlDsa65),
            (_, Some([19])) => Some(Self::MlDsa87),
            _ => None,
        }
    }

    /// RSASSA-PSS-params (RFC 4055 §3.1) with one hash throughout and a salt of its length.
    fn pss_from(parameters: &[u8]) -> Option<Self> {
        let (fields, []) = take(parameters, SEQUENCE)? else { return None };
        let (hash, fields) = take(fields, 0xA0)?;
        let (mgf, fields) = take(fields, 0xA1)?;
        let (salt, trailer) = take(fields, 0xA2)?;
        let hash = hash_from(hash)?;

        let (mgf, []) = take(mgf, SEQUENCE)? else { return None };
        let (name, mgf_hash) = take(mgf, OID)?;
        let same = name.strip_prefix(RSA) == Some(&[MGF1]) && hash_from(mgf_hash)? == hash;
        let salt_fits = salt == [2, 1, sha2_length(hash)?.octets];
        let trailer_fits = trailer.is_empty() || trailer == [0xA3, 3, 2, 1, 1];
        (same && salt_fits && trailer_fits).then_some(Self::RsaPss(hash))
    }
}

/// Numbers that go with a SHA-2 hash.
struct Sha2 {
    /// Output length.
    octets: u8,
    /// Last octet of the hash's OID.
    hash: u8,
    /// Last octet of ecdsa-with-SHA2.
    ecdsa: u8,
}

fn sha2_length(hash: AuthHashId) -> Option<Sha2> {
    match hash {
        AuthHashId::SHA2_256 => Some(Sha2 { octets: 32, hash: 1, ecdsa: 2 }),
        AuthHashId::SHA2_384 => Some(Sha2 { octets: 48, hash: 2, ecdsa: 3 }),
        AuthHashId::SHA2_512 => Some(Sha2 { octets: 64, hash: 3, ecdsa: 4 }),
        _ => None,
    }
}

/// Last octet of the OID xWithRSAEncryption.
fn rsa_octet(hash: AuthHashId) -> Option<u8> {
    match hash {
        AuthHashId::SHA1 => Some(5),
        AuthHashId::SHA2_256 => Some(11),
        AuthHashId::SHA2_384 => Some(12),
        AuthHashId::SHA2_512 => Some(13),
        _ => None,
    }
}

fn hash_from(der: &[u8]) -> Option<AuthHashId> {
    let (contents, []) = take(der, SEQUENCE)? else { return None };
    let (name, parameters) = take(contents, OID)?;
    match name.strip_prefix(SHA2)? {
        _ if !parameters.is_empty() && parameters != NULL => None,
        [1] => Some(AuthHashId::SHA2_256),
        [2] => Some(AuthHashId::SHA2_384),
        [3] => Some(AuthHashId::SHA2_512),
        _ => None,
    }
}

fn pss_parameters(hash: AuthHashId) -> Option<Vec<u8>> {
    let numbers = sha2_length(hash)?;
    let hash = tlv(SEQUENCE, &[oid(SHA2, Some(numbers.hash)), NULL.to_vec()].concat());
    let mgf = tlv(SEQUENCE, &[oid(RSA, Some(MGF1)), hash.clone()].concat());
    let fields = [tlv(0xA0, &hash), tlv(0xA1, &mgf), tlv(0xA2, &[2, 1, numbers.octets])].concat();
    Some(tlv(SEQUENCE, &fields))
}

fn oid(prefix: &[u8], last: Option<u8>) -> Vec<u8> {
    let octets: Vec<u8> = prefix.iter().copied().chain(last).collect();
    tlv(OID, &octets)
}

/// One DER element of less than 128 octets: everything here is.
fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    [&[tag, contents.len() as u8], contents].concat()
}

/// The contents of the element at the front, which must have this tag and a one-octet length, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [t, len @ 0..=127, rest @ ..] if *t == tag => rest.split_at_checked(usize::from(*len)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [SignatureScheme; 14] = [
        SignatureScheme::RsaPkcs1(AuthHashId::SHA1),
        SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256),
        SignatureScheme::RsaPkcs1(AuthHashId::SHA2_384),
        SignatureScheme::RsaPkcs1(AuthHashId::SHA2_512),
        SignatureScheme::RsaPss(AuthHashId::SHA2_256),
        SignatureScheme::RsaPss(AuthHashId::SHA2_384),
        SignatureScheme::RsaPss(AuthHashId::SHA2_512),
        SignatureScheme::Ecdsa(AuthHashId::SHA2_256),
        SignatureScheme::Ecdsa(AuthHashId::SHA2_384),
        SignatureScheme::Ecdsa(AuthHashId::SHA2_512),
        SignatureScheme::Ed25519,
        SignatureScheme::MlDsa44,
        SignatureScheme::MlDsa65,
        SignatureScheme::MlDsa87,
    ];

    #[test]
    fn both_ways() {
        for scheme in ALL {
            let der = scheme.algorithm_identifier().unwrap();
            assert_eq!(SignatureScheme::from_algorithm_identifier(&der), Some(scheme));
            // Every truncation, every extension and every flipped bit is another algorithm or none.
            for end in 0..der.len() {
                assert_eq!(SignatureScheme::from_algorithm_identifier(&der[..end]), None);
            }
            let longer = [&der[..], &[0]].concat();
            assert_eq!(SignatureScheme::from_algorithm_identifier(&longer), None);
            for bit in 0..der.len() * 8 {
                let mut bad = der.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(SignatureScheme::from_algorithm_identifier(&bad), Some(scheme));
            }
        }
        assert_eq!(SignatureScheme::EcdsaRaw(AuthHashId::SHA2_256).algorithm_identifier(), None);
        assert_eq!(SignatureScheme::RsaPss(AuthHashId::SHA1).algorithm_identifier(), None);
    }

    /// RFC 7427 appendix A.1.2, A.3.2; RFC 8420 §2; RSASSA-PSS with SHA-256 in DER.
    #[test]
    fn octets_of_the_rfcs() {
        let is = |scheme: SignatureScheme, want: &[u8]| assert_eq!(scheme.algorithm_identifier().unwrap(), want);
        is(
            SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256),
            &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0],
        );
        is(SignatureScheme::Ecdsa(AuthHashId::SHA2_256), &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
        is(SignatureScheme::Ed25519, &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70]);
        let pss = SignatureScheme::RsaPss(AuthHashId::SHA2_256).algorithm_identifier().unwrap();
        assert_eq!(&pss[..4], [0x30, 0x41, 6, 9]);
        assert_eq!(pss[13..17], [0x30, 0x34, 0xa0, 0x0f]);
    }

    #[test]
    fn absent_nulls_and_the_default_trailer_are_read() {
        let rsa = [0x30, 0x0b, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b];
        let want = Some(SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256));
        assert_eq!(SignatureScheme::from_algorithm_identifier(&rsa), want);

        let mut pss = SignatureScheme::RsaPss(AuthHashId::SHA2_256).algorithm_identifier().unwrap();
        pss.extend([0xA3, 3, 2, 1, 1]);
        pss[1] += 5;
        pss[14] += 5;
        let want = Some(SignatureScheme::RsaPss(AuthHashId::SHA2_256));
        assert_eq!(SignatureScheme::from_algorithm_identifier(&pss), want);
        *pss.last_mut().unwrap() = 2;
        assert_eq!(SignatureScheme::from_algorithm_identifier(&pss), None);
    }
}
