//! Post-quantum IKEv2 between two endpoints: additional key exchanges (RFC 9370) over IKE_INTERMEDIATE (RFC 9242),
//! PPKs (RFC 8784, RFC 9867) in every combination, full-transcript AUTH, and what stripping a notify leads to.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "compares a table with the document")]

mod endpoints;

use endpoints::{Side, run, run_with, side_with, sleep};
use ravelin_crypto::Secret;
use ravelin_ike_proto::registry::{NotifyType, TransformType};
use ravelin_ike_proto::wire::Message;
use ravelin_ike_proto::wire::payload::Payload;
use ravelin_sa_db::Instant;
use ravelin_sa_db::pad::{AuthMethod, IdPattern, Peer, PpkMethod, TranscriptAuth};
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

/// What one side's policy says about PPKs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Has {
    Off,
    Optional,
    Required,
}

const SHARED: &[u8] = b"\x02shared-ppk";

/// With `known` the two sides have the same PPK, else each one of its own under a name of its own.
fn ppk_side_with(me: u8, has: Has, method: PpkMethod, known: bool) -> Side {
    side_with(me, u64::from(me), |p, _, _, db| {
        if has == Has::Off {
            return;
        }
        let id = if known { SHARED.to_vec() } else { [b"\x02other".as_slice(), &[me]].concat() };
        db.pad.secrets.add_ppk(id.clone(), Secret::new(vec![if known { 42 } else { me }; 32]));
        p.ppk = Some(id);
        p.ppk_method = method;
        p.ppk_required = has == Has::Required;
    })
}

fn ppk_side(me: u8, has: Has, method: PpkMethod) -> Side {
    ppk_side_with(me, has, method, true)
}

/// How an attempt comes out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    /// With the PPK in the keys.
    Ppk,
    /// Without.
    Plain,
    /// The initiator refuses: the responder does not offer what its policy demands.
    InitiatorRefuses,
    /// The responder refuses with AUTHENTICATION_FAILED.
    ResponderRefuses,
}

/// RFC 8784 §3 and §4, RFC 9867 §3.1: initiator, responder, known PPK or not, and how it comes out by either.
/// `docs/post-quantum.md` has this table from here.
#[rustfmt::skip]
const PPK_TABLE: [(Has, Has, bool, Out, Out); 13] = {
    use Has::{Off, Optional, Required};
    use Out::{InitiatorRefuses, Plain, Ppk, ResponderRefuses};
    [
        // initiator, responder, same PPK, RFC 8784,       RFC 9867
        (Off,      Off,      true,  Plain,            Plain),
        (Off,      Optional, true,  Plain,            Plain),
        (Off,      Required, true,  ResponderRefuses, ResponderRefuses),
        (Optional, Off,      true,  Plain,            Plain),
        (Required, Off,      true,  InitiatorRefuses, InitiatorRefuses),
        (Optional, Optional, true,  Ppk,              Ppk),
        (Optional, Required, true,  Ppk,              Ppk),
        (Required, Optional, true,  Ppk,              Ppk),
        (Required, Required, true,  Ppk,              Ppk),
        (Optional, Optional, false, Plain,            Plain),
        (Optional, Required, false, ResponderRefuses, ResponderRefuses),
        // RFC 8784: without NO_PPK_AUTH the responder has nothing to check. RFC 9867: the answer names no PPK.
        (Required, Optional, false, ResponderRefuses, InitiatorRefuses),
        (Required, Required, false, ResponderRefuses, ResponderRefuses),
    ]
};

/// The initiator proves itself by EAP instead.
fn by_eap(side: &mut Side, me: u8) {
    side.db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(b"password".to_vec()));
    let mut peer = Peer::clone(side.db.pad.peer(side.peer).unwrap());
    if me == 1 {
        peer.local_auth = AuthMethod::Eap;
        peer.eap.identity = Some("carol".into());
    } else {
        peer.remote_auth = vec![AuthMethod::Eap];
    }
    side.db.pad.replace(side.peer, peer).unwrap();
}

fn come_out(i: Has, r: Has, known: bool, method: PpkMethod, eap: bool) -> Out {
    let (mut a, mut b) = (ppk_side_with(1, i, method, known), ppk_side_with(2, r, method, known));
    if eap {
        by_eap(&mut a, 1);
        by_eap(&mut b, 2);
    }
    a.start(0);
    run(&mut a, &mut b);
    if !a.is_up() && a.why_closed().is_empty() {
        // What came was not authenticated: the attempt ends when its tries have run out (RFC 7296 §2.21.1).
        sleep(&mut a, &mut b, 2_000_000, 200);
    }
    let case = format!("{method:?} {i:?} {r:?} known {known} EAP {eap}\n{}\n{}", a.story(), b.story());
    assert_eq!(a.is_up(), b.is_up(), "{case}");
    assert_eq!(a.is_up(), equal_keys(&a, &b), "{case}");
    if a.is_up() {
        let used = |s: &Side| s.endpoint.snapshot(Instant(0))[0].ppk;
        assert_eq!(used(&a), used(&b), "{case}");
        return if used(&a) { Out::Ppk } else { Out::Plain };
    }
    assert!(a.installed().is_empty() && b.installed().is_empty(), "{case}");
    // Whoever refuses says why in words; the other side hears AUTHENTICATION_FAILED or nothing.
    if a.why_closed().contains("AUTHENTICATION_FAILED") {
        assert!(!b.why_closed().is_empty(), "{case}");
        return Out::ResponderRefuses;
    }
    assert!(a.why_closed().contains("USE_PPK") || a.why_closed().contains("preshared key"), "{case}");
    Out::InitiatorRefuses
}

