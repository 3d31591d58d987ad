//! Properties of the message format over arbitrary messages and arbitrary octets (RFC 7296 §3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
mod common;

use common::properties;
use proptest::collection::vec;
use proptest::prelude::*;
use ravelin_ike_proto::registry::*;
use ravelin_ike_proto::wire::message::{Message, decode_payloads, encode_clear, encode_payloads};
use ravelin_ike_proto::wire::payload::*;
use ravelin_ike_proto::wire::{Flags, HEADER_LEN, Header, IkeSpi};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

fn transform() -> impl Strategy<Value = Transform> {
    let value = prop_oneof![
        any::<u16>().prop_map(AttributeValue::Short),
        vec(any::<u8>(), 0..9).prop_map(AttributeValue::Long)
    ];
    let attribute = (0u16..0x8000, value).prop_map(|(kind, value)| Attribute { kind: AttributeType(kind), value });
    (any::<u8>(), any::<u16>(), vec(attribute, 0..3), any::<[u8; 2]>()).prop_map(|(kind, id, attributes, reserved)| {
        Transform { kind: TransformType(kind), id, attributes: attributes.into(), reserved }
    })
}

fn sa() -> impl Strategy<Value = SecurityAssociation> {
    let spi = prop_oneof![
        Just((1, vec![])),
        vec(any::<u8>(), 8).prop_map(|s| (1, s)),
        (2u8..4, vec(any::<u8>(), 4)),
        (4u8.., bytes(20)),
    ];
    let proposal = (spi, vec(transform(), 0..6), any::<u8>());
    (0u8..200, vec(proposal, 1..5)).prop_map(|(from, list)| {
        let proposals = list.into_iter().zip(from..).map(|(((protocol, spi), transforms, reserved), number)| {
            Proposal { number, protocol: ProtocolId(protocol), spi, transforms, reserved }
        });
        SecurityAssociation::new(proposals.collect())
    })
}

fn id() -> impl Strategy<Value = Identification> {
    let known = prop_oneof![
        vec(any::<u8>(), 4).prop_map(|d| (1, d)),
        vec(any::<u8>(), 16).prop_map(|d| (5, d)),
        Just((13, vec![])),
        (prop_oneof![2u8..5, 6u8..13, 14u8..], bytes(40)),
    ];
    (known, any::<[u8; 3]>()).prop_map(|((kind, data), reserved)| Identification { kind: IdType(kind), data, reserved })
}

fn ts() -> impl Strategy<Value = TrafficSelectors> {
    let v4 =
        (any::<u8>(), any::<(u16, u16)>(), any::<([u8; 4], [u8; 4])>()).prop_map(|(protocol, ports, (from, to))| {
            Ts::Ipv4Range { protocol, start_port: ports.0, end_port: ports.1, start: from.into(), end: to.into() }
        });
    let v6 =
        (any::<u8>(), any::<(u16, u16)>(), any::<([u8; 16], [u8; 16])>()).prop_map(|(protocol, ports, (from, to))| {
            Ts::Ipv6Range { protocol, start_port: ports.0, end_port: ports.1, start: from.into(), end: to.into() }
        });
    let label = (any::<u8>(), vec(any::<u8>(), 1..9)).prop_map(|(reserved, label)| Ts::SecLabel { reserved, label });
    let unknown = (11u8.., any::<u8>(), bytes(9)).prop_map(|(kind, protocol, body)| Ts::Unknown {
        kind: TsType(kind),
        protocol,
        body,
    });
    (vec(prop_oneof![v4, v6, label, unknown], 1..6), any::<[u8; 3]>())
        .prop_map(|(selectors, reserved)| TrafficSelectors { selectors, reserved })
}

fn cp() -> impl Strategy<Value = Configuration> {
    let attribute = (0u16..40, bytes(24), any::<bool>()).prop_map(|(kind, value, reserved)| ConfigAttribute {
        kind: ConfigAttributeType(kind),
        value,
        reserved,
    });
    (any::<u8>(), vec(attribute, 0..6), any::<[u8; 3]>()).prop_map(|(kind, attributes, reserved)| Configuration {
        kind: ConfigType(kind),
        attributes,
        reserved,
    })
}

