//! Fault injection: each fault in each of the first exchanges, from either side. Whatever it is, both nodes end in step or
//! empty, in bounded time, and come up once the fault is over. Run with `--features fault-injection`.

use ravelin::Reason;
use ravelin::ike::fault::{Fault, Rule};
use ravelin::ike::registry::{ExchangeType, NotifyType, PayloadType, TransformType};
use ravelin::ike::wire::Flags;
use ravelin::ike::wire::payload::{Notify, Payload, Transform, UnknownPayload};
use ravelin_testkit::{Host, Pair, Sim, millis, secs};

fn world(seed: u64) -> (Sim, Host, Host) {
    let mut sim = Sim::new(seed);
    let (a, b) = Pair::new().build(&mut sim);
    (sim, a, b)
}

/// `who` (false: a, the initiator) has the fault while a initiates; true when both came up in spite of it.
fn bear(who: bool, rule: Rule) -> bool {
    let (mut sim, a, b) = world(7);
    sim.say(format!("{} has {rule:?}", if who { "b" } else { "a" }));
    let faulty = if who { b } else { a };
    let fits = rule.clone();
    sim.with_node(faulty, |node, _| node.inject(rule));
    sim.initiate(a, b);
    let up = sim.wait(secs(200), |sim| sim.is_up(a, b));
    assert!(sim.node(faulty).injected() > 0, "{fits:?} was never made");
    sim.with_node(faulty, |node, _| node.stop_injecting());
    sim.run_for(secs(400));
    // What is half left on one side goes with the first message about it, or was never there.
    if !sim.differences(a, b).is_empty() {
        sim.probe(a, b);
        sim.probe(b, a);
        sim.run_for(secs(200));
    }
    sim.assert_in_step(a, b);
    if sim.is_down(a) {
        sim.bring_up(a, b);
    }
    sim.expect_ping(a, b);
    up
}

const FIRST: [ExchangeType; 2] = [ExchangeType::IKE_SA_INIT, ExchangeType::IKE_AUTH];

fn each(fault: &Fault, up: bool) {
    for exchange in FIRST {
        for response in [false, true] {
            let came = bear(response, Rule::once(exchange, response, fault.clone()));
            assert_eq!(came, up, "{fault:?} in the {exchange} {}", if response { "response" } else { "request" });
        }
    }
}

#[test]
fn what_the_network_does_is_repaired() {
    let faults = [
        Fault::Drop,
        Fault::Duplicate(3),
        Fault::Replay(1),
        Fault::Delay(millis(2500)),
        Fault::Truncate(20),
        Fault::Truncate(60),
        Fault::Length(4),
        Fault::Length(-4),
    ];
    for fault in faults {
        each(&fault, true);
    }
}

#[test]
fn every_octet_of_a_protected_message_is_covered() {
    for at in [0u16, 8, 16, 17, 18, 19, 20, 24, 28, 29, 30, 32, 40, 60, u16::MAX] {
        for response in [false, true] {
            let fault = Fault::Corrupt { at, xor: 1 };
            assert!(bear(response, Rule::once(ExchangeType::IKE_AUTH, response, fault)), "octet {at}");
        }
    }
}

#[test]
fn a_message_without_what_it_needs_is_refused_and_nothing_stays() {
    for kind in [PayloadType::SA, PayloadType::KE, PayloadType::NONCE] {
        let rule = |r| Rule { times: u32::MAX, ..Rule::once(ExchangeType::IKE_SA_INIT, r, Fault::OmitPayload(kind)) };
        assert!(!bear(false, rule(false)) && !bear(true, rule(true)), "{kind}");
    }
    for kind in [PayloadType::AUTH, PayloadType::IDi] {
        let rule = Rule { times: u32::MAX, ..Rule::once(ExchangeType::IKE_AUTH, false, Fault::OmitPayload(kind)) };
        assert!(!bear(false, rule), "{kind}");
    }
    for kind in [PayloadType::AUTH, PayloadType::IDr] {
        let rule = Rule { times: u32::MAX, ..Rule::once(ExchangeType::IKE_AUTH, true, Fault::OmitPayload(kind)) };
        assert!(!bear(true, rule), "{kind}");
    }
}

