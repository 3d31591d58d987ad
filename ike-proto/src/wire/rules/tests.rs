//! The table of appendix C, row by row.
use super::*;
use crate::registry::*;
use crate::wire::payload::*;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

fn payload(kind: P) -> Payload {
    let id = || Identification::new(IdType::FQDN, vec![]);
    match kind {
        P::SA => SecurityAssociation::default().into(),
        P::KE => KeyExchange::new(KeId::CURVE25519, vec![]).into(),
        P::IDi => Payload::IdInitiator(id()),
        P::IDr => Payload::IdResponder(id()),
        P::CERT => Certificate { encoding: CertEncoding::X509_SIGNATURE, data: vec![] }.into(),
        P::CERTREQ => CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, data: vec![] }.into(),
        P::AUTH => Authentication::new(AuthMethod::SHARED_KEY, vec![]).into(),
        P::NONCE => Nonce { data: vec![] }.into(),
        P::N => Notify::empty(NotifyType::INITIAL_CONTACT).into(),
        P::D => Delete::ike().into(),
        P::V => VendorId { data: vec![] }.into(),
        P::TSi => Payload::TsInitiator(TrafficSelectors::default()),
        P::TSr => Payload::TsResponder(TrafficSelectors::default()),
        P::CP => Configuration::new(ConfigType::REQUEST, vec![]).into(),
        P::EAP => Eap::outcome(EapCode::SUCCESS, 1).into(),
        P::GSPM => Gspm { data: vec![] }.into(),
        P::PS => PuzzleSolution::new([&[1], &[2], &[3], &[4]]).unwrap().into(),
        kind => Payload::Unknown(UnknownPayload { kind, flags: 0, body: vec![] }),
    }
}

fn try_these(exchange: ExchangeType, response: bool, kinds: &[P]) -> Result<(), RuleViolation> {
    let payloads: Vec<Payload> = kinds.iter().map(|k| payload(*k)).collect();
    check(exchange, response, &payloads)
}

const EVERY: [ExchangeType; 7] = [
    ExchangeType::IKE_SA_INIT,
    ExchangeType::IKE_AUTH,
    ExchangeType::CREATE_CHILD_SA,
    ExchangeType::INFORMATIONAL,
    ExchangeType::IKE_SESSION_RESUME,
    ExchangeType::IKE_INTERMEDIATE,
    ExchangeType::IKE_FOLLOWUP_KE,
];

#[test]
fn the_messages_of_appendix_c_pass() {
    use ExchangeType as X;
    let init: &[P] = &[P::N, P::SA, P::KE, P::NONCE, P::N, P::V];
    let child: &[P] = &[P::N, P::SA, P::NONCE, P::TSi, P::TSr];
    let cases: &[(X, bool, &[P])] = &[
        (X::IKE_SA_INIT, false, init),
        (X::IKE_SA_INIT, false, &[P::PS, P::SA, P::KE, P::NONCE]),
        (X::IKE_SA_INIT, true, &[P::SA, P::KE, P::NONCE, P::CERTREQ, P::CERTREQ]),
        (X::IKE_AUTH, false, &[P::IDi, P::CERT, P::CERT, P::CERTREQ, P::IDr, P::AUTH, P::CP, P::SA, P::TSi, P::TSr]),
        (X::IKE_AUTH, false, &[P::IDi, P::SA, P::TSi, P::TSr]),
        (X::IKE_AUTH, false, &[P::IDi, P::AUTH, P::N]),
        (X::IKE_AUTH, false, &[P::EAP]),
        (X::IKE_AUTH, false, &[P::AUTH]),
        (X::IKE_AUTH, false, &[P::IDi, P::GSPM]),
        (X::IKE_AUTH, true, &[P::IDr, P::CERT, P::AUTH, P::CP, P::SA, P::TSi, P::TSr, P::N]),
        (X::IKE_AUTH, true, &[P::IDr, P::CERT, P::AUTH, P::EAP]),
        (X::IKE_AUTH, true, &[P::IDr, P::EAP]),
        (X::IKE_AUTH, true, &[P::EAP]),
        (X::IKE_AUTH, true, &[P::AUTH, P::SA, P::TSi, P::TSr]),
        (X::CREATE_CHILD_SA, false, child),
        (X::CREATE_CHILD_SA, true, &[P::SA, P::NONCE, P::KE, P::TSi, P::TSr, P::N]),
        (X::CREATE_CHILD_SA, false, &[P::SA, P::NONCE, P::KE]),
        (X::CREATE_CHILD_SA, true, &[P::SA, P::NONCE, P::KE, P::N]),
        (X::INFORMATIONAL, false, &[]),
        (X::INFORMATIONAL, true, &[P::D, P::N, P::CP, P::D]),
        (X::IKE_SESSION_RESUME, false, &[P::NONCE, P::N]),
        (X::IKE_SESSION_RESUME, true, &[P::NONCE]),
        (X::IKE_INTERMEDIATE, false, &[P::KE]),
        (X::IKE_INTERMEDIATE, true, &[P::N]),
        (X::IKE_FOLLOWUP_KE, false, &[P::KE, P::N]),
        (X::IKE_FOLLOWUP_KE, true, &[P::KE]),
    ];
    for (exchange, response, kinds) in cases {
        try_these(*exchange, *response, kinds).unwrap_or_else(|e| panic!("{e}"));
        let skipped: Vec<P> = kinds.iter().copied().chain([P(200), P::V, P::N]).collect();
        try_these(*exchange, *response, &skipped).unwrap();
    }
}

