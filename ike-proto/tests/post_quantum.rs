//! Post-quantum IKEv2 between two endpoints: additional key exchanges (RFC 9370) over IKE_INTERMEDIATE (RFC 9242),
//! PPKs (RFC 8784, RFC 9867) in every combination, full-transcript AUTH, and what stripping a notify leads to.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod endpoints;

use endpoints::{Side, run, run_with, side_with};
use ravelin_crypto::Secret;
use ravelin_ike_proto::registry::{NotifyType, TransformType};
use ravelin_ike_proto::wire::Message;
use ravelin_ike_proto::wire::payload::Payload;
use ravelin_sa_db::pad::{Peer, PpkMethod, TranscriptAuth};
use ravelin_sa_db::proposal::{Proposal, ProposalProtocol};

fn ike(s: &str) -> Vec<Proposal> {
    Proposal::parse_list(ProposalProtocol::Ike, s).unwrap()
}

fn with_peer(me: u8, edit: impl Fn(&mut Peer)) -> Side {
    side_with(me, u64::from(me), |p, _, _, _| edit(p))
}

fn equal_keys(a: &Side, b: &Side) -> bool {
    let (x, y) = (a.installed(), b.installed());
    x.len() == 2 && y.len() == 2 && x[0].suite == y[1].suite && x[1].suite == y[0].suite
}

#[test]
fn one_to_seven_additional_key_exchanges() {
    for rounds in 1..=7 {
        let mut text = String::from("aes128gcm16-prfsha256-x25519");
        for n in 1..=rounds {
            text += &format!(
                "-ke{n}_{}",
                ["mlkem768", "ecp256", "mlkem512", "x25519", "ecp384", "mlkem1024", "ecp256"][n - 1]
            );
        }
        let (mut a, mut b) = (with_peer(1, |p| p.proposals = ike(&text)), with_peer(2, |p| p.proposals = ike(&text)));
        let mut intermediates = 0;
        a.start(0);
        run_with(&mut a, &mut b, 1_000_000, &mut |_, bytes| {
            let skip = if bytes[..4] == [0; 4] { 4 } else { 0 };
            intermediates += usize::from(bytes[skip + 18] == 43 && bytes[skip + 19] & 0x20 != 0);
            Some(bytes)
        });
        assert!(a.is_up() && b.is_up() && equal_keys(&a, &b), "{rounds} rounds: {} {}", a.story(), b.story());
        assert!(intermediates >= rounds, "{rounds} rounds need as many answers, saw {intermediates}");
    }
}

#[test]
fn an_old_peer_gets_the_plain_half_of_the_offer() {
    let new = "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none";
    let mut a = with_peer(1, |p| p.proposals = ike(new));
    let mut b = with_peer(2, |p| p.proposals = ike("aes128gcm16-prfsha256-x25519"));
    a.start(0);
    run(&mut a, &mut b);
    assert!(a.is_up() && equal_keys(&a, &b), "{}", a.story());
    assert!(!a.endpoint.snapshot(ravelin_sa_db::Instant(0))[0].proposal.contains("ML_KEM"));
}

#[test]
fn a_mandatory_additional_exchange_is_never_left_out() {
    let mut a = with_peer(1, |p| p.proposals = ike("aes128gcm16-prfsha256-x25519-ke1_mlkem768"));
    let mut b = with_peer(2, |p| p.proposals = ike("aes128gcm16-prfsha256-x25519"));
    a.start(0);
    run(&mut a, &mut b);
    assert!(!a.is_up() && !b.is_up());
    assert!(b.story().contains("NoProposal"), "{}", b.story());
}

/// What one side has for PPKs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Has {
    Nothing,
    Optional,
    Required,
    /// Required, but another id than the other side's.
    Unknown,
}

fn ppk_side(me: u8, has: Has, method: PpkMethod) -> Side {
    side_with(me, u64::from(me), |p, _, _, db| {
        if has == Has::Nothing {
            return;
        }
        let id =
            if has == Has::Unknown { [b"\x02other".as_slice(), &[me]].concat() } else { b"\x02shared-ppk".to_vec() };
        db.pad.secrets.add_ppk(id.clone(), Secret::new(vec![if has == Has::Unknown { me } else { 42 }; 32]));
        p.ppk = Some(id);
        p.ppk_method = method;
        p.ppk_required = matches!(has, Has::Required | Has::Unknown);
    })
}

#[test]
fn ppk_table() {
    use Has::{Nothing, Optional, Required, Unknown};
    for method in [PpkMethod::Auth, PpkMethod::Intermediate, PpkMethod::Either] {
        for i in [Nothing, Optional, Required, Unknown] {
            for r in [Nothing, Optional, Required, Unknown] {
                let (mut a, mut b) = (ppk_side(1, i, method), ppk_side(2, r, method));
                a.start(0);
                run(&mut a, &mut b);
                let shared = |h| matches!(h, Optional | Required);
                let used = shared(i) && shared(r);
                let demanded = matches!(i, Required | Unknown) || matches!(r, Required | Unknown);
                let up = used || !demanded;
                assert_eq!((a.is_up(), b.is_up()), (up, up), "{method:?} {i:?} {r:?}\n{}\n{}", a.story(), b.story());
                assert_eq!(up, equal_keys(&a, &b), "{method:?} {i:?} {r:?}");
            }
        }
    }
}

