//! Key-log files for Wireshark, off unless asked for (`--keylog DIR`): `ikev2_decryption_table` and `esp_sa`, whose lines
//! `ravelin::keylog` makes. Whoever holds these files reads the traffic.

use ravelin::Event;
use ravelin::db::SaParams;
use ravelin::ike::event::IkeKeyLog;
use ravelin::keylog::{ESP_TABLE, IKE_TABLE, esp_line, ike_line};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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
        Ok(Self { ike: open(IKE_TABLE)?, esp: open(ESP_TABLE)? })
    }

    /// Writes down the keys that an event brings.
    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::IkeKeys(keys) => self.ike(keys),
            Event::ChildKeys { inbound, outbound } => self.esp(inbound).and_then(|()| self.esp(outbound)),
            _ => Ok(()),
        }
    }

    fn ike(&mut self, keys: &IkeKeyLog) -> io::Result<()> {
        match ike_line(keys) {
            Some(line) => self.ike.write_all(line.as_bytes()),
            None => {
                tracing::warn!("Wireshark cannot decrypt IKE with {:?} and {}", keys.encr, keys.integ);
                Ok(())
            }
        }
    }

    fn esp(&mut self, sa: &SaParams) -> io::Result<()> {
        match esp_line(sa) {
            Some(line) => self.esp.write_all(line.as_bytes()),
            None => {
                tracing::warn!("Wireshark cannot decrypt ESP with {} and {}", sa.suite.encr, sa.suite.integ);
                Ok(())
            }
        }
    }
}
