//! Ways to be authenticated, joined by memory: raw public keys, NULL, EAP, questions to the driver. And ways not to be:
//! each class of published mistakes is a test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod endpoints;

use endpoints::{Side, run, run_with, side_with, sleep};
use ravelin_crypto::{AuthHashId, Provider, Secret};
use ravelin_ike_proto::{Answer, ApiError, Ask, Event, Output, Ticket};
use ravelin_sa_db::Now;
use ravelin_sa_db::pad::{AuthMethod, Credential, EapMethod, IdPattern, Identity, Peer};

const KEYS: [&[u8]; 2] = [include_bytes!("certs/node1.p8"), include_bytes!("certs/node2.p8")];

fn crypto() -> Provider {
    ravelin_crypto::rustcrypto::provider()
}

fn public(n: usize) -> Vec<u8> {
    crypto().signing_key(KEYS[n]).unwrap().public_key().to_vec()
}

/// A side that proves itself by key `own` and believes key `peers`.
fn raw(me: u8, own: usize, peers: usize) -> Side {
    side_with(me, u64::from(me), |peer, _, _, db| {
        let key = crypto().signing_key(KEYS[own]).unwrap();
        db.pad.credentials.add("own", Credential::new(vec![], key.into()));
        (peer.local_auth, peer.remote_auth) = (AuthMethod::Pubkey, vec![AuthMethod::Pubkey]);
        peer.raw_keys = vec![public(peers)];
    })
}

fn meet(a: &mut Side, b: &mut Side) -> bool {
    a.start(0);
    run(a, b);
    assert_eq!(a.is_up() && b.is_up(), a.children() == 1 && b.children() == 1, "half a tunnel");
    a.is_up() && b.is_up()
}

fn fails(a: &mut Side, b: &mut Side) -> String {
    assert!(!meet(a, b), "{}\n{}", a.story(), b.story());
    assert!(!b.is_up() || !a.why_closed().is_empty(), "the responder is up alone");
    assert!(a.installed().is_empty(), "the initiator installed keys");
    format!("{} / {}", a.why_closed(), b.why_closed())
}

#[test]
fn raw_public_keys() {
    assert!(meet(&mut raw(1, 0, 1), &mut raw(2, 1, 0)));
    let why = fails(&mut raw(1, 0, 1), &mut raw(2, 1, 1));
    assert!(why.contains("no public key that is configured"), "{why}");
    // The responder is not who the initiator expects.
    let why = fails(&mut raw(1, 0, 0), &mut raw(2, 1, 0));
    assert!(why.contains("no public key that is configured"), "{why}");
}

/// RFC 4754 methods, when the responder speaks no RFC 7427.
#[test]
fn signature_without_rfc_7427() {
    let (mut a, mut b) = (raw(1, 0, 1), raw(2, 1, 0));
    a.start(0);
    // The notifies are protected by AUTH: who takes one out is found out.
    let kind = 16431u16.to_be_bytes();
    run_with(&mut a, &mut b, 1_000_000, &mut |from, mut bytes| {
        if from == 1 && bytes[18] == 34 {
            let at = bytes.windows(2).position(|w| w == kind).unwrap();
            bytes[at + 1] = 0xFF;
        }
        Some(bytes)
    });
    assert!(!a.is_up() && !b.is_up(), "a downgrade went unseen");
}

#[test]
fn null_authentication_needs_policy_and_has_no_name() {
    let null = |me: u8, anonymous: bool| {
        side_with(me, u64::from(me), |peer, _, _, _| {
            if me == 1 {
                peer.local_auth = AuthMethod::Null;
                if anonymous {
                    peer.local_id = Identity::null();
                }
            } else {
                peer.remote_auth = vec![AuthMethod::Null];
                peer.remote_id = IdPattern::Any;
            }
        })
    };
    assert!(meet(&mut null(1, true), &mut null(2, true)));
    let why = fails(&mut null(1, false), &mut null(2, true));
    assert!(why.contains("expected ID_NULL"), "{why}");
    let why = fails(&mut null(1, true), &mut side_with(2, 2, |p, _, _, _| p.remote_id = IdPattern::Any));
    assert!(why.contains("wrong authentication method"), "{why}");
}

fn eap(me: u8, edit: impl Fn(&mut Peer)) -> Side {
    side_with(me, u64::from(me), |peer, _, _, db| {
        db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(b"password".to_vec()));
        if me == 1 {
            peer.local_auth = AuthMethod::Eap;
            peer.eap.identity = Some("carol".into());
        } else {
            peer.remote_auth = vec![AuthMethod::Eap];
        }
        edit(peer);
    })
}

