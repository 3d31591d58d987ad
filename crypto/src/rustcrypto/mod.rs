//! The portable provider, made of RustCrypto and dalek crates: no C, no_std, deterministic.
//! To add an algorithm: a file in the folder of its kind, one line in the list here.

mod aead;
mod cipher;
mod hash;
mod integ;
mod ke;
mod prf;
pub(crate) mod sign;
mod xcbc;

use crate::Provider;
use alloc::vec;

/// The portable provider without legacy algorithms.
#[must_use]
pub fn provider() -> Provider {
    Provider {
        name: "portable",
        aeads: vec![
            &aead::aes_gcm::AES_128_GCM_16,
            &aead::aes_gcm::AES_192_GCM_16,
            &aead::aes_gcm::AES_256_GCM_16,
            &aead::chacha20_poly1305::CHACHA20_POLY1305,
            &aead::aes_gcm::AES_128_GCM_12,
            &aead::aes_gcm::AES_192_GCM_12,
            &aead::aes_gcm::AES_256_GCM_12,
            &aead::aes_gcm::AES_128_GCM_8,
            &aead::aes_gcm::AES_192_GCM_8,
            &aead::aes_gcm::AES_256_GCM_8,
            &aead::aes_ccm::AES_128_CCM_16,
            &aead::aes_ccm::AES_192_CCM_16,
            &aead::aes_ccm::AES_256_CCM_16,
            &aead::aes_ccm::AES_128_CCM_12,
            &aead::aes_ccm::AES_192_CCM_12,
            &aead::aes_ccm::AES_256_CCM_12,
            &aead::aes_ccm::AES_128_CCM_8,
            &aead::aes_ccm::AES_192_CCM_8,
            &aead::aes_ccm::AES_256_CCM_8,
            &aead::aes_gmac::AES_128_GMAC,
            &aead::aes_gmac::AES_192_GMAC,
            &aead::aes_gmac::AES_256_GMAC,
            &aead::aes_gcm::AES_128_GCM_16_IIV,
            &aead::aes_gcm::AES_192_GCM_16_IIV,
            &aead::aes_gcm::AES_256_GCM_16_IIV,
            &aead::chacha20_poly1305::CHACHA20_POLY1305_IIV,
            &aead::aes_ccm::AES_128_CCM_8_IIV,
            &aead::aes_ccm::AES_192_CCM_8_IIV,
            &aead::aes_ccm::AES_256_CCM_8_IIV,
        ],
        ciphers: vec![
            &cipher::aes_cbc::AES_128_CBC,
            &cipher::aes_cbc::AES_192_CBC,
            &cipher::aes_cbc::AES_256_CBC,
            &cipher::aes_ctr::AES_128_CTR,
            &cipher::aes_ctr::AES_192_CTR,
            &cipher::aes_ctr::AES_256_CTR,
            &cipher::null::NULL,
        ],
        integs: vec![
            &integ::hmac::HMAC_SHA2_256_128,
            &integ::hmac::HMAC_SHA2_384_192,
            &integ::hmac::HMAC_SHA2_512_256,
            &integ::hmac::HMAC_SHA1_96,
            &integ::aes_xcbc::AES_XCBC_96,
            &integ::aes_cmac::AES_CMAC_96,
        ],
        prfs: vec![
            &prf::hmac::HMAC_SHA2_256,
            &prf::hmac::HMAC_SHA2_384,
            &prf::hmac::HMAC_SHA2_512,
            &prf::hmac::HMAC_SHA1,
            &prf::aes_xcbc::AES128_XCBC,
            &prf::aes_cmac::AES128_CMAC,
        ],
        kes: vec![
            &ke::x25519::CURVE25519,
            &ke::ecp::ECP_256,
            &ke::ecp::ECP_384,
            &ke::ecp::ECP_521,
            &ke::modp::MODP_2048,
            &ke::modp::MODP_3072,
            &ke::modp::MODP_4096,
            &ke::modp::MODP_6144,
            &ke::modp::MODP_8192,
            &ke::ml_kem::ML_KEM_512,
            &ke::ml_kem::ML_KEM_768,
            &ke::ml_kem::ML_KEM_1024,
            #[cfg(feature = "extra-curves")]
            &ke::x448::CURVE448,
            #[cfg(feature = "extra-curves")]
            &ke::brainpool::BRAINPOOL_P256R1,
            #[cfg(feature = "extra-curves")]
            &ke::brainpool::BRAINPOOL_P384R1,
        ],
        hashes: vec![&hash::SHA1, &hash::SHA2_256, &hash::SHA2_384, &hash::SHA2_512],
        signatures: vec![
            &sign::rsa::RSA,
            &sign::ecdsa::ECDSA,
            &sign::ed25519::ED25519,
            #[cfg(feature = "pqc-sign")]
            &sign::ml_dsa::ML_DSA_44,
            #[cfg(feature = "pqc-sign")]
            &sign::ml_dsa::ML_DSA_65,
            #[cfg(feature = "pqc-sign")]
            &sign::ml_dsa::ML_DSA_87,
        ],
    }
}

/// The portable provider with what RFC 8247, 8221 and 9395 advise against: 3DES, MODP 1024 and 1536,
/// and RSA signatures with SHA-1.
/// Only for peers that can do nothing better.
#[must_use]
pub fn provider_with_legacy() -> Provider {
    let legacy = Provider {
        ciphers: vec![&cipher::triple_des::TRIPLE_DES],
        kes: vec![&ke::modp::MODP_1536, &ke::modp::MODP_1024],
        signatures: vec![&sign::rsa::RSA_SHA1],
        ..Provider::default()
    };
    provider().or("portable with legacy algorithms", &legacy)
}
