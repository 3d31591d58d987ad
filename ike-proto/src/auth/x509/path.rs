//! Paths from a certificate to an anchor, by rustls-webpki: signatures, validity, basic and name constraints, path
//! length, extended key usage, revocation. The provider verifies the signatures; all work is bounded by webpki's budget.

use super::known::Under;
use super::{Judge, Known};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use ravelin_crypto::sign::SignatureScheme as S;
use ravelin_crypto::{AuthHashId as H, Provider};
use ravelin_sa_db::pad::Revocation;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator,
    KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

/// One algorithm of the provider as webpki wants it.
struct Algorithm<'a> {
    crypto: &'a Provider,
    scheme: S,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    known: Option<&'a Known>,
    /// The peer's own certificate.
    leaf: &'a [u8],
}

impl fmt::Debug for Algorithm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.scheme)
    }
}

impl SignatureVerificationAlgorithm for Algorithm<'_> {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let spki = spki(self.key.as_ref(), public_key);
        let under = if self.leaf.as_ptr_range().contains(&message.as_ptr()) { Under::Peer } else { Under::Ca };
        let print =
            self.known.and_then(|k| Some((k, Known::print(self.crypto, self.scheme, &spki, message, signature)?)));
        if print.as_ref().is_some_and(|(known, print)| known.is_good(under, print)) {
            return Ok(());
        }
        self.crypto.verify(self.scheme, &spki, &[message], signature).map_err(|_| InvalidSignature)?;
        // webpki goes from the anchor down: this key has been reached by good signatures only.
        if let Some((known, print)) = print {
            known.good(under, print);
        }
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// SHA-1 is not among them.
const ALGORITHMS: &[(S, AlgorithmIdentifier, AlgorithmIdentifier)] = &[
    (S::Ecdsa(H::SHA2_256), alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
    (S::Ecdsa(H::SHA2_384), alg_id::ECDSA_P256, alg_id::ECDSA_SHA384),
    (S::Ecdsa(H::SHA2_512), alg_id::ECDSA_P256, alg_id::ECDSA_SHA512),
    (S::Ecdsa(H::SHA2_256), alg_id::ECDSA_P384, alg_id::ECDSA_SHA256),
    (S::Ecdsa(H::SHA2_384), alg_id::ECDSA_P384, alg_id::ECDSA_SHA384),
    (S::Ecdsa(H::SHA2_512), alg_id::ECDSA_P384, alg_id::ECDSA_SHA512),
    (S::Ecdsa(H::SHA2_256), alg_id::ECDSA_P521, alg_id::ECDSA_SHA256),
    (S::Ecdsa(H::SHA2_384), alg_id::ECDSA_P521, alg_id::ECDSA_SHA384),
    (S::Ecdsa(H::SHA2_512), alg_id::ECDSA_P521, alg_id::ECDSA_SHA512),
    (S::Ed25519, alg_id::ED25519, alg_id::ED25519),
    (S::RsaPkcs1(H::SHA2_256), alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256),
    (S::RsaPkcs1(H::SHA2_384), alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA384),
    (S::RsaPkcs1(H::SHA2_512), alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA512),
    (S::RsaPss(H::SHA2_256), alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256),
    (S::RsaPss(H::SHA2_384), alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384),
    (S::RsaPss(H::SHA2_512), alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512),
    // Only where the provider has them (feature `pqc-sign`).
    (S::MlDsa44, ML_DSA_44, ML_DSA_44),
    (S::MlDsa65, ML_DSA_65, ML_DSA_65),
    (S::MlDsa87, ML_DSA_87, ML_DSA_87),
];

/// id-ml-dsa-44, -65 and -87 without parameters (RFC 9881 §2).
const ML_DSA_44: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17]);
const ML_DSA_65: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18]);
const ML_DSA_87: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19]);

/// SubjectPublicKeyInfo from the contents of its two parts.
fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    tlv(0x30, &[tlv(0x30, algorithm), tlv(3, &bits)].concat())
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let digits = length.iter().skip_while(|b| **b == 0).copied().collect::<Vec<u8>>();
    let mut out = alloc::vec![tag];
    match contents.len() {
        0..=127 => out.push(u8::try_from(contents.len()).unwrap_or(127)),
        // At most eight digits.
        _ => {
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend(digits);
        }
    }
    out.extend_from_slice(contents);
    out
}

/// Extended key usages that let a certificate be used for IKE: anyExtendedKeyUsage and ipsecIKE (RFC 4945 §5.1.3.12),
/// the older IPsec ones, and serverAuth and clientAuth, which are what most deployed CAs write.
const USAGES: &[&[usize]] = &[
    &[2, 5, 29, 37, 0],
    &[1, 3, 6, 1, 5, 5, 7, 3, 17],
    &[1, 3, 6, 1, 5, 5, 7, 3, 5],
    &[1, 3, 6, 1, 5, 5, 7, 3, 6],
    &[1, 3, 6, 1, 5, 5, 7, 3, 7],
    &[1, 3, 6, 1, 5, 5, 8, 2, 2],
    &[1, 3, 6, 1, 5, 5, 7, 3, 1],
    &[1, 3, 6, 1, 5, 5, 7, 3, 2],
];