#[test]
fn eap_methods() {
    for method in [EapMethod::MsChapV2, EapMethod::Gtc, EapMethod::Md5] {
        let with = |p: &mut Peer| p.eap.methods = vec![method];
        assert!(meet(&mut eap(1, with), &mut eap(2, with)), "{method:?}");
    }
}

/// RFC 5998: both must want it, and the method must be mutual.
#[test]
fn eap_alone() {
    let alone = |p: &mut Peer| p.eap.alone = true;
    assert!(meet(&mut eap(1, alone), &mut eap(2, alone)));
    let gtc = |p: &mut Peer| {
        p.eap.alone = true;
        p.eap.methods = vec![EapMethod::Gtc];
    };
    fails(&mut eap(1, gtc), &mut eap(2, gtc));
    // The server proves itself nevertheless when it does not know of EAP alone.
    assert!(meet(&mut eap(1, alone), &mut eap(2, |_| {})));
}

#[test]
fn eap_refusals() {
    let mut a = eap(1, |_| {});
    a.db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(b"guess".to_vec()));
    let why = fails(&mut a, &mut eap(2, |_| {}));
    assert!(why.contains("EAP of carol failed: wrong password"), "{why}");
    let why = fails(&mut eap(1, |_| {}), &mut side_with(2, 2, |_, _, _, _| {}));
    assert!(why.contains("the peer wants EAP"), "{why}");
    // The class of 2019-12312 and 2016-5391: a peer that skips EAP with another proof than the entry allows.
    let why = fails(&mut side_with(1, 1, |_, _, _, _| {}), &mut eap(2, |_| {}));
    assert!(why.contains("wrong authentication method"), "{why}");
}

/// Takes the questions of a side.
fn questions(side: &mut Side, wire: &mut Vec<(ravelin_sa_db::Path, Vec<u8>)>) -> Vec<(Ticket, Ask)> {
    let mut asks = Vec::new();
    while let Some(output) = side.endpoint.poll_output() {
        match output {
            Output::Transmit(t) => wire.push((t.path, t.bytes)),
            Output::Change(c) => side.changes.push(c),
            Output::Event(e) => side.events.push(e),
            Output::Ask(ticket, ask) => asks.push((ticket, ask)),
            _ => {}
        }
    }
    asks
}

/// Carries datagrams and answers questions by `oracle` until both are silent; every request goes twice.
fn converse(a: &mut Side, b: &mut Side, oracle: &mut dyn FnMut(&Ask) -> Option<Answer>) -> usize {
    let mut asked = 0;
    for step in 0..40 {
        let now = 1_000_000 + step * 1000;
        let (mut from_a, mut from_b) = (vec![], vec![]);
        let (asks_a, asks_b) = (questions(a, &mut from_a), questions(b, &mut from_b));
        for (path, bytes) in from_a {
            b.take(now, path, &bytes);
            b.take(now, path, &bytes);
        }
        for (path, bytes) in from_b {
            a.take(now, path, &bytes);
        }
        for (side, asks) in [(&mut *a, asks_a), (&mut *b, asks_b)] {
            for (ticket, ask) in asks {
                asked += 1;
                let Some(answer) = oracle(&ask) else { continue };
                side.endpoint.handle_answer(Now::at(now), &side.db, ticket, answer.clone()).unwrap();
                let again = side.endpoint.handle_answer(Now::at(now), &side.db, ticket, answer);
                assert_eq!(again, Err(ApiError::UnknownTicket), "a ticket is good once");
            }
        }
    }
    asked
}

/// Both private keys are elsewhere, and the PSK of nobody is in the PAD.
#[test]
fn questions_are_asked_and_answered() {
    let elsewhere = |me: u8, own: usize, peers: usize| {
        side_with(me, u64::from(me), |peer, _, _, db| {
            let key = crypto().signing_key(KEYS[own]).unwrap();
            db.pad.credentials.add("own", Credential::elsewhere(vec![], public(own), key.schemes().to_vec()));
            (peer.local_auth, peer.remote_auth) = (AuthMethod::Pubkey, vec![AuthMethod::Pubkey]);
            peer.raw_keys = vec![public(peers)];
        })
    };
    let (mut a, mut b) = (elsewhere(1, 0, 1), elsewhere(2, 1, 0));
    a.start(0);
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(3);
    let asked = converse(&mut a, &mut b, &mut |ask| {
        let Ask::Sign { public_key, scheme, octets } = ask else { panic!("{ask:?}") };
        let key = crypto().signing_key(KEYS[usize::from(*public_key == public(1))]).unwrap();
        Some(Answer::Signature(key.sign(*scheme, &mut rng, &[octets]).unwrap()))
    });
    assert!(asked == 2 && a.is_up() && b.is_up(), "{asked}\n{}\n{}", a.story(), b.story());
    assert_eq!((a.children(), b.children()), (1, 1));
}

