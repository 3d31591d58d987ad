//! Authentication methods (RFC 7296 §3.8, RFC 4754, RFC 6467, RFC 7619, RFC 7427). One line adds a method.

ravelin_crypto::registry! {
    /// How the AUTH payload was made.
    pub struct AuthMethod(u8) {
        RSA = 1, SHARED_KEY = 2, DSS = 3, ECDSA_256 = 9, ECDSA_384 = 10, ECDSA_521 = 11, GSPM = 12, NULL = 13,
        DIGITAL_SIGNATURE = 14,
    }
}
