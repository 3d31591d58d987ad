//! Keys and certificates of both sides: which of ours is sent, whether the peer's are believed, and what each side says
//! about that beforehand (CERTREQ, RFC 7296 §3.7; SUPPORTED_AUTH_METHODS, RFC 9593).

use super::super::{Cx, Inbound, SaCore, notify};
use crate::ask::{Answer, Ask, Halt};
use crate::auth::raw_key;
use crate::error::Reason;
use crate::registry::{AuthMethod as WireMethod, CertEncoding, NotifyType};
use crate::wire::notify::{Announcement, NotifyData, SupportedAuthMethods};
use crate::wire::payload::{Certificate, CertificateRequest, Payload};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_crypto::{Provider, Secret};
use ravelin_sa_db::pad::{AuthMethod, Credential, Identity, Peer, Revocation};

/// The shared key between two identities: from the PAD, or asked for.
pub(super) fn shared_key(cx: &Cx<'_>, core: &SaCore, local: &Identity, remote: &Identity) -> Result<Arc<Secret>, Halt> {
    if let Some(secret) = cx.db.pad.secret_for(local, remote) {
        return Ok(Arc::clone(secret));
    }
    if cx.config.asks {
        let ask = Ask::SharedSecret { local: local.clone(), remote: remote.clone() };
        if let Answer::Secret(secret) = core.answers.to(ask)? {
            return Ok(Arc::new(secret.clone()));
        }
    }
    Err(Reason::NoCredential { kind: "pre-shared key", identity: format!("{local} and {remote}") }.into())
}

/// The credential that we prove ourselves with: the one that the PAD entry names, or the first that leads to a CA that
/// the peer trusts, or the first.
pub(super) fn own(cx: &Cx<'_>, core: &SaCore, peer: &Peer) -> Result<Arc<Credential>, Reason> {
    let all = || cx.db.pad.credentials.own(peer.credential.as_deref());
    let trusted = |c: &&Arc<Credential>| c.authorities.iter().any(|a| core.agreed.said.authorities.contains(a));
    let found = all().find(trusted).or_else(|| all().next());
    found.cloned().ok_or_else(|| Reason::NoCredential {
        kind: "private key",
        identity: peer.credential.clone().unwrap_or_else(|| peer.local_id.to_string()),
    })
}

/// What EAP-TLS and EAP-TTLS work with; `server` is who a server must be.
#[cfg(feature = "tls")]
pub(super) fn tls(cx: &Cx<'_>, core: &SaCore, peer: &Peer, server: Option<Identity>) -> crate::eap::tls::Settings {
    crate::eap::tls::Settings {
        credential: own(cx, core, peer).ok(),
        anchors: cx.db.pad.credentials.anchors(&peer.anchors).map(<[u8]>::to_vec).collect(),
        crls: cx.db.pad.credentials.crls().map(<[u8]>::to_vec).collect(),
        ocsp: cx.db.pad.credentials.ocsp().map(<[u8]>::to_vec).collect(),
        revocation: peer.revocation,
        crypto: cx.crypto.clone(),
        now: cx.now.wall,
        server,
    }
}

/// The CERT payloads of a credential: its chain, and the OCSP response about it when the peer asked for one (RFC 4806);
/// or the raw public key.
pub(super) fn payloads(core: &SaCore, credential: &Credential) -> Vec<Payload> {
    if credential.chain.is_empty() {
        return alloc::vec![Payload::Cert(raw_key::payload(&credential.public_key))];
    }
    let one = |encoding| move |der: &Vec<u8>| Payload::Cert(Certificate { encoding, data: der.clone() });
    let ocsp = credential.ocsp_response.iter().filter(|_| core.agreed.ocsp).map(one(CertEncoding::OCSP_CONTENT));
    credential.chain.iter().map(one(CertEncoding::X509_SIGNATURE)).chain(ocsp).collect()
}

/// CA hashes of the peer that are kept.
const MAX_AUTHORITIES: usize = 64;