fn asking(me: u8) -> Side {
    side_with(me, u64::from(me), |_, _, config, db| {
        config.asks = true;
        db.pad.secrets.remove_psk(None, None);
    })
}

#[test]
fn shared_secrets_are_asked_for() {
    let (mut a, mut b) = (asking(1), asking(2));
    a.start(0);
    let secret = |ask: &Ask| match ask {
        Ask::SharedSecret { .. } => Some(Answer::Secret(Secret::new(b"from elsewhere".to_vec()))),
        other => panic!("{other:?}"),
    };
    // Initiator: its own proof, then the responder's. Responder: one secret for both.
    let asked = converse(&mut a, &mut b, &mut |ask| secret(ask));
    assert!(a.is_up() && b.is_up() && asked <= 4, "{asked}\n{}\n{}", a.story(), b.story());
}

#[test]
fn refusal_wrong_kind_and_silence() {
    let (mut a, mut b) = (asking(1), asking(2));
    a.start(0);
    converse(&mut a, &mut b, &mut |_| Some(Answer::Refused("not today".into())));
    assert!(!a.is_up() && a.why_closed().contains("not today"), "{}", a.why_closed());

    let (mut a, mut b) = (asking(1), side_with(2, 2, |_, _, _, _| {}));
    a.start(0);
    let (mut ticket, mut wire) = (None, vec![]);
    for step in 0..10 {
        let now = 1_000_000 + step * 1000;
        ticket = ticket.or(questions(&mut a, &mut wire).first().map(|(t, _)| *t));
        wire.drain(..).for_each(|(path, bytes)| b.take(now, path, &bytes));
        let mut back = vec![];
        b.drain(&mut back);
        back.into_iter().for_each(|(path, bytes)| a.take(now, path, &bytes));
    }
    let ticket = ticket.expect("a question");
    let wrong = a.endpoint.handle_answer(Now::at(2_000_000), &a.db, ticket, Answer::Signature(vec![1]));
    assert_eq!(wrong, Err(ApiError::WrongAnswer));
    // Nobody answers: the attempt ends when the ticket expires, and the ticket is worth nothing then.
    a.endpoint.handle_timeout(Now::at(60_000_000), &a.db);
    questions(&mut a, &mut wire);
    assert!(a.why_closed().contains("no answer in time"), "{}", a.story());
    let late = Answer::Secret(Secret::new(b"a shared secret".to_vec()));
    let late = a.endpoint.handle_answer(Now::at(60_000_001), &a.db, ticket, late);
    assert_eq!(late, Err(ApiError::UnknownTicket));
    assert!(!a.events.iter().any(|e| matches!(e, Event::Established(_))) && a.installed().is_empty());
}

/// EAP by another server: the packets are carried, the MSK is what it says.
#[test]
fn eap_is_relayed() {
    use ravelin_ike_proto::eap::{Server, ServerVerdict};
    use ravelin_ike_proto::wire::payload::Eap;
    let (mut a, mut b) = (eap(1, |_| {}), eap(2, |p| p.eap.methods = vec![EapMethod::Relay]));
    a.start(0);
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(3);
    let mut server = None;
    let lookup = |_: &[u8]| Some(std::sync::Arc::new(Secret::new(b"password".to_vec())));
    converse(&mut a, &mut b, &mut |ask| {
        let Ask::Eap { packet, .. } = ask else { panic!("{ask:?}") };
        let (packet, msk) = match &mut server {
            None => {
                let (s, first) = Server::new(&[EapMethod::MsChapV2], false, &mut rng).unwrap();
                server = Some(s);
                (first, None)
            }
            Some(s) => match s.take(&Eap::parse(packet).unwrap(), &lookup, &mut rng) {
                ServerVerdict::Send(p) => (p, None),
                ServerVerdict::Success(p, msk) => (p, msk),
                ServerVerdict::Failure(why) => panic!("{why}"),
            },
        };
        Some(Answer::Eap { packet: packet.packet().to_vec(), msk, granted: None })
    });
    assert!(a.is_up() && b.is_up(), "{}\n{}", a.story(), b.story());
}

