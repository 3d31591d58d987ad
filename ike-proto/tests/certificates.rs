//! Certificates as IKE judges them (RFC 4945): identities, usages, constraints, revocation, time; and damaged ones.
//! `tests/certs/make.sh` made them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "reads shared vectors from disk")]

use ravelin_crypto::Provider;
use ravelin_ike_proto::auth::x509::{Judge, authorities, read::Facts};
use ravelin_sa_db::UnixTime;
use ravelin_sa_db::pad::{Identity, Revocation};

macro_rules! cert {
    ($name:literal) => {
        include_bytes!(concat!("certs/", $name))
    };
}

const CA: &[u8] = cert!("ca.der");
const SUB: &[u8] = cert!("sub.der");
const NODE1: &[u8] = cert!("node1.der");
const NODE2: &[u8] = cert!("node2.der");
const REVOKED: &[u8] = cert!("revoked.crl");
const EMPTY: &[u8] = cert!("empty.crl");
/// 2030-01-01.
const THEN: UnixTime = UnixTime(1_893_456_000);

fn crypto() -> Provider {
    ravelin_crypto::rustcrypto::provider()
}

fn id(text: &str) -> Identity {
    text.parse().unwrap()
}

struct Case<'a> {
    now: UnixTime,
    crls: &'a [&'a [u8]],
    revocation: Revocation,
}

const PLAIN: Case<'_> = Case { now: THEN, crls: &[], revocation: Revocation::IfPresent };

fn judge(case: &Case<'_>, chain: &[&[u8]], who: &str) -> Result<Vec<u8>, String> {
    let crypto = crypto();
    let judge = Judge { crypto: &crypto, now: case.now, anchors: &[CA], crls: case.crls, revocation: case.revocation };
    judge.verify(chain, &id(who)).map_err(|e| e.to_string())
}

#[track_caller]
fn refused(result: Result<Vec<u8>, String>, why: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(why), "{error}\nexpected: {why}");
}

#[test]
fn every_name_of_the_certificate_is_good_and_no_other() {
    let key = Facts::of(NODE1).unwrap().public_key;
    for good in ["node1.test", "NODE1.Test", "one@node1.test", "192.0.2.1", "C=CH, O=Lab, CN=node1"] {
        assert_eq!(judge(&PLAIN, &[NODE1], good).unwrap(), key, "{good}");
    }
    for bad in ["node2.test", "test", "x.node1.test", "node1.tes", "two@node1.test", "192.0.2.2", "2001:db8::1"] {
        refused(judge(&PLAIN, &[NODE1], bad), "it is not about");
    }
    refused(judge(&PLAIN, &[NODE1], "C=CH, O=Lab, CN=node2"), "it is not about");
    refused(judge(&PLAIN, &[NODE1], "keyid:node1.test"), "stands in no certificate");
    // The common name is no identity of type FQDN.
    refused(judge(&PLAIN, &[NODE1], "node1"), "it is not about");
}

#[test]
fn intermediates_come_from_the_peer() {
    assert!(judge(&PLAIN, &[NODE2, SUB], "node2.test").is_ok());
    assert!(judge(&PLAIN, &[NODE2, NODE1, SUB, CA], "node2.test").is_ok(), "order and surplus do not matter");
    refused(judge(&PLAIN, &[NODE2], "node2.test"), "no path to a trusted CA");
    refused(judge(&PLAIN, &[SUB, NODE2], "node2.test"), "cannot be a peer's own");
    refused(judge(&PLAIN, &[NODE1; 11], "node1.test"), "at most 10");
    refused(judge(&PLAIN, &[], "node1.test"), "none");
}

