//! The small languages inside the configuration's strings that the crates do not read themselves: durations, secrets.
//! To add one: a function from text to value, `None` for "not that", and its tests.

use ravelin::crypto::Secret;
use std::time::Duration;

pub(crate) const DURATION: &str = "a duration such as \"90s\", \"5m\", \"4h\", \"2d\" or \"off\"";
pub(crate) const SECRET: &str = "a secret of at least one octet: text, or hexadecimal after 0x";

pub(crate) const YES_NO: &str = "\"yes\" or \"no\"";

/// `yes` or `no`.
pub(crate) fn yes_no(s: &str) -> Option<bool> {
    match s {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// `90s`, `500ms`, `5m`, `4h`, `2d`; `off` is zero.
pub(crate) fn duration(s: &str) -> Option<Duration> {
    if s == "off" {
        return Some(Duration::ZERO);
    }
    let digits = s.find(|c: char| !c.is_ascii_digit())?;
    let (n, unit) = s.split_at_checked(digits)?;
    let n: u64 = n.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(millis).map(Duration::from_millis)
}

/// Hexadecimal after `0x`, else the text's own octets.
pub(crate) fn secret(s: &str) -> Option<Secret> {
    let octets = match s.strip_prefix("0x") {
        Some(h) => hex(h)?,
        None => s.as_bytes().to_vec(),
    };
    (!octets.is_empty()).then(|| Secret::new(octets))
}

fn hex(s: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = s.chars().map(|c| c.to_digit(16)).collect();
    digits?.chunks(2).map(|p| u8::try_from(p.first()? << 4 | p.get(1)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("90s", 90_000), ("5m", 300_000), ("4h", 14_400_000), ("2d", 172_800_000), ("500ms", 500), ("off", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-5s", "5w", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn secrets() {
        let shown = |s: &str| secret(s).map(|s| s.expose().to_vec());
        assert_eq!(shown("0x00ff"), Some(vec![0, 255]));
        assert_eq!(shown("plain"), Some(b"plain".to_vec()));
        assert_eq!(shown(""), None);
        assert_eq!(shown("0x0"), None);
    }
}
