//! PKCS#12 (RFC 7292): a private key and its certificates in one file under a password, as most CAs hand them out.
//! Decoding and decryption are p12-keystore's: PBES2 with PBKDF2 or scrypt and AES, and what stood before (3DES, RC2-40).
//! What the file says of names and local key ids is not believed: our certificate is the one with the key's public key,
//! and its issuers are found by their names.

use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use ravelin::crypto::Provider;
use ravelin::db::pad::Credential;
use ravelin::ike::auth::x509::MAX_CHAIN;
use ravelin::ike::auth::x509::read::Facts;

/// Octets of a file at most.
const MAX: usize = 1 << 20;

/// The credential in a PKCS#12 file (DER): its one private key with the certificates that belong to it, without the
/// root. The password may be empty. Key derivation takes as many iterations as the file says, up to a million.
///
/// # Errors
/// What is wrong with the file or the password, for an operator.
pub fn open(file: &[u8], password: &str, provider: &Provider) -> Result<Credential, String> {
    if file.len() > MAX {
        return Err(format!("{} octets; expected a PKCS#12 file of at most {MAX}", file.len()));
    }
    let archive = Pkcs12Archive::from_pkcs12(file, password).map_err(|e| explain(&e))?;
    let [bag] = archive.keys.as_slice() else {
        return Err(format!("{} private keys stand in the PKCS#12 file; expected one", archive.keys.len()));
    };
    let key = provider
        .signing_key(bag.key.as_der())
        .map_err(|e| format!("the provider {} refuses the key of the PKCS#12 file: {e}", provider.name))?;
    let mut all = Vec::new();
    for bag in &archive.certs {
        all.push((Facts::of(bag.cert.as_der())?, bag.cert.as_der()));
    }
    let mut next = all.iter().find(|(facts, _)| facts.public_key == key.public_key());
    if next.is_none() {
        let count = all.len();
        return Err(format!("{count} certificates stand in the PKCS#12 file, but none of them is that of its key"));
    }
    let mut chain: Vec<Vec<u8>> = Vec::new();
    while let Some((facts, der)) = next.filter(|_| chain.len() < MAX_CHAIN) {
        chain.push(der.to_vec());
        // A root is its own issuer: the peer has it or does not believe it.
        let above = |f: &Facts| f.subject_der == facts.issuer_der && f.subject_der != f.issuer_der;
        next = all.iter().find(|(f, der)| above(f) && !chain.iter().any(|c| c.as_slice() == *der));
    }
    Ok(Credential::new(chain, key.into()))
}

fn explain(error: &Error) -> String {
    match error {
        Error::MacError(_) => "the PKCS#12 password is wrong, or the file is damaged (RFC 7292 section 5.1)".into(),
        Error::DerError(_) => "expected a PKCS#12 file (RFC 7292), in DER".into(),
        other => format!("the PKCS#12 file cannot be opened: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        ravelin::crypto::rustcrypto::provider()
    }

    macro_rules! file {
        ($name:literal) => {
            (include_bytes!(concat!("../tests/pkcs12/", $name)) as &[u8])
        };
    }

    /// By openssl (`tests/pkcs12/make.sh`): as it does by default, as old systems do, and without protection.
    const FILES: [(&str, &[u8], &str); 4] = [
        ("by default", file!("default.p12"), "geheim \u{e4}"),
        ("3DES", file!("old.p12"), "old"),
        ("Ed25519, empty password", file!("ed25519.p12"), ""),
        ("in the clear", file!("clear.p12"), ""),
    ];

    #[test]
    fn a_key_with_its_chain() {
        for (name, file, password) in FILES {
            let credential = open(file, password, &provider()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let subjects: Vec<String> = credential.chain.iter().map(|c| Facts::of(c).unwrap().subject()).collect();
            assert_eq!(subjects, ["CN=leaf.test", "CN=sub"], "{name}: our own first, without the root");
            assert_eq!(Facts::of(&credential.chain[0]).unwrap().public_key, credential.public_key);
            assert!(credential.key.is_some() && !credential.schemes.is_empty());
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why = |file: &[u8], password: &str| open(file, password, &provider()).map(drop).unwrap_err();
        for (name, file, password) in FILES.into_iter().take(3) {
            let said = why(file, &[password, "x"].concat());
            assert!(said.contains("PKCS#12 password is wrong"), "{name}: {said}");
        }
        assert!(why(b"-----BEGIN", "").contains("expected a PKCS#12 file"));
        assert!(why(&[0; MAX + 1], "").contains("at most"));
        assert!(why(file!("no-key.p12"), "").contains("0 private keys"), "{}", why(file!("no-key.p12"), ""));
        let other = why(file!("other.p12"), "");
        assert!(other.contains("1 certificates stand in the PKCS#12 file, but none"), "{other}");
    }

    /// Cut and damaged: an error or a credential, never a panic. The one in the clear is read to its core.
    #[test]
    fn damage_never_panics() {
        let full = std::env::var_os("RAVELIN_FULL").is_some();
        for (name, file, password) in FILES {
            let step = if full || name == "in the clear" { 1 } else { 29 };
            let open = |file: &[u8]| drop(open(file, password, &provider()));
            for at in (0..file.len()).step_by(step) {
                open(&file[..at]);
                for bits in [1, 0x80, 0xFF] {
                    let mut bad = file.to_vec();
                    bad[at] ^= bits;
                    open(&bad);
                }
                let mut less = file.to_vec();
                less.remove(at);
                open(&less);
            }
        }
    }
}
