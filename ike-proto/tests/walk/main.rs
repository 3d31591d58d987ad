//! A random walk over everything that a peer can say (issue 4): with valid keys, in any order, as initiator and as
//! responder. No walk may reach an established SA, or keys in the data plane, without a verified AUTH of the peer.
//!
//! `RAVELIN_WALKS` is the number of walks per victim (default 50, with `RAVELIN_FULL` 20000); `RAVELIN_SEED` the first
//! seed. Two tests show that the walk can find what it looks for: a puppet that knows the secrets gets in, and a
//! provider that believes every signature is found out. `mutants.sh` takes checks out of the sources, one at a time, and
//! runs this walk and the tests beside it over each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(clippy::disallowed_methods, reason = "tests read their budget from the environment")]

mod alphabet;
#[path = "../endpoints/mod.rs"]
mod endpoints;
mod history;
mod puppet;
mod single;
mod victims;

use alphabet::Talk;
use endpoints::Side;
use puppet::Puppet;
use rand_chacha::rand_core::Rng;
use ravelin_crypto::sign::{SignatureFamily, SignatureScheme, SigningKey};
use ravelin_crypto::{CryptoError, Provider, Secret};
use ravelin_ike_proto::registry::{EapCode, EapType};
use ravelin_ike_proto::sa::Lifecycle;
use ravelin_ike_proto::wire::payload::Eap;
use ravelin_ike_proto::{Answer, Ask, Event};
use ravelin_sa_db::{Instant, Now};
use std::time::Duration;
use victims::{MSK, PSK, Victim};

/// Messages of one walk.
const STEPS: usize = 14;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn budget() -> (u64, u64) {
    let full = if std::env::var_os("RAVELIN_FULL").is_some() { 20_000 } else { 50 };
    (number("RAVELIN_SEED").unwrap_or(1), number("RAVELIN_WALKS").unwrap_or(full))
}

fn portable() -> Provider {
    ravelin_crypto::rustcrypto::provider()
}

/// What the victim has let in; `None` as long as it is closed.
fn opened(side: &Side) -> Option<String> {
    let event = side.events.iter().find(|e| {
        matches!(
            e,
            Event::Established(_) | Event::ChildEstablished(_) | Event::Rekeyed { .. } | Event::ChildRekeyed { .. }
        )
    });
    let state =
        |s: &ravelin_ike_proto::endpoint::SaSnapshot| s.state == Lifecycle::Established || !s.children.is_empty();
    if let Some(event) = event {
        return Some(format!("{event:?}"));
    }
    if !side.installed().is_empty() {
        return Some("keys in the data plane".into());
    }
    side.endpoint.snapshot(Instant::default()).iter().any(state).then(|| "an SA is established".into())
}

/// The victim's questions. An EAP server elsewhere says anything at any time, and with Success a key that only who knows
/// the secrets knows; everything else but the shared secret is answered by no.
fn answer(side: &mut Side, puppet: &mut Puppet) {
    while !side.asks.is_empty() {
        let (ticket, ask) = side.asks.remove(0);
        let reply = match ask {
            Ask::Eap { packet, .. } => {
                let id = puppet.rng.next_u32() as u8;
                let (packet, msk) = match puppet.rng.next_u32() % 8 {
                    0 => (Eap::outcome(EapCode::FAILURE, id), None),
                    1..4 if !packet.is_empty() => (Eap::outcome(EapCode::SUCCESS, id), Some(Secret::new(MSK.to_vec()))),
                    _ => (Eap::method(EapCode::REQUEST, id, EapType::GTC, b"?").unwrap(), None),
                };
                Answer::Eap { packet: packet.packet().to_vec(), msk, granted: None }
            }
            Ask::SharedSecret { .. } => Answer::Secret(Secret::new(PSK.to_vec())),
            _ => Answer::Refused("the walk says no".into()),
        };
        let _ = side.endpoint.handle_answer(Now::at(puppet.now), &side.db, ticket, reply);
        puppet.listen(side);
    }
}

