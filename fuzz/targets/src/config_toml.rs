//! The configuration in TOML: every text gives a configuration or an error with a place in the text; secrets stay out of it.

use crate::sk::provider;
use std::path::Path;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A configuration names files; no file of this machine is read here.
    if text.contains('/') && (text.contains("/dev") || text.contains("/proc")) {
        return;
    }
    match ravelin_config::Config::parse(Path::new("/nonexistent/fuzz.toml"), text, provider()) {
        Ok(config) => {
            assert!(!format!("{:?}", config.db).contains("hunter2-the-secret"), "a secret is printed");
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 4096 + 2 * text.len(), "an error of {} octets", said.len());
            assert!(!said.contains("hunter2-the-secret"), "a secret is printed: {said}");
        }
    }
}
