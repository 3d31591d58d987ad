//! Certificates as IKE judges them (RFC 4945): identities, usages, constraints, revocation, time; and damaged ones.
//! `tests/certs/make.sh` made them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "reads shared vectors from disk")]

mod endpoints;

use endpoints::{Side, side_with};
use ravelin_crypto::Provider;
use ravelin_ike_proto::auth::x509::{Judge, Known, authorities, read::Facts};
use ravelin_sa_db::pad::{AuthMethod, Credential, Identity, Revocation};
use ravelin_sa_db::{Now, Path, UnixTime};
use std::sync::LazyLock;

macro_rules! cert {
    ($name:literal) => {
        (include_bytes!(concat!("certs/", $name)) as &[u8])
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
    ocsp: &'a [&'a [u8]],
    revocation: Revocation,
}

const PLAIN: Case<'_> = Case { now: THEN, crls: &[], ocsp: &[], revocation: Revocation::IfPresent };

fn judge(case: &Case<'_>, chain: &[&[u8]], who: &str) -> Result<Vec<u8>, String> {
    let crypto = crypto();
    let judge = Judge {
        crypto: &crypto,
        now: case.now,
        anchors: &[CA],
        crls: case.crls,
        ocsp: case.ocsp,
        revocation: case.revocation,
        known: None,
    };
    let cold = judge.verify(chain, &id(who)).map_err(|e| e.to_string());
    // What was found out before changes nothing: not what is refused, and not why.
    let warm = Judge { known: Some(&KNOWN), ..judge }.verify(chain, &id(who)).map_err(|e| e.to_string());
    assert_eq!(cold, warm);
    cold
}

/// What all tests of this file have found out together.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

/// A CA's signature is checked once; one octet of its certificate changed, and it is another.
#[test]
fn a_known_signature_is_of_one_certificate() {
    assert!(judge(&PLAIN, &[NODE2, SUB], "node2.test").is_ok());
    assert!(!format!("{:?}", &*KNOWN).contains("(0 "));
    for at in 0..SUB.len() {
        let mut bad = SUB.to_vec();
        bad[at] ^= 1;
        assert!(judge(&PLAIN, &[NODE2, &bad], "node2.test").is_err(), "octet {at}");
    }
    // The rest is judged every time: time, and the list of what is revoked.
    refused(judge(&Case { now: UnixTime(5_500_000_000), ..PLAIN }, &[NODE2, SUB], "node2.test"), "expired");
    let listed = Case { crls: &[EMPTY], revocation: Revocation::Required, ..PLAIN };
    refused(judge(&listed, &[NODE2, SUB], "node2.test"), "one has none");
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
    let late = Case { now: UnixTime(4_920_000_000), crls: &[EMPTY], ocsp: &[], revocation: Revocation::Required };
    refused(judge(&late, &[NODE1], "node1.test"), "out of date");
    // A damaged list of the peer's own is no list.
    let mut bad = REVOKED.to_vec();
    *bad.last_mut().unwrap() ^= 1;
    assert!(judge(&Case { crls: &[&bad], ..PLAIN }, &[NODE1], "node1.test").is_err(), "its signature is wrong");
}

/// strongSwan CVE-2026-35331: an excluded name is excluded in every case of letters.
#[test]
fn cve_2026_35331_name_constraints_without_case() {
    let crypto = crypto();
    let under = |leaf: &[u8], who: &str| {
        let judge = Judge {
            crypto: &crypto,
            now: THEN,
            anchors: &[cert!("excl-ca.der")],
            crls: &[],
            ocsp: &[],
            revocation: Revocation::IfPresent,
            known: None,
        };
        judge.verify(&[leaf, cert!("excl-sub.der")], &id(who)).map_err(|e| e.to_string())
    };
    assert!(under(cert!("excl-fine.der"), "vpn.allowed.test").is_ok());
    refused(under(cert!("excl-lower.der"), "vpn.forbidden.test"), "name constraint");
    refused(under(cert!("excl-upper.der"), "vpn.forbidden.test"), "name constraint");
    refused(under(cert!("excl-mail.der"), "one@forbidden.test"), "name constraint");
}