/// The hash ids that we announce are those that we verify.
#[test]
fn announced_hashes() {
    use ravelin_ike_proto::auth::digital_signature::HASHES;
    assert!(!HASHES.contains(&AuthHashId::SHA1) && HASHES.contains(&AuthHashId::IDENTITY));
}

/// Two authentications (RFC 4739), with the second by a shared key and by EAP; and what stands for neither.
#[test]
fn two_rounds() {
    let two = |me: u8, second: Option<AuthMethod>, secret: &'static [u8]| {
        side_with(me, u64::from(me), |peer, _, _, db| {
            let carol: Identity = "carol@node1.test".parse().unwrap();
            db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(secret.to_vec()));
            db.pad.secrets.add_psk(None, Some(&carol), Secret::new(secret.to_vec()));
            db.pad.secrets.add_psk(Some(&carol), None, Secret::new(secret.to_vec()));
            peer.eap.identity = Some("carol".into());
            match me {
                1 => peer.second.local = second.map(|m| (carol, m)),
                _ => peer.second.remote = second.map(|m| (IdPattern::Exact(carol), vec![m])),
            }
        })
    };
    for method in [AuthMethod::Psk, AuthMethod::Eap] {
        let (mut a, mut b) = (two(1, Some(method), b"password"), two(2, Some(method), b"password"));
        assert!(meet(&mut a, &mut b), "{method}: {} / {}", a.why_closed(), b.why_closed());
        let who = |s: &Side| s.endpoint.snapshot(Now::at(0).mono)[0].remote_id.clone().unwrap();
        assert_eq!(who(&b), "node1.test".parse().unwrap(), "the first identity names the peer");
        fails(&mut two(1, Some(method), b"guess"), &mut two(2, Some(method), b"password"));
        let why = fails(&mut two(1, None, b"password"), &mut two(2, Some(method), b"password"));
        assert!(why.contains("two authentications"), "{why}");
        let why = fails(&mut two(1, Some(method), b"password"), &mut two(2, None, b"password"));
        assert!(why.contains("MULTIPLE_AUTH_SUPPORTED"), "{why}");
    }
    fails(&mut two(1, Some(AuthMethod::Psk), b"password"), &mut two(2, Some(AuthMethod::Eap), b"password"));
    // EAP first does not pass over the second.
    let mut b = eap(2, |p| p.second.remote = Some((IdPattern::Any, vec![AuthMethod::Psk])));
    let why = fails(&mut eap(1, |_| {}), &mut b);
    assert!(why.contains("expected another method first"), "{why}");
}

/// What each side of [`rounds_of_both_sides`] is told: that it proves itself twice, how, and that its peer must.
#[derive(Clone, Copy)]
struct Rounds {
    gives: Option<AuthMethod>,
    wants: Option<AuthMethod>,
    secret: &'static [u8],
}

fn twice(me: u8, rounds: Rounds) -> Side {
    side_with(me, u64::from(me), |peer, _, _, db| {
        let second = |n: u8| -> Identity { format!("second@node{n}.test").parse().unwrap() };
        db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(rounds.secret.to_vec()));
        for n in [1, 2] {
            db.pad.secrets.add_psk(None, Some(&second(n)), Secret::new(rounds.secret.to_vec()));
            db.pad.secrets.add_psk(Some(&second(n)), None, Secret::new(rounds.secret.to_vec()));
        }
        peer.eap.identity = Some("carol".into());
        peer.second.local = rounds.gives.map(|m| (second(me), m));
        peer.second.remote = rounds.wants.map(|m| (IdPattern::Exact(second(3 - me)), vec![m]));
    })
}

