//! Exchange types (RFC 7296 §3.1, RFC 5723, RFC 9838, RFC 9242, RFC 9370). One line adds an exchange.

ravelin_crypto::registry! {
    /// The exchange a message belongs to; one octet of the IKE header.
    pub struct ExchangeType(u8) {
        IKE_SA_INIT = 34, IKE_AUTH = 35, CREATE_CHILD_SA = 36, INFORMATIONAL = 37, IKE_SESSION_RESUME = 38,
        GSA_AUTH = 39, GSA_REGISTRATION = 40, GSA_REKEY = 41, GSA_INBAND_REKEY = 42, IKE_INTERMEDIATE = 43,
        IKE_FOLLOWUP_KE = 44,
    }
}

impl ExchangeType {
    /// True for the exchanges whose messages have no SK payload: there are no keys yet (RFC 7296 §1.2, RFC 5723 §4.3).
    #[must_use]
    pub fn is_unprotected(self) -> bool {
        matches!(self, Self::IKE_SA_INIT | Self::IKE_SESSION_RESUME)
    }
}
