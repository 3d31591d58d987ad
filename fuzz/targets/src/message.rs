//! The codec: whole datagrams, and every payload by itself. The properties are those of `ike-proto`'s own tests.

#[path = "../../../ike-proto/tests/common/properties.rs"]
#[allow(dead_code, missing_docs, reason = "ike-proto's tests use all of it")]
mod properties;

use ravelin::ike::registry::{NotifyType, PayloadType};
use ravelin::ike::wire::chain::RawPayload;
use ravelin::ike::wire::payload::{Notify, Payload, SecurityAssociation};

/// A datagram from the IKE header on.
pub(crate) fn datagram(data: &[u8]) {
    properties::datagram(data);
}

/// First octet: the kind of payload. The rest is its body, and with the next two octets as type also notification data.
pub(crate) fn payload(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let kind = PayloadType(*kind);
    let raw = RawPayload { kind, flags: 0, next: PayloadType::NONE, body, offset: 0 };
    match Payload::parse(&raw) {
        Ok(payload) => {
            let mut again = Vec::new();
            payload.emit(&mut again).expect("what was decoded has legal lengths");
            assert_eq!(again, body, "{kind}");
            assert_eq!(payload.kind(), kind);
            assert!(!format!("{payload:?}").is_empty());
            if let Payload::Sa(sa) = &payload {
                offers(sa);
            }
        }
        Err(error) => {
            assert!(error.offset <= body.len(), "{error} lies outside {} octets", body.len());
            assert!(!error.to_string().is_empty());
        }
    }
    if let Some(([a, b], data)) = body.split_first_chunk::<2>() {
        properties::notify_data(&Notify::new(NotifyType(u16::from_be_bytes([*a, *b])), data.to_vec()));
    }
    properties::plaintext(kind, body);
}

/// What stands in a proposal can be asked for.
fn offers(sa: &SecurityAssociation) {
    let _ = sa.is_numbered_as_offer();
    for transform in sa.proposals.iter().flat_map(|p| &p.transforms) {
        let _ = (transform.key_length(), transform.attributes_understood());
    }
}