/// What the peer's CERTREQ payloads ask for: certificates under these CAs (RFC 7296 §3.7), and whether an OCSP response
/// (RFC 4806; whom it names as responders does not matter, we have one response or none).
pub fn requested(msg: &Inbound<'_>) -> (Vec<[u8; 20]>, bool) {
    let requests = || msg.payloads.iter().filter_map(|p| if let Payload::CertReq(r) = p { Some(r) } else { None });
    let x509 = requests().filter(|r| r.encoding == CertEncoding::X509_SIGNATURE);
    let authorities = x509.flat_map(|r| r.authorities()).copied().take(MAX_AUTHORITIES).collect();
    (authorities, requests().any(|r| r.encoding == CertEncoding::OCSP_CONTENT))
}

/// The public keys that the peer may sign with as `id`, verified: raw ones that are pinned, or that of its certificate.
pub(super) fn keys_of(
    cx: &Cx<'_>,
    core: &SaCore,
    peer: &Peer,
    id: &Identity,
    certs: &[&Certificate],
) -> Result<Vec<Vec<u8>>, Halt> {
    let x509 = |encoding| move |c: &&&Certificate| c.encoding == encoding;
    let chain: Vec<&[u8]> =
        certs.iter().filter(x509(CertEncoding::X509_SIGNATURE)).map(|c| c.data.as_slice()).collect();
    if chain.is_empty() {
        let keys = raw_key::candidates(&peer.raw_keys, certs);
        if !keys.is_empty() {
            return Ok(keys);
        }
        // Hash and URL (RFC 7296 §3.6): we never say HTTP_CERT_LOOKUP_SUPPORTED, and fetch nothing for a stranger.
        let url = |c: &&Certificate| matches!(c.encoding, CertEncoding::HASH_URL_X509 | CertEncoding::HASH_URL_BUNDLE);
        let detail = match certs.iter().any(url) {
            true => "it sent the hash and URL of a certificate, and nothing is fetched (RFC 7296 section 3.6)",
            false => "it sent no certificate, and no public key that is configured for it (RFC 7670)",
        };
        let detail = detail.to_string();
        return Err(Reason::Certificate { identity: id.to_string(), detail }.into());
    }
    let anchors: Vec<&[u8]> = cx.db.pad.credentials.anchors(&peer.anchors).collect();
    if anchors.is_empty() && cx.config.asks {
        let chain = chain.iter().map(|der| der.to_vec()).collect();
        if let Answer::PublicKey(key) = core.answers.to(Ask::VerifyChain { chain, id: id.clone() })? {
            return Ok(alloc::vec![key.clone()]);
        }
    }
    let crls: Vec<&[u8]> =
        certs.iter().filter(x509(CertEncoding::CRL)).map(|c| c.data.as_slice()).take(MAX_SENT_CRLS).collect();
    let ocsp = certs.iter().filter(x509(CertEncoding::OCSP_CONTENT)).map(|c| c.data.as_slice());
    let ocsp: Vec<&[u8]> = ocsp.take(MAX_SENT_CRLS).collect();
    Ok(alloc::vec![verified(cx, peer, id, &anchors, &chain, (&crls, &ocsp))?])
}

/// Revocation lists and OCSP responses of the peer's own that are looked at.
const MAX_SENT_CRLS: usize = 4;

#[cfg(feature = "x509")]
fn verified(
    cx: &Cx<'_>,
    peer: &Peer,
    id: &Identity,
    anchors: &[&[u8]],
    chain: &[&[u8]],
    (crls, ocsp): (&[&[u8]], &[&[u8]]),
) -> Result<Vec<u8>, Reason> {
    let crls: Vec<&[u8]> = cx.db.pad.credentials.crls().chain(crls.iter().copied()).collect();
    let ocsp: Vec<&[u8]> = cx.db.pad.credentials.ocsp().chain(ocsp.iter().copied()).collect();
    let judge = crate::auth::x509::Judge {
        crypto: cx.crypto,
        now: cx.now.wall,
        anchors,
        crls: &crls,
        ocsp: &ocsp,
        revocation: peer.revocation,
        known: Some(cx.known),
    };
    judge.verify(chain, id)
}