#[test]
fn transforms_left_out_and_added() {
    let init = |fault| Rule { times: u32::MAX, ..Rule::once(ExchangeType::IKE_SA_INIT, false, fault) };
    for kind in [TransformType::ENCR, TransformType::PRF, TransformType::KE] {
        assert!(!bear(false, init(Fault::OmitTransform(kind))), "{kind}");
    }
    assert!(
        bear(false, init(Fault::AddTransform(Transform::new(TransformType::ENCR, 9999)))),
        "an unknown cipher is passed over"
    );
    // A responder that chooses more than was offered.
    let answer = Rule {
        times: u32::MAX,
        ..Rule::once(ExchangeType::IKE_SA_INIT, true, Fault::AddTransform(Transform::new(TransformType::ENCR, 9999)))
    };
    assert!(!bear(true, answer));
}

#[test]
fn what_is_added_and_unknown_is_passed_over_unless_critical() {
    let unknown = |flags| Payload::Unknown(UnknownPayload { kind: PayloadType(99), flags, body: vec![1, 2, 3] });
    for exchange in FIRST {
        for response in [false, true] {
            let rule = |p| Rule { times: u32::MAX, ..Rule::once(exchange, response, Fault::AddPayload(p)) };
            assert!(bear(response, rule(unknown(0))), "{exchange}: not critical");
            assert!(!bear(response, rule(unknown(0x80))), "{exchange}: critical (RFC 7296 2.5)");
            let status = Payload::Notify(Notify::new(NotifyType(40_999), vec![7; 40]));
            assert!(bear(response, rule(status)), "{exchange}: an unknown status notify");
        }
    }
}

#[test]
fn another_exchange_type_flag_or_id_never_makes_an_sa() {
    let all = |exchange, response, fault| Rule { times: u32::MAX, ..Rule::once(exchange, response, fault) };
    for response in [false, true] {
        for fault in [
            Fault::Exchange(ExchangeType::INFORMATIONAL),
            Fault::Exchange(ExchangeType::CREATE_CHILD_SA),
            Fault::Exchange(ExchangeType(77)),
            Fault::Flags(Flags::RESPONSE),
            Fault::Flags(Flags::INITIATOR),
            Fault::MessageId(1),
            Fault::MessageId(-1),
        ] {
            assert!(!bear(response, all(ExchangeType::IKE_AUTH, response, fault.clone())), "{fault:?}");
        }
    }
    // Reserved flags are ignored (RFC 7296 3.1).
    assert!(bear(false, all(ExchangeType::IKE_AUTH, false, Fault::Flags(0x47))));
}

#[test]
fn notifies_that_others_rest_on_may_be_missing() {
    for kind in [NotifyType::NAT_DETECTION_SOURCE_IP, NotifyType::SIGNATURE_HASH_ALGORITHMS] {
        let rule = Rule { times: u32::MAX, ..Rule::once(ExchangeType::IKE_SA_INIT, false, Fault::OmitNotify(kind)) };
        let (mut sim, a, b) = world(9);
        sim.with_node(a, |node, _| node.inject(rule));
        sim.initiate(a, b);
        assert!(sim.wait(secs(200), |sim| sim.is_up(a, b)), "without {kind}");
    }
}

#[test]
fn a_refusal_says_what_was_missing() {
    let (mut sim, a, b) = world(3);
    let rule = Rule {
        times: u32::MAX,
        ..Rule::once(ExchangeType::IKE_SA_INIT, false, Fault::OmitTransform(TransformType::PRF))
    };
    sim.with_node(a, |node, _| node.inject(rule));
    sim.initiate(a, b);
    sim.run_for(secs(60));
    assert!(matches!(sim.noted(b), Some(Reason::NoProposal { .. })), "{:?}", sim.noted(b));
}