fn notify() -> impl Strategy<Value = Notify> {
    let kind = prop_oneof![16384u16..16448, 0u16..50, any::<u16>()];
    (any::<u8>(), bytes(10), kind, bytes(80)).prop_map(|(protocol, spi, kind, data)| Notify {
        protocol: ProtocolId(protocol),
        spi,
        kind: NotifyType(kind),
        data,
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    let eap = (1u8..3, any::<u8>(), any::<u8>(), bytes(40))
        .prop_map(|(code, id, kind, data)| Eap::method(EapCode(code), id, EapType(kind), &data).unwrap().into());
    let puzzle = (1usize..9).prop_map(|n| {
        let key = [7; 9];
        PuzzleSolution::new([&key[..n], &key[..n], &key[..n], &key[..n]]).unwrap().into()
    });
    let unknown = (prop_oneof![1u8..33, 50u8..53, 55u8..], any::<u8>(), bytes(30))
        .prop_map(|(kind, flags, body)| Payload::Unknown(UnknownPayload { kind: PayloadType(kind), flags, body }));
    prop_oneof![
        sa().prop_map(Payload::Sa),
        (any::<u16>(), bytes(60), any::<[u8; 2]>()).prop_map(|(m, data, reserved)| KeyExchange {
            method: KeId(m),
            data,
            reserved
        }
        .into()),
        id().prop_map(Payload::IdInitiator),
        id().prop_map(Payload::IdResponder),
        (any::<u8>(), bytes(60)).prop_map(|(e, data)| Certificate { encoding: CertEncoding(e), data }.into()),
        (any::<u8>(), bytes(60)).prop_map(|(e, data)| CertificateRequest { encoding: CertEncoding(e), data }.into()),
        (any::<u8>(), bytes(60), any::<[u8; 3]>()).prop_map(|(m, data, reserved)| Authentication {
            method: AuthMethod(m),
            data,
            reserved
        }
        .into()),
        vec(any::<u8>(), 16..=256).prop_map(|data| Nonce { data }.into()),
        notify().prop_map(Payload::Notify),
        vec(any::<u32>(), 0..6).prop_map(|spis| Delete::child(ProtocolId::ESP, &spis).unwrap().into()),
        Just(Delete::ike().into()),
        bytes(40).prop_map(|data| VendorId { data }.into()),
        ts().prop_map(Payload::TsInitiator),
        ts().prop_map(Payload::TsResponder),
        cp().prop_map(Payload::Cp),
        eap,
        bytes(40).prop_map(|data| Gspm { data }.into()),
        puzzle,
        unknown,
    ]
}

fn header() -> impl Strategy<Value = Header> {
    (1u64.., any::<u64>(), 0u8..16, any::<u8>(), any::<u8>(), any::<u32>()).prop_map(
        |(i, r, minor, exchange, flags, id)| {
            let exchange = ExchangeType(exchange);
            Header { version: 0x20 | minor, ..Header::new(IkeSpi(i), IkeSpi(r), exchange, Flags(flags), id) }
        },
    )
}

/// Payloads, and what may stand at their end.
fn message() -> impl Strategy<Value = (Header, Vec<Payload>)> {
    let sk = (any::<u8>(), bytes(60))
        .prop_map(|(first, body)| Payload::Encrypted(Encrypted { first: PayloadType(first), body }));
    let skf = (any::<u8>(), 1u16..9, 0u16..9, bytes(60)).prop_map(|(first, number, more, body)| {
        let fragment = Fragment { number, total: number + more };
        Payload::EncryptedFragment(EncryptedFragment { first: PayloadType(first), fragment, body })
    });
    let last = prop_oneof![2 => Just(None), 1 => sk.prop_map(Some), 1 => skf.prop_map(Some)];
    (header(), vec(payload(), 0..8), last).prop_map(|(header, mut list, last)| {
        list.extend(last);
        (header, list)
    })
}

proptest! {
    #[test]
    fn every_message_comes_back((header, list) in message()) {
        let out = encode_clear(&header, &list).unwrap();
        let decoded = Message::decode(&out).unwrap();
        prop_assert_eq!(&*decoded.payloads, &list[..]);
        let first = list.first().map_or(PayloadType::NONE, Payload::kind);
        prop_assert_eq!(decoded.header, Header { next_payload: first, length: out.len() as u32, ..header });
        prop_assert!(properties::datagram(&out));
    }

    #[test]
    fn every_payload_list_comes_back(list in vec(payload(), 0..8)) {
        let (first, out) = encode_payloads(&list).unwrap();
        prop_assert_eq!(&*decode_payloads(first, &out).unwrap(), &list[..]);
        prop_assert!(properties::plaintext(first, &out));
    }

    #[test]
    fn random_octets_never_panic(raw in bytes(300), first in any::<u8>()) {
        properties::datagram(&raw);
        properties::plaintext(PayloadType(first), &raw);
        properties::notify_data(&Notify::new(NotifyType(0), raw));
    }

    /// Random octets behind a header that fits, so that the chain is reached, and one payload header that fits.
    #[test]
    fn random_octets_behind_a_good_header_never_panic(header in header(), first in 33u8..56, raw in bytes(300)) {
        let mut out = Vec::new();
        let length = (HEADER_LEN + 4 + raw.len()) as u32;
        Header { next_payload: PayloadType(first), length, ..header }.emit(&mut out);
        out.extend([0, 0]);
        out.extend((4 + raw.len() as u16).to_be_bytes());
        out.extend(raw);
        properties::datagram(&out);
    }

    #[test]
    fn typed_notifies_keep_their_data(notify in notify()) {
        properties::notify_data(&notify);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn damaged_messages_never_panic((header, list) in message()) {
        properties::damaged(&encode_clear(&header, &list).unwrap());
    }
}
