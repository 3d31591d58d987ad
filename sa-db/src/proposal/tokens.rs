//! The words of proposal texts, as strongSwan's configuration spells them, both ways.
//! A transform without a word prints as `<type><number>` (`encr999_256`), which reads back.

use super::EncrAlg;
use alloc::format;
use alloc::string::{String, ToString};
use ravelin_crypto::{EncrId, IntegId, KeId, PrfId, SnId};

/// One word, understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Encr(EncrAlg),
    Prf(PrfId),
    Integ(IntegId),
    Ke(KeId),
    Sn(SnId),
    /// Index 0 to 6 for ADDKE1 to ADDKE7.
    AddKe(usize, KeId),
}

/// Ciphers with a key length in their word: `<family><bits><suffix>`; the first suffix of a transform is printed.
const KEYED: &[(EncrId, &str, &str)] = &[
    (EncrId::AES_CBC, "aes", ""),
    (EncrId::AES_CTR, "aes", "ctr"),
    (EncrId::AES_GCM_16, "aes", "gcm16"),
    (EncrId::AES_GCM_16, "aes", "gcm128"),
    (EncrId::AES_GCM_16, "aes", "gcm"),
    (EncrId::AES_GCM_12, "aes", "gcm12"),
    (EncrId::AES_GCM_12, "aes", "gcm96"),
    (EncrId::AES_GCM_8, "aes", "gcm8"),
    (EncrId::AES_GCM_8, "aes", "gcm64"),
    (EncrId::AES_CCM_16, "aes", "ccm16"),
    (EncrId::AES_CCM_16, "aes", "ccm128"),
    (EncrId::AES_CCM_16, "aes", "ccm"),
    (EncrId::AES_CCM_12, "aes", "ccm12"),
    (EncrId::AES_CCM_12, "aes", "ccm96"),
    (EncrId::AES_CCM_8, "aes", "ccm8"),
    (EncrId::AES_CCM_8, "aes", "ccm64"),
    (EncrId::NULL_AUTH_AES_GMAC, "aes", "gmac"),
    (EncrId::AES_GCM_16_IIV, "aes", "gcm16iiv"),
    (EncrId::AES_CCM_8_IIV, "aes", "ccm8iiv"),
    (EncrId::CAMELLIA_CBC, "camellia", ""),
    (EncrId::CAMELLIA_CTR, "camellia", "ctr"),
    (EncrId::CAMELLIA_CCM_16, "camellia", "ccm16"),
    (EncrId::CAMELLIA_CCM_12, "camellia", "ccm12"),
    (EncrId::CAMELLIA_CCM_8, "camellia", "ccm8"),
];
const KEY_BITS: [u16; 3] = [128, 192, 256];

/// Ciphers of fixed size; the first word of a transform is printed.
const FIXED: &[(EncrId, &str)] = &[
    (EncrId::CHACHA20_POLY1305, "chacha20poly1305"),
    (EncrId::CHACHA20_POLY1305_IIV, "chacha20poly1305iiv"),
    (EncrId::TRIPLE_DES, "3des"),
    (EncrId::NULL, "null"),
];

