//! ML-DSA-44, 65 and 87 in AUTH (draft-ietf-ipsecme-ikev2-pqc-auth): raw public keys and certificates, announced by
//! SUPPORTED_AUTH_METHODS (RFC 9593), in fragments. Feature `pqc-sign`. The certificates are made here: a CA and two nodes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod endpoints;

use endpoints::{Side, run, run_with, side_on, side_with};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ravelin_crypto::sign::{SignatureScheme, SigningKey};
use ravelin_crypto::{Provider, rustcrypto};
use ravelin_ike_proto::registry::NotifyType;
use ravelin_ike_proto::wire::Message;
use ravelin_ike_proto::wire::notify::{NotifyData, SupportedAuthMethods};
use ravelin_sa_db::pad::{AuthMethod, Credential, Peer};
use ravelin_sa_db::{Db, Now, UnixTime};
use std::sync::Arc;

const SETS: [(u8, SignatureScheme, usize); 3] =
    [(17, SignatureScheme::MlDsa44, 2420), (18, SignatureScheme::MlDsa65, 3309), (19, SignatureScheme::MlDsa87, 4627)];

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match contents.len() {
        n @ 0..=127 => out.push(n as u8),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend_from_slice(contents);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn algorithm(set: u8) -> Vec<u8> {
    sequence(&[&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, set]])
}

/// A private key from a seed of 32 octets (RFC 9881 §6).
fn key(set: u8, seed: u8) -> Box<dyn SigningKey> {
    let seed = tlv(4, &tlv(0x80, &[seed; 32]));
    rustcrypto::provider().signing_key(&sequence(&[&[2, 1, 0], &algorithm(set), &seed])).unwrap()
}

fn name(common: &str) -> Vec<u8> {
    sequence(&[&tlv(0x31, &sequence(&[&[6, 3, 0x55, 4, 3], &tlv(12, common.as_bytes())]))])
}

fn extension(last: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[&[6, 3, 0x55, 0x1D, last], &[1, 1, 0xFF], &tlv(4, value)])
}

/// A certificate for `subject`, signed by `issuer`'s key.
fn certificate(set: u8, issuer: (&str, &dyn SigningKey), subject: (&str, &dyn SigningKey), serial: u8) -> Vec<u8> {
    let ca = issuer.0 == subject.0;
    let constraints = extension(19, &if ca { sequence(&[&[1, 1, 0xFF]]) } else { sequence(&[]) });
    let usage = extension(15, &if ca { [3, 2, 2, 4] } else { [3, 2, 7, 0x80] });
    let names = extension(17, &sequence(&[&tlv(0x82, subject.0.as_bytes())]));
    let valid = sequence(&[&tlv(0x17, b"250101000000Z"), &tlv(0x17, b"450101000000Z")]);
    let body = sequence(&[
        &[0xA0, 3, 2, 1, 2],
        &[2, 1, serial],
        &algorithm(set),
        &name(issuer.0),
        &valid,
        &name(subject.0),
        subject.1.public_key(),
        &tlv(0xA3, &sequence(&[&constraints, &usage, &names])),
    ]);
    let scheme = issuer.1.schemes()[0];
    let signature = issuer.1.sign(scheme, &mut ChaCha20Rng::seed_from_u64(5), &[&body]).unwrap();
    sequence(&[&body, &algorithm(set), &tlv(3, &[&[0], signature.as_slice()].concat())])
}

fn pubkey(p: &mut Peer) {
    (p.local_auth, p.remote_auth) = (AuthMethod::Pubkey, vec![AuthMethod::Pubkey]);
}

fn raw(me: u8, own: u8, peers: u8) -> Side {
    side_with(me, u64::from(me), |p, _, _, db| {
        pubkey(p);
        db.pad.credentials.add("own", Credential::new(vec![], Arc::from(key(own, me))));
        p.raw_keys = vec![key(peers, 3 - me).public_key().to_vec()];
    })
}

#[test]
fn raw_public_keys() {
    for (set, ..) in SETS {
        let (mut a, mut b) = (raw(1, set, set), raw(2, set, set));
        a.start(0);
        run(&mut a, &mut b);
        assert!(a.is_up() && b.is_up() && a.children() == 1, "{set}: {}\n{}", a.story(), b.story());
        // Another key of the same kind is not taken.
        let (mut a, mut b) = (raw(1, set, set), raw(2, set, set));
        b.db.pad.credentials.add("own", Credential::new(vec![], Arc::from(key(set, 77))));
        a.start(0);
        run(&mut a, &mut b);
        assert!(!a.is_up() && a.installed().is_empty(), "{set}");
    }
}

#[test]
fn two_parameter_sets_meet() {
    let (mut a, mut b) = (raw(1, 17, 19), raw(2, 19, 17));
    a.start(0);
    run(&mut a, &mut b);
    assert!(a.is_up() && b.is_up(), "{}\n{}", a.story(), b.story());
}

