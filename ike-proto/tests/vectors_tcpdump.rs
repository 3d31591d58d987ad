//! An outside reading: what tcpdump prints of its own capture, rebuilt from our decoded messages line by line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
mod common;

use common::{datagrams, hex, vector};
use ravelin_ike_proto::registry::{
    AttributeType, EncrId, ExchangeType, IntegId, KeId, NotifyType, PrfId, TransformType,
};
use ravelin_ike_proto::wire::Message;
use ravelin_ike_proto::wire::payload::{AttributeValue, Payload, Proposal, Transform};

fn first_line(m: &Message) -> String {
    let h = &m.header;
    let (phase, exchange) = match h.exchange {
        ExchangeType::IKE_SA_INIT => ("parent_sa", "ikev2_init"),
        ExchangeType::IKE_AUTH => ("child_sa ", "ikev2_auth"),
        ExchangeType::CREATE_CHILD_SA => ("child_sa ", "child_sa"),
        ExchangeType::INFORMATIONAL => ("parent_sa", "inf2"),
        other => panic!("{other} is not in the capture"),
    };
    // The capture has no message with both flags.
    let flags = [(h.flags.initiator(), "I"), (h.flags.response(), "R")];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, f)| *f).collect();
    let (i, r) = (h.initiator_spi, h.responder_spi);
    format!("isakmp 2.{} msgid {:08x} cookie {i}->{r}: {phase} {exchange}[{flags}]:", h.minor(), h.message_id)
}

fn transform(number: usize, t: &Transform) -> String {
    let (kind, id) = match t.kind {
        TransformType::ENCR if t.id == EncrId::AES_CBC.0 => ("encr", "aes"),
        TransformType::ENCR if t.id == EncrId::TRIPLE_DES.0 => ("encr", "3des"),
        TransformType::PRF if t.id == PrfId::HMAC_SHA1.0 => ("prf", "hmac-sha"),
        TransformType::PRF if t.id == PrfId::HMAC_MD5.0 => ("prf", "hmac-md5"),
        TransformType::PRF if t.id == PrfId::AES128_XCBC.0 => ("prf", "aes128_xcbc"),
        TransformType::INTEG if t.id == IntegId::HMAC_SHA1_96.0 => ("integ", "hmac-sha"),
        TransformType::INTEG if t.id == IntegId::HMAC_MD5_96.0 => ("integ", "hmac-md5"),
        TransformType::INTEG if t.id == IntegId::AES_XCBC_96.0 => ("integ", "aes-xcbc"),
        TransformType::KE if t.id == KeId::MODP_1024.0 => ("dh", "modp1024"),
        TransformType::KE if t.id == KeId::MODP_2048.0 => ("dh", "modp2048"),
        other => panic!("{other} {} is not in the capture", t.id),
    };
    let attributes: Vec<String> = t
        .attributes
        .iter()
        .map(|a| match (a.kind, &a.value) {
            (AttributeType::KEY_LENGTH, AttributeValue::Short(bits)) => format!("(type=keylen value={bits:04x})"),
            other => panic!("{other:?} is not in the capture"),
        })
        .collect();
    format!("(t: #{number} type={kind} id={id} {})", attributes.join(" "))
}

fn proposal(p: &Proposal, len: usize) -> String {
    let transforms: Vec<String> = p.transforms.iter().enumerate().map(|(i, t)| transform(i + 1, t)).collect();
    format!("(p: #{} protoid=isakmp transform={} len={len} {})", p.number, p.transforms.len(), transforms.join(" "))
}

fn payload(p: &Payload) -> String {
    let mut body = Vec::new();
    p.emit(&mut body).unwrap();
    match p {
        Payload::Sa(sa) => {
            let list: Vec<String> = sa.proposals.iter().map(|p| proposal(p, body.len())).collect();
            format!("(sa: len={} {})", body.len(), list.join(" "))
        }
        Payload::Ke(ke) => {
            assert_eq!(ke.method, KeId::MODP_1024);
            format!("(v2ke: len={} group=modp1024 {})", ke.data.len(), hex(&ke.data))
        }
        Payload::Nonce(n) => format!("(nonce: len={} nonce=({}) )", n.data.len(), hex(&n.data)),
        Payload::Notify(n) => {
            let name = match n.kind {
                NotifyType::COOKIE => "cookie",
                NotifyType::NAT_DETECTION_SOURCE_IP => "nat_detection_source_ip",
                NotifyType::NAT_DETECTION_DESTINATION_IP => "nat_detection_destination_ip",
                other => panic!("{other} is not in the capture"),
            };
            format!("(n: prot_id=#{} type={}({name}) data=({}))", n.protocol.0, n.kind.0, hex(&n.data))
        }
        Payload::Encrypted(sk) => format!("(v2e: len={} {})", sk.body.len(), hex(&sk.body)),
        other => panic!("{other} is not in the capture"),
    }
}

/// tcpdump prints the data of a notify up to the end of the message; the rest of the hex digits is cut off here, but
/// only when it is exactly the octets that follow in the message.
fn cut_notify(theirs: &str, ours: &str, message: &[u8]) -> String {
    let (Some(data), Some(end)) = (ours.strip_suffix("))"), theirs.strip_suffix("))")) else { return theirs.into() };
    match end.strip_prefix(data) {
        Some(tail) if ours.starts_with("(n:") && hex(message).ends_with(tail) => format!("{data}))"),
        _ => theirs.into(),
    }
}

#[test]
fn our_reading_of_the_capture_is_that_of_tcpdump() {
    let (Some(capture), Some(text)) = (vector("tcpdump/ikev2four.pcap"), vector("tcpdump/ikev2fourv4.out")) else {
        return;
    };
    let text = String::from_utf8(text).unwrap();
    // One block per message begins behind the time stamp; a payload begins with four spaces and a bracket.
    let blocks: Vec<&str> = text.split("isakmp 2.").skip(1).collect();
    let messages = datagrams(&capture);
    assert_eq!((blocks.len(), messages.len()), (21, 21));
    let mut compared = 0;
    for (block, datagram) in blocks.iter().zip(&messages) {
        let raw = datagram.ike().unwrap();
        let message = Message::decode(raw).unwrap();
        let (head, rest) = block.split_once('\n').unwrap();
        assert_eq!(format!("isakmp 2.{head}"), first_line(&message));
        let words: Vec<&str> = rest.split_whitespace().collect();
        // Behind the last payload stands the number and time stamp of the next message.
        let mut theirs = words.join(" ");
        for p in &message.payloads {
            let ours = payload(p).split_whitespace().collect::<Vec<_>>().join(" ");
            let end = payload_end(&theirs);
            let (this, next) = theirs.split_at(end);
            assert_eq!(cut_notify(this, &ours, raw), ours);
            theirs = next.trim_start().to_owned();
            compared += 1;
        }
        assert!(!theirs.starts_with('('), "tcpdump sees one more payload: {theirs}");
    }
    assert_eq!(compared, 17 + 17, "payloads of the 4 clear messages, and one SK in each of the others");
}

/// Where the bracket that opens `text` is closed.
fn payload_end(text: &str) -> usize {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    panic!("no closing bracket in {text}")
}