/// Integrity algorithm and the PRF of the same make.
const INTEG: &[(IntegId, &str, Option<PrfId>)] = &[
    (IntegId::HMAC_SHA2_256_128, "sha256", Some(PrfId::HMAC_SHA2_256)),
    (IntegId::HMAC_SHA2_256_128, "sha2_256", Some(PrfId::HMAC_SHA2_256)),
    (IntegId::HMAC_SHA2_384_192, "sha384", Some(PrfId::HMAC_SHA2_384)),
    (IntegId::HMAC_SHA2_384_192, "sha2_384", Some(PrfId::HMAC_SHA2_384)),
    (IntegId::HMAC_SHA2_512_256, "sha512", Some(PrfId::HMAC_SHA2_512)),
    (IntegId::HMAC_SHA2_512_256, "sha2_512", Some(PrfId::HMAC_SHA2_512)),
    (IntegId::HMAC_SHA1_96, "sha1", Some(PrfId::HMAC_SHA1)),
    (IntegId::HMAC_SHA1_96, "sha", Some(PrfId::HMAC_SHA1)),
    (IntegId::HMAC_SHA1_160, "sha1_160", Some(PrfId::HMAC_SHA1)),
    (IntegId::HMAC_MD5_96, "md5", Some(PrfId::HMAC_MD5)),
    (IntegId::HMAC_MD5_128, "md5_128", Some(PrfId::HMAC_MD5)),
    (IntegId::AES_XCBC_96, "aesxcbc", Some(PrfId::AES128_XCBC)),
    (IntegId::AES_CMAC_96, "aescmac", Some(PrfId::AES128_CMAC)),
    (IntegId::AES_128_GMAC, "gmac128", None),
    (IntegId::AES_192_GMAC, "gmac192", None),
    (IntegId::AES_256_GMAC, "gmac256", None),
];

const PRF: &[(PrfId, &str)] = &[
    (PrfId::HMAC_SHA2_256, "prfsha256"),
    (PrfId::HMAC_SHA2_384, "prfsha384"),
    (PrfId::HMAC_SHA2_512, "prfsha512"),
    (PrfId::HMAC_SHA1, "prfsha1"),
    (PrfId::HMAC_MD5, "prfmd5"),
    (PrfId::AES128_XCBC, "prfaesxcbc"),
    (PrfId::AES128_CMAC, "prfaescmac"),
    (PrfId::HMAC_STREEBOG_512, "prfstreebog512"),
];

const KE: &[(KeId, &str)] = &[
    (KeId::NONE, "none"),
    (KeId::NONE, "modpnone"),
    (KeId::MODP_768, "modp768"),
    (KeId::MODP_1024, "modp1024"),
    (KeId::MODP_1536, "modp1536"),
    (KeId::MODP_2048, "modp2048"),
    (KeId::MODP_3072, "modp3072"),
    (KeId::MODP_4096, "modp4096"),
    (KeId::MODP_6144, "modp6144"),
    (KeId::MODP_8192, "modp8192"),
    (KeId::ECP_256, "ecp256"),
    (KeId::ECP_384, "ecp384"),
    (KeId::ECP_521, "ecp521"),
    (KeId::MODP_1024_160, "modp1024s160"),
    (KeId::MODP_2048_224, "modp2048s224"),
    (KeId::MODP_2048_256, "modp2048s256"),
    (KeId::ECP_192, "ecp192"),
    (KeId::ECP_224, "ecp224"),
    (KeId::BRAINPOOL_P224R1, "ecp224bp"),
    (KeId::BRAINPOOL_P256R1, "ecp256bp"),
    (KeId::BRAINPOOL_P384R1, "ecp384bp"),
    (KeId::BRAINPOOL_P512R1, "ecp512bp"),
    (KeId::CURVE25519, "x25519"),
    (KeId::CURVE25519, "curve25519"),
    (KeId::CURVE448, "x448"),
    (KeId::CURVE448, "curve448"),
    (KeId::GOST3410_2012_256, "gost256"),
    (KeId::GOST3410_2012_512, "gost512"),
    (KeId::ML_KEM_512, "mlkem512"),
    (KeId::ML_KEM_768, "mlkem768"),
    (KeId::ML_KEM_1024, "mlkem1024"),
];

const SN: &[(SnId, &str)] = &[(SnId::PARTIAL_64, "esn"), (SnId::SEQUENTIAL_32, "noesn")];

fn find<T: Copy>(table: &[(T, &str)], word: &str) -> Option<T> {
    table.iter().find(|(_, w)| w.eq_ignore_ascii_case(word)).map(|(id, _)| *id)
}

