//! Certificates, revocation lists and OCSP responses from a peer: reading, path building, name checks. The anchor is the tests' CA.

use crate::sk::provider;
use arbitrary::{Arbitrary, Unstructured};
use ravelin::db::UnixTime;
use ravelin::db::pad::{Identity, Revocation};
use ravelin::ike::auth::x509::read::Facts;
use ravelin::ike::auth::x509::{Judge, Known, authorities};
use std::sync::LazyLock;

const CA: &[u8] = include_bytes!("../../../ike-proto/tests/certs/ca.der");
const NODE: &[u8] = include_bytes!("../../../ike-proto/tests/certs/node1.der");
const SUB: &[u8] = include_bytes!("../../../ike-proto/tests/certs/sub.der");

fn judge(chain: &[&[u8]], crls: &[&[u8]], revocation: Revocation) -> bool {
    let judge = Judge {
        crypto: provider(),
        now: UnixTime(1_800_000_000),
        anchors: &[CA],
        crls,
        ocsp: crls,
        revocation,
        known: Some(&KNOWN),
    };
    let id: Identity = "node1.test".parse().expect("a name");
    judge.verify(chain, &id).is_ok()
}

/// Kept from input to input: it must change nothing.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

/// One certificate, alone and in chains.
pub(crate) fn certificate(data: &[u8]) {
    if let Ok(facts) = Facts::of(data) {
        assert!(facts.public_key.len() <= data.len());
        assert!(facts.subject().len() <= 64 + 8 * data.len());
    }
    let _ = authorities(provider(), [data].into_iter(), Some(&KNOWN));
    let good = judge(&[data], &[], Revocation::Off);
    assert!(!good || data == NODE, "a certificate that the CA did not sign is taken");
    judge(&[data, data, SUB], &[], Revocation::IfPresent);
    judge(&[NODE, data], &[], Revocation::Off);
    // Structured: several certificates in a row.
    if let Ok(chain) = Vec::<&[u8]>::arbitrary(&mut Unstructured::new(data)) {
        judge(&chain, &[], Revocation::Required);
    }
}

/// One revocation list beside a good certificate: it can revoke, but only if the CA signed it.
pub(crate) fn crl(data: &[u8]) {
    let without = judge(&[NODE], &[], Revocation::IfPresent);
    judge(&[NODE], &[data], Revocation::IfPresent);
    let required = judge(&[NODE], &[data], Revocation::Required);
    assert!(without || !required);
}

const OCSP_CA: &[u8] = include_bytes!("../../../ike-proto/tests/certs/ocsp-ca.der");
const OCSP_LEAF: &[u8] = include_bytes!("../../../ike-proto/tests/certs/ocsp-leaf.der");
/// Responses about the leaf, signed by its issuer or by whom that names: two good ones, two that revoke.
pub(crate) const OCSP: [&[u8]; 4] = [
    include_bytes!("../../../ike-proto/tests/certs/ocsp-good.der"),
    include_bytes!("../../../ike-proto/tests/certs/ocsp-delegated.der"),
    include_bytes!("../../../ike-proto/tests/certs/ocsp-revoked.der"),
    include_bytes!("../../../ike-proto/tests/certs/ocsp-revoked-delegated.der"),
];

/// One OCSP response: only what was signed can say anything.
pub(crate) fn ocsp(data: &[u8]) {
    let judge = |ocsp: &[&[u8]], revocation| {
        let now = UnixTime(1_800_000_000);
        let judge = Judge { crypto: provider(), now, anchors: &[OCSP_CA], crls: &[], ocsp, revocation, known: None };
        judge.verify(&[OCSP_LEAF], &"leaf.test".parse().expect("a name")).is_ok()
    };
    let [good, bad] = [&OCSP[..2], &OCSP[2..]].map(|all| all.iter().any(|r| holds(data, signed_part(r))));
    assert!(!judge(&[data], Revocation::Required) || good, "what nobody signed says that a certificate is good");
    assert!(judge(&[data], Revocation::IfPresent) || bad, "what nobody signed revokes");
    assert!(judge(&[data, OCSP[0]], Revocation::Required) || bad, "what nobody signed hides what is signed");
    assert!(judge(&[data], Revocation::Off));
}

fn holds(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|w| w == part)
}

/// The tbsResponseData of a well-formed response (RFC 6960 §4.2.1).
fn signed_part(response: &[u8]) -> &[u8] {
    // SEQUENCE { ENUMERATED, [0] { SEQUENCE { OID, OCTET STRING { SEQUENCE { the part, …
    let (response, _) = cut(response);
    let (bytes, _) = cut(cut(response).1);
    let (basic, _) = cut(cut(cut(bytes).0).1);
    let (inner, _) = cut(basic);
    &inner[..inner.len() - cut(inner).1.len()]
}

/// Content of the first element, and what follows it.
fn cut(der: &[u8]) -> (&[u8], &[u8]) {
    let (head, len) = match der[1] {
        n @ 0x80.. => {
            let n = usize::from(n & 0x7F);
            (2 + n, der[2..2 + n].iter().fold(0, |len, b| len << 8 | usize::from(*b)))
        }
        n => (2, usize::from(n)),
    };
    der[head..].split_at(len)
}
