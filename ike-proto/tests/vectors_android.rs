//! Payloads of Android's IKE library, as named hex strings: decode, compare what the names state, encode again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
mod common;

use common::{hex, properties, unhex, vector};
use ravelin_ike_proto::registry::*;
use ravelin_ike_proto::wire::chain::Chain;
use ravelin_ike_proto::wire::payload::*;
use ravelin_ike_proto::wire::{Header, IkeSpi, Message};
use serde_json::Value;

struct Strings(Value);

impl Strings {
    fn load() -> Option<Self> {
        Some(Self(serde_json::from_slice(&vector("android-ike/messages.json")?).unwrap()))
    }

    fn get(&self, class: &str, name: &str) -> Vec<u8> {
        let found = self.0["classes"][class][name].as_str();
        unhex(found.unwrap_or_else(|| panic!("no string {class}.{name}")))
    }
}

/// Reads a body of payload `kind`, and checks that it encodes to the same octets.
fn body(kind: PayloadType, body: &[u8]) -> Payload {
    let mut whole = vec![0, 0];
    whole.extend((body.len() as u16 + 4).to_be_bytes());
    whole.extend(body);
    payload(kind, &whole).1
}

/// Reads one payload with its generic header: the kind of the next one and the payload.
fn payload(kind: PayloadType, whole: &[u8]) -> (PayloadType, Payload) {
    // The chain of one payload would go on with what the header announces; cut it off for reading.
    let mut alone = whole.to_vec();
    alone[0] = 0;
    let raw = Chain::new(kind, &alone, 0).next().unwrap().unwrap();
    let payload = Payload::parse(&raw).unwrap();
    let mut out = Vec::new();
    payload.emit(&mut out).unwrap();
    assert_eq!(hex(&out), hex(&whole[4..]), "{payload}");
    assert!(properties::plaintext(kind, &alone));
    (PayloadType(whole[0]), payload)
}

fn sa(bytes: &[u8]) -> SecurityAssociation {
    let Payload::Sa(sa) = body(PayloadType::SA, bytes) else { panic!("not an SA payload") };
    sa
}

#[test]
fn sa_payloads() {
    let Some(s) = Strings::load() else { return };
    let c = "IkeSaPayloadTest";
    let one = [
        Transform::encr(EncrId::AES_CBC, Some(128)),
        Transform::integ(IntegId::HMAC_SHA1_96),
        Transform::ke(KeId::MODP_1024),
        Transform::prf(PrfId::HMAC_SHA1),
    ];
    let proposal = Proposal::new(1, ProtocolId::IKE, vec![], one.to_vec());
    for name in ["OUTBOUND_PROPOSAL_RAW_PACKET", "INBOUND_PROPOSAL_RAW_PACKET"] {
        assert_eq!(sa(&s.get(c, name)).proposals, core::slice::from_ref(&proposal));
    }
    let two = sa(&s.get(c, "INBOUND_TWO_PROPOSAL_RAW_PACKET")).proposals;
    assert_eq!(two.iter().map(|p| (p.number, p.transforms.len())).collect::<Vec<_>>(), [(1, 25), (2, 26)]);
    assert_eq!(two[1].of(TransformType::INTEG).count(), 0, "the second one is of combined-mode ciphers");
    let esn = Transform::sn(SnId::SEQUENTIAL_32);
    let cbc = vec![Transform::encr(EncrId::AES_CBC, Some(128)), Transform::integ(IntegId::HMAC_SHA1_96), esn];
    let child = Proposal::new(1, ProtocolId::ESP, vec![0xca, 0xe7, 0x01, 0x9f], cbc);
    assert_eq!(sa(&s.get(c, "INBOUND_CHILD_PROPOSAL_RAW_PACKET")).proposals, core::slice::from_ref(&child));
    let gcm = vec![Transform::encr(EncrId::AES_GCM_8, Some(128))];
    let second = Proposal::new(2, ProtocolId::ESP, vec![0xca, 0xe7, 0x01, 0x9e], gcm);
    assert_eq!(sa(&s.get(c, "INBOUND_CHILD_TWO_PROPOSAL_RAW_PACKET")).proposals, [child, second]);
    let request = sa(&s.get(c, "inboundRequestSaPayload")).proposals;
    assert_eq!(request[0].of(TransformType::KE).map(|t| t.id).collect::<Vec<_>>(), [14, 15, 16, 17, 18]);
    assert_eq!(request[0].transforms[0].key_length(), Some(256));
    let odd = sa(&s.get(c, "saPayloadBodyHex")).proposals;
    assert_eq!(odd[0].of(TransformType::KE).map(|t| t.id).collect::<Vec<_>>(), [95], "an unknown group is kept");
}

