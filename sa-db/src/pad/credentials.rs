//! Certificates and keys by name (RFC 4301 §4.4.3.2): what we prove ourselves with, whom we trust, what is revoked.
//! Octets are kept as they came (DER); who reads them is `ike-proto`. Private keys are signing keys of a provider, or
//! not here at all: then whoever drives the stack is asked to sign.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use ravelin_crypto::sign::{SignatureScheme, SigningKey};

/// What we prove ourselves with: a certificate chain or a raw public key, and the private key if it is here.
#[derive(Clone)]
pub struct Credential {
    /// Certificates (DER), our own first, then its issuers upwards without the anchor. Empty: the raw public key is
    /// sent (RFC 7670).
    pub chain: Vec<Vec<u8>>,
    /// SHA-1 hashes of the public keys of the CAs that the chain leads to, for CERTREQ (RFC 7296 §3.7). May be empty.
    pub authorities: Vec<[u8; 20]>,
    /// The public key, DER SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// What the private key can sign, best first.
    pub schemes: Vec<SignatureScheme>,
    /// The private key; `None`: it is elsewhere, and each signature is asked for.
    pub key: Option<Arc<dyn SigningKey>>,
    /// An OCSP response (DER, RFC 6960) about the first certificate, sent to peers that ask for one (RFC 4806). Whoever
    /// drives the stack fetches it and renews it ([`Credentials::set_ocsp_response`]).
    pub ocsp_response: Option<Vec<u8>>,
}

impl Credential {
    /// A credential whose private key is here.
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>, key: Arc<dyn SigningKey>) -> Self {
        let (public_key, schemes) = (key.public_key().to_vec(), key.schemes().to_vec());
        Self { chain, authorities: Vec::new(), public_key, schemes, key: Some(key), ocsp_response: None }
    }

    /// A credential whose private key is elsewhere and signs with `schemes`, best first.
    #[must_use]
    pub fn elsewhere(chain: Vec<Vec<u8>>, public_key: Vec<u8>, schemes: Vec<SignatureScheme>) -> Self {
        Self { chain, authorities: Vec::new(), public_key, schemes, key: None, ocsp_response: None }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_some() { "key here" } else { "key elsewhere" };
        write!(f, "Credential({} certificates, {key})", self.chain.len())
    }
}

/// Certificates and keys that PAD entries refer to by name.
#[derive(Clone, Default, Debug)]
pub struct Credentials {
    pub(super) own: BTreeMap<String, Arc<Credential>>,
    pub(super) anchors: BTreeMap<String, Arc<[u8]>>,
    crls: Vec<Arc<[u8]>>,
    ocsp: Vec<Arc<[u8]>>,
}

impl Credentials {
    /// Adds a credential; one of the same name is replaced and returned.
    pub fn add(&mut self, name: impl Into<String>, credential: Credential) -> Option<Arc<Credential>> {
        self.own.insert(name.into(), Arc::new(credential))
    }

    /// Removes a credential. IKE SAs that were proved with it live on.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Credential>> {
        self.own.remove(name)
    }

    /// Gives a credential another OCSP response (DER) about its certificate, or none; false when there is no such
    /// credential. IKE SAs that open now send the one that they began with.
    pub fn set_ocsp_response(&mut self, name: &str, response: Option<Vec<u8>>) -> bool {
        let Some(credential) = self.own.get_mut(name) else { return false };
        Arc::make_mut(credential).ocsp_response = response;
        true
    }

    /// The credential of this name; without a name, every one in the order of names.
    pub fn own<'a>(&'a self, name: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Credential>> {
        self.own.iter().filter(move |(n, _)| name.is_none_or(|wanted| wanted == n.as_str())).map(|(_, c)| c)
    }

    /// Trusts a CA certificate (DER). Whether it can be read is found out when it is used.
    pub fn add_anchor(&mut self, name: impl Into<String>, certificate: &[u8]) {
        self.anchors.insert(name.into(), certificate.into());
    }

    /// Trusts a CA no longer.
    pub fn remove_anchor(&mut self, name: &str) -> bool {
        self.anchors.remove(name).is_some()
    }

    /// CA certificates (DER) of these names; all when `names` is empty.
    pub fn anchors<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a [u8]> {
        self.anchors.iter().filter(move |(n, _)| names.is_empty() || names.contains(n)).map(|(_, der)| &**der)
    }

    /// Adds a revocation list (DER). Its signature and age are judged when it is used.
    pub fn add_crl(&mut self, crl: &[u8]) {
        self.crls.push(crl.into());
    }

    /// Forgets all revocation lists.
    pub fn clear_crls(&mut self) {
        self.crls.clear();
    }

    /// Adds an OCSP response (DER, RFC 6960) about a peer's certificate: delivered by the driver, judged when it is used.
    pub fn add_ocsp(&mut self, response: &[u8]) {
        self.ocsp.push(response.into());
    }

    /// Forgets all OCSP responses.
    pub fn clear_ocsp(&mut self) {
        self.ocsp.clear();
    }

    /// The OCSP responses (DER).
    pub fn ocsp(&self) -> impl Iterator<Item = &[u8]> {
        self.ocsp.iter().map(|der| &**der)
    }

    /// The revocation lists (DER).
    pub fn crls(&self) -> impl Iterator<Item = &[u8]> {
        self.crls.iter().map(|der| &**der)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn by_name_or_all() {
        let mut c = Credentials::default();
        let one = |b: u8| Credential::elsewhere(alloc::vec![alloc::vec![b]], alloc::vec![b], alloc::vec![]);
        assert!(c.add("b", one(2)).is_none() && c.add("a", one(1)).is_none() && c.add("a", one(3)).is_some());
        assert_eq!(c.own(Some("b")).count(), 1);
        assert_eq!(c.own(None).map(|c| c.public_key[0]).collect::<Vec<_>>(), [3, 2]);
        assert!(c.own(Some("x")).next().is_none());
        assert!(c.set_ocsp_response("a", Some(alloc::vec![9])) && !c.set_ocsp_response("x", None));
        assert_eq!(c.own(Some("a")).next().unwrap().ocsp_response.as_deref(), Some([9].as_slice()));
        c.add_anchor("root", &[1]);
        c.add_anchor("other", &[2]);
        assert_eq!(c.anchors(&["root".into()]).collect::<Vec<_>>(), [[1]]);
        assert_eq!(c.anchors(&[]).count(), 2);
        assert_eq!(format!("{:?}", one(1)), "Credential(1 certificates, key elsewhere)");
    }
}
