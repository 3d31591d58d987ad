//! Security protocol identifiers (RFC 7296 §3.3.1, RFC 4595, RFC 9838). One line adds a protocol.

ravelin_crypto::registry! {
    /// The protocol a proposal, a Notify or a Delete payload speaks of. NONE stands in a Notify without an SPI.
    pub struct ProtocolId(u8) {
        NONE = 0, IKE = 1, AH = 2, ESP = 3, FC_ESP_HEADER = 4, FC_CT_AUTHENTICATION = 5, GIKE_UPDATE = 6,
    }
}
