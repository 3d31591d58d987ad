//! Writes the seeds that the code makes into `fuzz/corpus`, and the dictionaries into `fuzz/dict`.

use ravelin::ike::registry::{ConfigAttributeType, EapType, ExchangeType, NotifyType, PayloadType};
use ravelin_fuzz_targets::seeds;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (target, octets) in seeds::all() {
        let folder = fuzz.join("corpus").join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("seed-{:016x}", hash(&octets))), octets)?;
    }
    let mut text =
        String::from("# Numbers of IANA's registries as they stand on the wire; made by `examples/seeds.rs`.\n");
    let mut word = |name: &str, octets: &[u8]| {
        let hex: String = octets.iter().map(|b| format!("\\x{b:02x}")).collect();
        let _ = writeln!(text, "{}=\"{hex}\"", name.to_lowercase());
    };
    for (value, name) in ExchangeType::KNOWN {
        word(&format!("exchange_{name}"), &[0x20, value.0]);
    }
    for (value, name) in PayloadType::KNOWN {
        word(&format!("payload_{name}"), &[value.0, 0]);
    }
    for (value, name) in NotifyType::KNOWN {
        word(&format!("notify_{name}"), &value.0.to_be_bytes());
    }
    for (value, name) in ConfigAttributeType::KNOWN {
        word(&format!("config_{name}"), &value.0.to_be_bytes());
    }
    for (value, name) in EapType::KNOWN {
        word(&format!("eap_{name}"), &[value.0]);
    }
    word("key_length_128", &[0x80, 14, 0, 128]);
    word("key_length_256", &[0x80, 14, 1, 0]);
    word("aes_gcm", &[3, 0, 0, 12, 1, 0, 0, 20]);
    word("last_transform_x25519", &[0, 0, 0, 8, 4, 0, 0, 31]);
    word("non_esp_marker", &[0, 0, 0, 0]);
    std::fs::create_dir_all(fuzz.join("dict"))?;
    std::fs::write(fuzz.join("dict/ikev2.dict"), text)
}

/// FNV-1a: names that do not change.
fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}