/// `<kind><number>`: the fallback spelling of a transform without a word.
fn numbered(word: &str, kind: &str) -> Option<u16> {
    word.strip_prefix(kind)?.parse().ok()
}

fn encr(word: &str) -> Option<EncrAlg> {
    if let Some(id) = find(FIXED, word) {
        return Some(EncrAlg::fixed(id));
    }
    for (id, family, suffix) in KEYED {
        let Some(rest) = word.strip_prefix(family) else { continue };
        // strongSwan reads a missing length as 128 bits.
        if rest == *suffix {
            return Some(EncrAlg::new(*id, 128));
        }
        for bits in KEY_BITS {
            if rest.strip_prefix(bits.to_string().as_str()) == Some(suffix) {
                return Some(EncrAlg::new(*id, bits));
            }
        }
    }
    let rest = word.strip_prefix("encr")?;
    let (id, bits) = match rest.split_once('_') {
        Some((id, bits)) => (id, Some(bits.parse().ok()?)),
        None => (rest, None),
    };
    Some(EncrAlg { id: EncrId(id.parse().ok()?), key_bits: bits })
}

fn ke(word: &str) -> Option<KeId> {
    find(KE, word).or_else(|| numbered(word, "ke").map(KeId))
}

pub(super) fn token(word: &str) -> Option<Token> {
    let lower = word.to_ascii_lowercase();
    let word = lower.as_str();
    if let Some((n, method)) = word.strip_prefix("ke").and_then(|rest| rest.split_once('_')) {
        let n: usize = n.parse().ok()?;
        return (1..=7).contains(&n).then_some(Token::AddKe(n.checked_sub(1)?, ke(method)?));
    }
    let integ = INTEG.iter().find(|(_, w, _)| *w == word).map(|(id, ..)| *id);
    integ
        .or_else(|| numbered(word, "integ").map(IntegId))
        .map(Token::Integ)
        .or_else(|| encr(word).map(Token::Encr))
        .or_else(|| find(PRF, word).or_else(|| numbered(word, "prf").map(PrfId)).map(Token::Prf))
        .or_else(|| find(SN, word).or_else(|| numbered(word, "sn").map(SnId)).map(Token::Sn))
        .or_else(|| ke(word).map(Token::Ke))
}

/// The PRF that goes with an integrity algorithm when the text names none.
pub(super) fn prf_of(id: IntegId) -> Option<PrfId> {
    INTEG.iter().find(|(i, ..)| *i == id).and_then(|(.., prf)| *prf)
}

fn name<T: Copy + PartialEq>(table: &[(T, &str)], id: T) -> Option<String> {
    table.iter().find(|(i, _)| *i == id).map(|(_, w)| w.to_string())
}

pub(super) fn encr_name(a: EncrAlg) -> String {
    let keyed = |bits: u16| {
        let (_, family, suffix) = KEYED.iter().find(|(id, ..)| *id == a.id)?;
        KEY_BITS.contains(&bits).then(|| format!("{family}{bits}{suffix}"))
    };
    match a.key_bits {
        None => name(FIXED, a.id).unwrap_or_else(|| format!("encr{}", a.id.0)),
        Some(bits) => keyed(bits).unwrap_or_else(|| format!("encr{}_{bits}", a.id.0)),
    }
}

pub(super) fn integ_name(id: IntegId) -> String {
    let word = INTEG.iter().find(|(i, ..)| *i == id).map(|(_, w, _)| w.to_string());
    word.unwrap_or_else(|| format!("integ{}", id.0))
}

pub(super) fn prf_name(id: PrfId) -> String {
    name(PRF, id).unwrap_or_else(|| format!("prf{}", id.0))
}

pub(super) fn ke_name(id: KeId) -> String {
    name(KE, id).unwrap_or_else(|| format!("ke{}", id.0))
}

pub(super) fn sn_name(id: SnId) -> String {
    name(SN, id).unwrap_or_else(|| format!("sn{}", id.0))
}