const GOOD: &[u8] = cert!("ocsp-good.der");

/// OCSP (RFC 6960, RFC 4806) by the issuer and by its delegate; forged, of another, out of date.
#[test]
fn ocsp() {
    let with = |response: &[u8], revocation, now| {
        judge_under(cert!("ocsp-ca.der"), &Case { now, ocsp: &[response], revocation, ..PLAIN }, cert!("ocsp-leaf.der"))
    };
    let (required, present) = (Revocation::Required, Revocation::IfPresent);
    for good in [GOOD, cert!("ocsp-delegated.der")] {
        assert!(with(good, required, THEN).is_ok(), "{:?}", with(good, required, THEN));
    }
    for revoked in [cert!("ocsp-revoked.der"), cert!("ocsp-revoked-delegated.der")] {
        refused(with(revoked, present, THEN), "revoked, says OCSP");
        refused(with(revoked, required, THEN), "revoked, says OCSP");
        assert!(with(revoked, Revocation::Off, THEN).is_ok());
    }
    // What says nothing: a delegate without the usage, another's response, an old one.
    for nothing in [cert!("ocsp-usurper.der"), cert!("ocsp-other.der")] {
        refused(with(nothing, required, THEN), "there is none");
        assert!(with(nothing, present, THEN).is_ok());
    }
    for at in 0..GOOD.len() {
        let mut bad = GOOD.to_vec();
        bad[at] ^= 1;
        // A flipped bit outside of what is signed may be read over; what is inside, never.
        let taken = with(&bad, required, THEN).is_ok();
        assert!(!taken || at < 40 || at > GOOD.len() - 425, "octet {at}");
        assert!(with(&GOOD[..at], required, THEN).is_err(), "cut at {at}");
    }
}

/// One side shows a certificate and an OCSP response about it, the other has a shared key and wants to know.
fn stapled(me: u8, shows: bool, response: Option<&[u8]>, revocation: Revocation) -> Side {
    side_with(me, u64::from(me), |peer, _, _, db| {
        db.pad.credentials.add_anchor("ca", cert!("stapled-ca.der"));
        peer.revocation = revocation;
        if !shows {
            peer.remote_auth = vec![AuthMethod::Pubkey];
            return;
        }
        peer.local_auth = AuthMethod::Pubkey;
        let key = crypto().signing_key(cert!("stapled.p8")).unwrap();
        db.pad.credentials.add("own", Credential::new(vec![cert!("stapled.der").to_vec()], key.into()));
        db.pad.credentials.set_ocsp_response("own", response.map(<[u8]>::to_vec));
    })
}

/// Carries everything at a time at which the certificates are valid; the octets that each side sent in IKE_AUTH.
fn carry(a: &mut Side, b: &mut Side) -> [usize; 2] {
    let at = |n: u64| Now { wall: THEN, ..Now::at(1_000_000 + n * 1000) };
    a.endpoint.initiate(at(0), &a.db, a.peer, Some(a.policy)).unwrap();
    let mut sent = [0; 2];
    for n in 1..20 {
        let (mut from_a, mut from_b) = (vec![], vec![]);
        a.drain(&mut from_a);
        b.drain(&mut from_b);
        for (from, to, list) in [(0, &mut *b, from_a), (1, &mut *a, from_b)] {
            for (path, bytes) in list {
                let bare = &bytes[if path.local.port() == 4500 { 4 } else { 0 }..];
                sent[from] += if bare[18] == 35 { bare.len() } else { 0 };
                let back = Path { local: path.remote, remote: path.local };
                to.endpoint.handle_datagram(at(n), &to.db, back, &mut bare.to_vec());
            }
        }
    }
    sent
}

