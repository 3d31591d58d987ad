//! The configuration in TOML: every text gives a configuration or an error with a place in the text; secrets stay out of it.

use crate::sk::provider;
use std::path::Path;

const SECRET: &str = "hunter2-the-secret";

/// The value stands at a key that is none of a secret's, and may be repeated in a complaint about that key.
fn is_public(text: &str) -> bool {
    let secret = |line: &str| ["psk", "ppk", "password", "secret"].iter().any(|key| line.trim_start().starts_with(key));
    text.lines().any(|line| line.contains(SECRET) && !secret(line))
}

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A configuration names files; no file of this machine is read here.
    if text.contains('/') && (text.contains("/dev") || text.contains("/proc")) {
        return;
    }
    let public = is_public(text);
    match ravelin_config::Config::parse(Path::new("/nonexistent/fuzz.toml"), text, provider()) {
        Ok(config) => {
            assert!(public || !format!("{:?}", config.db).contains(SECRET), "a secret is printed");
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 4096 + 2 * text.len(), "an error of {} octets", said.len());
            assert!(public || !said.contains(SECRET), "a secret is printed: {said}");
        }
    }
}
