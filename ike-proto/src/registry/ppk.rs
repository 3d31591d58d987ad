//! PPK_ID types (RFC 8784 §5.1). One line adds a type.

ravelin_crypto::registry! {
    /// How a postquantum preshared key is named.
    pub struct PpkIdType(u8) { OPAQUE = 1, FIXED = 2 }
}
