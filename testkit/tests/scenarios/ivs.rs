//! An IV is never used twice with a key: with AES-GCM that would give the plaintext away (RFC 5282 §3, RFC 5116 §3.1).

use ravelin::ike::registry::PayloadType;
use ravelin_testkit::{Carrier, Pair, Sim, secs};
use std::collections::BTreeSet;

#[test]
fn protected_messages_have_ivs_of_their_own() {
    let mut sim = Sim::new(1);
    let (a, b) = Pair::new().build(&mut sim);
    sim.record();
    sim.bring_up(a, b);
    for _ in 0..5 {
        sim.probe(a, b);
        sim.probe(b, a);
        sim.run_for(secs(2));
    }
    let (mut seen, mut octets, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
    for entry in sim.trace() {
        let m = &entry.message;
        let (Carrier::Udp, Some(start), Some(header)) = (m.carrier, m.ike_start(), m.ike()) else { continue };
        let at = match header.next_payload {
            PayloadType::SK => start + 32,
            PayloadType::SKF => start + 36,
            _ => continue,
        };
        // A repetition is the same message.
        if !octets.insert(m.bytes.clone()) {
            continue;
        }
        count += 1;
        // IKE_INTERMEDIATE changes the keys, so the exchange counts as well as the sender.
        let key = (m.sender, header.exchange.0 == 43, header.initiator_spi, m.bytes[at..at + 8].to_vec());
        assert!(seen.insert(key), "an IV comes twice: {m}");
    }
    assert!(count >= 20, "only {count} protected messages");
}