/// id-kp-ipsecIKE, DER.
const IPSEC_IKE: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 3, 17];

struct ForIke;

impl ExtendedKeyUsageValidator for ForIke {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut any = false;
        for usage in usages {
            let oid = usage?.to_decoded_oid();
            if USAGES.contains(&oid.as_slice()) {
                return Ok(());
            }
            any = true;
        }
        // Without the extension every use is allowed.
        if !any {
            return Ok(());
        }
        let required = KeyUsage::required(IPSEC_IKE);
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present: Vec::new() }))
    }
}

/// Finds a good path from `leaf` over `others` to an anchor. `fresh`: OCSP says that the leaf is good; where a list is
/// demanded that takes its place, as long as no CA stands between, of which OCSP says nothing.
///
/// # Errors
/// What is wrong, for the operator.
pub fn verify(
    judge: &Judge<'_>,
    leaf: &[u8],
    others: &[&[u8]],
    subject: &dyn Fn() -> String,
    fresh: bool,
) -> Result<(), String> {
    if fresh && judge.revocation == Revocation::Required {
        let lenient = Judge { revocation: Revocation::IfPresent, ..*judge };
        if find(&lenient, leaf, others, subject)? == 0 {
            return Ok(());
        }
    }
    find(judge, leaf, others, subject).map(drop)
}

/// How many CAs stand between the leaf and the anchor.
fn find(judge: &Judge<'_>, leaf: &[u8], others: &[&[u8]], subject: &dyn Fn() -> String) -> Result<usize, String> {
    let algorithms: Vec<Algorithm<'_>> = ALGORITHMS
        .iter()
        .map(|(scheme, key, signature)| Algorithm {
            crypto: judge.crypto,
            scheme: *scheme,
            key: *key,
            signature: *signature,
            known: judge.known,
            leaf,
        })
        .collect();
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
        algorithms.iter().map(|a| a as &dyn SignatureVerificationAlgorithm).collect();
    let anchors: Vec<CertificateDer<'_>> = judge.anchors.iter().map(|der| CertificateDer::from(*der)).collect();
    let anchors: Vec<_> = anchors.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok()).collect();
    if anchors.is_empty() {
        return Err("no trusted CA is configured for this peer".into());
    }
    let leaf = CertificateDer::from(leaf);
    let others: Vec<CertificateDer<'_>> = others.iter().map(|der| CertificateDer::from(*der)).collect();
    let end = EndEntityCert::try_from(&leaf).map_err(|e| explain(&e, &subject()))?;
    let lists: Vec<CertRevocationList<'_>> =
        judge.crls.iter().filter_map(|der| BorrowedCertRevocationList::from_der(der).ok()).map(Into::into).collect();
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    let revocation = match (judge.revocation, RevocationOptionsBuilder::new(&lists)) {
        (Revocation::Off, _) | (Revocation::IfPresent, Err(_)) => None,
        (Revocation::Required, Err(_)) => {
            return Err("policy demands a revocation list, and there is none".into());
        }
        (Revocation::IfPresent, Ok(builder)) => Some(
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build(),
        ),
        (Revocation::Required, Ok(builder)) => Some(
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build(),
        ),
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(judge.now.0));
    end.verify_for_usage(&algorithms, &anchors, &others, now, ForIke, revocation, None)
        .map(|path| path.intermediate_certificates().count())
        .map_err(|e| explain(&e, &subject()))
}

/// The error in an operator's words.
fn explain(error: &Error, subject: &str) -> String {
    let what = match error {
        Error::CertExpired { time, not_after } => {
            format!("expired: valid until {}, now is {} (seconds since 1970)", not_after.as_secs(), time.as_secs())
        }
        Error::CertNotValidYet { time, not_before } => {
            format!("not yet valid: from {}, now is {} (seconds since 1970)", not_before.as_secs(), time.as_secs())
        }
        Error::UnknownIssuer => "no path to a trusted CA: its issuer is neither trusted nor sent along".to_string(),
        Error::CertRevoked => "revoked".to_string(),
        Error::UnknownRevocationStatus => {
            "policy demands a revocation list for each certificate of the path, and one has none".to_string()
        }
        Error::CrlExpired { next_update, .. } => {
            format!("its revocation list is out of date since {} (seconds since 1970)", next_update.as_secs())
        }
        Error::NameConstraintViolation => "a name constraint of a CA above it does not allow its names".to_string(),
        Error::PathLenConstraintViolated => "a path length constraint of a CA above it is broken".to_string(),
        Error::RequiredEkuNotFoundContext(_) => {
            "its extended key usages do not include IKE (RFC 4945 5.1.3.12)".to_string()
        }
        Error::EndEntityUsedAsCa => "a certificate above it is no CA".to_string(),
        Error::CaUsedAsEndEntity => "a CA certificate cannot be a peer's own".to_string(),
        other => format!("{other:?}"),
    };
    format!("{subject}: {what}")
}
