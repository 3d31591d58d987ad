//! The text is what an operator sees; these lines are its contract.
use crate::registry::*;
use crate::wire::header::{Flags, Header, IkeSpi};
use crate::wire::message::{Envelope, Message, begin_protected, encode_clear};
use crate::wire::payload::*;
use alloc::string::ToString;
use alloc::vec;

#[test]
fn a_message_reads_as_a_tree() {
    let header = Header::new(IkeSpi(1), IkeSpi(2), ExchangeType::IKE_SA_INIT, Flags::new(true, false), 7);
    let transforms = vec![
        Transform::encr(EncrId::AES_GCM_16, Some(256)),
        Transform::encr(EncrId::CHACHA20_POLY1305, None),
        Transform::prf(PrfId(999)),
        Transform::ke(KeId::CURVE25519),
        Transform::addke(TransformType::ADDKE1, KeId::ML_KEM_768),
    ];
    let mut payloads: vec::Vec<Payload> = vec![
        SecurityAssociation::new(vec![Proposal::new(1, ProtocolId::ESP, vec![0, 0, 1, 2], transforms)]).into(),
        KeyExchange::new(KeId::CURVE25519, vec![0xab; 9]).into(),
        Payload::IdInitiator(Identification::new(IdType::FQDN, b"gw\n.example".to_vec())),
        Payload::IdResponder(Identification::new(IdType::IPV4_ADDR, vec![192, 0, 2, 1])),
        Authentication::new(AuthMethod::SHARED_KEY, vec![0x77; 32]).into(),
        Notify::new(NotifyType::INVALID_KE_PAYLOAD, vec![0, 19]).into(),
        Notify::for_child(NotifyType::REKEY_SA, ProtocolId::ESP, 0xcafe, vec![]).into(),
        Notify::new(NotifyType::QUICK_CRASH_DETECTION, vec![0x77; 16]).into(),
        Delete::child(ProtocolId::ESP, &[1, 2]).unwrap().into(),
        Eap::method(EapCode::RESPONSE, 3, EapType::MSCHAPV2, &[0x77; 5]).unwrap().into(),
        Configuration::new(
            ConfigType::REQUEST,
            vec![
                ConfigAttribute::new(ConfigAttributeType::INTERNAL_IP4_ADDRESS, vec![]),
                ConfigAttribute::new(ConfigAttributeType::INTERNAL_IP6_SUBNET, vec![0; 17]),
            ],
        )
        .into(),
    ];
    payloads.push(Payload::TsInitiator(TrafficSelectors::new(vec![Ts::Ipv4Range {
        protocol: 6,
        start_port: 0,
        end_port: 65535,
        start: [10, 0, 0, 0].into(),
        end: [10, 0, 0, 255].into(),
    }])));
    payloads.push(Payload::Unknown(UnknownPayload { kind: PayloadType(200), flags: 0x80, body: vec![1] }));
    let message = Message::decode(&encode_clear(&header, &payloads).unwrap()).unwrap();
    assert_eq!(
        message.to_string(),
        "IKE_SA_INIT request 7 of the initiator, SPIs 0000000000000001 0000000000000002, 314 octets
  SA
    proposal 1 ESP SPI 00000102: ENCR AES_GCM_16-256 | CHACHA20_POLY1305, PRF 999, KE CURVE25519, ADDKE1 ML_KEM_768
  KE CURVE25519, 9 octets abababababababab..
  IDi FQDN gw\\n.example
  IDr IPV4_ADDR 192.0.2.1
  AUTH SHARED_KEY, 32 octets
  N INVALID_KE_PAYLOAD, wanted ECP_256
  N REKEY_SA ESP 0000cafe
  N QUICK_CRASH_DETECTION, 16 octets
  D ESP 00000001 00000002
  EAP RESPONSE 3, MSCHAPV2, 5 octets
  CP REQUEST
    INTERNAL_IP4_ADDRESS
    INTERNAL_IP6_SUBNET ::/0
  TSi
    10.0.0.0-10.0.0.255 protocol 6 any port
  payload 200 (not understood), critical, 1 octets 01"
    );
    assert!(!message.to_string().contains("7777"), "no AUTH, EAP or token octets in text");
}

#[test]
fn a_protected_message_says_what_can_be_seen() {
    let header = Header::new(IkeSpi(1), IkeSpi(2), ExchangeType::IKE_AUTH, Flags::new(false, true), 1);
    let part = Some(Fragment { number: 1, total: 3 });
    let mut out = begin_protected(&header, &[], PayloadType::IDr, part, 30).unwrap();
    out.extend([0; 30]);
    let text = "IKE_AUTH response 1 of the responder, SPIs 0000000000000001 0000000000000002, 66 octets\n  SKF 1 of 3, 30 octets";
    assert_eq!(Envelope::parse(&out).unwrap().to_string(), text);
    assert_eq!(Message::decode(&out).unwrap().to_string(), text);
}