fn certified(me: u8, set: u8, signer: u8) -> Side {
    let names = ["", "node1.test", "node2.test"];
    side_with(me, u64::from(me), |p, _, _, db| {
        pubkey(p);
        let (ca, stranger, own) = (key(set, 100), key(set, signer), key(set, me));
        let anchor = certificate(set, ("ca.test", &*ca), ("ca.test", &*ca), 1);
        let leaf = certificate(set, ("ca.test", &*stranger), (names[usize::from(me)], &*own), 1 + me);
        db.pad.credentials.add("own", Credential::new(vec![leaf], Arc::from(own)));
        db.pad.credentials.add_anchor("ca", &anchor);
    })
}

/// Carries everything at a time at which the certificates are valid.
fn carry(a: &mut Side, b: &mut Side) {
    let at = |n: u64| Now { wall: UnixTime(1_893_456_000), ..Now::at(1_000_000 + n * 1000) };
    let (peer, policy) = (a.peer, a.policy);
    a.endpoint.initiate(at(0), &a.db, peer, Some(policy)).unwrap();
    for n in 1..60 {
        let (mut from_a, mut from_b) = (vec![], vec![]);
        a.drain(&mut from_a);
        b.drain(&mut from_b);
        for (to, list) in [(&mut *b, from_a), (&mut *a, from_b)] {
            for (path, bytes) in list {
                let skip = if path.local.port() == 4500 { 4 } else { 0 };
                let back = ravelin_sa_db::Path { local: path.remote, remote: path.local };
                to.endpoint.handle_datagram(at(n), &to.db, back, &mut bytes[skip..].to_vec());
            }
        }
    }
}

#[test]
fn certificates() {
    for (set, ..) in SETS {
        let (mut a, mut b) = (certified(1, set, 100), certified(2, set, 100));
        carry(&mut a, &mut b);
        assert!(a.is_up() && b.is_up() && b.children() == 1, "{set}: {}\n{}", a.story(), b.story());
        // A leaf that somebody else signed in the CA's name.
        let (mut a, mut b) = (certified(1, set, 100), certified(2, set, 101));
        carry(&mut a, &mut b);
        // The responder was content with its side, and hears of the refusal.
        assert!(!a.is_up() && a.why_closed().contains("CN=node2.test"), "{set}: {}", a.story());
        assert!(b.why_closed().contains("AUTHENTICATION_FAILED"), "{set}: {}", b.story());
    }
}

#[test]
fn announced_and_sent_in_fragments() {
    for (set, scheme, size) in SETS {
        let (mut a, mut b) = (raw(1, set, set), raw(2, set, set));
        a.start(0);
        let (mut announced, mut fragments, mut octets) = (false, 0, 0);
        run_with(&mut a, &mut b, 1_000_000, &mut |from, bytes| {
            let skip = if bytes[..4] == [0; 4] { 4 } else { 0 };
            let message = &bytes[skip..];
            if message[18] == 34 && from == 2 {
                let init = Message::decode(message).unwrap();
                let said = init.payloads.notify(NotifyType::SUPPORTED_AUTH_METHODS).unwrap();
                let methods = SupportedAuthMethods::parse(&said.data).unwrap().methods;
                let identifier = scheme.algorithm_identifier().unwrap();
                announced = methods.iter().any(|m| m.algorithm() == Some(identifier.as_slice()));
            }
            // SKF in IKE_AUTH.
            if message[18] == 35 && message[16] == 53 {
                fragments += 1;
                octets += message.len();
            }
            Some(bytes)
        });
        assert!(a.is_up() && announced, "{scheme:?}: {}", a.story());
        assert!(fragments >= 4 && octets > 2 * size, "{scheme:?}: {fragments} fragments, {octets} octets");
    }
}

fn without(me: u8, edit: impl FnOnce(&mut Peer, &mut Db)) -> Side {
    let mut crypto: Provider = rustcrypto::provider();
    crypto.signatures.retain(|f| !f.schemes().contains(&SignatureScheme::MlDsa65));
    side_on(me, u64::from(me), crypto, |p, _, _, db| edit(p, db))
}

#[test]
fn a_peer_that_cannot_check_it_is_not_sent_any() {
    let mut a = raw(1, 18, 18);
    let mut b = without(2, |p, db| {
        pubkey(p);
        db.pad.credentials.add("own", Credential::new(vec![], Arc::from(key(18, 2))));
        p.raw_keys = vec![key(18, 1).public_key().to_vec()];
    });
    a.start(0);
    run(&mut a, &mut b);
    assert!(!a.is_up() && !b.is_up());
    assert!(a.why_closed().contains("our key signs [MlDsa65]"), "{}", a.why_closed());
}
