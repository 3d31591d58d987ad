//! Proposals as operators write them: words joined by `-`, as in `aes256gcm16-prfsha384-ecp384`; several words of one
//! kind are alternatives. To add an algorithm: one line in [`WORDS`].

use ravelin_crypto::{EncrId, IntegId, KeId, PrfId, SnId};

/// One proposal (RFC 7296 §3.3): alternatives of each transform type, most wanted first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Proposal {
    /// Type 1, with the key length in bits where the transform has one.
    pub(crate) encr: Vec<(EncrId, Option<u16>)>,
    /// Type 2; IKE only.
    pub(crate) prf: Vec<PrfId>,
    /// Type 3; empty with an AEAD.
    pub(crate) integ: Vec<IntegId>,
    /// Type 4; for ESP: of rekeying with new key exchange.
    pub(crate) ke: Vec<KeId>,
    /// Type 5; ESP only.
    pub(crate) sn: Vec<SnId>,
}

#[derive(Clone, Copy)]
enum Word {
    Aead(EncrId, u16),
    /// ChaCha20-Poly1305 has no Key Length attribute (RFC 7634 §4).
    AeadFixed(EncrId),
    Cipher(EncrId, u16),
    /// Also stands for the PRF of the same hash when no PRF is named.
    Integ(IntegId, PrfId),
    Prf(PrfId),
    Ke(KeId),
    Sn(SnId),
}

const WORDS: &[(&str, Word)] = &[
    ("aes128gcm16", Word::Aead(EncrId::AES_GCM_16, 128)),
    ("aes192gcm16", Word::Aead(EncrId::AES_GCM_16, 192)),
    ("aes256gcm16", Word::Aead(EncrId::AES_GCM_16, 256)),
    ("chacha20poly1305", Word::AeadFixed(EncrId::CHACHA20_POLY1305)),
    ("aes128", Word::Cipher(EncrId::AES_CBC, 128)),
    ("aes192", Word::Cipher(EncrId::AES_CBC, 192)),
    ("aes256", Word::Cipher(EncrId::AES_CBC, 256)),
    ("sha1", Word::Integ(IntegId::HMAC_SHA1_96, PrfId::HMAC_SHA1)),
    ("sha256", Word::Integ(IntegId::HMAC_SHA2_256_128, PrfId::HMAC_SHA2_256)),
    ("sha384", Word::Integ(IntegId::HMAC_SHA2_384_192, PrfId::HMAC_SHA2_384)),
    ("sha512", Word::Integ(IntegId::HMAC_SHA2_512_256, PrfId::HMAC_SHA2_512)),
    ("prfsha1", Word::Prf(PrfId::HMAC_SHA1)),
    ("prfsha256", Word::Prf(PrfId::HMAC_SHA2_256)),
    ("prfsha384", Word::Prf(PrfId::HMAC_SHA2_384)),
    ("prfsha512", Word::Prf(PrfId::HMAC_SHA2_512)),
    ("modp2048", Word::Ke(KeId::MODP_2048)),
    ("modp3072", Word::Ke(KeId::MODP_3072)),
    ("modp4096", Word::Ke(KeId::MODP_4096)),
    ("ecp256", Word::Ke(KeId::ECP_256)),
    ("ecp384", Word::Ke(KeId::ECP_384)),
    ("ecp521", Word::Ke(KeId::ECP_521)),
    ("x25519", Word::Ke(KeId::CURVE25519)),
    ("noesn", Word::Sn(SnId::SEQUENTIAL_32)),
    ("esn", Word::Sn(SnId::PARTIAL_64)),
];

/// What a proposal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Ike,
    Esp,
}

/// Reads `text`; the error says what is wrong with it.
pub(crate) fn proposal(text: &str, protocol: Protocol) -> Result<Proposal, String> {
    let (mut p, mut aead, mut implied) = (Proposal::default(), false, Vec::new());
    let mut cipher = false;
    for word in text.split('-') {
        let Some((_, word)) = WORDS.iter().find(|(name, _)| *name == word) else {
            let names: Vec<_> = WORDS.iter().map(|(n, _)| *n).collect();
            return Err(format!("unknown algorithm \"{word}\" in \"{text}\"; known are {}", names.join(" ")));
        };
        match *word {
            Word::Aead(id, bits) => {
                aead = true;
                p.encr.push((id, Some(bits)));
            }
            Word::AeadFixed(id) => {
                aead = true;
                p.encr.push((id, None));
            }
            Word::Cipher(id, bits) => {
                cipher = true;
                p.encr.push((id, Some(bits)));
            }
            Word::Integ(id, prf) => {
                p.integ.push(id);
                implied.push(prf);
            }
            Word::Prf(id) => p.prf.push(id),
            Word::Ke(id) => p.ke.push(id),
            Word::Sn(id) => p.sn.push(id),
        }
    }
    // a PRF named is the only one offered; else that of the integrity algorithm's hash
    if p.prf.is_empty() && protocol == Protocol::Ike {
        p.prf = implied;
    }
    check(&p, protocol, aead, cipher).map_err(|why| format!("\"{text}\": {why}"))?;
    if protocol == Protocol::Ike && aead {
        p.integ.clear();
    }
    if protocol == Protocol::Esp && p.sn.is_empty() {
        p.sn.push(SnId::SEQUENTIAL_32);
    }
    Ok(p)
}