/// RFC 4806 between two of ours: who must know asks, and who was asked sends what its driver has given it; either role.
#[test]
fn ocsp_in_band() {
    let (good, revoked) = (cert!("stapled-good.der"), cert!("stapled-revoked.der"));
    let meet = |initiator_shows: bool, response: Option<&[u8]>, revocation| {
        let mut a = stapled(1, initiator_shows, response, revocation);
        let mut b = stapled(2, !initiator_shows, response, revocation);
        let sent = carry(&mut a, &mut b)[usize::from(!initiator_shows)];
        let why = if initiator_shows { b.why_closed() } else { a.why_closed() };
        (a.is_up() && b.is_up(), why, sent)
    };
    for role in [false, true] {
        let (up, why, asked) = meet(role, Some(good), Revocation::Required);
        assert!(up, "{role}: {why}");
        let (up, why, _) = meet(role, None, Revocation::Required);
        assert!(!up && why.contains("there is none"), "{role}: {why}");
        let (up, why, _) = meet(role, Some(revoked), Revocation::Required);
        assert!(!up && why.contains("revoked, says OCSP"), "{role}: {why}");
        // Who does not ask gets none.
        let (up, why, unasked) = meet(role, Some(good), Revocation::IfPresent);
        assert!(up && unasked + good.len() <= asked, "{role}: {why} {unasked} {asked}");
    }
}

fn judge_under(anchor: &[u8], case: &Case<'_>, leaf: &[u8]) -> Result<Vec<u8>, String> {
    let crypto = crypto();
    let judge = Judge {
        crypto: &crypto,
        now: case.now,
        anchors: &[anchor],
        crls: case.crls,
        ocsp: case.ocsp,
        revocation: case.revocation,
        known: None,
    };
    judge.verify(&[leaf], &id("leaf.test")).map_err(|e| e.to_string())
}

#[test]
fn no_anchor_no_trust() {
    let crypto = crypto();
    let (crls, ocsp, revocation): (&[&[u8]], _, _) = (&[], &[], Revocation::Off);
    let judge = Judge { crypto: &crypto, now: THEN, anchors: &[], crls, ocsp, revocation, known: None };
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
    let both = authorities(&crypto(), [CA, b"nonsense", SUB].into_iter(), None);
    for _ in 0..2 {
        assert_eq!(authorities(&crypto(), [CA, b"nonsense", SUB].into_iter(), Some(&KNOWN)), both);
    }
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
            // No seed of a response is about our certificate: nothing is good by it.
            let asked = Case { ocsp: &[&bytes], revocation: Revocation::Required, ..PLAIN };
            assert!(judge(&asked, &[NODE1], "node1.test").is_err(), "{}", path.display());
        }
    }
    // Identities: as text and as octets of every type, compared with a certificate and with themselves.
    for entry in std::fs::read_dir(folder.join("fuzz-seeds/ike-ids")).into_iter().flatten() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        if let Ok(text) = std::str::from_utf8(&bytes)
            && let Ok(id) = text.trim_end_matches(['\0', '\n']).parse::<Identity>()
        {
            assert!(judge(&PLAIN, &[NODE1], &id.to_string()).is_err(), "{text}");
            let again = id.to_string().parse::<Identity>();
            assert!(again.is_ok_and(|a| a.same(&id)), "{text}");
        }
        for kind in 0..=13u8 {
            let id = Identity::new(ravelin_sa_db::pad::IdKind(kind), bytes.clone());
            let crypto = crypto();
            let judge = Judge {
                crypto: &crypto,
                now: THEN,
                anchors: &[CA],
                crls: &[],
                ocsp: &[],
                revocation: Revocation::IfPresent,
                known: None,
            };
            assert!(judge.verify(&[NODE1], &id).is_err());
            let _ = (id.to_string(), id.canonical(), format!("{id:?}"));
        }
    }
    if files == 0 {
        println!("shared_seeds skipped: no {}", folder.display());
    }
}
