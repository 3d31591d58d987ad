//! Mistakes that others made and published, each as the class that it stands for (docs/authentication.md has the table).
//! Those about EAP packets and certificates alone stand beside the code: `eap/`, `tests/certificates.rs`.

use crate::alphabet::{Talk, fqdn};
use crate::endpoints::Side;
use crate::puppet::{Puppet, proposals};
use crate::victims::{KEYS, Victim};
use crate::{opened, portable};
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{AuthHashId, KeId};
use ravelin_ike_proto::auth::psk;
use ravelin_ike_proto::negotiate;
use ravelin_ike_proto::registry::{AuthMethod, CertEncoding, EapCode, EapType, ExchangeType, NotifyType, ProtocolId};
use ravelin_ike_proto::wire::payload::{
    Authentication, Certificate, Delete, Eap, KeyExchange, Nonce, Notify, Payload, Proposal, SecurityAssociation,
};

const NOW: u64 = 1_000_000;

fn victim(name: &str, initiates: bool) -> Victim {
    Victim::all().into_iter().find(|v| v.name == name && v.initiates == initiates).unwrap()
}

fn meet(victim: &Victim) -> (Side, Puppet) {
    let mut side = victim.side(3, portable());
    let puppet = match victim.initiates {
        true => {
            side.start(NOW);
            Puppet::respond(&mut side, 3, NOW)
        }
        false => Puppet::initiate(&mut side, 3, NOW),
    };
    (side, puppet)
}

#[track_caller]
fn closed(side: &Side) {
    if let Some(what) = opened(side) {
        panic!("{what}\n{}", side.story());
    }
}

fn say(side: &mut Side, puppet: &mut Puppet, exchange: ExchangeType, payloads: &[Payload]) {
    let header = puppet.header(exchange, false, puppet.next_id);
    puppet.say(side, &header, payloads, false);
}

/// Answers what the victim has asked last.
fn answer(side: &mut Side, puppet: &mut Puppet, payloads: &[Payload]) {
    let (exchange, id) = puppet.heard.request.unwrap();
    let header = puppet.header(exchange, true, id);
    puppet.say(side, &header, payloads, false);
}

fn rekey() -> Vec<Payload> {
    vec![
        Payload::Sa(negotiate::offer(&proposals(), &[7; 8])),
        Payload::Nonce(Nonce { data: vec![7; 32] }),
        Payload::Ke(KeyExchange::new(KeId::CURVE25519, vec![9; 32])),
    ]
}

/// strongSwan CVE-2014-2338: a rekeying of the IKE SA before authentication made an established one.
#[test]
fn cve_2014_2338_rekeying_before_authentication() {
    for victim in Victim::all() {
        let (mut side, mut puppet) = meet(&victim);
        let before = puppet.next_id;
        say(&mut side, &mut puppet, ExchangeType::CREATE_CHILD_SA, &rekey());
        closed(&side);
        assert_eq!(puppet.next_id, before, "{}: it was answered", victim.name);
        assert!(side.endpoint.len() <= 1);
    }
}

fn eap(side: &mut Side, puppet: &mut Puppet, code: EapCode, kind: EapType, data: &[u8]) {
    let id = puppet.heard.payloads.eap().map_or(1, Eap::identifier);
    let packet = Eap::method(code, id, kind, data).unwrap();
    say(side, puppet, ExchangeType::IKE_AUTH, &[Payload::Eap(packet)]);
}

fn auth_by_sk_p(puppet: &Puppet) -> Payload {
    let octets = puppet.octets(puppet.initiator, &fqdn("node1.test"), puppet.transcript());
    let key = if puppet.initiator { puppet.keys.pi() } else { puppet.keys.pr() };
    let data = psk::sign(puppet.prf(), key, &[&octets]).expose().to_vec();
    Payload::Auth(Authentication::new(AuthMethod::SHARED_KEY, data))
}

/// strongSwan CVE-2015-8023: MSCHAPv2's success response without a response to the challenge before it.
#[test]
fn cve_2015_8023_success_response_without_a_response() {
    let (mut side, mut puppet) = meet(&victim("eap", false));
    say(&mut side, &mut puppet, ExchangeType::IKE_AUTH, &[Payload::IdInitiator(fqdn("node1.test"))]);
    eap(&mut side, &mut puppet, EapCode::RESPONSE, EapType::IDENTITY, b"carol");
    assert_eq!(puppet.heard.payloads.eap().unwrap().kind_and_data().unwrap().0, EapType::MSCHAPV2);
    eap(&mut side, &mut puppet, EapCode::RESPONSE, EapType::MSCHAPV2, &[3]);
    assert_eq!(puppet.heard.payloads.eap().unwrap().code(), EapCode::FAILURE);
    let auth = auth_by_sk_p(&puppet);
    say(&mut side, &mut puppet, ExchangeType::IKE_AUTH, &[auth]);
    closed(&side);
}

