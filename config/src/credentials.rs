//! Keys of a `[[peer]]` about who proves what: `auth`, `remote_auth`, PSK, certificates, EAP. Files are PEM and keys are
//! PKCS#8, or both come in PKCS#12 (`pkcs12.rs`); OCSP responses are DER. To add a key: one line here, one in docs/gateway.md.

use super::document::{Field, Result, Section};
use super::{psk, words};
use ravelin::crypto::sign::SignatureScheme;
use ravelin::crypto::{Provider, Secret};
use ravelin::db::pad::{AuthMethod, Credential, EapMethod, IdPattern, Revocation, TtlsInner};
use ravelin::db::{Db, Peer};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer};
use std::path::Path;

const AUTH: &str = "\"psk\", \"pubkey\", \"eap\" or \"null\"";
const KEY: &str = "the file of our private key, PKCS#8 in PEM; or pkcs12";
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
    peer.strength_rule = s.parsed("strength_rule", words::YES_NO, false, words::yes_no)?;
    second(s, peer)?;
    secrets(s, folder, peer, db)?;
    let speaks_eap = peer.local_auth == AuthMethod::Eap || peer.remote_auth.contains(&AuthMethod::Eap);
    let speaks_eap = speaks_eap || eap_comes_second(peer);
    if speaks_eap {
        eap(s, peer, db)?;
    }
    let has = |m| speaks_eap && peer.eap.methods.contains(&m);
    let (tls, ttls) = (has(EapMethod::Tls), has(EapMethod::Ttls));
    let second = |p: &Peer| matches!(&p.second.local, Some((_, AuthMethod::Pubkey)));
    if peer.local_auth == AuthMethod::Pubkey || tls || second(peer) {
        own(s, folder, provider, peer, db)?;
    }
    let second = peer.second.remote.as_ref().is_some_and(|(_, m)| m.contains(&AuthMethod::Pubkey));
    let judges =
        peer.remote_auth.contains(&AuthMethod::Pubkey) || second || tls || (ttls && peer.local_auth == AuthMethod::Eap);
    if judges {
        trust(s, folder, peer, db)?;
    }
    Ok(())
}

/// The pre-shared key, for every pair of identities that it may be asked for.
fn secrets(s: &Section<'_>, folder: &Path, peer: &Peer, db: &mut Db) -> Result<()> {
    let theirs = peer.remote_id.exact();
    let mut pairs = Vec::new();
    if peer.local_auth == AuthMethod::Psk || peer.remote_auth.contains(&AuthMethod::Psk) {
        pairs.push((&peer.local_id, theirs));
    }
    if let Some((id, AuthMethod::Psk)) = &peer.second.local {
        pairs.push((id, theirs));
    }
    if let Some((pattern, methods)) = &peer.second.remote
        && methods.contains(&AuthMethod::Psk)
    {
        pairs.push((&peer.local_id, pattern.exact()));
    }
    if pairs.is_empty() {
        return Ok(());
    }
    let secret = psk(s, folder)?;
    for (own, theirs) in pairs {
        db.pad.secrets.add_psk(Some(own), theirs, secret.clone());
    }
    Ok(())
}

fn eap_comes_second(peer: &Peer) -> bool {
    let local = matches!(&peer.second.local, Some((_, AuthMethod::Eap)));
    local || peer.second.remote.as_ref().is_some_and(|(_, m)| m.contains(&AuthMethod::Eap))
}

