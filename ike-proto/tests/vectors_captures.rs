//! Foreign captures (tcpdump, scapy, nDPI, Wireshark): every IKE message decodes, keeps to the rules, and encodes to
//! the same octets; small damages of it never panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
mod common;

use common::{datagrams, properties, vector};
use ravelin_ike_proto::registry::ExchangeType as X;
use ravelin_ike_proto::registry::{AuthHashId, NotifyType, PayloadType};
use ravelin_ike_proto::wire::notify::SignatureHashAlgorithms;
use ravelin_ike_proto::wire::{Envelope, Message, rules};
use std::collections::BTreeMap;

/// Messages by exchange.
type Counts = BTreeMap<X, usize>;

/// Decodes every message and counts them by exchange.
fn read(name: &str) -> Option<(Vec<Vec<u8>>, Counts)> {
    let messages: Vec<Vec<u8>> = datagrams(&vector(name)?).iter().filter_map(|d| d.ike().map(<[u8]>::to_vec)).collect();
    let mut counts = BTreeMap::new();
    for raw in &messages {
        let envelope = Envelope::parse(raw).unwrap_or_else(|e| panic!("{name}: {e}"));
        *counts.entry(envelope.header.exchange).or_default() += 1;
        assert!(properties::datagram(raw), "{name}");
        let (exchange, response) = (envelope.header.exchange, envelope.header.is_response());
        rules::check_clear(exchange, response, envelope.protected.is_some(), &envelope.clear)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        if exchange.is_unprotected() {
            rules::check(exchange, response, &envelope.clear).unwrap_or_else(|e| panic!("{name}: {e}"));
        } else {
            assert!(envelope.protected.is_some() && envelope.clear.is_empty(), "{name}: {envelope}");
        }
    }
    Some((messages, counts))
}

fn counted(list: &[(X, usize)]) -> Counts {
    list.iter().copied().collect()
}

#[test]
fn tcpdump_ikev2four() {
    let Some((messages, counts)) = read("tcpdump/ikev2four.pcap") else { return };
    let want = [(X::IKE_SA_INIT, 4), (X::IKE_AUTH, 2), (X::CREATE_CHILD_SA, 14), (X::INFORMATIONAL, 1)];
    assert_eq!(counts, counted(&want));
    messages.iter().for_each(|m| properties::damaged(m));
}

#[test]
fn scapy_nat_traversal() {
    let Some((messages, counts)) = read("scapy/ikev2_nat_t.pcapng") else { return };
    assert_eq!(counts, counted(&[(X::IKE_SA_INIT, 6), (X::IKE_AUTH, 6), (X::INFORMATIONAL, 18)]));
    for raw in messages.iter().filter(|m| m[18] == X::IKE_SA_INIT.0) {
        let message = Message::decode(raw).unwrap();
        let notifies: Vec<NotifyType> = message.payloads.notifies().map(|n| n.kind).collect();
        let third = if message.header.is_response() {
            NotifyType::MULTIPLE_AUTH_SUPPORTED
        } else {
            NotifyType::REDIRECT_SUPPORTED
        };
        for kind in [NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, NotifyType::SIGNATURE_HASH_ALGORITHMS, third] {
            assert!(notifies.contains(&kind), "{kind} is missing: {message}");
        }
        let hashes = message.payloads.notify_data::<SignatureHashAlgorithms>().unwrap().unwrap().hashes;
        assert!(hashes.contains(&AuthHashId::SHA2_256), "{hashes:?}");
    }
    messages.iter().for_each(|m| properties::damaged(m));
}

#[test]
fn ndpi_sample() {
    let Some((messages, counts)) = read("ndpi/esp.pcapng") else { return };
    assert_eq!(counts, counted(&[(X::IKE_SA_INIT, 2), (X::IKE_AUTH, 2)]));
    messages.iter().for_each(|m| properties::damaged(m));
}

#[test]
fn wireshark_exchanges() {
    let Some((cbc, counts)) = read("wireshark/ikev2-decrypt-aes256cbc.pcapng") else { return };
    assert_eq!(counts, counted(&[(X::IKE_SA_INIT, 2), (X::IKE_AUTH, 2)]));
    let Some((gcm, counts)) = read("wireshark/ikev2-decrypt-aes256gcm16.pcap") else { return };
    assert_eq!(counts, counted(&[(X::IKE_SA_INIT, 2), (X::IKE_AUTH, 2), (X::INFORMATIONAL, 2)]));
    let keys: serde_json::Value = serde_json::from_slice(&vector("wireshark/keys.json").unwrap()).unwrap();
    for (messages, keys) in [&cbc, &gcm].into_iter().zip(keys["captures"].as_array().unwrap()) {
        for raw in &messages[1..] {
            let header = Envelope::parse(raw).unwrap().header;
            assert_eq!(header.initiator_spi.to_string(), keys["spi_i"].as_str().unwrap());
            assert_eq!(header.responder_spi.to_string(), keys["spi_r"].as_str().unwrap());
        }
        let auth = Envelope::parse(&messages[2]).unwrap();
        assert_eq!(auth.protected.unwrap().first, PayloadType::IDi);
    }
    // The last two are an exchange of the original responder: the I flag is clear in the request, set in the answer.
    let flags = |i: usize| Envelope::parse(&gcm[i]).unwrap().header.flags;
    assert!(!flags(4).initiator() && !flags(4).response() && flags(5).initiator() && flags(5).response());
    cbc.iter().chain(&gcm).for_each(|m| properties::damaged(m));
}
