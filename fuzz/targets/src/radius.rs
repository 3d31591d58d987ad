//! The RADIUS client: datagrams from the network, and answers that the harness seals with the shared secret. Nothing that is
//! not sealed is an answer; what is sealed is one answer at most; a conversation always ends.

use arbitrary::{Arbitrary, Unstructured};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use ravelin::{Instant, Secret};
use ravelin_radius::packet::response;
use ravelin_radius::{Answer, Client, Config, Output, Server, Token};
use std::net::SocketAddr;

const SECRET: &[u8] = b"shared with the server";

#[derive(Arbitrary, Debug)]
enum Step {
    Raw(Vec<u8>),
    /// The good header of an answer, without its authenticators.
    Unsealed {
        code: u8,
        rest: Vec<u8>,
    },
    Sealed {
        code: u8,
        attributes: Vec<u8>,
    },
    /// Sealed, from another address.
    Elsewhere {
        code: u8,
        attributes: Vec<u8>,
    },
    Wait(u8),
    Eap(Vec<u8>),
}

pub(crate) fn run(data: &[u8]) {
    let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (server, other): (SocketAddr, SocketAddr) =
        ("192.0.2.9:1812".parse().expect("it"), "192.0.2.8:1812".parse().expect("it"));
    let secret = Secret::new(SECRET.to_vec());
    let servers = vec![Server { access: server, accounting: None, secret: secret.clone() }];
    let mut client = Client::new(Config { servers, ..Config::default() });
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (mut now, mut last, mut waiting) = (Instant(0), None::<Vec<u8>>, 0i32);
    for step in steps.into_iter().take(40) {
        let (mut sealed, mut waited) = (false, false);
        match step {
            Step::Raw(octets) => client.handle_datagram(server, &octets),
            Step::Unsealed { code, rest } => {
                let mut octets = last.as_ref().map_or(vec![0; 20], |l| l[..20.min(l.len())].to_vec());
                octets.extend(rest);
                let len = (octets.len() as u16).to_be_bytes();
                (octets[0], octets[2], octets[3]) = (code % 16, len[0], len[1]);
                client.handle_datagram(server, &octets);
            }
            Step::Sealed { code, attributes } | Step::Elsewhere { code, attributes } if last.is_none() => {
                drop((code, attributes));
            }
            Step::Sealed { code, attributes } => {
                if let Some(octets) = answer(last.as_deref(), code, &attributes, &secret) {
                    sealed = true;
                    client.handle_datagram(server, &octets);
                }
            }
            Step::Elsewhere { code, attributes } => {
                if let Some(octets) = answer(last.as_deref(), code, &attributes, &secret) {
                    client.handle_datagram(other, &octets);
                }
            }
            Step::Wait(seconds) => {
                now = now + std::time::Duration::from_secs(seconds.into());
                waited = true;
                client.handle_timeout(now, &mut rng);
            }
            Step::Eap(packet) => {
                if waiting == 0 {
                    waiting = 1;
                    client.eap(now, Token(1), b"user", "192.0.2.1", &packet[..packet.len().min(1500)], &mut rng);
                }
            }
        }
        let mut count = 0;
        while let Some(output) = client.poll_output() {
            count += 1;
            assert!(count < 16, "one step makes {count} outputs");
            match output {
                Output::Transmit(to, octets) => {
                    assert!(to == server && (20..=4096).contains(&octets.len()));
                    last = Some(octets);
                }
                Output::Answer(token, what) => {
                    assert_eq!(token, Token(1));
                    waiting -= 1;
                    assert_eq!(waiting, 0, "two answers to one packet");
                    let silence = matches!(what, Answer::Silence) || matches!(&what, Answer::Reject(None, _));
                    assert!(sealed || waited || silence, "an answer that nobody sealed: {what:?}");
                }
                _ => {}
            }
        }
        assert!(!format!("{client:?}").contains("shared with"), "the secret is printed");
    }
    now = now + std::time::Duration::from_secs(3600);
    for _ in 0..16 {
        client.handle_timeout(now, &mut rng);
        now = now + std::time::Duration::from_secs(3600);
    }
    while let Some(output) = client.poll_output() {
        waiting -= i32::from(matches!(output, Output::Answer(..)));
    }
    assert_eq!(waiting, 0, "a conversation never ends");
}

fn answer(request: Option<&[u8]>, code: u8, attributes: &[u8], secret: &Secret) -> Option<Vec<u8>> {
    let request = request?;
    let authenticator: [u8; 16] = request.get(4..20)?.try_into().ok()?;
    response([2, 3, 11, code][usize::from(code) % 4], *request.get(1)?, &authenticator, attributes, secret)
}
