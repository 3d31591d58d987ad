//! IANA's "Transform Type Values" and "Transform IDs" (IKEv2 Parameters), as of late 2026.
//!
//! Each registry is a newtype over the wire integer with named constants: an unknown number survives a round
//! trip and prints as a number. To add an entry: one line in its table.

/// Makes a newtype over a wire integer with named constants. Unknown values are legal values.
///
/// ```
/// ravelin_crypto::registry! {
///     /// A registry of two entries.
///     pub struct Colour(u8) { RED = 1, GREEN = 2 }
/// }
/// assert_eq!(Colour::RED.to_string(), "RED");
/// assert_eq!(Colour(9).to_string(), "9");
/// ```
#[macro_export]
macro_rules! registry {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($int:ty) { $($entry:ident = $value:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub $int);

        #[allow(missing_docs, reason = "the names are IANA's own")]
        #[allow(non_upper_case_globals, reason = "some registered names have lower-case letters")]
        impl $name {
            $($vis const $entry: Self = Self($value);)*
            /// Every registered value with its name, in table order.
            $vis const KNOWN: &'static [(Self, &'static str)] = &[$((Self($value), stringify!($entry))),*];

            /// The registered name, if there is one.
            #[must_use]
            $vis fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($entry)),)* _ => None }
            }
        }
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() { Some(n) => f.pad(n), None => core::fmt::Display::fmt(&self.0, f) }
            }
        }
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() { Some(n) => write!(f, "{n}({})", self.0), None => write!(f, concat!(stringify!($name), "({})"), self.0) }
            }
        }
        impl From<$int> for $name { fn from(v: $int) -> Self { Self(v) } }
        impl From<$name> for $int { fn from(v: $name) -> Self { v.0 } }
    };
}

registry! {
    /// Transform types (RFC 7296 §3.3.2, RFC 9370, RFC 9838).
    pub struct TransformType(u8) {
        ENCR = 1, PRF = 2, INTEG = 3, KE = 4, SN = 5, ADDKE1 = 6, ADDKE2 = 7, ADDKE3 = 8, ADDKE4 = 9,
        ADDKE5 = 10, ADDKE6 = 11, ADDKE7 = 12, KWA = 13, GCAUTH = 14,
    }
}

registry! {
    /// Transform type 1, encryption algorithms.
    pub struct EncrId(u16) {
        DES_IV64 = 1, DES = 2, TRIPLE_DES = 3, RC5 = 4, IDEA = 5, CAST = 6, BLOWFISH = 7, TRIPLE_IDEA = 8, DES_IV32 = 9,
        NULL = 11, AES_CBC = 12, AES_CTR = 13, AES_CCM_8 = 14, AES_CCM_12 = 15, AES_CCM_16 = 16, AES_GCM_8 = 18,
        AES_GCM_12 = 19, AES_GCM_16 = 20, NULL_AUTH_AES_GMAC = 21, CAMELLIA_CBC = 23, CAMELLIA_CTR = 24,
        CAMELLIA_CCM_8 = 25, CAMELLIA_CCM_12 = 26, CAMELLIA_CCM_16 = 27, CHACHA20_POLY1305 = 28, AES_CCM_8_IIV = 29,
        AES_GCM_16_IIV = 30, CHACHA20_POLY1305_IIV = 31, KUZNYECHIK_MGM_KTREE = 32, MAGMA_MGM_KTREE = 33,
        KUZNYECHIK_MGM_MAC_KTREE = 34, MAGMA_MGM_MAC_KTREE = 35,
    }
}

registry! {
    /// Transform type 2, pseudorandom functions.
    pub struct PrfId(u16) {
        HMAC_MD5 = 1, HMAC_SHA1 = 2, HMAC_TIGER = 3, AES128_XCBC = 4, HMAC_SHA2_256 = 5, HMAC_SHA2_384 = 6,
        HMAC_SHA2_512 = 7, AES128_CMAC = 8, HMAC_STREEBOG_512 = 9,
    }
}