#[test]
fn a_missing_or_doubled_payload_is_named() {
    use ExchangeType as X;
    let text = |x, r, kinds| try_these(x, r, kinds).unwrap_err().to_string();
    assert_eq!(
        text(X::IKE_SA_INIT, false, &[P::SA, P::NONCE]),
        "IKE_SA_INIT request: expected 1 KE payload, 0 came (RFC 7296 appendix C.1)"
    );
    assert_eq!(
        text(X::IKE_SA_INIT, true, &[P::SA, P::SA, P::KE, P::NONCE]),
        "IKE_SA_INIT response: expected 1 SA payload, 2 came (RFC 7296 appendix C.1)"
    );
    assert_eq!(
        text(X::INFORMATIONAL, false, &[P::AUTH]),
        "INFORMATIONAL request: expected no AUTH payload, 1 came (RFC 7296 appendix C.6)"
    );
    assert_eq!(
        text(X::IKE_AUTH, false, &[P::IDi, P::AUTH, P::SA, P::TSi]),
        "IKE_AUTH request: expected SA, TSi and TSr together, TSr is missing (RFC 7296 appendix C.2 and C.3)"
    );
    assert_eq!(
        text(X::IKE_AUTH, true, &[P::IDr, P::CERT]),
        "IKE_AUTH response: expected at least one of AUTH EAP GSPM, none came (RFC 7296 appendix C.2 and C.3)"
    );
    assert_eq!(
        text(X::IKE_SESSION_RESUME, false, &[P::NONCE]),
        "IKE_SESSION_RESUME request: expected at least 1 N payload, 0 came (RFC 5723 section 4.3)"
    );
    assert_eq!(
        text(X::IKE_AUTH, false, &[P::IDi, P::AUTH, P::CP, P::CP]),
        "IKE_AUTH request: expected 0 to 1 CP payloads, 2 came (RFC 7296 appendix C.2 and C.3)"
    );
    assert_eq!(
        text(X::GSA_AUTH, false, &[]),
        "GSA_AUTH request: expected a known exchange type, came 39 (RFC 7296 section 3.1)"
    );
    for short in [&[P::SA, P::NONCE][..], &[P::SA, P::NONCE, P::TSi], &[P::NONCE, P::KE], &[P::SA, P::KE, P::TSr]] {
        assert!(try_these(X::CREATE_CHILD_SA, false, short).is_err());
    }
    assert!(try_these(X::IKE_AUTH, false, &[P::IDi, P::EAP]).is_err());
    // RFC 4739 has an empty one.
    assert!(try_these(X::IKE_AUTH, false, &[]).is_ok() && try_these(X::IKE_AUTH, false, &[P::KE]).is_err());
    assert!(try_these(X::IKE_AUTH, true, &[]).is_err());
    assert!(try_these(X::IKE_FOLLOWUP_KE, false, &[P::KE]).is_err());
}

#[test]
fn error_responses_may_lack_everything_and_requests_may_not() {
    for exchange in EVERY {
        for kind in [NotifyType::NO_PROPOSAL_CHOSEN, NotifyType::COOKIE, NotifyType(9999)] {
            check(exchange, true, &[Notify::empty(kind).into()]).unwrap();
        }
        let failed = [payload(P::IDr), payload(P::AUTH), Notify::empty(NotifyType::TS_UNACCEPTABLE).into()];
        let ok = exchange == ExchangeType::IKE_AUTH;
        assert_eq!(check(exchange, true, &failed).is_ok(), ok, "{exchange}");
    }
    let refused = [Notify::empty(NotifyType::NO_PROPOSAL_CHOSEN).into()];
    assert!(check(ExchangeType::IKE_SA_INIT, false, &refused).is_err());
    assert!(check(ExchangeType::CREATE_CHILD_SA, false, &refused).is_err());
}

#[test]
fn unknown_critical_payloads_are_reported_everywhere() {
    let critical = Payload::Unknown(UnknownPayload { kind: P(200), flags: 0x80, body: vec![] });
    for exchange in EVERY {
        for response in [false, true] {
            let list = [payload(P::N), critical.clone()];
            let broken = check(exchange, response, &list).unwrap_err().broken;
            assert_eq!(broken, Broken::UnsupportedCritical(P(200)));
            let broken = check_clear(exchange, response, true, &list).unwrap_err().broken;
            assert_eq!(broken, Broken::UnsupportedCritical(P(200)));
        }
    }
}

#[test]
fn clear_payloads_are_few() {
    use ExchangeType as X;
    let sa = [payload(P::SA)];
    assert!(check_clear(X::IKE_SA_INIT, false, false, &sa).is_ok());
    assert!(check_clear(X::IKE_SA_INIT, false, true, &sa).is_err());
    let error = check_clear(X::IKE_AUTH, false, true, &sa).unwrap_err();
    assert_eq!(
        error.to_string(),
        "IKE_AUTH request: expected payload SA inside SK, it came in clear (RFC 7296 section 3.14)"
    );
    assert!(check_clear(X::IKE_AUTH, false, true, &[payload(P::PS)]).is_ok());
    assert!(check_clear(X::INFORMATIONAL, true, false, &[payload(P::N)]).is_ok());
    assert!(check_clear(X::INFORMATIONAL, true, false, &[payload(P::D)]).is_err());
}

#[test]
fn every_table_ends_with_a_form_for_all_and_names_each_payload_once() {
    for exchange in EVERY {
        for response in [false, true] {
            let list = forms(exchange, response).unwrap();
            assert!(list.last().is_some_and(|f| f.when.is_none()));
            for form in list {
                for (i, row) in form.rows.iter().enumerate() {
                    assert!(row.min <= row.max && form.rows[..i].iter().all(|r| r.payload != row.payload));
                }
                assert!(form.together.iter().chain(form.any).all(|p| form.rows.iter().any(|r| r.payload == *p)));
            }
        }
    }
}