#[test]
fn transforms_of_sa_payloads() {
    let Some(s) = Strings::load() else { return };
    for (name, want) in [
        ("ENCR_TRANSFORM_RAW_PACKET", Transform::encr(EncrId::AES_CBC, Some(128))),
        ("PRF_TRANSFORM_RAW_PACKET", Transform::prf(PrfId::HMAC_SHA1)),
        ("INTEG_TRANSFORM_RAW_PACKET", Transform::integ(IntegId::HMAC_SHA1_96)),
        ("DH_GROUP_TRANSFORM_RAW_PACKET", Transform::ke(KeId::MODP_1024)),
        ("ESN_TRANSFORM_RAW_PACKET", Transform::sn(SnId::SEQUENTIAL_32)),
    ] {
        // Alone in a proposal each of them is the last one, whatever its marker says.
        let mut raw = s.get("IkeSaPayloadTest", name);
        raw[0] = 0;
        let mut whole = vec![0, 0, 0, raw.len() as u8 + 8, 1, 1, 0, 1];
        whole.extend(raw);
        assert_eq!(sa(&whole).proposals[0].transforms, [want]);
    }
    let header = s.get("IkeSaPayloadTest", "OUTBOUND_SA_PAYLOAD_HEADER");
    let whole = [header, s.get("IkeSaPayloadTest", "OUTBOUND_PROPOSAL_RAW_PACKET")].concat();
    assert_eq!(payload(PayloadType::SA, &whole).0, PayloadType::KE);
}

#[test]
fn notify_payloads() {
    let Some(s) = Strings::load() else { return };
    let c = "IkeNotifyPayloadTest";
    let data = s.get(c, "NAT_DETECTION_DATA_HEX_STRING");
    let (next, p) = payload(PayloadType::N, &s.get(c, "NOTIFY_NAT_DETECTION_PAYLOAD_HEX_STRING"));
    assert_eq!(next, PayloadType::N);
    assert_eq!(p, Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP, data).into());
    assert_eq!(body(PayloadType::N, &s.get(c, "NOTIFY_NAT_DETECTION_PAYLOAD_BODY_HEX_STRING")), p);
    let rekey = Notify::for_child(NotifyType::REKEY_SA, ProtocolId::ESP, 0x2ad4_c0a2, vec![]);
    assert_eq!(body(PayloadType::N, &s.get(c, "NOTIFY_REKEY_PAYLOAD_BODY_HEX_STRING")), rekey.into());
}

#[test]
fn header_and_whole_message() {
    let Some(s) = Strings::load() else { return };
    let c = "IkeHeaderTest";
    let header = Header::parse(&s.get(c, "IKE_HEADER_HEX_STRING")).unwrap();
    let raw = s.get(c, "IKE_SA_INIT_RAW_PACKET");
    let message = Message::decode(&raw).unwrap();
    assert_eq!(message.header, header);
    assert_eq!(Some(header.initiator_spi), IkeSpi::from_slice(&s.get(c, "IKE_INITIATOR_SPI")));
    assert_eq!(Some(header.responder_spi), IkeSpi::from_slice(&s.get(c, "IKE_RESPODNER_SPI")));
    assert_eq!((header.major(), header.minor(), header.message_id), (2, 0, 0));
    let kinds: Vec<PayloadType> = message.payloads.iter().map(Payload::kind).collect();
    use PayloadType as P;
    assert_eq!(kinds, [P::SA, P::KE, P::NONCE, P::N, P::N, P::V]);
    assert_eq!(message.payloads.nonce().unwrap().data, s.get("IkeNoncePayloadTest", "NONCE_DATA_RAW_HEX_STRING"));
    assert_eq!(message.payloads.ke().unwrap().data, s.get("IkeKePayloadTest", "KEY_EXCHANGE_DATA_RAW_PACKET"));
    properties::damaged(&raw);
}

