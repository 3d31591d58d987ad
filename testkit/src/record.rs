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
use ravelin::keylog::{ESP_TABLE, IKE_TABLE, esp_line, ike_line};
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
        std::fs::write(dir.join(IKE_TABLE), ike)?;
        std::fs::write(dir.join(ESP_TABLE), esp)?;
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