fn check(p: &Proposal, protocol: Protocol, aead: bool, cipher: bool) -> Result<(), &'static str> {
    if p.encr.is_empty() {
        return Err("no encryption algorithm; expected one such as aes256gcm16");
    }
    if aead && cipher {
        return Err("AEADs and other ciphers cannot stand in one proposal (RFC 7296 §3.3); make two of them");
    }
    if cipher && p.integ.is_empty() {
        return Err("no integrity algorithm; expected one such as sha256");
    }
    match protocol {
        Protocol::Ike if p.prf.is_empty() => Err("no PRF; expected one such as prfsha256"),
        Protocol::Ike if p.ke.is_empty() => Err("no key exchange method; expected one such as x25519"),
        Protocol::Ike if !p.sn.is_empty() => Err("esn and noesn belong to ESP"),
        Protocol::Esp if !p.prf.is_empty() => Err("a PRF belongs to IKE"),
        Protocol::Esp if aead && !p.integ.is_empty() => Err("an AEAD takes no integrity algorithm"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ike_suites() {
        let p = proposal("aes256gcm16-prfsha384-ecp384", Protocol::Ike).unwrap();
        assert_eq!(p.encr, [(EncrId::AES_GCM_16, Some(256))]);
        assert_eq!((p.prf, p.integ, p.ke), (vec![PrfId::HMAC_SHA2_384], vec![], vec![KeId::ECP_384]));
        let p = proposal("aes128-aes256-sha256-sha512-modp2048-x25519", Protocol::Ike).unwrap();
        assert_eq!(p.encr.len(), 2);
        assert_eq!(p.integ, [IntegId::HMAC_SHA2_256_128, IntegId::HMAC_SHA2_512_256]);
        assert_eq!(p.prf, [PrfId::HMAC_SHA2_256, PrfId::HMAC_SHA2_512], "of the integrity algorithms");
        let p = proposal("chacha20poly1305-sha256-x25519", Protocol::Ike).unwrap();
        assert_eq!((p.prf, p.integ), (vec![PrfId::HMAC_SHA2_256], vec![]), "with an AEAD a hash means the PRF only");
    }

    #[test]
    fn esp_suites() {
        let p = proposal("aes128-sha256-esn-noesn-ecp256", Protocol::Esp).unwrap();
        assert_eq!(p.sn, [SnId::PARTIAL_64, SnId::SEQUENTIAL_32]);
        assert_eq!((p.prf, p.ke), (vec![], vec![KeId::ECP_256]));
        let p = proposal("chacha20poly1305", Protocol::Esp).unwrap();
        assert_eq!((p.encr, p.sn), (vec![(EncrId::CHACHA20_POLY1305, None)], vec![SnId::SEQUENTIAL_32]));
    }

    #[test]
    fn refusals_name_what_is_missing() {
        let refused = |text, protocol| proposal(text, protocol).unwrap_err();
        assert!(refused("aes512-sha256", Protocol::Esp).starts_with("unknown algorithm \"aes512\""));
        assert!(refused("aes128gcm16-x25519", Protocol::Ike).contains("no PRF"));
        assert!(refused("aes128gcm16-prfsha256", Protocol::Ike).contains("no key exchange"));
        assert!(refused("aes128", Protocol::Esp).contains("no integrity"));
        assert!(refused("aes128-aes128gcm16-sha256", Protocol::Esp).contains("two of them"));
        assert!(refused("aes128gcm16-sha256", Protocol::Esp).contains("takes no integrity"));
        assert!(refused("aes128gcm16-prfsha256-x25519-esn", Protocol::Ike).contains("belong to ESP"));
        assert!(refused("", Protocol::Esp).contains("unknown algorithm \"\""));
    }
}
