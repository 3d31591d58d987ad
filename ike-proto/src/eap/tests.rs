//! Server and client against each other, and every packet in every state against each.

use super::*;
use crate::registry::{EapCode, EapType};
use crate::wire::payload::Eap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use rand_chacha::{ChaCha20Rng, rand_core::Rng, rand_core::SeedableRng};
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::EapMethod::{self, Gtc, Md5, MsChapV2};

fn secret(text: &str) -> Arc<Secret> {
    Arc::new(Secret::new(text.as_bytes().to_vec()))
}

fn lookup(user: &[u8]) -> Option<Arc<Secret>> {
    (user == b"carol").then(|| secret("password"))
}

/// What both come to: the server's verdict and the client's, with their keys.
fn converse(
    server: &[EapMethod],
    client: &[EapMethod],
    user: &str,
    password: &str,
) -> (Result<Option<Secret>, alloc::string::String>, Option<Option<Secret>>) {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (mut s, mut packet) = Server::new(server, false, rng).unwrap();
    let mut c = Client::new(client, user.as_bytes().to_vec(), secret(password), false);
    c.server_is_proved();
    for _ in 0..20 {
        let reply = match c.take(&packet, rng) {
            ClientVerdict::Reply(reply) => reply,
            ClientVerdict::Success(_) => panic!("the server has not said so"),
            ClientVerdict::Failure(why) => return (Err(why), None),
        };
        match s.take(&reply, &lookup, rng) {
            ServerVerdict::Send(next) => packet = next,
            ServerVerdict::Success(packet, msk) => {
                let client = match c.take(&packet, rng) {
                    ClientVerdict::Success(key) => Some(key),
                    _ => None,
                };
                return (Ok(msk), client);
            }
            ServerVerdict::Failure(why) => return (Err(why), None),
        }
    }
    panic!("they never come to an end");
}

#[test]
fn methods_come_to_the_same_key() {
    let (server, client) = converse(&[MsChapV2], &[MsChapV2], "carol", "password");
    let msk = server.unwrap().unwrap();
    assert_eq!((msk.len(), Some(Some(msk))), (64, client));
    for method in [Gtc, Md5] {
        assert_eq!(converse(&[method], &[method], "carol", "password"), (Ok(None), Some(None)));
    }
}

#[test]
fn wrong_passwords_and_names() {
    for method in [MsChapV2, Gtc, Md5] {
        let why = converse(&[method], &[method], "carol", "Password").0.unwrap_err();
        assert!(why.contains("wrong password"), "{why}");
        let why = converse(&[method], &[method], "dave", "password").0.unwrap_err();
        assert!(why.contains("nobody"), "{why}");
    }
}

#[test]
fn a_client_declines_what_it_does_not_allow() {
    assert!(converse(&[Gtc, MsChapV2], &[MsChapV2], "carol", "password").0.unwrap().is_some());
    assert!(converse(&[Md5], &[MsChapV2], "carol", "password").0.unwrap_err().contains("declines"));
}

/// EAP alone (RFC 5998): only a method that proves the server may run.
#[test]
fn alone_means_mutual() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    assert!(Server::new(&[Gtc, Md5], true, rng).is_none());
    let mut c = Client::new(&[Gtc], b"carol".to_vec(), secret("password"), true);
    let ask = Eap::method(EapCode::REQUEST, 1, EapType::GTC, b"?").unwrap();
    assert!(matches!(c.take(&ask, rng), ClientVerdict::Failure(_)), "the password would go to anybody");
}

/// The class of CVE-2014-2338, 2015-8023 and 2015-4171: success without proof.
#[test]
fn success_is_never_believed_early() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let success = Eap::outcome(EapCode::SUCCESS, 1);
    let new = || {
        let mut c = Client::new(&[MsChapV2, Gtc, Md5], b"carol".to_vec(), secret("password"), false);
        c.server_is_proved();
        c
    };
    assert!(matches!(new().take(&success, rng), ClientVerdict::Failure(_)));
    // After the challenge was answered, before the server's proof.
    let (mut s, mut packet) = Server::new(&[MsChapV2], false, rng).unwrap();
    let mut c = new();
    for _ in 0..2 {
        let ClientVerdict::Reply(reply) = c.take(&packet, rng) else { panic!() };
        let ServerVerdict::Send(next) = s.take(&reply, &lookup, rng) else { panic!() };
        packet = next;
    }
    assert!(matches!(c.take(&success, rng), ClientVerdict::Failure(_)));
    // And nothing helps afterwards.
    assert!(matches!(c.take(&packet, rng), ClientVerdict::Failure(_)));
    assert!(matches!(c.take(&success, rng), ClientVerdict::Failure(_)));
}