#[test]
fn ppk_table() {
    let mut page = String::from("| initiator | responder | same PPK | RFC 8784 | RFC 9867 |\n|---|---|---|---|---|\n");
    for (i, r, known, auth, intermediate) in PPK_TABLE {
        // With EAP, where RFC 8784's goes with the last AUTH, it comes out the same.
        for eap in [false, true] {
            let case = format!("{i:?} {r:?} known {known} EAP {eap}");
            assert_eq!(come_out(i, r, known, PpkMethod::Auth, eap), auth, "RFC 8784: {case}");
            assert_eq!(come_out(i, r, known, PpkMethod::Intermediate, eap), intermediate, "RFC 9867: {case}");
            // Who takes either gets RFC 9867, with the same result.
            assert_eq!(come_out(i, r, known, PpkMethod::Either, eap), intermediate, "either: {case}");
        }
        let both = i != Has::Off && r != Has::Off;
        let same = if !both {
            "-"
        } else if known {
            "yes"
        } else {
            "no"
        };
        page += &format!("| {i:?} | {r:?} | {same} | {auth:?} | {intermediate:?} |\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/post-quantum.md");
    let document = std::fs::read_to_string(path).unwrap_or_default();
    assert!(document.contains(&page), "docs/post-quantum.md does not have this table:\n{page}");
}

/// Two authentications (RFC 4739) of which the second is EAP: a mandatory PPK came with the first, and is not missed.
#[test]
fn a_ppk_before_the_second_authentication() {
    for method in [PpkMethod::Auth, PpkMethod::Intermediate] {
        let side = |me: u8| {
            let mut side = ppk_side(me, Has::Required, method);
            side.db.pad.secrets.add_eap(b"carol".to_vec(), Secret::new(b"password".to_vec()));
            let mut peer = Peer::clone(side.db.pad.peer(side.peer).unwrap());
            peer.eap.identity = Some("carol".into());
            match me {
                1 => peer.second.local = Some(("carol@node1.test".parse().unwrap(), AuthMethod::Eap)),
                _ => peer.second.remote = Some((IdPattern::Any, vec![AuthMethod::Eap])),
            }
            side.db.pad.replace(side.peer, peer).unwrap();
            side
        };
        let (mut a, mut b) = (side(1), side(2));
        a.start(0);
        run(&mut a, &mut b);
        assert!(a.is_up() && b.is_up() && equal_keys(&a, &b), "{method:?}\n{}\n{}", a.story(), b.story());
        assert!(a.endpoint.snapshot(Instant(0))[0].ppk && b.endpoint.snapshot(Instant(0))[0].ppk);
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

/// What somebody on the way takes out of IKE_SA_INIT.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Strip {
    Addke,
    Intermediate,
    Transcript,
    UsePpk,
    UsePpkInt,
}

fn with_requirement(me: u8, strip: Strip, required: bool) -> Side {
    side_with(me, u64::from(me), |p, _, _, db| {
        let none = if required { "" } else { "-ke1_none" };
        match strip {
            Strip::Addke | Strip::Intermediate => {
                p.proposals = ike(&format!("aes128gcm16-prfsha256-x25519-ke1_mlkem768{none}"));
            }
            Strip::Transcript if required => p.transcript_auth = TranscriptAuth::Require,
            Strip::Transcript => p.transcript_auth = TranscriptAuth::Offer,
            Strip::UsePpk | Strip::UsePpkInt => {
                p.ppk = Some(SHARED.to_vec());
                db.pad.secrets.add_ppk(SHARED.to_vec(), Secret::new(vec![42; 32]));
                let auth = strip == Strip::UsePpk;
                p.ppk_method = if auth { PpkMethod::Auth } else { PpkMethod::Intermediate };
                p.ppk_required = required;
            }
        }
    })
}

/// What is taken out, as notify or transform; words of which one must stand in what the operator is told.
type Stripping = (Strip, Option<NotifyType>, Option<TransformType>, &'static [&'static str]);

/// Everything that can be required, required by one side or both, taken out of either message: never a tunnel, and
/// whoever can have noticed is told what is missing: often that is the side that does not require it.
#[test]
fn what_policy_requires_cannot_be_stripped_and_the_operator_is_told_which() {
    use Strip::{Addke, Intermediate, Transcript, UsePpk, UsePpkInt};
    let what: [Stripping; 5] = [
        (Addke, None, Some(TransformType::ADDKE1), &["mlkem768", "ML_KEM_768"]),
        (
            Intermediate,
            Some(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED),
            None,
            &["INTERMEDIATE_EXCHANGE_SUPPORTED", "mlkem768"],
        ),
        (Transcript, Some(NotifyType::IKE_SA_INIT_FULL_TRANSCRIPT_AUTH), None, &["IKE_SA_INIT_FULL_TRANSCRIPT_AUTH"]),
        (UsePpk, Some(NotifyType::USE_PPK), None, &["USE_PPK", "post-quantum preshared key"]),
        (UsePpkInt, Some(NotifyType::USE_PPK_INT), None, &["USE_PPK", "post-quantum preshared key"]),
    ];
    let mut failed = String::new();
    for (strip, notify, transform, words) in what {
        for victim in [1, 2] {
            for (i, r) in [(true, true), (true, false), (false, true)] {
                let (mut a, mut b) = (with_requirement(1, strip, i), with_requirement(2, strip, r));
                attack(&mut a, &mut b, victim, notify, transform);
                let case = format!("{strip:?} from {victim}, required {i} {r}\n{}\n{}", a.story(), b.story());
                assert!(!a.is_up() && !b.is_up() && a.installed().is_empty() && b.installed().is_empty(), "{case}");
                let told = |s: &Side| words.iter().any(|w| s.story().contains(w));
                if !(told(&a) || told(&b)) {
                    failed += &format!("nobody is told: {case}\n");
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
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