#[test]
fn ke_and_nonce_payloads() {
    let Some(s) = Strings::load() else { return };
    let c = "IkeKePayloadTest";
    let data = s.get(c, "KEY_EXCHANGE_DATA_RAW_PACKET");
    let whole = [s.get(c, "KE_PAYLOAD_GENERIC_HEADER"), s.get(c, "KE_PAYLOAD_RAW_PACKET")].concat();
    let (next, p) = payload(PayloadType::KE, &whole);
    assert_eq!((next, p), (PayloadType::NONCE, KeyExchange::new(KeId::MODP_1024, data.clone()).into()));
    let unknown = body(PayloadType::KE, &s.get(c, "unrecognizedKePayload"));
    assert_eq!(unknown, KeyExchange::new(KeId(0x0fff), data).into());
    let (next, p) = payload(PayloadType::NONCE, &s.get("IkeNoncePayloadTest", "NONCE_PAYLOAD_RAW_HEX_STRING"));
    let nonce = Nonce { data: s.get("IkeNoncePayloadTest", "NONCE_DATA_RAW_HEX_STRING") };
    assert_eq!((next, p), (PayloadType::N, nonce.into()));
}

#[test]
fn ts_and_delete_payloads() {
    let Some(s) = Strings::load() else { return };
    let (next, p) = payload(PayloadType::TSi, &s.get("IkeTsPayloadTest", "TS_INITIATOR_PAYLOAD_HEX_STRING"));
    let range = |ports: (u16, u16), start: [u8; 4], end: [u8; 4]| Ts::Ipv4Range {
        protocol: 0,
        start_port: ports.0,
        end_port: ports.1,
        start: start.into(),
        end: end.into(),
    };
    let want = TrafficSelectors::new(vec![
        range((16, 65520), [192, 0, 2, 100], [192, 0, 3, 101]),
        range((0, 65535), [192, 0, 4, 100], [192, 0, 4, 102]),
    ]);
    assert_eq!((next, p), (PayloadType::TSr, Payload::TsInitiator(want)));
    let c = "IkeDeletePayloadTest";
    for (name, want) in [
        ("DELETE_IKE_PAYLOAD_HEX_STRING", Delete::ike()),
        ("DELETE_CHILD_PAYLOAD_HEX_STRING", Delete::child(ProtocolId::ESP, &[0x2ad4_c0a2]).unwrap()),
        (
            "DELETE_MULTIPLE_CHILD_PAYLOAD_HEX_STRING",
            Delete::child(ProtocolId::ESP, &[0xabcd_ef01, 0x20fe_dcba]).unwrap(),
        ),
    ] {
        assert_eq!(payload(PayloadType::D, &s.get(c, name)), (PayloadType::NONE, want.into()));
    }
    assert_eq!(s.get(c, "CHILD_SPI"), 0x2ad4_c0a2u32.to_be_bytes());
}

#[test]
fn id_payloads() {
    let Some(s) = Strings::load() else { return };
    let c = "IkeIdPayloadTest";
    let v6 = [0, 0, 0x20, 0x01, 0, 0, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 1];
    for (kind, name, want) in [
        (PayloadType::IDr, "IPV4_ADDR_ID_PAYLOAD_RESPONDER", Some((IdType::IPV4_ADDR, vec![192, 0, 2, 100]))),
        (PayloadType::IDr, "IPV6_ADDR_ID_PAYLOAD_RESPONDER", Some((IdType::IPV6_ADDR, v6.to_vec()))),
        (PayloadType::IDi, "FQDN_ID_PAYLOAD", Some((IdType::FQDN, b"ike.android.net".to_vec()))),
        (PayloadType::IDi, "RFC822_ADDR_ID_PAYLOAD", Some((IdType::RFC822_ADDR, b"androidike@example.com".to_vec()))),
        (PayloadType::IDi, "KEY_ID_PAYLOAD", Some((IdType::KEY_ID, b"androidIkeKeyId".to_vec()))),
        (PayloadType::IDi, "ASN1_DN_PAYLOAD", None),
    ] {
        let (_, p) = payload(kind, &s.get(c, &format!("{name}_HEX_STRING")));
        assert_eq!(body(kind, &s.get(c, &format!("{name}_BODY_HEX_STRING"))), p);
        let (Payload::IdInitiator(id) | Payload::IdResponder(id)) = p else { panic!("not an ID payload") };
        match want {
            Some((kind, data)) => assert_eq!((id.kind, id.data), (kind, data)),
            None => assert_eq!((id.kind, id.data[0]), (IdType::DER_ASN1_DN, 0x30)),
        }
    }
    // A name that is no DER is the PAD's to refuse; the payload itself is well formed.
    assert!(matches!(
        body(PayloadType::IDi, &s.get(c, "ASN1_DN_INVALID_PAYLOAD_BODY_HEX_STRING")),
        Payload::IdInitiator(_)
    ));
}
