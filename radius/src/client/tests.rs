//! A client against servers made of octets: conversations, keys, silence, forgeries.

use super::*;
use crate::accounting::{Cause, Kind};
use crate::attribute::vendor;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const A: &str = "192.0.2.10:1812";
const B: &str = "192.0.2.11:1812";
const ACCOUNTS: &str = "192.0.2.10:1813";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn secret() -> Secret {
    Secret::new(b"testing123".to_vec())
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn client() -> Client {
    let server = |a: &str, accounting| Server { access: at(a), accounting, secret: secret() };
    Client::new(Config { servers: alloc::vec![server(A, Some(at(ACCOUNTS))), server(B, None)], ..Config::default() })
}

fn sent(client: &mut Client) -> (SocketAddr, Vec<u8>) {
    match client.poll_output() {
        Some(Output::Transmit(to, datagram)) => (to, datagram),
        other => panic!("{other:?}"),
    }
}

fn answer(client: &mut Client) -> Answer {
    match client.poll_output() {
        Some(Output::Answer(Token(7), answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn with(parts: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    parts.iter().for_each(|(k, v)| put(&mut out, *k, v));
    out
}

fn reply(request: &[u8], code: u8, attributes: &[u8]) -> Vec<u8> {
    let p = Packet::parse(request).unwrap();
    packet::response(code, p.identifier, &p.authenticator, attributes, &secret()).unwrap()
}

#[test]
fn a_conversation() {
    let (mut c, mut rng) = (client(), rng());
    let long = [&[2, 9, 2, 88, 26][..], &[5; 595]].concat();
    c.eap(Instant(0), Token(7), b"carol", "198.51.100.1", &long, &mut rng);
    let (to, request) = sent(&mut c);
    let p = Packet::parse(&request).unwrap();
    assert_eq!((to, p.attributes.iter().next().unwrap().0), (at(A), kind::MESSAGE_AUTHENTICATOR), "first of all");
    assert_eq!(p.attributes.all(kind::EAP_MESSAGE).flatten().copied().collect::<Vec<_>>(), long);
    assert_eq!(p.attributes.first(kind::USER_NAME), Some(&b"carol"[..]));

    let challenge = with(&[(kind::EAP_MESSAGE, &[1, 2, 0, 6, 26, 1]), (kind::STATE, b"abc")]);
    c.handle_datagram(at(A), &reply(&request, code::ACCESS_CHALLENGE, &challenge));
    assert_eq!(answer(&mut c), Answer::Challenge(alloc::vec![1, 2, 0, 6, 26, 1]));

    c.eap(Instant(1), Token(7), b"carol", "198.51.100.1", &[2, 2, 0, 6, 26, 3], &mut rng);
    let (_, request) = sent(&mut c);
    let p = Packet::parse(&request).unwrap();
    assert_eq!(p.attributes.first(kind::STATE), Some(&b"abc"[..]));
    let mut accept = with(&[(kind::EAP_MESSAGE, &[3, 2, 0, 4]), (kind::FRAMED_IP_ADDRESS, &[10, 3, 0, 7])]);
    for (number, key) in [(vendor::MS_MPPE_SEND_KEY, [1; 32]), (vendor::MS_MPPE_RECV_KEY, [2; 32])] {
        let mut inner = vendor::MICROSOFT.to_be_bytes().to_vec();
        put(&mut inner, number, &mppe::seal(&key, [0x80, number], &secret(), &p.authenticator));
        put(&mut accept, kind::VENDOR_SPECIFIC, &inner);
    }
    c.handle_datagram(at(A), &reply(&request, code::ACCESS_ACCEPT, &accept));
    let Answer::Accept { packet, msk, grant } = answer(&mut c) else { panic!() };
    assert_eq!((packet, grant.addresses.len()), (alloc::vec![3, 2, 0, 4], 1));
    assert_eq!(msk.unwrap().expose(), [[2; 32], [1; 32]].concat());
    assert!(c.deadline().is_none());
}

/// What is forged, of somebody else, repeated or of another kind is dropped, and the right answer is still taken.
#[test]
fn only_the_server_is_believed() {
    let (mut c, mut rng) = (client(), rng());
    c.eap(Instant(0), Token(7), b"carol", "x", &[2, 1, 0, 10, 1, b'c', b'a', b'r', b'o', b'l'], &mut rng);
    let (_, request) = sent(&mut c);
    let success = with(&[(kind::EAP_MESSAGE, &[3, 1, 0, 4])]);
    let good = reply(&request, code::ACCESS_ACCEPT, &success);
    c.handle_datagram(at(B), &good);
    for at_octet in 0..good.len() {
        let mut bad = good.clone();
        bad[at_octet] ^= 0x20;
        c.handle_datagram(at(A), &bad);
    }
    c.handle_datagram(at(A), &reply(&request, code::ACCOUNTING_RESPONSE, &[]));
    let p = Packet::parse(&request).unwrap();
    let other = Secret::new(b"other".to_vec());
    let forged = packet::response(code::ACCESS_ACCEPT, p.identifier, &p.authenticator, &success, &other).unwrap();
    c.handle_datagram(at(A), &forged);
    assert!(c.poll_output().is_none() && c.counters().answers == 0);
    c.handle_datagram(at(A), &good);
    assert!(matches!(answer(&mut c), Answer::Accept { msk: None, .. }));
    c.handle_datagram(at(A), &good);
    assert!(c.poll_output().is_none(), "the same answer twice");
}

#[test]
fn accept_without_success_lets_nobody_in() {
    for eap in [&[][..], &[4, 1, 0, 4], &[1, 1, 0, 5, 1]] {
        let (mut c, mut rng) = (client(), rng());
        c.eap(Instant(0), Token(7), b"carol", "x", &[2, 1, 0, 5, 1], &mut rng);
        let (_, request) = sent(&mut c);
        let attributes = if eap.is_empty() { Vec::new() } else { with(&[(kind::EAP_MESSAGE, eap)]) };
        c.handle_datagram(at(A), &reply(&request, code::ACCESS_ACCEPT, &attributes));
        assert!(matches!(answer(&mut c), Answer::Reject(..)), "{eap:?}");
    }
}

#[test]
fn silence_leads_to_the_next_server_and_to_an_end() {
    let (mut c, mut rng) = (client(), rng());
    c.eap(Instant(0), Token(7), b"carol", "x", &[2, 1, 0, 5, 1], &mut rng);
    let mut heard = alloc::vec![];
    for _ in 0..20 {
        while let Some(output) = c.poll_output() {
            match output {
                Output::Transmit(to, _) => heard.push(to),
                Output::Answer(_, answer) => {
                    assert_eq!(answer, Answer::Silence);
                    assert_eq!(heard, [at(A), at(A), at(A), at(B), at(B), at(B)]);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        let now = c.deadline().unwrap();
        c.handle_timeout(now, &mut rng);
    }
    panic!("no end");
}

#[test]
fn reports() {
    let (mut c, mut rng) = (client(), rng());
    let record = Record {
        kind: Kind::Stop,
        session: "ike-1".to_string(),
        user: b"carol".to_vec(),
        addresses: alloc::vec![IpAddr::from([10, 3, 0, 7])],
        calling: "198.51.100.1".to_string(),
        class: alloc::vec![b"gold".to_vec()],
        time: Duration::from_secs(61),
        input: ((5 << 32) + 6, 7),
        output: (8, 9),
        cause: Some(Cause::UserRequest),
    };
    c.account(Instant(0), &record, &mut rng);
    let (to, request) = sent(&mut c);
    let p = Packet::parse(&request).unwrap();
    let number = |kind| p.attributes.first(kind).map(|v| u32::from_be_bytes(v.try_into().unwrap()));
    assert_eq!((to, p.code, number(kind::ACCT_STATUS_TYPE)), (at(ACCOUNTS), code::ACCOUNTING_REQUEST, Some(2)));
    assert_eq!((number(kind::ACCT_INPUT_OCTETS), number(kind::ACCT_INPUT_GIGAWORDS)), (Some(6), Some(5)));
    assert_eq!((number(kind::ACCT_SESSION_TIME), number(kind::ACCT_TERMINATE_CAUSE)), (Some(61), Some(1)));
    assert_eq!(p.attributes.first(kind::CLASS), Some(&b"gold"[..]));
    c.handle_datagram(at(ACCOUNTS), &reply(&request, code::ACCOUNTING_RESPONSE, &[]));
    assert!(c.deadline().is_none() && c.counters().answers == 1);
    c.account(Instant(0), &record, &mut rng);
    while let Some(now) = c.deadline() {
        c.handle_timeout(now, &mut rng);
    }
    let last = core::iter::from_fn(|| c.poll_output()).last();
    assert_eq!(last, Some(Output::Unreported("ike-1".to_string())));
}

/// Any octets: no panic, nothing comes of them.
#[test]
fn octets_of_nobody() {
    use rand_chacha::rand_core::Rng;
    let (mut c, mut rng) = (client(), rng());
    c.eap(Instant(0), Token(7), b"carol", "x", &[2, 1, 0, 5, 1], &mut rng);
    let (_, request) = sent(&mut c);
    for _ in 0..5000 {
        let mut octets = request.clone();
        octets.truncate(rng.next_u32() as usize % 80);
        octets.iter_mut().skip(4).for_each(|b| *b = rng.next_u32() as u8);
        if let Some(first) = octets.first_mut() {
            *first = 2;
        }
        c.handle_datagram(at(A), &octets);
    }
    assert!(c.poll_output().is_none() && c.deadline().is_some());
}
