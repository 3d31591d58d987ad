//! IPComp transform ids (RFC 7296 §3.10.1, IPCOMP_SUPPORTED). One line adds a transform.

ravelin_crypto::registry! {
    /// A compression algorithm.
    pub struct IpcompId(u8) { OUI = 1, DEFLATE = 2, LZS = 3, LZJH = 4 }
}