/// strongSwan CVE-2015-4171: the client sent its credentials before it had checked who the server is.
#[test]
fn cve_2015_4171_constraints_before_our_credentials() {
    let victim = Victim { psk: b"a shared secret", ..victim("eap", true) };
    let (mut side, mut puppet) = meet(&victim);
    // A server with a good proof, of another name.
    let id = fqdn("node9.test");
    let octets = puppet.octets(false, &id, puppet.transcript());
    let data = psk::sign(puppet.prf(), victim.psk, &[&octets]).expose().to_vec();
    let ask = Eap::method(EapCode::REQUEST, 1, EapType::IDENTITY, &[]).unwrap();
    let auth = Payload::Auth(Authentication::new(AuthMethod::SHARED_KEY, data));
    answer(&mut side, &mut puppet, &[Payload::IdResponder(id), auth, Payload::Eap(ask)]);
    assert!(puppet.heard.payloads.eap().is_none(), "the user's name went to a stranger");
    closed(&side);
    // It tells the server, and does not wait for its answer for ever.
    for minute in 1..10 {
        side.endpoint.handle_timeout(ravelin_sa_db::Now::at(NOW + minute * 60_000_000), &side.db);
        puppet.listen(&mut side);
    }
    assert!(side.why_closed().contains("node9.test"), "{}", side.story());
}

/// strongSwan CVE-2021-45079: EAP-Success before a method, or instead of one.
#[test]
fn cve_2021_45079_early_success() {
    for name in ["eap", "eap alone", "a server that is proved, without the password"] {
        let victim = victim(name, true);
        for after_identity in [false, true] {
            let (mut side, mut puppet) = meet(&victim);
            let id = fqdn("node1.test");
            let mut first = vec![Payload::IdResponder(id.clone())];
            if name != "eap alone" {
                let octets = puppet.octets(false, &id, puppet.transcript());
                let secret = ravelin_crypto::Secret::new(b"a shared secret".to_vec());
                let data = psk::sign(puppet.prf(), secret.expose(), &[&octets]).expose().to_vec();
                first.push(Payload::Auth(Authentication::new(AuthMethod::SHARED_KEY, data)));
            }
            let success = Payload::Eap(Eap::outcome(EapCode::SUCCESS, 1));
            if after_identity {
                first.push(Payload::Eap(Eap::method(EapCode::REQUEST, 1, EapType::IDENTITY, &[]).unwrap()));
                answer(&mut side, &mut puppet, &first);
                answer(&mut side, &mut puppet, &[success]);
            } else {
                first.push(success);
                answer(&mut side, &mut puppet, &first);
            }
            assert!(puppet.heard.payloads.auth().is_none(), "{name}: it believes Success");
            let auth = auth_by_sk_p(&puppet);
            answer(&mut side, &mut puppet, &[auth]);
            closed(&side);
        }
    }
}

/// libreswan CVE-2019-12312: IKE_SA_INIT, then INFORMATIONAL in the place of IKE_AUTH; the attempt is not harmed by it.
#[test]
fn cve_2019_12312_informational_instead_of_auth() {
    let victim = Victim::all()[0].clone().enlightened().unwrap();
    for payloads in [
        vec![],
        vec![Payload::Delete(Delete::ike())],
        vec![Payload::Delete(Delete::child(ProtocolId::ESP, &[1]).unwrap())],
        vec![Payload::Notify(Notify::new(NotifyType::AUTHENTICATION_FAILED, vec![]))],
    ] {
        let (mut side, mut puppet) = meet(&victim);
        for response in [false, true] {
            for id in 0..3 {
                let header = puppet.header(ExchangeType::INFORMATIONAL, response, id);
                puppet.say(&mut side, &header, &payloads, false);
                closed(&side);
            }
        }
        assert_eq!(puppet.next_id, 1, "it was answered");
        // The honest IKE_AUTH still comes through: the right secret, with a Child SA.
        let mut talk = Talk::default();
        for _ in 0..200 {
            let letter = puppet.letter(&victim, &mut talk);
            if letter.header.exchange == ExchangeType::IKE_AUTH && letter.header.message_id == 1 {
                puppet.say(&mut side, &letter.header, &letter.payloads, false);
                break;
            }
        }
    }
    let (mut side, mut puppet) = meet(&self::victim("psk", true));
    let header = puppet.header(ExchangeType::INFORMATIONAL, false, 0);
    puppet.say(&mut side, &header, &[Payload::Delete(Delete::ike())], false);
    closed(&side);
    assert_eq!(side.endpoint.len(), 1, "who is not proved deletes nothing");
}

