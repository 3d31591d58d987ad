//! What we read of a certificate ourselves, by x509-parser: names, key, key usage.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Facts of one certificate.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Subject, DER.
    pub subject_der: Vec<u8>,
    /// Issuer, DER.
    pub issuer_der: Vec<u8>,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// dNSName of subjectAltName.
    pub dns: Vec<String>,
    /// rfc822Name.
    pub email: Vec<String>,
    /// iPAddress, 4 or 16 octets.
    pub ip: Vec<Vec<u8>>,
    /// digitalSignature or nonRepudiation; `None` without the extension.
    pub signs: Option<bool>,
}

impl Facts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (rest, cert) = X509Certificate::from_der(der).map_err(|e| format!("not an X.509 certificate: {e}"))?;
        if !rest.is_empty() {
            return Err(format!("{} octets follow the certificate", rest.len()));
        }
        let mut facts = Self {
            subject_der: cert.subject().as_raw().to_vec(),
            issuer_der: cert.issuer().as_raw().to_vec(),
            public_key: cert.public_key().raw.to_vec(),
            dns: Vec::new(),
            email: Vec::new(),
            ip: Vec::new(),
            signs: None,
        };
        let usage = cert.key_usage().map_err(|e| format!("keyUsage cannot be read: {e}"))?;
        facts.signs = usage.map(|u| u.value.digital_signature() || u.value.non_repudiation());
        let names = cert.subject_alternative_name().map_err(|e| format!("subjectAltName cannot be read: {e}"))?;
        for name in names.iter().flat_map(|n| &n.value.general_names) {
            match name {
                GeneralName::DNSName(name) => facts.dns.push((*name).to_string()),
                GeneralName::RFC822Name(name) => facts.email.push((*name).to_string()),
                GeneralName::IPAddress(octets) => facts.ip.push(octets.to_vec()),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Subject, as text for the operator.
    #[must_use]
    pub fn subject(&self) -> String {
        X509Name::from_der(&self.subject_der).map(|(_, name)| name.to_string()).unwrap_or_default()
    }
}