#[test]
fn constraints() {
    refused(judge(&PLAIN, &[cert!("encipher.der")], "node1.test"), "keyUsage");
    refused(judge(&PLAIN, &[cert!("coder.der")], "node1.test"), "extended key usages");
    refused(judge(&PLAIN, &[cert!("stranger.der"), cert!("other.der")], "node1.test"), "no path to a trusted CA");
    refused(judge(&PLAIN, &[cert!("below.der"), cert!("narrow.der")], "node1.test"), "name constraint");
    refused(judge(&PLAIN, &[cert!("bycrt.der"), NODE2, SUB], "node1.test"), "node1");
    refused(judge(&Case { now: UnixTime(1_000_000_000), ..PLAIN }, &[NODE1], "node1.test"), "not yet valid");
    refused(judge(&Case { now: UnixTime(5_500_000_000), ..PLAIN }, &[NODE1], "node1.test"), "expired");
}

#[test]
fn revocation() {
    let with = |crls, revocation| judge(&Case { crls, revocation, ..PLAIN }, &[NODE1], "node1.test");
    refused(with(&[REVOKED], Revocation::IfPresent), "revoked");
    refused(with(&[REVOKED], Revocation::Required), "revoked");
    assert!(with(&[REVOKED], Revocation::Off).is_ok());
    assert!(with(&[EMPTY], Revocation::Required).is_ok());
    assert!(with(&[], Revocation::IfPresent).is_ok());
    refused(with(&[], Revocation::Required), "there is none");
    // Whoever is above has no list.
    let sub = judge(&Case { crls: &[EMPTY], revocation: Revocation::Required, ..PLAIN }, &[NODE2, SUB], "node2.test");
    refused(sub, "one has none");
    let late = Case { now: UnixTime(4_920_000_000), crls: &[EMPTY], revocation: Revocation::Required };
    refused(judge(&late, &[NODE1], "node1.test"), "out of date");
    // A damaged list of the peer's own is no list.
    let mut bad = REVOKED.to_vec();
    *bad.last_mut().unwrap() ^= 1;
    assert!(judge(&Case { crls: &[&bad], ..PLAIN }, &[NODE1], "node1.test").is_err(), "its signature is wrong");
}

#[test]
fn no_anchor_no_trust() {
    let crypto = crypto();
    let judge = Judge { crypto: &crypto, now: THEN, anchors: &[], crls: &[], revocation: Revocation::Off };
    assert!(judge.verify(&[NODE1], &id("node1.test")).unwrap_err().to_string().contains("no trusted CA"));
    assert!(judge.verify(&[CA], &id("C=CH, O=Lab, CN=ca")).is_err());
}

/// Every flipped bit breaks the signature or the certificate; every truncation the certificate.
#[test]
fn damage() {
    for at in 0..NODE1.len() {
        let mut bad = NODE1.to_vec();
        bad[at] ^= 0x10;
        assert!(judge(&PLAIN, &[&bad], "node1.test").is_err(), "octet {at}");
        assert!(judge(&PLAIN, &[&NODE1[..at]], "node1.test").is_err(), "cut at {at}");
    }
    let longer = [NODE1, &[0]].concat();
    assert!(judge(&PLAIN, &[&longer], "node1.test").is_err());
}

#[test]
fn authorities_are_hashes_of_keys() {
    let both = authorities(&crypto(), [CA, b"nonsense", SUB].into_iter());
    assert_eq!(both.len(), 2);
    assert_ne!(both[0], both[1]);
}

/// Certificates and lists that broke other readers: no panic, and never trusted.
#[test]
fn shared_seeds() {
    let folder = std::env::var_os("RAVELIN_VECTORS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        std::path::PathBuf::from,
    );
    let mut files = 0;
    let mut folders = vec![folder.join("fuzz-seeds")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            files += 1;
            assert!(judge(&PLAIN, &[&bytes], "node1.test").is_err(), "{}", path.display());
            let with = Case { crls: &[&bytes], ..PLAIN };
            let _ = judge(&with, &[NODE1, &bytes], "node1.test");
        }
    }
    if files == 0 {
        println!("shared_seeds skipped: no {}", folder.display());
    }
}
