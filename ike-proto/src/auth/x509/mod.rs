//! X.509 for IKE (RFC 4945): a chain from the peer, our trust anchors, revocation lists and the wall clock make a
//! verified public key, or a reason why not. Nothing is ever fetched. Path building is rustls-webpki's (`path.rs`),
//! reading is x509-parser's (`read.rs`), what IKE asks of a leaf is ours (`cert_match.rs`).

pub mod cert_match;
pub mod known;
pub mod ocsp;
pub mod path;
pub mod read;

pub use known::Known;

use crate::error::Reason;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ravelin_crypto::Provider;
use ravelin_sa_db::UnixTime;
use ravelin_sa_db::pad::{Identity, Revocation};

/// Certificates of a peer that are looked at; more are refused.
pub const MAX_CHAIN: usize = 10;

/// What a chain is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// Verifies the signatures in the path.
    pub crypto: &'a Provider,
    /// Wall time.
    pub now: UnixTime,
    /// Trusted CA certificates (DER).
    pub anchors: &'a [&'a [u8]],
    /// Revocation lists (DER), ours and the peer's: their signatures are checked.
    pub crls: &'a [&'a [u8]],
    /// OCSP responses (DER) about the peer's own certificate, ours and the peer's.
    pub ocsp: &'a [&'a [u8]],
    /// What they are for.
    pub revocation: Revocation,
    /// What was found out before, if that is kept.
    pub known: Option<&'a Known>,
}

impl Judge<'_> {
    /// The public key (DER SubjectPublicKeyInfo) of the first certificate of `chain`, when a path leads to an anchor,
    /// every constraint holds, and the certificate is about `id`.
    ///
    /// # Errors
    /// [`Reason::Certificate`].
    pub fn verify(&self, chain: &[&[u8]], id: &Identity) -> Result<Vec<u8>, Reason> {
        self.judge(chain, id).map_err(|detail| Reason::Certificate { identity: id.to_string(), detail })
    }

    fn judge(&self, chain: &[&[u8]], id: &Identity) -> Result<Vec<u8>, String> {
        let (leaf, others) = chain.split_first().ok_or("the peer sent none, and none is known")?;
        if chain.len() > MAX_CHAIN {
            return Err(alloc::format!("{} certificates came, at most {MAX_CHAIN} are looked at", chain.len()));
        }
        let facts = read::Facts::of(leaf)?;
        let subject = || facts.subject();
        let fresh = self.revocation != Revocation::Off && ocsp::judge(self, leaf, others, &facts)?;
        path::verify(self, leaf, others, &subject, fresh)?;
        cert_match::may_sign(&facts)?;
        cert_match::is_about(&facts, id)?;
        Ok(facts.public_key)
    }
}

/// SHA-1 hashes of the public keys of these CA certificates, our own, for CERTREQ (RFC 7296 §3.7). Unreadable ones are
/// skipped.
pub fn authorities<'a>(
    crypto: &Provider,
    certificates: impl Iterator<Item = &'a [u8]>,
    known: Option<&Known>,
) -> Vec<[u8; 20]> {
    let Some(sha1) = crypto.hash(ravelin_crypto::AuthHashId::SHA1) else { return Vec::new() };
    let find = |der| sha1.hash(&[&read::Facts::of(der).ok()?.public_key]).try_into().ok();
    certificates.filter_map(|der| known.map_or_else(|| find(der), |known| known.authority(der, || find(der)))).collect()
}
