//! What must hold for all octets. Each function takes what a fuzzer gives it and panics when the property is broken.
use ravelin_ike_proto::registry::{ExchangeType, PayloadType};
use ravelin_ike_proto::wire::message::{decode_payloads, encode_payload_list};
use ravelin_ike_proto::wire::notify::*;
use ravelin_ike_proto::wire::payload::{Notify, Payload, Payloads};
use ravelin_ike_proto::wire::{Envelope, HEADER_LEN, Message, order, rules};

/// A datagram: decoding does not panic; what decodes encodes to the same octets; the engine's view and the tools' view
/// agree; text, rules and typed data take whatever was decoded. True when it decoded.
pub fn datagram(bytes: &[u8]) -> bool {
    let decoded = Message::decode(bytes);
    let envelope = Envelope::parse(bytes);
    let Ok(message) = decoded else {
        let error = decoded.unwrap_err();
        assert!(error.offset <= bytes.len().max(HEADER_LEN), "{error} lies outside {} octets", bytes.len());
        assert!(envelope.is_err(), "only one of two views decodes: {error}");
        assert!(!error.to_string().is_empty());
        return false;
    };
    assert_eq!(message.encode().expect("what was decoded has legal lengths"), bytes);
    let envelope = envelope.expect("the tools' view decoded");
    let clear = message.payloads.iter().filter(|p| !p.kind().is_protected());
    assert!(envelope.clear.iter().eq(clear));
    assert_eq!(envelope.protected.is_some(), envelope.clear.len() < message.payloads.len());
    if let Some(protected) = &envelope.protected {
        let body = bytes.get(protected.body.clone()).expect("the body lies in the datagram");
        match message.payloads.last() {
            Some(Payload::Encrypted(p)) => assert_eq!((p.first, &p.body[..]), (protected.first, body)),
            Some(Payload::EncryptedFragment(p)) => {
                assert_eq!((p.first, Some(p.fragment), &p.body[..]), (protected.first, protected.fragment, body));
            }
            other => panic!("protected, but the last payload is {other:?}"),
        }
    }
    assert!(!message.to_string().is_empty() && !envelope.to_string().is_empty());
    let _ = rules::check_clear(
        message.header.exchange,
        message.header.is_response(),
        envelope.protected.is_some(),
        &envelope.clear,
    );
    list(&message.payloads);
    true
}

/// The plaintext of an SK payload. True when it decoded.
pub fn plaintext(first: PayloadType, bytes: &[u8]) -> bool {
    let Ok(payloads) = decode_payloads(first, bytes) else { return false };
    let (again, out) = encode_payload_list(&payloads).expect("what was decoded has legal lengths");
    assert_eq!((again, &out[..]), (first, bytes));
    list(&payloads);
    true
}

fn list(payloads: &Payloads) {
    for exchange in ExchangeType::KNOWN {
        for response in [false, true] {
            if let Err(violation) = rules::check(exchange.0, response, payloads) {
                assert!(!violation.to_string().is_empty());
            }
            let mut sorted = payloads.to_vec();
            order::sort(exchange.0, response, &mut sorted);
            assert_eq!(sorted.len(), payloads.len());
        }
    }
    payloads.notifies().for_each(notify_data);
    if let Some(cp) = payloads.cp() {
        for attribute in &cp.attributes {
            let Ok(value) = attribute.typed() else { continue };
            let mut again = ravelin_ike_proto::wire::payload::ConfigAttribute::from_value(attribute.kind, &value);
            // The top bit of each listed type is reserved and not part of a typed list.
            if let (Ok(again), true) = (&mut again, attribute.kind.0 != 14) {
                again.reserved = attribute.reserved;
                assert_eq!(again, attribute);
            }
            again.expect("a decoded value has legal lengths");
        }
    }
}

/// Every typed notify: parsing does not panic, and what parses gives the same data again.
pub fn notify_data(notify: &Notify) {
    fn one<T: NotifyData>(data: &[u8]) {
        if let Ok(typed) = T::parse(data) {
            assert_eq!(typed.to_notify().data, data, "{}", T::KIND);
        }
    }
    let data = &notify.data[..];
    one::<AdditionalIp4Address>(data);
    one::<AdditionalIp6Address>(data);
    one::<AdditionalKeyExchange>(data);
    one::<AuthLifetime>(data);
    one::<Cookie>(data);
    one::<Cookie2>(data);
    one::<InvalidKePayload>(data);
    one::<InvalidMessageId>(data);
    one::<InvalidSelectors>(data);
    one::<InvalidSpi>(data);
    one::<IpcompSupported>(data);
    one::<MessageIdSync>(data);
    one::<NatDetectionSourceIp>(data);
    one::<NatDetectionDestinationIp>(data);
    one::<NoNatsAllowed>(data);
    one::<NoPpkAuth>(data);
    one::<PpkIdentity>(data);
    one::<PpkIdentityKey>(data);
    one::<Puzzle>(data);
    one::<QuickCrashDetection>(data);
    one::<Redirect>(data);
    one::<RedirectedFrom>(data);
    one::<ReplayCounterSync>(data);
    one::<SaResourceInfo>(data);
    one::<SecurePasswordMethods>(data);
    one::<SetWindowSize>(data);
    one::<SignatureHashAlgorithms>(data);
    one::<SupportedAuthMethods>(data);
    one::<TicketLtOpaque>(data);
    one::<TicketOpaque>(data);
    one::<UnsupportedCriticalPayload>(data);
    one::<UseAggfrag>(data);
}

/// A datagram and all its small damages: every truncation (with and without a Length that says so) and every bit
/// flipped.
pub fn damaged(good: &[u8]) {
    assert!(datagram(good), "the undamaged message must decode");
    for len in 0..good.len() {
        let mut cut = good[..len].to_vec();
        assert!(!datagram(&cut), "a truncated datagram of {len} octets decoded");
        if len >= HEADER_LEN {
            cut[24..28].copy_from_slice(&(len as u32).to_be_bytes());
            datagram(&cut);
        }
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        datagram(&flipped);
    }
}
