//! The order in which own messages carry their payloads: RFC 7296 appendix C. Received order is free (§3).
//!
//! To give a new notify a place of its own: one arm in [`rank`]; without one it goes to the end.
use super::payload::Payload;
use crate::registry::{ExchangeType, NotifyType, PayloadType};

/// Where a payload stands among the others of its message: smaller is earlier.
#[must_use]
pub fn rank(exchange: ExchangeType, response: bool, payload: &Payload) -> u8 {
    match payload {
        Payload::Notify(n) => notify_rank(exchange, n.kind),
        other => kind_rank(exchange, response, other.kind()),
    }
}

/// Puts payloads into the order of appendix C; equals keep their order.
pub fn sort(exchange: ExchangeType, response: bool, payloads: &mut [Payload]) {
    payloads.sort_by_key(|p| rank(exchange, response, p));
}

fn kind_rank(exchange: ExchangeType, response: bool, kind: PayloadType) -> u8 {
    match kind {
        PayloadType::PS => 5,
        PayloadType::IDi => 10,
        // In a request IDr is the wish whom to talk to; in a response it says who answers.
        PayloadType::IDr if response => 10,
        PayloadType::IDr => 40,
        PayloadType::CERT => 20,
        PayloadType::CERTREQ if exchange == ExchangeType::IKE_SA_INIT => 100,
        PayloadType::CERTREQ => 31,
        PayloadType::AUTH => 50,
        PayloadType::GSPM => 51,
        PayloadType::EAP => 52,
        PayloadType::CP => 60,
        PayloadType::SA => 80,
        // IKE_SA_INIT has SA, KE, Nonce; CREATE_CHILD_SA has SA, Nonce, KE.
        PayloadType::KE if exchange == ExchangeType::IKE_SA_INIT => 81,
        PayloadType::NONCE => 82,
        PayloadType::KE => 83,
        PayloadType::TSi => 84,
        PayloadType::TSr => 85,
        PayloadType::D => 115,
        PayloadType::V => 110,
        // Always last, whatever else there is.
        PayloadType::SK | PayloadType::SKF => 255,
        _ => 112,
    }
}

fn notify_rank(exchange: ExchangeType, kind: NotifyType) -> u8 {
    match kind {
        NotifyType::COOKIE => 0,
        NotifyType::REKEY_SA => 1,
        NotifyType::INITIAL_CONTACT => 25,
        NotifyType::HTTP_CERT_LOOKUP_SUPPORTED if exchange == ExchangeType::IKE_SA_INIT => 99,
        NotifyType::HTTP_CERT_LOOKUP_SUPPORTED => 30,
        NotifyType::IPCOMP_SUPPORTED => 70,
        NotifyType::USE_TRANSPORT_MODE => 71,
        NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED => 72,
        NotifyType::NON_FIRST_FRAGMENTS_ALSO => 73,
        NotifyType::ADDITIONAL_TS_POSSIBLE => 86,
        // RFC 5723 §4.3.1: the ticket follows the nonce.
        NotifyType::TICKET_OPAQUE => 87,
        NotifyType::NAT_DETECTION_SOURCE_IP => 90,
        NotifyType::NAT_DETECTION_DESTINATION_IP => 91,
        _ => 112,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{AuthMethod, CertEncoding, ConfigType, IdType, KeId};
    use crate::wire::payload::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn sorted(exchange: ExchangeType, response: bool, mut payloads: Vec<Payload>) -> Vec<(PayloadType, u16)> {
        payloads.reverse();
        sort(exchange, response, &mut payloads);
        kinds(&payloads)
    }

    fn kinds(payloads: &[Payload]) -> Vec<(PayloadType, u16)> {
        let notify = |p: &Payload| if let Payload::Notify(n) = p { n.kind.0 } else { 0 };
        payloads.iter().map(|p| (p.kind(), notify(p))).collect()
    }

    fn n(kind: NotifyType) -> Payload {
        Notify::empty(kind).into()
    }

    #[test]
    fn ike_sa_init_is_in_the_order_of_appendix_c_1() {
        let want = vec![
            n(NotifyType::COOKIE),
            SecurityAssociation::default().into(),
            KeyExchange::new(KeId::CURVE25519, vec![]).into(),
            Nonce { data: vec![] }.into(),
            n(NotifyType::NAT_DETECTION_SOURCE_IP),
            n(NotifyType::NAT_DETECTION_DESTINATION_IP),
            CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, data: vec![] }.into(),
            VendorId { data: vec![] }.into(),
            n(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
        ];
        assert_eq!(sorted(ExchangeType::IKE_SA_INIT, false, want.clone()), kinds(&want));
    }

    #[test]
    fn ike_auth_is_in_the_order_of_appendix_c_2() {
        let id = Identification::new(IdType::FQDN, vec![]);
        let want = vec![
            Payload::IdInitiator(id.clone()),
            Certificate { encoding: CertEncoding::X509_SIGNATURE, data: vec![] }.into(),
            n(NotifyType::INITIAL_CONTACT),
            n(NotifyType::HTTP_CERT_LOOKUP_SUPPORTED),
            CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, data: vec![] }.into(),
            Payload::IdResponder(id),
            Authentication::new(AuthMethod::SHARED_KEY, vec![]).into(),
            Configuration::new(ConfigType::REQUEST, vec![]).into(),
            n(NotifyType::USE_TRANSPORT_MODE),
            SecurityAssociation::default().into(),
            Payload::TsInitiator(TrafficSelectors::default()),
            Payload::TsResponder(TrafficSelectors::default()),
            n(NotifyType::MOBIKE_SUPPORTED),
        ];
        assert_eq!(sorted(ExchangeType::IKE_AUTH, false, want.clone()), kinds(&want));
    }

    #[test]
    fn an_answering_id_stands_before_its_certificate() {
        let id = Identification::new(IdType::FQDN, vec![]);
        let want = vec![
            Payload::IdResponder(id),
            Certificate { encoding: CertEncoding::X509_SIGNATURE, data: vec![] }.into(),
            Authentication::new(AuthMethod::SHARED_KEY, vec![]).into(),
        ];
        assert_eq!(sorted(ExchangeType::IKE_AUTH, true, want.clone()), kinds(&want));
    }

    #[test]
    fn create_child_sa_is_in_the_order_of_appendix_c_4() {
        let want = vec![
            n(NotifyType::REKEY_SA),
            n(NotifyType::IPCOMP_SUPPORTED),
            SecurityAssociation::default().into(),
            Nonce { data: vec![] }.into(),
            KeyExchange::new(KeId::CURVE25519, vec![]).into(),
            Payload::TsInitiator(TrafficSelectors::default()),
            Payload::TsResponder(TrafficSelectors::default()),
            n(NotifyType::ADDITIONAL_TS_POSSIBLE),
        ];
        assert_eq!(sorted(ExchangeType::CREATE_CHILD_SA, false, want.clone()), kinds(&want));
    }
}
