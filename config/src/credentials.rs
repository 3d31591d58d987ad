//! Keys of a `[[peer]]` about who proves what: `auth`, `remote_auth`, PSK, certificates, EAP. Files are PEM; keys are
//! PKCS#8. To add a key: one line here, one in docs/gateway.md.

use super::document::{Field, Result, Section};
use super::{psk, words};
use ravelin::crypto::Provider;
use ravelin::crypto::sign::SignatureScheme;
use ravelin::db::pad::{AuthMethod, Credential, EapMethod, Revocation};
use ravelin::db::{Db, Peer};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer};
use std::path::Path;

const AUTH: &str = "\"psk\", \"pubkey\", \"eap\" or \"null\"";
const REMOTE: &str = "\"psk\", \"pubkey\", \"eap\", \"null\" or an array of these";

fn method(t: &str) -> Option<AuthMethod> {
    match t {
        "psk" => Some(AuthMethod::Psk),
        "pubkey" => Some(AuthMethod::Pubkey),
        "eap" => Some(AuthMethod::Eap),
        "null" => Some(AuthMethod::Null),
        _ => None,
    }
}

/// Reads them into the peer and the PAD.
pub(super) fn read(s: &Section<'_>, folder: &Path, provider: &Provider, peer: &mut Peer, db: &mut Db) -> Result<()> {
    peer.local_auth = s.parsed("auth", AUTH, AuthMethod::Psk, method)?;
    let remote = s.texts("remote_auth", REMOTE)?;
    peer.remote_auth = match (remote.is_empty(), peer.local_auth) {
        (true, AuthMethod::Eap) => vec![AuthMethod::Pubkey],
        (true, same) => vec![same],
        (false, _) => remote.iter().map(|f| f.parse(REMOTE, method)).collect::<Result<_>>()?,
    };
    let uses = |m| peer.local_auth == m || peer.remote_auth.contains(&m);
    if uses(AuthMethod::Psk) {
        db.pad.secrets.add_psk(Some(&peer.local_id), peer.remote_id.exact(), psk(s, folder)?);
    }
    if peer.local_auth == AuthMethod::Pubkey {
        own(s, folder, provider, peer, db)?;
    }
    if peer.remote_auth.contains(&AuthMethod::Pubkey) {
        trust(s, folder, peer, db)?;
    }
    if peer.local_auth == AuthMethod::Eap || peer.remote_auth.contains(&AuthMethod::Eap) {
        eap(s, peer, db)?;
    }
    Ok(())
}

/// PEM may stand in the configuration itself.
fn is_inline(value: &str) -> bool {
    value.trim_start().starts_with("-----BEGIN ")
}

/// For errors; what stands inline is not repeated.
fn named(field: &Field<'_, &str>, folder: &Path) -> String {
    if is_inline(field.value) { "the PEM text".into() } else { folder.join(field.value).display().to_string() }
}

fn octets(field: &Field<'_, &str>, folder: &Path) -> Result<Vec<u8>> {
    if is_inline(field.value) {
        return Ok(field.value.as_bytes().to_vec());
    }
    let path = folder.join(field.value);
    std::fs::read(&path).map_err(|e| field.error(format!("{} cannot be read: {e}", path.display())))
}

fn certificates(field: &Field<'_, &str>, folder: &Path) -> Result<Vec<Vec<u8>>> {
    let pem = octets(field, folder)?;
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all.into_iter().map(|c| c.to_vec()).collect()),
        _ => Err(field.error(format!("{}: expected certificates in PEM", named(field, folder)))),
    }
}

