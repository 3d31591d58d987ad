//! Configurations that do not meet: both operators are told why, in typed reasons.

use ravelin::db::ProposalProtocol::{Esp, Ike};
use ravelin::db::{Identity, Proposal};
use ravelin::ike::registry::NotifyType;
use ravelin::{Event, Reason};
use ravelin_testkit::{Host, Message, Pair, Sim, pair, secs};

fn attempt(change: impl FnOnce(Pair) -> Pair) -> (Sim, Host, Host) {
    let mut sim = Sim::new(1);
    let (a, b) = change(Pair::new()).build(&mut sim);
    sim.initiate(a, b);
    // Unauthenticated errors are believed when the tries run out.
    sim.run_for(secs(170));
    (sim, a, b)
}

fn refused_with(sim: &Sim, host: Host, expected: NotifyType) {
    let reason = sim.closed_because(host).expect("closed");
    assert!(matches!(reason, Reason::PeerRefused { notify, .. } if *notify == expected), "{reason:?}");
}

#[test]
fn wrong_secret() {
    let (sim, a, b) = attempt(|p| p.b(|s| s.psk = b"another".to_vec()));
    refused_with(&sim, a, NotifyType::AUTHENTICATION_FAILED);
    assert!(matches!(sim.closed_because(b), Some(Reason::AuthenticationFailed { .. })), "{:?}", sim.events(b));
    sim.assert_down(a);
    sim.assert_down(b);
}

#[test]
fn unknown_peer() {
    let (sim, a, b) =
        attempt(|p| p.a(|s| s.peer.local_id = id("stranger.test")).b(|s| s.peer.remote_id = id("a.test").into()));
    refused_with(&sim, a, NotifyType::AUTHENTICATION_FAILED);
    let reason = sim.closed_because(b).expect("closed");
    assert!(reason.to_string().contains("stranger.test"), "{reason}");
    sim.assert_down(a);
    sim.assert_down(b);
}

#[test]
fn no_common_ike_proposal() {
    let (sim, a, b) = attempt(|p| {
        p.a(|s| s.peer.proposals = vec![Proposal::parse(Ike, "aes256gcm16-prfsha384-x25519").expect("a proposal")])
            .b(|s| s.peer.proposals = vec![Proposal::parse(Ike, "aes128-sha256-modp2048").expect("a proposal")])
    });
    refused_with(&sim, a, NotifyType::NO_PROPOSAL_CHOSEN);
    assert!(matches!(sim.noted(b), Some(Reason::NoProposal { .. })), "{:?}", sim.events(b));
    sim.assert_down(a);
    sim.assert_down(b);
}

/// An error that anybody can send does not end an attempt (RFC 7296 §2.21.1); nor does a public value that is none.
#[test]
fn a_forged_refusal_does_not_end_an_attempt() {
    let mut sim = Sim::new(4);
    let (a, b) = Pair::new().build(&mut sim);
    sim.partition(a, b);
    let mut request = None;
    sim.record();
    sim.initiate(a, b);
    if let Some(entry) = sim.trace().next() {
        request = Some(entry.message.clone());
    }
    let request = request.expect("a request");
    for second in 0..60u8 {
        let mut forged = request.bytes[..8].to_vec();
        // Responder SPI, a Notify payload alone, version 2, IKE_SA_INIT, a response, message id 0.
        forged.extend([0, 0, 0, 0, 0, 0, 0, second, 41, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 36]);
        forged.extend([0, 0, 0, 8, 0, 0, 0, 14]);
        let (from, to) = (request.to, request.from);
        sim.inject(Message { from, to, bytes: forged, sender: Some(b), ..request.clone() });
        sim.run_for(secs(1));
    }
    assert!(matches!(sim.noted(a), Some(Reason::PeerRefused { authenticated: false, .. })));
    assert_eq!(sim.count_events(a, |e| matches!(e, Event::Noted { .. })), 1);
    sim.heal(a, b);
    sim.run_until(secs(100), "up", |sim| sim.is_up(a, b));
}

#[test]
fn no_common_child_proposal_leaves_the_ike_sa() {
    let (sim, a, b) = attempt(|p| {
        p.a(|s| s.protect.proposals = vec![Proposal::parse(Esp, "aes256gcm16").expect("a proposal")])
            .b(|s| s.protect.proposals = vec![Proposal::parse(Esp, "aes128-sha256").expect("a proposal")])
    });
    child_refused(&sim, a, b, NotifyType::NO_PROPOSAL_CHOSEN);
    assert!(matches!(sim.child_refused_because(b), Some(Reason::NoProposal { .. })), "{:?}", sim.events(b));
}

#[test]
fn no_common_selectors_leave_the_ike_sa() {
    let (sim, a, b) = attempt(|p| p.b(|s| (s.local_ts, s.remote_ts) = (vec![pair::net(7)], vec![pair::net(8)])));
    child_refused(&sim, a, b, NotifyType::TS_UNACCEPTABLE);
    assert!(matches!(sim.child_refused_because(b), Some(Reason::NoSelectors { .. })), "{:?}", sim.events(b));
}

/// The Child SA is refused, the IKE SA lives on (RFC 7296 §1.2), and no SPI is left over.
fn child_refused(sim: &Sim, a: Host, b: Host, expected: NotifyType) {
    let reason = sim.child_refused_because(a).expect("refused");
    assert!(matches!(reason, Reason::PeerRefused { notify, .. } if *notify == expected), "{reason:?}");
    assert_eq!((sim.established(a).len(), sim.established(b).len()), (1, 1));
    assert_eq!((sim.children(a).len(), sim.children(b).len()), (0, 0));
    sim.assert_in_step(a, b);
    assert_eq!(sim.count_events(a, |e| matches!(e, Event::Closed { .. })), 0);
}

fn id(text: &str) -> Identity {
    text.parse().expect("an identity")
}
