//! Traffic selector types (RFC 7296 §3.13.1, RFC 4595, RFC 9478). One line adds a type.

ravelin_crypto::registry! {
    /// The shape of one traffic selector.
    pub struct TsType(u8) { IPV4_ADDR_RANGE = 7, IPV6_ADDR_RANGE = 8, FC_ADDR_RANGE = 9, SECLABEL = 10 }
}