#[cfg(not(feature = "x509"))]
fn verified(
    _: &Cx<'_>,
    _: &Peer,
    id: &Identity,
    _: &[&[u8]],
    _: &[&[u8]],
    _: (&[&[u8]], &[&[u8]]),
) -> Result<Vec<u8>, Reason> {
    let detail = "this build validates no certificates (feature x509), and nobody is asked".to_string();
    Err(Reason::Certificate { identity: id.to_string(), detail })
}

/// True when an entry takes signatures of the peer.
fn wants_signatures(peer: &Peer) -> bool {
    let second = peer.second.remote.as_ref().is_some_and(|(_, methods)| methods.contains(&AuthMethod::Pubkey));
    second || peer.remote_auth.contains(&AuthMethod::Pubkey) || peer.local_auth == AuthMethod::Eap
}

/// Our CERTREQ payloads: the CAs that we trust, by key hash, an OCSP response where revocation must be known (RFC 4806;
/// by any responder that the CA has named), and raw keys where they are configured.
pub fn certificate_request(cx: &Cx<'_>, peer: &Peer) -> Vec<Payload> {
    if !wants_signatures(peer) {
        return Vec::new();
    }
    let request = |encoding, data| Payload::CertReq(CertificateRequest { encoding, data });
    let hashes = authorities(cx, peer);
    let mut requests = Vec::new();
    if !hashes.is_empty() {
        if peer.revocation == Revocation::Required {
            requests.push(request(CertEncoding::OCSP_CONTENT, Vec::new()));
        }
        requests.push(request(CertEncoding::X509_SIGNATURE, hashes));
    }
    if !peer.raw_keys.is_empty() {
        requests.push(request(CertEncoding::RAW_PUBLIC_KEY, Vec::new()));
    }
    requests
}

#[cfg(feature = "x509")]
fn authorities(cx: &Cx<'_>, peer: &Peer) -> Vec<u8> {
    crate::auth::x509::authorities(cx.crypto, cx.db.pad.credentials.anchors(&peer.anchors), Some(cx.known)).concat()
}

#[cfg(not(feature = "x509"))]
fn authorities(_: &Cx<'_>, _: &Peer) -> Vec<u8> {
    Vec::new()
}

/// SUPPORTED_AUTH_METHODS: what this entry lets the peer prove itself with. Nothing where EAP is possible, which cannot
/// be announced.
pub fn announcements(cx: &Cx<'_>, peer: &Peer) -> Option<Payload> {
    let mut data = Vec::new();
    let plain = |method, data: &mut Vec<u8>| {
        SupportedAuthMethods { methods: alloc::vec![Announcement::plain(method)] }.emit(data);
    };
    let second = peer.second.remote.iter().flat_map(|(_, methods)| methods).filter(|m| !peer.remote_auth.contains(m));
    for method in peer.remote_auth.iter().chain(second) {
        match method {
            AuthMethod::Psk => plain(WireMethod::SHARED_KEY, &mut data),
            AuthMethod::Null => plain(WireMethod::NULL, &mut data),
            AuthMethod::Pubkey => data.extend_from_slice(cx.announced),
            _ => return None,
        }
    }
    Some(notify(NotifyType::SUPPORTED_AUTH_METHODS, data))
}

/// The announcements of all signatures that a provider verifies, as they stand in the notify.
#[must_use]
pub fn announced(crypto: &Provider) -> Vec<u8> {
    let schemes = crypto.signatures.iter().flat_map(|f| f.schemes()).copied();
    let mut seen: Vec<SignatureScheme> = schemes.filter(|s| !s.is_legacy()).collect();
    seen.sort_unstable();
    seen.dedup();
    let one = |s: SignatureScheme| Announcement::digital_signature(0, &s.algorithm_identifier()?);
    let mut data = Vec::new();
    SupportedAuthMethods { methods: seen.into_iter().filter_map(one).collect() }.emit(&mut data);
    data.shrink_to_fit();
    data
}

/// Expected methods in words.
pub(super) fn expected(peer: &Peer) -> String {
    peer.remote_auth.iter().map(ToString::to_string).collect::<Vec<String>>().join(" or ")
}
