//! Certificates and revocation lists from a peer: reading, path building, name checks. The anchor is the tests' CA.

use crate::sk::provider;
use arbitrary::{Arbitrary, Unstructured};
use ravelin::db::UnixTime;
use ravelin::db::pad::{Identity, Revocation};
use ravelin::ike::auth::x509::read::Facts;
use ravelin::ike::auth::x509::{Judge, authorities};

const CA: &[u8] = include_bytes!("../../../ike-proto/tests/certs/ca.der");
const NODE: &[u8] = include_bytes!("../../../ike-proto/tests/certs/node1.der");
const SUB: &[u8] = include_bytes!("../../../ike-proto/tests/certs/sub.der");

fn judge(chain: &[&[u8]], crls: &[&[u8]], revocation: Revocation) -> bool {
    let judge =
        Judge { crypto: provider(), now: UnixTime(1_800_000_000), anchors: &[CA], crls, ocsp: crls, revocation };
    let id: Identity = "node1.test".parse().expect("a name");
    judge.verify(chain, &id).is_ok()
}

/// One certificate, alone and in chains.
pub(crate) fn certificate(data: &[u8]) {
    if let Ok(facts) = Facts::of(data) {
        assert!(facts.public_key.len() <= data.len());
        assert!(facts.subject.len() <= 64 + 8 * data.len());
    }
    let _ = authorities(provider(), [data].into_iter());
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
