//! Identification types (RFC 7296 §3.5, RFC 4595, RFC 7619). One line adds a type.

ravelin_crypto::registry! {
    /// What the data of an Identification payload is. Strings have no terminator.
    pub struct IdType(u8) {
        IPV4_ADDR = 1, FQDN = 2, RFC822_ADDR = 3, IPV6_ADDR = 5, DER_ASN1_DN = 9, DER_ASN1_GN = 10, KEY_ID = 11,
        FC_NAME = 12, NULL = 13,
    }
}
