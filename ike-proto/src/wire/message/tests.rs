//! Framing of whole messages.
use super::*;
use crate::registry::{ExchangeType, KeId, NotifyType};
use crate::wire::header::{Flags, IkeSpi};
use crate::wire::payload::{Encrypted, KeyExchange, Nonce, Notify, UnknownPayload};
use alloc::vec;

fn header(exchange: ExchangeType) -> Header {
    Header::new(IkeSpi(1), IkeSpi(2), exchange, Flags::new(true, false), 3)
}

fn clear_payloads() -> Vec<Payload> {
    vec![
        KeyExchange::new(KeId::CURVE25519, vec![5; 32]).into(),
        Nonce { data: vec![6; 32] }.into(),
        Notify::empty(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED).into(),
        Payload::Unknown(UnknownPayload { kind: PayloadType(200), flags: 0x80, body: vec![1] }),
    ]
}

#[test]
fn a_clear_message_makes_the_round_trip() {
    let out = encode_clear(&header(ExchangeType::IKE_SA_INIT), &clear_payloads()).unwrap();
    let message = Message::decode(&out).unwrap();
    assert_eq!(&*message.payloads, clear_payloads());
    assert_eq!(message.header.next_payload, PayloadType::KE);
    assert_eq!(message.header.length as usize, out.len());
    assert_eq!(message.payloads.unsupported_critical(), Some(PayloadType(200)));
    assert_eq!(message.encode().unwrap(), out);
    let envelope = Envelope::parse(&out).unwrap();
    assert_eq!((envelope.clear, envelope.protected), (message.payloads, None));
}

#[test]
fn bits_of_generic_headers_survive() {
    let mut out = encode_clear(&header(ExchangeType::IKE_SA_INIT), &clear_payloads()).unwrap();
    out[HEADER_LEN + 1] = 0xff;
    let message = Message::decode(&out).unwrap();
    assert_eq!((message.payloads.flags(0), message.payloads.flags(1)), (0xff, 0));
    assert_eq!(message.encode().unwrap(), out);
    assert_ne!(encode_clear(&message.header, &message.payloads).unwrap(), out, "collected anew they are gone");
}

#[test]
fn an_empty_message_is_a_header() {
    let out = encode_clear(&header(ExchangeType::INFORMATIONAL), &[]).unwrap();
    assert_eq!(out.len(), HEADER_LEN);
    assert!(Message::decode(&out).unwrap().payloads.is_empty());
    assert_eq!(encode_payloads(&[]).unwrap(), (PayloadType::NONE, vec![]));
}

#[test]
fn protected_framing_says_where_the_body_lies() {
    let first = clear_payloads().split_off(2);
    for (clear, fragment, extra) in [
        (vec![], None, 0),
        (first.clone(), None, 0),
        (vec![], Some(Fragment { number: 2, total: 2 }), 4),
        (first, Some(Fragment { number: 1, total: 2 }), 4),
    ] {
        let inner = if fragment.is_some_and(|f| f.number > 1) { PayloadType::NONE } else { PayloadType::IDi };
        let mut out = begin_protected(&header(ExchangeType::IKE_AUTH), &clear, inner, fragment, 40).unwrap();
        let body = out.len();
        out.extend([7; 40]);
        let envelope = Envelope::parse(&out).unwrap();
        assert_eq!(&*envelope.clear, clear);
        let protected = envelope.protected.unwrap();
        assert_eq!(protected, Protected { first: inner, flags: 0, fragment, body: body..body + 40 });
        assert_eq!(out[body - 2 - extra..body - extra], (44 + extra as u16).to_be_bytes());
        assert_eq!(Message::decode(&out).unwrap().encode().unwrap(), out);
    }
}

#[test]
fn sk_inside_sk_is_refused() {
    let sk = Payload::Encrypted(Encrypted { first: PayloadType::NONE, body: vec![1] });
    let (first, plain) = encode_payloads(&[Notify::empty(NotifyType::COOKIE).into(), sk]).unwrap();
    let error = decode_payloads(first, &plain).unwrap_err();
    assert_eq!((error.place, error.offset), (Place::Sk, 8));
}

#[test]
fn inner_payloads_make_the_round_trip_with_their_bits() {
    let (first, mut plain) = encode_payloads(&clear_payloads()).unwrap();
    plain[1] = 0x01;
    let list = decode_payloads(first, &plain).unwrap();
    assert_eq!(&*list, clear_payloads());
    assert_eq!(encode_payload_list(&list).unwrap(), (first, plain));
}

#[test]
fn too_long_content_is_an_error_and_not_a_wrong_length() {
    let long = Payload::VendorId(crate::wire::payload::VendorId { data: vec![0; 65532] });
    let error = encode_clear(&header(ExchangeType::IKE_SA_INIT), &[long]).unwrap_err();
    assert_eq!(error.fault, Fault::Length { came: 65536, min: 0, max: 65535 });
    assert!(begin_protected(&header(ExchangeType::IKE_AUTH), &[], PayloadType::NONE, None, 65532).is_err());
}

#[test]
fn errors_count_from_the_start_of_the_datagram() {
    let mut out = encode_clear(&header(ExchangeType::IKE_SA_INIT), &clear_payloads()).unwrap();
    out.truncate(out.len() - 1);
    let len = out.len() as u32;
    out[24..28].copy_from_slice(&len.to_be_bytes());
    let error = Message::decode(&out).unwrap_err();
    assert_eq!((error.place, error.offset), (Place::Chain, out.len()));
    assert_eq!(
        alloc::format!("{error}"),
        "generic payload header at octet 116: expected 1 octets, 0 are left (RFC 7296 section 3.2)"
    );
}