#[test]
fn the_two_ways_to_a_ppk_must_meet() {
    let (mut a, mut b) =
        (ppk_side(1, Has::Required, PpkMethod::Auth), ppk_side(2, Has::Required, PpkMethod::Intermediate));
    a.start(0);
    run(&mut a, &mut b);
    assert!(!a.is_up() && !b.is_up());
    assert!(a.story().contains("USE_PPK"), "{}", a.story());
}

#[test]
fn different_ppks_under_one_id_do_not_authenticate() {
    for method in [PpkMethod::Auth, PpkMethod::Intermediate] {
        let mut a = ppk_side(1, Has::Required, method);
        let mut b = ppk_side(2, Has::Required, method);
        b.db.pad.secrets.add_ppk(b"\x02shared-ppk".to_vec(), Secret::new(vec![7; 32]));
        a.start(0);
        run(&mut a, &mut b);
        assert!(!a.is_up() && !b.is_up() && a.installed().is_empty() && b.installed().is_empty(), "{method:?}");
    }
}

/// Takes a notify or transform type out of an IKE_SA_INIT message.
fn strip(bytes: &[u8], notify: Option<NotifyType>, transform: Option<TransformType>) -> Vec<u8> {
    let mut m = Message::decode(bytes).unwrap();
    let mut payloads = m.payloads.into_vec();
    payloads.retain(|p| !matches!(p, Payload::Notify(n) if Some(n.kind) == notify));
    for p in &mut payloads {
        if let Payload::Sa(sa) = p {
            sa.proposals.iter_mut().for_each(|p| p.transforms.retain(|t| Some(t.kind) != transform));
        }
    }
    m.payloads = payloads.into();
    m.encode().unwrap()
}

fn attack(a: &mut Side, b: &mut Side, victim: u8, notify: Option<NotifyType>, transform: Option<TransformType>) {
    a.start(0);
    run_with(a, b, 1_000_000, &mut |from, bytes| {
        let init = bytes[..4] != [0; 4] && bytes[18] == 34;
        Some(if init && from == victim { strip(&bytes, notify, transform) } else { bytes })
    });
}

#[test]
fn stripping_the_transcript_notify_is_detected() {
    for policy in [TranscriptAuth::Offer, TranscriptAuth::Require] {
        for victim in [1, 2] {
            let edit = |p: &mut Peer| p.transcript_auth = policy;
            let (mut a, mut b) = (with_peer(1, edit), with_peer(2, edit));
            attack(&mut a, &mut b, victim, Some(NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH), None);
            assert!(!a.is_up() && !b.is_up(), "{policy:?} stripped from {victim}");
            if policy == TranscriptAuth::Require {
                let told = format!("{}{}", a.story(), b.story());
                assert!(told.contains("IKE_SA_INIT_FULL_TRANSCRIPT_AUTH"), "{told}");
            }
        }
    }
}

#[test]
fn stripping_the_offer_of_additional_exchanges_is_detected() {
    let text = "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none";
    // Optional on both sides: without the transcript rule the request's AUTH already covers the initiator's message.
    for transcript in [TranscriptAuth::Off, TranscriptAuth::Require] {
        let edit = |p: &mut Peer| {
            p.proposals = ike(text);
            p.transcript_auth = transcript;
        };
        let (mut a, mut b) = (with_peer(1, edit), with_peer(2, edit));
        attack(&mut a, &mut b, 1, None, Some(TransformType::ADDKE1));
        assert!(!a.is_up() && !b.is_up(), "{}", a.story());
    }
    let must = |p: &mut Peer| p.proposals = ike("aes128gcm16-prfsha256-x25519-ke1_mlkem768");
    let (mut a, mut b) = (with_peer(1, must), with_peer(2, must));
    attack(&mut a, &mut b, 1, None, Some(TransformType::ADDKE1));
    assert!(!a.is_up() && b.story().contains("NoProposal"), "{}", b.story());
}

#[test]
fn stripping_the_ppk_notify_is_detected_when_a_ppk_is_required() {
    for (method, notify) in [(PpkMethod::Auth, NotifyType::USE_PPK), (PpkMethod::Intermediate, NotifyType::USE_PPK_INT)]
    {
        for victim in [1, 2] {
            let (mut a, mut b) = (ppk_side(1, Has::Required, method), ppk_side(2, Has::Required, method));
            attack(&mut a, &mut b, victim, Some(notify), None);
            assert!(!a.is_up() && !b.is_up());
            assert!(a.story().contains("USE_PPK"), "{}", a.story());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_keys() {
    let text = "aes128gcm16-prfsha256-x25519-ke1_mlkem768";
    let go = || {
        let (mut a, mut b) = (with_peer(1, |p| p.proposals = ike(text)), with_peer(2, |p| p.proposals = ike(text)));
        a.start(0);
        run(&mut a, &mut b);
        a.installed().iter().map(|p| p.suite.encr_key.expose().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(go(), go());
}