/// A server that does not know the password cannot prove itself.
#[test]
fn a_false_server_is_found_out() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (mut s, mut packet) = Server::new(&[MsChapV2], false, rng).unwrap();
    let mut c = Client::new(&[MsChapV2], b"carol".to_vec(), secret("password"), true);
    for _ in 0..2 {
        let ClientVerdict::Reply(reply) = c.take(&packet, rng) else { panic!() };
        let ServerVerdict::Send(next) = s.take(&reply, &lookup, rng) else { panic!() };
        packet = next;
    }
    for at in [9, 12, 20, 51] {
        let mut octets = packet.packet().to_vec();
        octets[at] ^= 3;
        let forged = Eap::parse(&octets).unwrap();
        let mut victim = Client::new(&[MsChapV2], b"carol".to_vec(), secret("password"), true);
        assert!(!matches!(victim.take(&forged, rng), ClientVerdict::Success(_)));
    }
    let mut octets = packet.packet().to_vec();
    octets[12] ^= 3;
    assert!(matches!(c.take(&Eap::parse(&octets).unwrap(), rng), ClientVerdict::Failure(_)));
}

/// Damaged, repeated, invented and misplaced packets: no panic; the server succeeds only for who knows the password.
#[test]
fn no_packet_opens_the_door() {
    for seed in 0..400 {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let methods = [[MsChapV2, Gtc, Md5], [Md5, MsChapV2, Gtc], [Gtc, Md5, MsChapV2]];
        let (mut s, first) = Server::new(&methods[seed as usize % 3], false, rng).unwrap();
        let mut c = Client::new(&methods[seed as usize / 3 % 3], b"carol".to_vec(), secret("guess"), false);
        c.server_is_proved();
        let mut seen: Vec<Eap> = alloc::vec![first];
        for _ in 0..12 {
            let pick = seen[rng.next_u32() as usize % seen.len()].clone();
            let mut octets = pick.packet().to_vec();
            match rng.next_u32() % 4 {
                0 => {
                    let at = 4 + rng.next_u32() as usize % (octets.len() - 3);
                    octets.truncate(at);
                }
                1 => octets[4..].fill(0),
                2 => octets.extend(b"more"),
                _ => {}
            }
            if octets.len() > 5 && rng.next_u32() % 3 == 0 {
                let at = 4 + rng.next_u32() as usize % (octets.len() - 4);
                octets[at] ^= 1 << (rng.next_u32() % 8);
            }
            octets[0] = if octets.len() == 4 { 3 } else { octets[0].min(2) };
            let len = octets.len() as u16;
            octets[2..4].copy_from_slice(&len.to_be_bytes());
            let Ok(packet) = Eap::parse(&octets) else { continue };
            match s.take(&packet, &lookup, rng) {
                ServerVerdict::Send(next) => seen.push(next),
                ServerVerdict::Success(..) => panic!("seed {seed}: the server believes {octets:02x?}"),
                ServerVerdict::Failure(_) => {}
            }
            if let ClientVerdict::Reply(reply) = c.take(&packet, rng) {
                seen.push(reply);
            }
        }
    }
}

/// strongSwan CVE-2025-62291: MSCHAPv2 failure requests shorter than their header, or with lengths that lie.
#[test]
fn cve_2025_62291_short_failure_requests() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    for len in 0..12u16 {
        for claimed in [0, 1, 3, 4, len, len + 1, u16::MAX] {
            let (mut s, mut packet) = Server::new(&[MsChapV2], false, rng).unwrap();
            let mut c = Client::new(&[MsChapV2], b"carol".to_vec(), secret("password"), true);
            for _ in 0..2 {
                let ClientVerdict::Reply(reply) = c.take(&packet, rng) else { panic!() };
                let ServerVerdict::Send(next) = s.take(&reply, &lookup, rng) else { panic!() };
                packet = next;
            }
            let [hi, lo] = claimed.to_be_bytes();
            let mut data = alloc::vec![4, 1, hi, lo, b'E', b'=', b'6', b'9', b'1', b' ', b'R', b'='];
            data.truncate(usize::from(len));
            let failure = Eap::method(EapCode::REQUEST, 9, EapType::MSCHAPV2, &data).unwrap();
            assert!(matches!(c.take(&failure, rng), ClientVerdict::Failure(_)), "{len} {claimed}");
        }
    }
}