/// `cert`, `key`, `signature`: what we prove ourselves with.
fn own(s: &Section<'_>, folder: &Path, provider: &Provider, peer: &mut Peer, db: &mut Db) -> Result<()> {
    let mut chain = Vec::new();
    for file in s.texts("cert", "files with our certificate and its issuers, PEM")? {
        chain.extend(certificates(&file, folder)?);
    }
    let file = s.needed("key", "the file of our private key, PKCS#8 in PEM")?;
    let wrong = |why: &str| file.error(format!("{}: {why}", named(&file, folder)));
    let key = PrivatePkcs8KeyDer::from_pem_slice(&octets(&file, folder)?)
        .map_err(|_| wrong("expected a private key, PKCS#8 in PEM (\"BEGIN PRIVATE KEY\")"))?;
    let key = provider
        .signing_key(key.secret_pkcs8_der())
        .map_err(|e| wrong(&format!("the provider {} refuses the key: {e}", provider.name)))?;
    if let Some(leaf) = chain.first() {
        let facts = ravelin::ike::auth::x509::read::Facts::of(leaf).map_err(|e| wrong(&e))?;
        if facts.public_key != key.public_key() {
            return Err(wrong(&format!("the key is not that of the certificate of {}", facts.subject)));
        }
    }
    let mut credential = Credential::new(chain, key.into());
    let what = "\"pss\" or \"pkcs1\"";
    let pss = s.parsed("signature", what, true, |t| match t {
        "pss" => Some(true),
        "pkcs1" => Some(false),
        _ => None,
    })?;
    if !pss {
        credential.schemes.retain(|s| !matches!(s, SignatureScheme::RsaPss(_)));
    }
    db.pad.credentials.add(peer.name.clone(), credential);
    peer.credential = Some(peer.name.clone());
    Ok(())
}

/// `ca`, `crl`, `revocation`: whom we believe.
fn trust(s: &Section<'_>, folder: &Path, peer: &mut Peer, db: &mut Db) -> Result<()> {
    let files = s.texts("ca", "files with trusted CA certificates, PEM")?;
    if files.is_empty() {
        return Err(s.missing("ca", "files with trusted CA certificates, PEM"));
    }
    for file in &files {
        for der in &certificates(file, folder)? {
            let name = format!("{}:{}#{}", peer.name, named(file, folder), peer.anchors.len());
            db.pad.credentials.add_anchor(name.clone(), der);
            peer.anchors.push(name);
        }
    }
    for file in s.texts("crl", "files with revocation lists, PEM")? {
        let pem = octets(&file, folder)?;
        for crl in CertificateRevocationListDer::pem_slice_iter(&pem) {
            let crl = crl.map_err(|_| file.error("expected revocation lists in PEM"))?;
            db.pad.credentials.add_crl(&crl);
        }
    }
    let what = "\"off\", \"if-present\" or \"required\"";
    peer.revocation = s.parsed("revocation", what, Revocation::IfPresent, |t| match t {
        "off" => Some(Revocation::Off),
        "if-present" => Some(Revocation::IfPresent),
        "required" => Some(Revocation::Required),
        _ => None,
    })?;
    Ok(())
}

/// `eap`, `eap_id`, `eap_password`, `eap_alone`: as client who we are, as server whom we let in.
fn eap(s: &Section<'_>, peer: &mut Peer, db: &mut Db) -> Result<()> {
    let what = "\"mschapv2\", \"gtc\" or \"md5\"";
    let methods = s.texts("eap", what)?;
    if !methods.is_empty() {
        let one = |f: &Field<'_, &str>| {
            f.parse(what, |t| match t {
                "mschapv2" => Some(EapMethod::MsChapV2),
                "gtc" => Some(EapMethod::Gtc),
                "md5" => Some(EapMethod::Md5),
                _ => None,
            })
        };
        peer.eap.methods = methods.iter().map(one).collect::<Result<_>>()?;
    }
    let user = s.needed("eap_id", "the name of the user")?.value;
    let password = s.hidden("eap_password", words::SECRET, words::secret)?;
    let password = password.ok_or_else(|| s.missing("eap_password", words::SECRET))?;
    db.pad.secrets.add_eap(user.as_bytes(), password);
    peer.eap.identity = Some(user.to_owned());
    peer.eap.alone = s.parsed("eap_alone", words::YES_NO, false, words::yes_no)?;
    Ok(())
}
