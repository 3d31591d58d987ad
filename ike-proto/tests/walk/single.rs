//! Single messages of the puppet, each against one rule that two honest endpoints never put to the test.

use crate::alphabet::{Talk, fqdn};
use crate::endpoints::{Side, side_with};
use crate::puppet::{Puppet, proposals};
use crate::victims::{PSK, Victim};
use ravelin_ike_proto::auth::{null, psk};
use ravelin_ike_proto::config::CookiePolicy;
use ravelin_ike_proto::registry::{AuthMethod as Wire, ExchangeType, IdType, NotifyType, ProtocolId};
use ravelin_ike_proto::wire::payload::{Authentication, Identification, Notify, Payload};
use ravelin_sa_db::pad::{AuthMethod, IdPattern};

const NOW: u64 = 1_000_000;

fn side(null: bool) -> Side {
    side_with(2, 2, |peer, _, config, _| {
        peer.proposals = proposals();
        config.half_open_per_source = 1000;
        config.cookies = CookiePolicy::Never;
        if null {
            (peer.remote_auth, peer.remote_id) = (vec![AuthMethod::Null], IdPattern::Any);
        }
    })
}

/// The first IKE_AUTH request of who knows the secret.
fn proof(puppet: &mut Puppet) -> Vec<Payload> {
    let id = fqdn("node1.test");
    let octets = puppet.octets(true, &id, puppet.transcript());
    let data = psk::sign(puppet.prf(), PSK, &[&octets]).expose().to_vec();
    let mut payloads = vec![Payload::IdInitiator(id), Payload::Auth(Authentication::new(Wire::SHARED_KEY, data))];
    payloads.extend(puppet.child());
    payloads
}

/// Who knows the secret, with an IKE SA and a Child SA.
fn insider(side: &mut Side) -> Puppet {
    let mut puppet = Puppet::initiate(side, 3, NOW);
    let payloads = proof(&mut puppet);
    let header = puppet.header(ExchangeType::IKE_AUTH, false, 1);
    puppet.say(side, &header, &payloads, false);
    assert!(side.is_up() && side.children() == 1, "{}", side.story());
    puppet
}

/// RFC 7619: without a name, and nevertheless with a value that proves who made the exchange.
#[test]
fn null_authentication_has_a_value_that_counts() {
    for (at, taken) in [(None, true), (Some(0), false), (Some(31), false)] {
        let mut side = side(true);
        let mut puppet = Puppet::initiate(&mut side, 3, NOW);
        let id = Identification::new(IdType(13), vec![]);
        let octets = puppet.octets(true, &id, puppet.transcript());
        let mut data = null::sign(puppet.prf(), puppet.keys.pi(), &[&octets]).expose().to_vec();
        if let Some(at) = at {
            data[at] ^= 1;
        }
        let mut payloads = vec![Payload::IdInitiator(id), Payload::Auth(Authentication::new(Wire::NULL, data))];
        payloads.extend(puppet.child());
        let header = puppet.header(ExchangeType::IKE_AUTH, false, 1);
        puppet.say(&mut side, &header, &payloads, false);
        assert_eq!(side.is_up(), taken, "{at:?}: {}", side.story());
    }
}

