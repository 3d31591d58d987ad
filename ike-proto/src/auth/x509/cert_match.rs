//! What IKE asks of the peer's own certificate: that it is about the identity in the ID payload (RFC 4945 §3.1) and
//! may sign (§5.1.3.2). Names are compared whole: a wildcard in a certificate stands for itself.

use super::read::Facts;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ravelin_sa_db::pad::{IdKind, Identity};

/// The identity must stand in the certificate.
///
/// # Errors
/// What was expected and what is there.
pub fn is_about(facts: &Facts, id: &Identity) -> Result<(), String> {
    let (found, place, there): (bool, &str, Vec<String>) = match id.kind {
        IdKind::FQDN => {
            let same = facts.dns.iter().any(|n| Identity::fqdn(n).same(id));
            (same, "a dNSName", facts.dns.clone())
        }
        IdKind::RFC822_ADDR => {
            let same = facts.email.iter().any(|n| Identity::email(n).same(id));
            (same, "an rfc822Name", facts.email.clone())
        }
        IdKind::IPV4_ADDR | IdKind::IPV6_ADDR => {
            let same = facts.ip.iter().any(|a| *a == id.data && !a.is_empty());
            (same, "an iPAddress", facts.ip.iter().map(|a| format!("{a:?}")).collect())
        }
        IdKind::DER_ASN1_DN => {
            let subject = Identity::new(IdKind::DER_ASN1_DN, facts.subject_der.clone());
            (subject.same(id), "the subject", alloc::vec![facts.subject()])
        }
        kind => return Err(format!("an identity of type {kind} stands in no certificate (RFC 4945 section 3.1)")),
    };
    if found {
        return Ok(());
    }
    let there = if there.is_empty() { "none".into() } else { there.join(", ") };
    Err(format!("it is not about {id}: expected that as {place}, there is {there} (RFC 4945 section 3.1)"))
}

/// With keyUsage, digitalSignature or nonRepudiation must be among it.
///
/// # Errors
/// What is missing.
pub fn may_sign(facts: &Facts) -> Result<(), String> {
    match facts.signs {
        Some(false) => {
            Err("its keyUsage has neither digitalSignature nor nonRepudiation (RFC 4945 section 5.1.3.2)".into())
        }
        Some(true) | None => Ok(()),
    }
}