registry! {
    /// Transform type 3, integrity algorithms.
    pub struct IntegId(u16) {
        NONE = 0, HMAC_MD5_96 = 1, HMAC_SHA1_96 = 2, DES_MAC = 3, KPDK_MD5 = 4, AES_XCBC_96 = 5, HMAC_MD5_128 = 6,
        HMAC_SHA1_160 = 7, AES_CMAC_96 = 8, AES_128_GMAC = 9, AES_192_GMAC = 10, AES_256_GMAC = 11,
        HMAC_SHA2_256_128 = 12, HMAC_SHA2_384_192 = 13, HMAC_SHA2_512_256 = 14,
    }
}

registry! {
    /// Transform types 4 and 6 to 12, key exchange methods.
    pub struct KeId(u16) {
        NONE = 0, MODP_768 = 1, MODP_1024 = 2, MODP_1536 = 5, MODP_2048 = 14, MODP_3072 = 15, MODP_4096 = 16,
        MODP_6144 = 17, MODP_8192 = 18, ECP_256 = 19, ECP_384 = 20, ECP_521 = 21, MODP_1024_160 = 22,
        MODP_2048_224 = 23, MODP_2048_256 = 24, ECP_192 = 25, ECP_224 = 26, BRAINPOOL_P224R1 = 27,
        BRAINPOOL_P256R1 = 28, BRAINPOOL_P384R1 = 29, BRAINPOOL_P512R1 = 30, CURVE25519 = 31, CURVE448 = 32,
        GOST3410_2012_256 = 33, GOST3410_2012_512 = 34, ML_KEM_512 = 35, ML_KEM_768 = 36, ML_KEM_1024 = 37,
    }
}

registry! {
    /// Transform type 5, sequence numbers (RFC 9827; "ESN" before).
    pub struct SnId(u16) { SEQUENTIAL_32 = 0, PARTIAL_64 = 1, UNSPECIFIED_32 = 2 }
}

registry! {
    /// Transform type 13, key wrap algorithms (RFC 9838).
    pub struct KwaId(u16) { KW_5649_128 = 1, KW_5649_192 = 2, KW_5649_256 = 3, KW_ARX = 4 }
}

registry! {
    /// Transform type 14, group controller authentication (RFC 9838).
    pub struct GcAuthId(u16) { IMPLICIT = 1, DIGITAL_SIGNATURE = 2 }
}

registry! {
    /// Hash algorithms of RFC 7427 (SIGNATURE_HASH_ALGORITHMS).
    pub struct AuthHashId(u16) {
        SHA1 = 1, SHA2_256 = 2, SHA2_384 = 3, SHA2_512 = 4, IDENTITY = 5, STREEBOG_256 = 6, STREEBOG_512 = 7,
    }
}

registry! {
    /// Transform attribute types (RFC 7296 §3.3.5).
    pub struct AttributeType(u16) { KEY_LENGTH = 14, SIGNATURE_ALGORITHM_IDENTIFIER = 18 }
}

impl EncrId {
    /// Combined-mode (AEAD) ciphers bring their own integrity (RFC 5282 §8, RFC 8750, RFC 4543).
    #[must_use]
    pub fn is_aead(self) -> bool {
        matches!(self.0, 14..=16 | 18..=21 | 25..=35)
    }

    /// True when a Key Length attribute must be given (RFC 7296 §3.3.5), false when it must not.
    #[must_use]
    pub fn needs_key_length(self) -> bool {
        matches!(self.0, 4..=7 | 12..=16 | 18..=21 | 23..=27 | 29 | 30)
    }

    /// Implicit-IV transforms (RFC 8750): ESP only, the IV is the sequence number and is not sent.
    #[must_use]
    pub fn is_implicit_iv(self) -> bool {
        matches!(self.0, 29..=31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn unknown_numbers_survive() {
        assert_eq!(EncrId(999).to_string(), "999");
        assert_eq!(u16::from(EncrId::from(999)), 999);
        assert_eq!(EncrId::AES_GCM_16.to_string(), "AES_GCM_16");
        assert_eq!(alloc::format!("{:?}", KeId(40)), "KeId(40)");
    }

    #[test]
    fn gaps_of_the_registries_are_unnamed() {
        assert!(EncrId(10).name().is_none() && EncrId(17).name().is_none() && EncrId(22).name().is_none());
        assert!(KeId(3).name().is_none() && KeId(13).name().is_none() && KeId(38).name().is_none());
    }
}
