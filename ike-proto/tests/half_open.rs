//! Many half-open IKE SAs at one responder: beyond the first ones they are folded up, and nobody notices.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod endpoints;

use endpoints::{Side, side_with};
use ravelin_ike_proto::config::CookiePolicy;
use ravelin_ike_proto::sa::{Lifecycle, Why};
use ravelin_ike_proto::{Event, Reason};
use ravelin_sa_db::pad::Uniqueness;
use ravelin_sa_db::{Now, Path};

const MANY: usize = 80;
const START: u64 = 1_000_000;

fn side(me: u8, seed: u64) -> Side {
    side_with(me, seed, |peer, _, config, _| {
        peer.uniqueness = Uniqueness::Never;
        config.cookies = CookiePolicy::Never;
        config.half_open_per_source = u32::MAX;
    })
}

/// Datagrams and where they go.
type Wire = Vec<(Path, Vec<u8>)>;

/// What a side has to say.
fn said(side: &mut Side) -> Wire {
    let mut wire = vec![];
    side.drain(&mut wire);
    wire
}

/// Initiators, and what the responder answered to each.
fn rush(responder: &mut Side) -> Vec<(Side, Vec<u8>, Wire)> {
    let one = |n| {
        let mut initiator = side(1, 100 + n as u64);
        initiator.start(START);
        let (path, request) = said(&mut initiator).remove(0);
        responder.take(START, path, &request);
        (initiator, request, said(responder))
    };
    (0..MANY).map(one).collect()
}

#[test]
fn folded_ones_go_on_as_if_nothing_had_been() {
    let mut responder = side(2, 2);
    let all = rush(&mut responder);
    let shown = responder.endpoint.snapshot(Now::at(START).mono);
    assert!(shown.len() == MANY && shown.iter().all(|s| s.state == Lifecycle::Opening && s.next.1 == Why::HalfOpen));
    for (n, (mut initiator, request, answers)) in all.into_iter().enumerate() {
        let [(path, answer)] = answers.as_slice() else { panic!("{answers:?}") };
        // A repeated request is answered with the same octets.
        let back = Path { local: path.remote, remote: path.local };
        responder.take(START, back, &request);
        assert_eq!(said(&mut responder), answers, "{n}");
        initiator.take(START, *path, answer);
        let auth = said(&mut initiator);
        // A forged IKE_AUTH under its SPIs changes nothing.
        let mut forged = auth[0].1.clone();
        *forged.last_mut().unwrap() ^= 1;
        responder.take(START, auth[0].0, &forged);
        assert!(said(&mut responder).is_empty());
        let mut asked = auth;
        while !asked.is_empty() {
            for (path, bytes) in asked {
                responder.take(START, path, &bytes);
            }
            for (path, bytes) in said(&mut responder) {
                initiator.take(START, path, &bytes);
            }
            asked = said(&mut initiator);
        }
        assert!(initiator.is_up() && initiator.children() == 1, "{n}: {}", initiator.story());
    }
    assert_eq!((responder.endpoint.len(), responder.children()), (MANY, MANY));
    assert_eq!(responder.endpoint.counters().not_authentic, MANY as u64);
}

#[test]
fn all_expire_and_the_gate_forgets_them() {
    let mut responder = side(2, 2);
    let _ = rush(&mut responder);
    responder.endpoint.handle_timeout(Now::at(START + 29_000_000), &responder.db);
    assert_eq!(responder.endpoint.len(), MANY);
    responder.endpoint.handle_timeout(Now::at(START + 30_000_000), &responder.db);
    let _ = said(&mut responder);
    assert!(responder.endpoint.is_empty() && responder.endpoint.deadline().is_none());
    let expired = |e: &&Event| matches!(e, Event::Closed { reason: Reason::HalfOpenExpired, .. });
    assert_eq!(responder.events.iter().filter(expired).count(), MANY);
    // As many may come again, and shutting down ends them at once.
    assert_eq!(rush(&mut responder).len(), MANY);
    assert_eq!(responder.endpoint.len(), MANY);
    responder.endpoint.shutdown(Now::at(START), &responder.db);
    assert!(responder.endpoint.is_empty());
}
