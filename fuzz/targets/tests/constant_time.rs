//! Where secrets are compared the comparison takes the same time whatever they are: read from the sources, since a
//! stopwatch proves nothing on a busy machine. An exception is named here with its reason.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            out.push(path);
        }
    }
}

fn core() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["crypto/src", "sa-db/src", "ike-proto/src", "esp/src", "src"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 150, "the sources are not where they were: {}", files.len());
    let read = |f: PathBuf| {
        let text = std::fs::read_to_string(&f).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_string();
        (f, code)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn no_secret_is_compared_by_the_ordinary_operator() {
    for (file, code) in core() {
        for (n, line) in code.lines().enumerate() {
            let text = line.trim();
            if text.starts_with("//") {
                continue;
            }
            let exposed =
                text.contains(".expose()") && (text.contains("==") || text.contains("!=") || text.contains(".eq("));
            // Lengths are no secret.
            let length = text.contains(".expose().len()");
            assert!(!exposed || length, "{}:{}: {text}", file.display(), n + 1);
        }
    }
}

#[test]
fn every_place_that_checks_a_value_of_the_peer_uses_subtle() {
    let files = core();
    let find = |name: &str| {
        let (_, code) = files.iter().find(|(f, _)| f.ends_with(name)).unwrap_or_else(|| panic!("{name} is gone"));
        code
    };
    for (name, what) in [
        ("ike-proto/src/auth/psk.rs", "AUTH values, NULL and EAP included"),
        ("ike-proto/src/endpoint/gate.rs", "cookies"),
        ("ike-proto/src/eap/mschapv2/mod.rs", "NT responses and the server's proof"),
        ("ike-proto/src/eap/md5.rs", "responses"),
        ("ike-proto/src/eap/gtc.rs", "passwords"),
        ("ike-proto/src/ext/ppk.rs", "confirmations of a PPK"),
        ("crypto/src/secret.rs", "Secret"),
        ("crypto/src/integ.rs", "check values of IKE, ESP and AH"),
    ] {
        let code = find(name);
        let here = code.contains("ct_eq");
        // Traits may leave it to their implementations.
        let below =
            || files.iter().any(|(f, c)| f.to_string_lossy().contains("rustcrypto/integ") && c.contains("ct_eq"));
        assert!(here || (name.ends_with("integ.rs") && below()), "{name}: {what} are compared without ct_eq");
    }
}

/// Padding is looked at only behind a good check value, so that it is no oracle (encrypt-then-MAC, RFC 7296 §3.14).
#[test]
fn padding_is_read_after_the_check_value() {
    for (file, code) in core() {
        if file.ends_with("ike-proto/src/seal/sk.rs") {
            let open = &code[code.find("pub fn open").expect("open")..];
            let (check, pad) =
                (open.find(".verify(").expect("a check"), open.find("split_last()").expect("the padding"));
            assert!(check < pad, "{}", file.display());
        }
        if file.ends_with("esp/src/inbound.rs") {
            let open = &code[code.find("pub fn open").expect("open")..];
            assert!(open.find("transform.open").expect("the check") < open.find("self.finish").expect("the trailer"));
        }
    }
}
