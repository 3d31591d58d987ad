//! Keys as lines of Wireshark's user tables `ikev2_decryption_table` and `esp_sa`: text only, whoever embeds a node decides
//! whether and where it is written. `WIRESHARK_CONFIG_DIR=DIR tshark …` then decrypts a capture, and so does whoever
//! else holds these lines. The events that bring the keys come only with `ike::Config::export_keys`.
//!
//! To add an algorithm that Wireshark knows: one line in its table.

use ravelin_crypto::{EncrId, IntegId};
use ravelin_ike_proto::event::IkeKeyLog;
use ravelin_sa_db::{Direction, SaParams};
use std::fmt::Write as _;

/// File name of the table that [`ike_line`] writes lines of.
pub const IKE_TABLE: &str = "ikev2_decryption_table";
/// File name of the table that [`esp_line`] writes lines of.
pub const ESP_TABLE: &str = "esp_sa";

/// SPIi, SPIr, SK_ei, SK_er, "cipher", SK_ai, SK_ar, "integrity"; `None` when Wireshark 4.0 does not know the algorithms.
#[must_use]
pub fn ike_line(k: &IkeKeyLog) -> Option<String> {
    let bits = k.encr.key_bits.unwrap_or(0);
    let encr = match k.encr.id {
        EncrId::AES_CBC => format!("AES-CBC-{bits} [RFC3602]"),
        EncrId::AES_CTR => format!("AES-CTR-{bits} [RFC5930]"),
        EncrId::AES_GCM_16 => format!("AES-GCM-{bits} with 16 octet ICV [RFC5282]"),
        EncrId::AES_CCM_16 => format!("AES-CCM-{bits} with 16 octet ICV [RFC5282]"),
        _ => return None,
    };
    let integ = match k.integ {
        IntegId::NONE => "NONE [RFC4306]",
        IntegId::HMAC_SHA1_96 => "HMAC_SHA1_96 [RFC2404]",
        IntegId::HMAC_SHA2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        IntegId::HMAC_SHA2_384_192 => "HMAC_SHA2_384_192 [RFC4868]",
        IntegId::HMAC_SHA2_512_256 => "HMAC_SHA2_512_256 [RFC4868]",
        _ => return None,
    };
    let (i, r) = k.spis;
    let [ei, er, ai, ar] = [&k.sk_ei, &k.sk_er, &k.sk_ai, &k.sk_ar].map(|s| hex(s.expose()));
    Some(format!("{i:016x},{r:016x},{ei},{er},\"{encr}\",{ai},{ar},\"{integ}\"\n"))
}

/// "version","source","destination","0xSPI","cipher","0xkey","integrity","0xkey" of one direction of a Child SA; addresses
/// are the outer ones. `None` when Wireshark 4.0 does not know the algorithms.
#[must_use]
pub fn esp_line(sa: &SaParams) -> Option<String> {
    let encr = match sa.suite.encr {
        EncrId::AES_CBC => "AES-CBC [RFC3602]",
        EncrId::AES_CTR => "AES-CTR [RFC3686]",
        EncrId::AES_GCM_16 => "AES-GCM with 16 octet ICV [RFC4106]",
        EncrId::NULL => "NULL",
        _ => return None,
    };
    let integ = match sa.suite.integ {
        IntegId::NONE => "NULL",
        IntegId::HMAC_SHA1_96 => "HMAC-SHA-1-96 [RFC2404]",
        IntegId::HMAC_SHA2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        IntegId::HMAC_SHA2_384_192 => "HMAC-SHA-384-192 [RFC4868]",
        IntegId::HMAC_SHA2_512_256 => "HMAC-SHA-512-256 [RFC4868]",
        _ => return None,
    };
    let (from, to) = match sa.direction {
        Direction::Inbound => (sa.path.remote.ip(), sa.path.local.ip()),
        Direction::Outbound => (sa.path.local.ip(), sa.path.remote.ip()),
    };
    let version = if to.is_ipv6() { "IPv6" } else { "IPv4" };
    let key = |k: &[u8]| if k.is_empty() { String::new() } else { format!("0x{}", hex(k)) };
    let (ek, ik) = (key(sa.suite.encr_key.expose()), key(sa.suite.integ_key.expose()));
    Some(format!("\"{version}\",\"{from}\",\"{to}\",\"0x{}\",\"{encr}\",\"{ek}\",\"{integ}\",\"{ik}\"\n", sa.spi))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

#[cfg(test)]
mod tests;
