//! Key-log files for Wireshark, off unless asked for (`--keylog DIR`): `ikev2_decryption_table` and `esp_sa` in the
//! formats of Wireshark's user tables, so that `WIRESHARK_CONFIG_DIR=DIR tshark …` decrypts a capture. Whoever holds
//! these files reads the traffic. To add an algorithm that Wireshark knows: one line in its table.

use ravelin::crypto::{EncrId, IntegId};
use ravelin::db::{Direction, SaParams};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Keys of one IKE SA, as Wireshark wants them.
#[derive(Clone, Copy)]
pub(crate) struct IkeKeys<'a> {
    pub(crate) spi_i: [u8; 8],
    pub(crate) spi_r: [u8; 8],
    pub(crate) encr: EncrId,
    pub(crate) key_bits: Option<u16>,
    pub(crate) integ: IntegId,
    /// Key and salt.
    pub(crate) sk_ei: &'a [u8],
    pub(crate) sk_er: &'a [u8],
    pub(crate) sk_ai: &'a [u8],
    pub(crate) sk_ar: &'a [u8],
}

/// The two open files.
pub(crate) struct KeyLog {
    ike: File,
    esp: File,
}

impl KeyLog {
    /// Opens both files below `dir`, which is made if need be; only their owner may read them.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let open = |name| OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(name));
        Ok(Self { ike: open("ikev2_decryption_table")?, esp: open("esp_sa")? })
    }

    /// Adds an IKE SA.
    pub(crate) fn ike(&mut self, keys: &IkeKeys<'_>) -> io::Result<()> {
        match ike_line(keys) {
            Some(line) => self.ike.write_all(line.as_bytes()),
            None => {
                tracing::warn!("Wireshark cannot decrypt IKE with {} and {}", keys.encr, keys.integ);
                Ok(())
            }
        }
    }

    /// Adds one direction of a Child SA.
    pub(crate) fn esp(&mut self, sa: &SaParams) -> io::Result<()> {
        match esp_line(sa) {
            Some(line) => self.esp.write_all(line.as_bytes()),
            None => {
                tracing::warn!("Wireshark cannot decrypt ESP with {} and {}", sa.suite.encr, sa.suite.integ);
                Ok(())
            }
        }
    }
}

/// SPIi, SPIr, SK_ei, SK_er, "cipher", SK_ai, SK_ar, "integrity".
fn ike_line(k: &IkeKeys<'_>) -> Option<String> {
    let bits = k.key_bits.unwrap_or(0);
    let encr = match k.encr {
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
    let [i, r, ei, er, ai, ar] = [&k.spi_i[..], &k.spi_r, k.sk_ei, k.sk_er, k.sk_ai, k.sk_ar].map(hex);
    Some(format!("{i},{r},{ei},{er},\"{encr}\",{ai},{ar},\"{integ}\"\n"))
}

/// "version","source","destination","0xSPI","cipher","0xkey","integrity","0xkey"; addresses are the outer ones.
fn esp_line(sa: &SaParams) -> Option<String> {
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
        Direction::Inbound => (sa.path.remote, sa.path.local),
        Direction::Outbound => (sa.path.local, sa.path.remote),
    };
    let version = if to.is_ipv6() { "IPv6" } else { "IPv4" };
    let key = |k: &[u8]| if k.is_empty() { String::new() } else { format!("0x{}", hex(k)) };
    let (encr_key, integ_key) = (key(sa.suite.encr_key.expose()), key(sa.suite.integ_key.expose()));
    let (from, to, spi) = (from.ip(), to.ip(), sa.spi);
    Some(format!(
        "\"{version}\",\"{from}\",\"{to}\",\"0x{spi}\",\"{encr}\",\"{encr_key}\",\"{integ}\",\"{integ_key}\"\n"
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

#[cfg(test)]
mod tests;