/// One walk; what it opened, and the messages that it took.
fn walk(victim: &Victim, seed: u64, crypto: Provider) -> Option<String> {
    let mut side = victim.side(seed, crypto);
    let now = 1_000_000;
    let mut puppet = if victim.initiates {
        side.start(now);
        Puppet::respond(&mut side, seed, now)
    } else {
        Puppet::initiate(&mut side, seed, now)
    };
    let mut talk = Talk::default();
    let mut story = vec![];
    for _ in 0..STEPS {
        let letter = puppet.letter(victim, &mut talk);
        story.push(format!("{:?} {:?}", letter.header, letter.payloads.iter().map(|p| p.kind()).collect::<Vec<_>>()));
        match letter.clear {
            true => puppet.shout(&mut side, &letter.header, &letter.payloads),
            false => puppet.say(&mut side, &letter.header, &letter.payloads, letter.split),
        }
        answer(&mut side, &mut puppet);
        if puppet.rng.next_u32().is_multiple_of(20) {
            puppet.now += 5_000_000;
            side.endpoint.handle_timeout(Now::at(puppet.now), &side.db);
            puppet.listen(&mut side);
        }
        if let Some(what) = opened(&side) {
            return Some(format!("{} ({}), seed {seed}: {what}\n{}", victim.name, role(victim), story.join("\n")));
        }
        if side.endpoint.is_empty() {
            break;
        }
    }
    None
}

fn role(victim: &Victim) -> &'static str {
    if victim.initiates { "initiator" } else { "responder" }
}

#[test]
fn no_walk_opens_the_door() {
    let (first, walks) = budget();
    for victim in Victim::all() {
        for seed in first..first + walks {
            if let Some(story) = walk(&victim, seed, portable()) {
                panic!("{story}");
            }
        }
    }
}

/// The walk is no wall by itself: who knows the secrets gets in, as initiator and as responder, by every method.
#[test]
fn who_knows_gets_in() {
    for victim in Victim::all().into_iter().filter_map(Victim::enlightened) {
        let opened = (1..80).filter(|seed| walk(&victim, *seed, portable()).is_some()).count();
        assert!(opened > 3, "{} ({}): only {opened} of 79 walks", victim.name, role(&victim));
    }
}

/// Believes every signature that has the form of one.
struct Believer(&'static dyn SignatureFamily);

impl SignatureFamily for Believer {
    fn schemes(&self) -> &'static [SignatureScheme] {
        self.0.schemes()
    }
    fn verify(&self, _: SignatureScheme, _: &[u8], _: &[&[u8]], _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
    fn signing_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        self.0.signing_key(pkcs8)
    }
}

/// The seam is the provider, which a program gives to its endpoint: with one that verifies nothing the walk finds a way.
#[test]
fn a_check_less_is_found() {
    let mut crypto = portable();
    crypto.signatures =
        crypto.signatures.iter().map(|f| &*Box::leak(Box::new(Believer(*f))) as &'static dyn SignatureFamily).collect();
    for victim in Victim::all().into_iter().filter(|v| v.name == "raw key") {
        let found = (1..400).find_map(|seed| walk(&victim, seed, crypto.clone()));
        assert!(found.is_some(), "{}: a provider that verifies nothing went unseen", role(&victim));
    }
}

/// A victim that is left alone forgets the attempt.
#[test]
fn nothing_stays_behind() {
    let victim = &Victim::all()[0];
    let mut side = victim.side(1, portable());
    let mut puppet = Puppet::initiate(&mut side, 1, 1_000_000);
    let letter = puppet.letter(victim, &mut Talk::default());
    puppet.say(&mut side, &letter.header, &letter.payloads, false);
    side.endpoint.handle_timeout(Now::at(1_000_000 + Duration::from_secs(600).as_micros() as u64), &side.db);
    assert!(side.endpoint.is_empty());
}
