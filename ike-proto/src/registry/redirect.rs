//! New responder identity types of REDIRECT (RFC 5685 §7.2). One line adds a type.

ravelin_crypto::registry! {
    /// How the new gateway of a REDIRECT is named.
    pub struct GatewayType(u8) { IPV4 = 1, IPV6 = 2, FQDN = 3 }
}
