//! Payload types (RFC 7296 §3.2 and later RFCs). One line adds a payload; its layout is `wire/payload/<name>.rs`.

ravelin_crypto::registry! {
    /// The kind of a payload, as the Next Payload octet before it says. IANA's notations are the names.
    pub struct PayloadType(u8) {
        NONE = 0, SA = 33, KE = 34, IDi = 35, IDr = 36, CERT = 37, CERTREQ = 38, AUTH = 39, NONCE = 40, N = 41, D = 42,
        V = 43, TSi = 44, TSr = 45, SK = 46, CP = 47, EAP = 48, GSPM = 49, IDg = 50, GSA = 51, KD = 52, SKF = 53, PS = 54,
    }
}

impl PayloadType {
    /// True for SK and SKF, which are always last and whose Next Payload speaks of their content (RFC 7296 §3.14).
    #[must_use]
    pub fn is_protected(self) -> bool {
        matches!(self, Self::SK | Self::SKF)
    }

    /// True when this stack understands the payload. The others are skipped, or refused when their critical bit is
    /// set (RFC 7296 §2.5). The G-IKEv2 payloads (RFC 9838) are numbers only.
    #[must_use]
    pub fn is_supported(self) -> bool {
        matches!(self.0, 33..=49 | 53 | 54)
    }
}
