//! Certificate encodings (RFC 7296 §3.6, RFC 4806, RFC 7670). One line adds an encoding.

ravelin_crypto::registry! {
    /// What the data of a CERT or CERTREQ payload is.
    pub struct CertEncoding(u8) {
        PKCS7_X509 = 1, PGP = 2, DNS_SIGNED_KEY = 3, X509_SIGNATURE = 4, KERBEROS = 6, CRL = 7, ARL = 8, SPKI = 9,
        X509_ATTRIBUTE = 10, RAW_RSA_KEY = 11, HASH_URL_X509 = 12, HASH_URL_BUNDLE = 13, OCSP_CONTENT = 14,
        RAW_PUBLIC_KEY = 15,
    }
}