/// `auth2`, `local_id2`, `remote_auth2`, `remote_id2`: a second authentication (RFC 4739).
fn second(s: &Section<'_>, peer: &mut Peer) -> Result<()> {
    let own = s.text("auth2", AUTH)?.map(|f| f.parse(AUTH, method)).transpose()?;
    let own_id = s.text("local_id2", "an identity")?.map(|f| f.read()).transpose()?;
    peer.second.local = own.map(|m| (own_id.unwrap_or_else(|| peer.local_id.clone()), m));
    let theirs = s.texts("remote_auth2", REMOTE)?;
    let their_id = s.text("remote_id2", "an identity or a pattern")?.map(|f| f.read()).transpose()?;
    if !theirs.is_empty() {
        let methods = theirs.iter().map(|f| f.parse(REMOTE, method)).collect::<Result<_>>()?;
        peer.second.remote = Some((their_id.unwrap_or(IdPattern::Any), methods));
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

/// `cert` and `key`, or `pkcs12`; `signature`, `ocsp_response`: what we prove ourselves with.
fn own(s: &Section<'_>, folder: &Path, provider: &Provider, peer: &mut Peer, db: &mut Db) -> Result<()> {
    let mut chain = Vec::new();
    for file in s.texts("cert", "files with our certificate and its issuers, PEM")? {
        chain.extend(certificates(&file, folder)?);
    }
    let password = super::secret(s, folder, "pkcs12_password", "pkcs12_password_file")?.unwrap_or_default();
    let mut credential = match s.text("pkcs12", "a PKCS#12 file with our key and certificates")? {
        Some(file) if chain.is_empty() && s.text("key", KEY)?.is_none() => {
            bundle(&octets(&file, folder)?, &password, provider)
                .map_err(|why| file.error(format!("{}: {why}", named(&file, folder))))?
        }
        Some(file) => return Err(file.error("pkcs12 stands beside cert or key; expected the one or the others")),
        None => from_pem(s, folder, provider, chain)?,
    };
    if let Some(file) = s.text("ocsp_response", "a file with an OCSP response about our certificate, DER")? {
        credential.ocsp_response = Some(octets(&file, folder)?);
    }
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

/// `cert` and `key`.
fn from_pem(s: &Section<'_>, folder: &Path, provider: &Provider, chain: Vec<Vec<u8>>) -> Result<Credential> {
    let file = s.needed("key", KEY)?;
    let wrong = |why: &str| file.error(format!("{}: {why}", named(&file, folder)));
    let key = PrivatePkcs8KeyDer::from_pem_slice(&octets(&file, folder)?)
        .map_err(|_| wrong("expected a private key, PKCS#8 in PEM (\"BEGIN PRIVATE KEY\")"))?;
    let key = provider
        .signing_key(key.secret_pkcs8_der())
        .map_err(|e| wrong(&format!("the provider {} refuses the key: {e}", provider.name)))?;
    if let Some(leaf) = chain.first() {
        let facts = ravelin::ike::auth::x509::read::Facts::of(leaf).map_err(|e| wrong(&e))?;
        if facts.public_key != key.public_key() {
            return Err(wrong(&format!("the key is not that of the certificate of {}", facts.subject())));
        }
    }
    Ok(Credential::new(chain, key.into()))
}

#[cfg(feature = "pkcs12")]
fn bundle(file: &[u8], password: &Secret, provider: &Provider) -> std::result::Result<Credential, String> {
    let password = std::str::from_utf8(password.expose()).map_err(|_| "expected a PKCS#12 password in UTF-8")?;
    super::pkcs12::open(file, password, provider)
}

#[cfg(not(feature = "pkcs12"))]
fn bundle(_: &[u8], _: &Secret, _: &Provider) -> std::result::Result<Credential, String> {
    Err("this build reads no PKCS#12 (feature pkcs12 of ravelin-config); expected cert and key in PEM".into())
}

/// `ca`, `crl`, `ocsp`, `revocation`: whom we believe.
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
    for file in s.texts("ocsp", "files with OCSP responses about peers' certificates, DER")? {
        db.pad.credentials.add_ocsp(&octets(&file, folder)?);
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

/// `eap`, `eap_id`, `eap_password`, `eap_alone`, `eap_server`, `eap_inner`: as client who we are, as server whom we let
/// in.
fn eap(s: &Section<'_>, peer: &mut Peer, db: &mut Db) -> Result<()> {
    let what = "\"mschapv2\", \"tls\", \"ttls\", \"gtc\", \"md5\" or \"radius\"";
    let methods = s.texts("eap", what)?;
    if !methods.is_empty() {
        let one = |f: &Field<'_, &str>| {
            f.parse(what, |t| match t {
                "mschapv2" => Some(EapMethod::MsChapV2),
                "gtc" => Some(EapMethod::Gtc),
                "md5" => Some(EapMethod::Md5),
                "tls" => Some(EapMethod::Tls),
                "ttls" => Some(EapMethod::Ttls),
                "radius" => Some(EapMethod::Relay),
                _ => None,
            })
        };
        peer.eap.methods = methods.iter().map(one).collect::<Result<_>>()?;
    }
    let inner = "\"pap\", \"mschapv2\" or \"eap\"";
    let inside = s.texts("eap_inner", inner)?;
    if !inside.is_empty() {
        let one = |f: &Field<'_, &str>| {
            f.parse(inner, |t| match t {
                "pap" => Some(TtlsInner::Pap),
                "mschapv2" => Some(TtlsInner::MsChapV2),
                "eap" => Some(TtlsInner::Eap),
                _ => None,
            })
        };
        peer.eap.ttls = inside.iter().map(one).collect::<Result<_>>()?;
    }
    peer.eap.server =
        s.text("eap_server", "the identity in the EAP server's certificate")?.map(|f| f.read()).transpose()?;
    // Where certificates prove the user, or another server does, there may be any.
    let password_proves = peer.eap.methods.iter().any(|m| !matches!(m, EapMethod::Tls | EapMethod::Relay));
    let user = s.text("eap_id", "the name of the user")?.map(|f| f.value);
    let password = s.hidden("eap_password", words::SECRET, words::secret)?;
    match (user, password) {
        (Some(user), Some(password)) => drop(db.pad.secrets.add_eap(user.as_bytes(), password)),
        (None, _) if password_proves => return Err(s.missing("eap_id", "the name of the user")),
        (_, None) if password_proves => return Err(s.missing("eap_password", words::SECRET)),
        _ => {}
    }
    peer.eap.identity = user.map(str::to_owned);
    peer.eap.alone = s.parsed("eap_alone", words::YES_NO, false, words::yes_no)?;
    Ok(())
}
