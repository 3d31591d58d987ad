//! Captures for Wireshark: the trace of a simulation as a pcap file of raw IP packets, and the keys in the formats of
//! its user tables `ikev2_decryption_table` and `esp_sa`. Turn `Sim::record` on before the traffic of interest.
//!
//! `WIRESHARK_CONFIG_DIR=DIR tshark -r DIR/sim.pcap -o esp.enable_encryption_decode:TRUE` then reads everything.

use crate::host::Host;
use crate::message::Carrier;
use crate::packet;
use crate::sim::Sim;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapResult};
use ravelin::crypto::{EncrId, IntegId};
use ravelin::db::{Direction, SaParams};
use ravelin::ike::event::IkeKeyLog;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

impl Sim {
    /// Writes `sim.pcap`, `ikev2_decryption_table` and `esp_sa` into a folder, which is made if need be.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_capture(&self, dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
        std::fs::create_dir_all(dir)?;
        self.write_pcap(std::fs::File::create(dir.join("sim.pcap"))?)?;
        let (mut ike, mut esp) = (String::new(), String::new());
        for host in self.all_hosts() {
            ike.extend(self.host(host).ike_keys.iter().filter_map(|k| ike_line(k)));
            esp.extend(self.esp_lines(host));
        }
        std::fs::write(dir.join("ikev2_decryption_table"), ike)?;
        std::fs::write(dir.join("esp_sa"), esp)?;
        Ok(())
    }

    /// The trace as a pcap file: IP packets as they left their sender.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_pcap(&self, out: impl Write) -> PcapResult<()> {
        let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
        let mut writer = PcapWriter::with_header(out, header)?;
        for entry in self.trace() {
            let m = &entry.message;
            let ip = match m.carrier {
                Carrier::Udp => packet::udp((m.from.ip(), m.from.port()), (m.to.ip(), m.to.port()), &m.bytes),
                Carrier::Esp => packet::ip(m.from.ip(), m.to.ip(), 50, &m.bytes),
            };
            let len = u32::try_from(ip.len()).unwrap_or(u32::MAX);
            writer.write_packet(&PcapPacket::new(Duration::from_micros(m.sent.micros()), len, &ip))?;
        }
        Ok(())
    }

    fn esp_lines(&self, host: Host) -> impl Iterator<Item = String> {
        self.host(host).keys.values().flat_map(|(i, o)| [esp_line(i), esp_line(o)]).flatten()
    }
}

fn ike_line(k: &IkeKeyLog) -> Option<String> {
    let bits = k.encr.key_bits.unwrap_or(0);
    let encr = match k.encr.id {
        EncrId::AES_CBC => format!("AES-CBC-{bits} [RFC3602]"),
        EncrId::AES_GCM_16 => format!("AES-GCM-{bits} with 16 octet ICV [RFC5282]"),
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

fn esp_line(sa: &SaParams) -> Option<String> {
    let encr = match sa.suite.encr {
        EncrId::AES_CBC => "AES-CBC [RFC3602]",
        EncrId::AES_GCM_16 => "AES-GCM with 16 octet ICV [RFC4106]",
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
