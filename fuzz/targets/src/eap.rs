//! EAP by itself, both sides: a fuzzer as client of our server (never Success without the password), and as server of
//! our client (never Success before the method's end).

use crate::sk::provider;
use arbitrary::{Arbitrary, Unstructured};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::Secret;
use ravelin::db::pad::EapMethod;
use ravelin::ike::eap::{Client, ClientVerdict, Server, ServerVerdict};
use ravelin::ike::registry::{EapCode, EapType};
use ravelin::ike::wire::payload::Eap;
use std::sync::Arc;

const METHODS: &[EapMethod] = &[EapMethod::MsChapV2, EapMethod::Gtc, EapMethod::Md5];
const PASSWORD: &[u8] = b"a password nobody guesses";

#[derive(Arbitrary, Debug)]
struct Turn {
    code: u8,
    kind: u8,
    /// Answer with the identifier that was asked with.
    follow: bool,
    identifier: u8,
    data: Vec<u8>,
    raw: bool,
}

const KINDS: [u8; 9] = [1, 2, 3, 4, 6, 13, 26, 254, 255];

fn packet(turn: &Turn, asked: u8, code: EapCode) -> Option<Eap> {
    if turn.raw {
        return Eap::parse(&turn.data).ok();
    }
    let code = if turn.code < 200 { code } else { EapCode(turn.code % 5) };
    let identifier = if turn.follow { asked } else { turn.identifier };
    if code == EapCode::SUCCESS || code == EapCode::FAILURE {
        return Some(Eap::outcome(code, identifier));
    }
    Eap::method(code, identifier, EapType(KINDS[usize::from(turn.kind) % KINDS.len()]), &turn.data).ok()
}

/// The fuzzer is the client.
pub(crate) fn server(data: &[u8]) {
    let _ = provider();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut u = Unstructured::new(data);
    let Ok(which) = u8::arbitrary(&mut u) else { return };
    let methods = &METHODS[usize::from(which) % 3..];
    let Some((mut server, first)) = Server::new(methods, which & 8 != 0, &mut rng) else { return };
    let mut asked = first.identifier();
    let Ok(turns) = Vec::<Turn>::arbitrary_take_rest(u) else { return };
    let password = |user: &[u8]| (user != b"nobody").then(|| Arc::new(Secret::new(PASSWORD.to_vec())));
    let mut over = false;
    for turn in turns.iter().take(80) {
        let Some(packet) = packet(turn, asked, EapCode::RESPONSE) else { continue };
        let knows = packet.packet().windows(PASSWORD.len()).any(|w| w == PASSWORD);
        match server.take(&packet, &password, &mut rng) {
            ServerVerdict::Send(next) => {
                assert!(!over, "it goes on after its end");
                assert_eq!(next.code(), EapCode::REQUEST);
                assert_ne!(next.identifier(), asked, "identifiers change with each request");
                asked = next.identifier();
            }
            ServerVerdict::Success(..) => {
                assert!(knows && !over, "Success without the password");
                over = true;
            }
            ServerVerdict::Failure(why) => {
                assert!(!why.contains("a password nobody"), "the password is printed");
                over = true;
            }
        }
    }
    assert!(!format!("{server:?}").contains("a password nobody"));
}

/// The fuzzer is the server.
pub(crate) fn client(data: &[u8]) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut u = Unstructured::new(data);
    let Ok(which) = u8::arbitrary(&mut u) else { return };
    let password = Arc::new(Secret::new(PASSWORD.to_vec()));
    let methods = &METHODS[..1 + usize::from(which) % 3];
    let mut client = Client::new(methods, b"user".to_vec(), password, which & 8 != 0);
    let proved = which & 16 != 0;
    if proved {
        client.server_is_proved();
    }
    let Ok(turns) = Vec::<Turn>::arbitrary_take_rest(u) else { return };
    let mut over = false;
    let mut sent_password = false;
    for turn in turns.iter().take(80) {
        let Some(packet) = packet(turn, 0, EapCode::REQUEST) else { continue };
        match client.take(&packet, &mut rng) {
            ClientVerdict::Reply(reply) => {
                assert!(!over, "it goes on after its end");
                assert_eq!((reply.code(), reply.identifier()), (EapCode::RESPONSE, packet.identifier()));
                let shown = reply.packet().windows(PASSWORD.len()).any(|w| w == PASSWORD);
                assert!(!shown || proved, "the password goes to somebody who proved nothing");
                sent_password |= shown;
            }
            ClientVerdict::Success(msk) => {
                // MSCHAPv2 cannot succeed: the fuzzer does not know the password.
                assert!(!over && msk.is_none() && proved, "Success before the method is done");
                over = true;
            }
            ClientVerdict::Failure(why) => {
                assert!(!why.contains("a password nobody"), "the password is printed");
                over = true;
            }
        }
    }
    let _ = sent_password;
    assert!(!format!("{client:?}").contains("a password nobody"));
}
