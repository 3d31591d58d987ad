//! EAP codes and method types (RFC 3748, RFC 7296 §3.16). One line adds a method's number.

ravelin_crypto::registry! {
    /// EAP packet codes.
    pub struct EapCode(u8) { REQUEST = 1, RESPONSE = 2, SUCCESS = 3, FAILURE = 4 }
}

ravelin_crypto::registry! {
    /// EAP method types.
    pub struct EapType(u8) {
        IDENTITY = 1, NOTIFICATION = 2, NAK = 3, MD5_CHALLENGE = 4, OTP = 5, GTC = 6, TLS = 13, SIM = 18, TTLS = 21,
        AKA = 23, PEAP = 25, MSCHAPV2 = 26, FAST = 43, AKA_PRIME = 50, PWD = 52, TEAP = 55, EXPANDED = 254,
    }
}