/// The responder proves itself twice (RFC 4739), alone or as well as the initiator; and what stands for neither.
#[test]
fn rounds_of_both_sides() {
    use AuthMethod::{Eap, Psk};
    let side = |gives, wants| Rounds { gives, wants, secret: b"password" };
    let one_more = |of_a: Option<AuthMethod>, of_b: Option<AuthMethod>| (side(of_a, of_b), side(of_b, of_a));
    for (of_a, of_b) in [(None, Some(Psk)), (Some(Psk), Some(Psk)), (Some(Eap), Some(Psk)), (Some(Psk), None)] {
        let (a, b) = one_more(of_a, of_b);
        let (mut a_side, mut b_side) = (twice(1, a), twice(2, b));
        assert!(meet(&mut a_side, &mut b_side), "{}\n{}", a_side.story(), b_side.story());
        let who = |s: &Side| s.endpoint.snapshot(Now::at(0).mono)[0].remote_id.clone().unwrap();
        let first = |n: u8| -> Identity { format!("node{n}.test").parse().unwrap() };
        assert_eq!((who(&a_side), who(&b_side)), (first(2), first(1)), "the first identity names the peer");
        // A wrong second proof: of the responder, or of the initiator, whoever comes first.
        let wrong = Rounds { secret: b"guess", ..b };
        fails(&mut twice(1, a), &mut twice(2, wrong));
    }
    // The second proof is missing.
    let why = fails(&mut twice(1, side(None, Some(Psk))), &mut twice(2, side(None, None)));
    assert!(why.contains("does not say MULTIPLE_AUTH_SUPPORTED"), "{why}");
    // A responder that waits for more does not answer the INFORMATIONAL that tells it.
    let late = |mut a: Side, mut b: Side| {
        fails(&mut a, &mut b);
        sleep(&mut a, &mut b, 2_000_000, 300);
        assert!(!a.is_up() && !b.is_up() && a.endpoint.is_empty() && b.endpoint.is_empty());
        format!("{} / {}", a.why_closed(), b.why_closed())
    };
    let why = late(twice(1, side(Some(Psk), Some(Psk))), twice(2, side(None, Some(Psk))));
    assert!(why.contains("expected two authentications (RFC 4739), came one"), "{why}");
    // It is not wanted.
    let why = late(twice(1, side(Some(Psk), None)), twice(2, side(Some(Psk), Some(Psk))));
    assert!(why.contains("expected one authentication, came two"), "{why}");
    let why = fails(&mut twice(1, side(None, None)), &mut twice(2, side(Some(Psk), None)));
    assert!(why.contains("does not say MULTIPLE_AUTH_SUPPORTED"), "{why}");
    // Another method than is wanted, and one that a responder has not.
    let why = fails(&mut twice(1, side(None, Some(AuthMethod::Pubkey))), &mut twice(2, side(Some(Psk), None)));
    assert!(why.contains("expected pubkey"), "{why}");
    let why = fails(&mut twice(1, side(None, Some(Eap))), &mut twice(2, side(Some(Eap), None)));
    assert!(why.contains("EAP proves initiators"), "{why}");
}

/// The second proof is about who the entry says, and by nobody else.
#[test]
fn a_second_identity_of_the_responder_is_the_one_wanted() {
    let a = Rounds { gives: None, wants: Some(AuthMethod::Psk), secret: b"password" };
    let b = Rounds { gives: Some(AuthMethod::Psk), wants: None, secret: b"password" };
    let mut other = side_with(2, 2, |peer, _, _, db| {
        let mallory: Identity = "mallory@node2.test".parse().unwrap();
        db.pad.secrets.add_psk(Some(&mallory), None, Secret::new(b"password".to_vec()));
        peer.second.local = Some((mallory, AuthMethod::Psk));
    });
    let why = fails(&mut twice(1, a), &mut other);
    assert!(why.contains("expected second@node2.test, the peer is mallory@node2.test"), "{why}");
    assert!(meet(&mut twice(1, a), &mut twice(2, b)));
}

/// No Child SA is stronger than its IKE SA, where the entry says so.
#[test]
fn strength_rule() {
    use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};
    let side = |me: u8, rule: bool, esp: &'static str| {
        side_with(me, u64::from(me), |peer, protect, _, _| {
            peer.proposals = Proposal::parse_list(ProposalProtocol::Ike, "aes128gcm16-prfsha256-x25519").unwrap();
            peer.strength_rule = rule;
            protect.proposals = Proposal::parse_list(ProposalProtocol::Esp, esp).unwrap();
        })
    };
    for rules in [(true, false), (false, true)] {
        let (mut a, mut b) = (side(1, rules.0, "aes256gcm16-aes128gcm16"), side(2, rules.1, "aes256gcm16-aes128gcm16"));
        assert!(meet(&mut a, &mut b));
        let show = a.endpoint.snapshot(Now::at(0).mono)[0].children[0].proposal.clone();
        assert!(show.contains("128"), "{show}");
    }
    let (mut a, mut b) = (side(1, false, "aes256gcm16"), side(2, true, "aes256gcm16"));
    a.start(0);
    run(&mut a, &mut b);
    assert!(a.is_up() && b.is_up() && a.children() == 0 && b.children() == 0);
}
