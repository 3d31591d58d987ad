//! Packets made by other implementations (`shared/vectors/esp-packets`): opened, and sealed again to the same octets.

use crate::outbound::OutboundSa;
use crate::testing::{params, provider, vectors};
use crate::transform::Transform;
use crate::{DropReason, InboundSa, IpPacket};
use ravelin_crypto::{EncrId, IntegId, Secret};
use ravelin_sa_db::{CipherSuite, Direction, Spi};
use std::string::String;
use std::vec::Vec;

fn hex(s: &str) -> Vec<u8> {
    (0..s.len() / 2).map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn suite(v: &serde_json::Value) -> CipherSuite {
    let text = |k: &str| v[k].as_str().unwrap();
    let encr = EncrId::KNOWN.iter().find(|(_, n)| *n == text("enc")).unwrap().0;
    let integ = IntegId::KNOWN.iter().find(|(_, n)| *n == text("auth")).unwrap().0;
    let mut key = hex(text("enc_key"));
    let key_bits = encr.needs_key_length().then_some(key.len() as u16 * 8);
    key.extend(hex(text("salt")));
    CipherSuite { encr, key_bits, integ, encr_key: Secret::new(key), integ_key: Secret::new(hex(text("auth_key"))) }
}

#[test]
fn packets_of_others() {
    let Some(dir) = vectors() else { return };
    let text = std::fs::read_to_string(dir.join("esp-packets/esp-packets.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let provider = provider();
    let mut missing = Vec::<String>::new();
    let mut done = 0;
    for v in json["vectors"].as_array().unwrap() {
        let text = |k: &str| v[k].as_str().unwrap();
        let name = text("name");
        let packet = hex(text("protected"));
        let plain = hex(text("plain"));
        let ip = IpPacket::parse(&packet).unwrap();
        let at = ip.upper + if ip.protocol == 17 { 8 } else { 0 };
        let esp = &packet[at..ip.len];
        let mut p = params(1, Direction::Inbound, suite(v));
        p.spi = Spi::from_be_bytes(esp[..4].try_into().unwrap());
        p.esn = v["esn"].as_bool().unwrap();
        let sa = match InboundSa::new(&provider, &p) {
            Ok(sa) => sa,
            Err(crate::PlaneError::UnsupportedTransform) => {
                missing.push(name.into());
                continue;
            }
            Err(e) => panic!("{name}: {e}"),
        };
        let mut buf = esp.to_vec();
        let opened = sa.open(&mut buf);
        if text("expect") == "bad-icv" {
            assert_eq!(opened, Err(DropReason::Integrity), "{name}");
            assert_eq!(sa.window().top(), 0, "{name}: the window moved");
            done += 1;
            continue;
        }
        let opened = opened.unwrap_or_else(|e| panic!("{name}: {e}"));
        let inner = &buf[opened.payload.clone()];
        let want = if text("mode") == "tunnel" { &plain[..] } else { &plain[IpPacket::parse(&plain).unwrap().upper..] };
        assert_eq!(inner, want, "{name}");
        assert_eq!(opened.number, v["seq"].as_u64().unwrap());
        assert_eq!(sa.open(&mut esp.to_vec()), Err(DropReason::Replay), "{name}");

        // Sealed again. The IV of the packet is not ours to choose, so it is put in where it differs: for counter
        // modes by numbering, for CBC by comparing after decryption only.
        p.direction = Direction::Outbound;
        let out = OutboundSa::starting_after(&provider, &p, &Secret::default(), opened.number - 1).unwrap();
        assert_eq!(out.sealed_len(inner.len()), esp.len(), "{name}: same padding");
        let mut again = std::vec![0u8; esp.len()];
        out.seal(inner, opened.next_header, &mut again).unwrap();
        assert_eq!(again[..8], esp[..8], "{name}");
        if text("enc") == "NULL" {
            assert_eq!(again, esp, "{name}");
        }
        done += 1;
    }
    std::println!("{done} packets, without transform here: {missing:?}");
    assert!(done >= 15);
}

/// Counter-mode vectors choose their own IV: sealing with it injected gives the same octets.
#[test]
fn sealing_gives_the_octets_of_others() {
    let Some(dir) = vectors() else { return };
    let text = std::fs::read_to_string(dir.join("esp-packets/esp-packets.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let provider = provider();
    for v in json["vectors"].as_array().unwrap() {
        let suite = suite(v);
        if !suite.encr.is_aead() || v["mode"] != "tunnel" {
            continue;
        }
        let packet = hex(v["protected"].as_str().unwrap());
        let ip = IpPacket::parse(&packet).unwrap();
        let esp = &packet[ip.upper..ip.len];
        let Ok(t) = Transform::new(&provider, &suite, false, 0, None) else { continue };
        let mut buf = esp.to_vec();
        t.open(v["seq"].as_u64().unwrap(), &mut buf).unwrap();
        t.seal_with_iv(&mut buf, esp[8..16].try_into().unwrap()).unwrap();
        assert_eq!(buf, esp, "{}", v["name"]);
    }
}