/// RFC 7383 §2.3: fragments come only when both have said that they take them.
#[test]
fn fragments_need_an_agreement() {
    let mut seen = [0; 2];
    for seed in 1..20 {
        let mut side = side(false);
        let mut puppet = Puppet::initiate(&mut side, seed, NOW);
        let agreed = puppet.both_said(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
        seen[usize::from(agreed)] += 1;
        let header = puppet.header(ExchangeType::IKE_AUTH, false, 1);
        puppet.say(&mut side, &header, &[Payload::IdInitiator(fqdn("node1.test"))], true);
        assert_eq!(puppet.next_id == 2, agreed, "seed {seed}: an answer, or none");
    }
    assert!(seen[0] > 2 && seen[1] > 2, "{seen:?}");
}

/// RFC 7383 §2.6.1: of a request in fragments, that was answered, the first one alone asks for the answer again.
#[test]
fn only_the_first_fragment_brings_the_answer_again() {
    let mut side = side(false);
    let seed = (1..20).find(|seed| {
        Puppet::initiate(&mut self::side(false), *seed, NOW).both_said(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED)
    });
    let mut puppet = Puppet::initiate(&mut side, seed.unwrap(), NOW);
    let header = puppet.header(ExchangeType::IKE_AUTH, false, 1);
    let payloads = proof(&mut puppet);
    let pieces = puppet.sealed(&header, &payloads, true);
    pieces.iter().for_each(|p| puppet.deliver(&mut side, p));
    assert_eq!((puppet.next_id, side.endpoint.counters().repeated), (2, 0));
    puppet.deliver(&mut side, &pieces[1]);
    assert_eq!(side.endpoint.counters().repeated, 0, "the second fragment");
    puppet.deliver(&mut side, &pieces[0]);
    assert_eq!(side.endpoint.counters().repeated, 1, "the first fragment");
}

/// An answer that nobody asked for is no sign of life and nothing else, whoever made it.
#[test]
fn an_answer_to_nothing_is_unexpected() {
    let mut side = side(false);
    let mut puppet = insider(&mut side);
    for exchange in [ExchangeType::INFORMATIONAL, ExchangeType::CREATE_CHILD_SA, ExchangeType::IKE_AUTH] {
        let before = side.endpoint.counters();
        let header = puppet.header(exchange, true, 0);
        puppet.say(&mut side, &header, &[], false);
        let after = side.endpoint.counters();
        assert_eq!((after.unexpected, after.handled), (before.unexpected + 1, before.handled), "{exchange}");
    }
}

/// RFC 7296 §3.1: both SPIs and the flag name the IKE SA; right keys do not make up for a wrong one.
#[test]
fn a_message_names_its_ike_sa_by_both_spis() {
    let mut side = side(false);
    let mut puppet = insider(&mut side);
    let right = puppet.header(ExchangeType::INFORMATIONAL, false, 2);
    let mut wrong = [right; 2];
    wrong[0].initiator_spi.0 ^= 1;
    wrong[1].flags.0 ^= 0x08;
    for header in wrong {
        let before = side.endpoint.counters();
        puppet.say(&mut side, &header, &[], false);
        let after = side.endpoint.counters();
        assert_eq!((after.unknown_spi, after.handled), (before.unknown_spi + 1, before.handled), "{header:?}");
    }
    puppet.say(&mut side, &right, &[], false);
    assert_eq!(puppet.next_id, 3, "the right one is answered");
}

/// A responder that takes the initiator's SPI for its own: the flag alone then says who speaks.
#[test]
fn the_flag_says_who_speaks() {
    let mut side = side(false);
    side.start(NOW);
    let mut puppet = Puppet::respond_as(&mut side, 3, NOW, |spi_i, _| spi_i, vec![]);
    let (exchange, id) = puppet.heard.request.expect("a request");
    let mut header = puppet.header(exchange, true, id);
    header.flags.0 ^= 0x08;
    let before = side.endpoint.counters();
    puppet.say(&mut side, &header, &[Payload::Notify(Notify::new(NotifyType::AUTHENTICATION_FAILED, vec![]))], false);
    let after = side.endpoint.counters();
    assert_eq!((after.unknown_spi, after.handled), (before.unknown_spi + 1, before.handled));
}

/// RFC 7296 §1.3.3: REKEY_SA names a Child SA by protocol and SPI.
#[test]
fn a_child_sa_is_named_by_protocol_and_spi() {
    let mut side = side(false);
    let mut puppet = insider(&mut side);
    let spi = side.installed().iter().find(|p| p.direction == ravelin_sa_db::Direction::Outbound).unwrap().spi.0;
    for (id, protocol, found) in [(2, ProtocolId::AH, false), (3, ProtocolId::ESP, true)] {
        let rekey = Notify::for_child(NotifyType::REKEY_SA, protocol, spi, vec![]);
        let mut payloads = vec![Payload::Notify(rekey)];
        payloads.extend(puppet.child());
        payloads.push(Payload::Nonce(ravelin_ike_proto::wire::payload::Nonce { data: vec![id as u8; 32] }));
        let header = puppet.header(ExchangeType::CREATE_CHILD_SA, false, id);
        puppet.say(&mut side, &header, &payloads, false);
        let refused = puppet.heard.payloads.notify(NotifyType::CHILD_SA_NOT_FOUND).is_some();
        assert_eq!(refused, !found, "{protocol}: {:?}", puppet.heard.payloads);
    }
}

/// RFC 7296 §2.2: the first request of an IKE SA is its initiator's, and says so.
#[test]
fn ike_sa_init_comes_from_the_initiator() {
    let mut side = side(false);
    let message = Puppet::initiate(&mut self::side(false), 3, NOW).opening().to_vec();
    let mut wrong = message.clone();
    wrong[19] ^= 0x08;
    let mut wire = vec![];
    side.take(NOW, crate::puppet::path(), &wrong);
    side.drain(&mut wire);
    assert!(wire.is_empty() && side.endpoint.is_empty() && side.endpoint.counters().unexpected == 1);
    side.take(NOW, crate::puppet::path(), &message);
    side.drain(&mut wire);
    assert_eq!(wire.len(), 1);
}

/// RFC 8019 §7.2: a puzzle in the answer to IKE_SA_INIT is solved over Nr and SPIr; the solution stands beside the SK payload
/// of the first IKE_AUTH request, and under its check value. Without a puzzle, or with one too hard, there is none.
#[test]
fn a_puzzle_for_ike_auth_is_solved_beside_it() {
    use ravelin_ike_proto::registry::PrfId;
    use ravelin_ike_proto::wire::notify::{NotifyData, Puzzle};
    for (difficulty, solved) in [(Some(7), true), (Some(60), false), (None, false)] {
        let mut side = side(false);
        side.start(NOW);
        let puzzle = |difficulty| Puzzle { prf: PrfId::HMAC_SHA2_256, difficulty, cookie: vec![] }.to_notify();
        let more = difficulty.map(|d| Payload::Notify(puzzle(d))).into_iter().collect();
        let puppet = Puppet::respond_as(&mut side, 3, NOW, |_, spi_r| spi_r, more);
        assert_eq!(puppet.heard.request.map(|r| r.0), Some(ExchangeType::IKE_AUTH), "it opened");
        let [Payload::PuzzleSolution(solution)] = puppet.heard.clear.as_slice() else {
            assert!(!solved && puppet.heard.clear.is_empty(), "{:?}", puppet.heard.clear);
            continue;
        };
        let over = [puppet.nonce_r(), &puppet.spi_r.to_be_bytes()].concat();
        let keys: Vec<&[u8]> = solution.keys().collect();
        for (n, key) in keys.iter().enumerate() {
            let mac = puppet.prf().prf(key, &[&over]);
            assert_eq!(mac.expose().last().unwrap() & 0x7F, 0, "key {n}");
            assert!(!keys[..n].contains(key));
        }
        assert!(solved && keys.len() == 4);
    }
}

/// RFC 7296 §2.16: what follows EAP is a shared key MIC over the MSK, whatever else its payload calls itself.
#[test]
fn auth_after_eap_is_a_mic_with_its_key() {
    let up = |alter: &dyn Fn(&mut Authentication)| {
        let victim = Victim::all().into_iter().find(|v| v.name == "eap" && !v.initiates).and_then(Victim::enlightened);
        let victim = victim.expect("a responder that wants EAP");
        let mut side = victim.side(5, crate::portable());
        let mut puppet = Puppet::initiate(&mut side, 5, NOW);
        let mut talk = Talk::default();
        for _ in 0..10 {
            let Some(mut payloads) = puppet.honest_initiator(&victim, &mut talk) else { break };
            for payload in &mut payloads {
                if let Payload::Auth(auth) = payload {
                    alter(auth);
                }
            }
            let header = puppet.header(ExchangeType::IKE_AUTH, false, puppet.next_id);
            puppet.say(&mut side, &header, &payloads, false);
        }
        side.is_up()
    };
    assert!(up(&|_| {}), "the right one");
    assert!(!up(&|a| a.data[31] ^= 1), "another value");
    for method in [Wire::NULL, Wire::RSA, Wire::DIGITAL_SIGNATURE, Wire(0)] {
        assert!(!up(&|a| a.method = method), "{method}");
    }
}