/// libreswan CVE-2016-5391: proposals in which the key exchange, or everything, is missing.
#[test]
fn cve_2016_5391_proposals_with_nothing_in_them() {
    use ravelin_ike_proto::wire::message::encode_clear;
    use ravelin_ike_proto::wire::{Flags, Header, IkeSpi};
    use ravelin_sa_db::Path;
    let full = negotiate::offer(&proposals(), &[]);
    let one = full.proposals[0].clone();
    let mut no_ke = one.clone();
    no_ke.transforms.retain(|t| t.kind.0 != 4);
    let mut nothing = one.clone();
    nothing.transforms.clear();
    let mut twice = one.clone();
    twice.transforms.extend(one.transforms.clone());
    let sa = |list: Vec<Proposal>| Payload::Sa(SecurityAssociation::new(list));
    let ke = |method, len| Payload::Ke(KeyExchange::new(method, vec![5; len]));
    let nonce = |len| Payload::Nonce(Nonce { data: vec![5; len] });
    let all = [
        vec![sa(vec![no_ke.clone()]), ke(KeId::CURVE25519, 32), nonce(32)],
        vec![sa(vec![no_ke]), nonce(32)],
        vec![sa(vec![nothing]), ke(KeId::CURVE25519, 32), nonce(32)],
        vec![sa(vec![]), ke(KeId::CURVE25519, 32), nonce(32)],
        vec![ke(KeId::CURVE25519, 32), nonce(32)],
        vec![sa(vec![one.clone()]), ke(KeId::NONE, 0), nonce(32)],
        vec![sa(vec![one.clone()]), ke(KeId::CURVE25519, 0), nonce(32)],
        vec![sa(vec![one.clone()]), ke(KeId::CURVE25519, 31), nonce(32)],
        vec![sa(vec![one]), ke(KeId(9999), 32), nonce(32)],
        vec![],
    ];
    for (n, payloads) in all.iter().enumerate() {
        let mut side = Victim::all()[0].side(3, portable());
        let header = Header::new(IkeSpi(77), IkeSpi(0), ExchangeType::IKE_SA_INIT, Flags::new(true, false), 0);
        let Ok(message) = encode_clear(&header, payloads) else { continue };
        let path = Path { local: "192.0.2.1:500".parse().unwrap(), remote: "192.0.2.2:500".parse().unwrap() };
        side.take(NOW, path, &message);
        closed(&side);
        assert!(side.endpoint.is_empty(), "case {n}: kept");
    }
}

/// OpenIKED CVE-2020-16088: any public key was taken for the peer's.
#[test]
fn cve_2020_16088_another_key_is_another_key() {
    let victim = victim("raw key", false);
    let own = portable().signing_key(KEYS[1]).unwrap();
    let theirs = portable().signing_key(KEYS[0]).unwrap().public_key().to_vec();
    let raw = |data: Vec<u8>| Payload::Cert(Certificate { encoding: CertEncoding::RAW_PUBLIC_KEY, data });
    let mut longer = theirs.clone();
    longer.push(0);
    for sent in [
        vec![raw(own.public_key().to_vec())],
        vec![raw(theirs.clone())],
        vec![raw(theirs.clone()), raw(own.public_key().to_vec())],
        vec![raw(own.public_key().to_vec()), raw(theirs.clone())],
        vec![raw(longer)],
        vec![raw(theirs[..theirs.len() - 1].to_vec())],
        vec![raw(vec![])],
        vec![],
    ] {
        let (mut side, mut puppet) = meet(&victim);
        let id = fqdn("node1.test");
        let octets = puppet.octets(true, &id, puppet.transcript());
        let scheme = own.schemes()[0];
        let signature = own.sign(scheme, &mut puppet.rng, &[&octets]).unwrap();
        let auth = Authentication::digital_signature(&scheme.algorithm_identifier().unwrap(), &signature).unwrap();
        let mut payloads = vec![Payload::IdInitiator(id)];
        payloads.extend(sent);
        payloads.push(Payload::Auth(auth));
        say(&mut side, &mut puppet, ExchangeType::IKE_AUTH, &payloads);
        closed(&side);
        assert!(side.endpoint.is_empty());
    }
}

/// strongSwan CVE-2018-16151 and 2018-16152, libreswan CVE-2026-50721 and 2026-50722: PKCS#1 v1.5 that is almost right.
/// `lax.py` made the signatures with the private key, so that nothing but the form is wrong.
#[test]
fn cve_2018_16151_and_2026_50722_signatures_that_are_almost_right() {
    let unhex = |t: &str| -> Vec<u8> {
        t.as_bytes().chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    };
    let mut lines = include_str!("lax.txt").lines();
    let key = unhex(lines.next().unwrap().strip_prefix("key ").unwrap());
    let mut seen = 0;
    for (signature, name) in lines.map(|l| l.split_once(' ').unwrap()) {
        let signature = unhex(signature);
        let taken = portable().verify(SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256), &key, &[b"octets"], &signature);
        assert_eq!(taken.is_ok(), name == "good", "{name}");
        // And as an AUTH payload of either method.
        let identifier = SignatureScheme::RsaPkcs1(AuthHashId::SHA2_256).algorithm_identifier().unwrap();
        let both = [
            Authentication::digital_signature(&identifier, &signature).unwrap(),
            Authentication::new(AuthMethod::RSA, signature.clone()),
        ];
        for auth in both {
            let taken = ravelin_ike_proto::auth::verify(&portable(), &auth, &key, b"octets", true);
            assert_eq!(taken.is_ok(), name == "good", "{name}: {taken:?}");
        }
        for len in 0..signature.len() {
            let cut = Authentication::new(AuthMethod::RSA, signature[..len].to_vec());
            if len % 51 == 0 {
                assert!(ravelin_ike_proto::auth::verify(&portable(), &cut, &key, b"octets", true).is_err());
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 16);
}
