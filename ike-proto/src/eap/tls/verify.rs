//! Certificates in TLS are judged as in IKE: paths, constraints, revocation and identity by [`Judge`]; only the signature
//! of the handshake is rustls's own business. No key is used that no path leads to (the class of CVE-2023-26463).

use super::Settings;
use crate::auth::x509::Judge;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_sa_db::pad::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Judges a chain about one identity.
#[derive(Debug)]
struct Bench {
    settings: Settings,
    id: Identity,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Bench {
    fn new(settings: &Settings, id: Identity) -> Self {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        Self { settings: settings.clone(), id, algorithms }
    }

    /// `stapled`: the OCSP response that came in the handshake, or nothing.
    fn judge(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], stapled: &[u8]) -> Result<(), Error> {
        let s = &self.settings;
        let stapled = core::iter::once(stapled).filter(|r| !r.is_empty());
        let ocsp: Vec<&[u8]> = s.ocsp.iter().map(Vec::as_slice).chain(stapled).collect();
        let anchors: Vec<&[u8]> = s.anchors.iter().map(Vec::as_slice).collect();
        let crls: Vec<&[u8]> = s.crls.iter().map(Vec::as_slice).collect();
        let chain: Vec<&[u8]> = core::iter::once(leaf.as_ref()).chain(others.iter().map(|c| c.as_ref())).collect();
        let judge = Judge {
            crypto: &s.crypto,
            now: s.now,
            anchors: &anchors,
            crls: &crls,
            ocsp: &ocsp,
            revocation: s.revocation,
            known: None,
        };
        judge.verify(&chain, &self.id).map(drop).map_err(|reason| Error::General(reason.to_string()))
    }
}

/// What rustls asks of the handshake's signature, with the same words in both of its traits.
macro_rules! handshake {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.0.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.0.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.algorithms.supported_schemes()
        }
    };
}

/// As client: the server's certificate.
#[derive(Debug)]
pub(super) struct ServerJudge(Bench);

impl ServerJudge {
    pub(super) fn new(settings: &Settings, id: Identity) -> Self {
        Self(Bench::new(settings, id))
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.judge(end_entity, intermediates, ocsp).map(|()| ServerCertVerified::assertion())
    }

    handshake!();
}

/// As server: the client's certificate, which is mandatory.
#[derive(Debug)]
pub(super) struct ClientJudge(Bench, Arc<[DistinguishedName]>);

impl ClientJudge {
    pub(super) fn new(settings: &Settings, id: Identity) -> Self {
        let names = settings.anchors.iter().filter_map(|der| crate::auth::x509::read::Facts::of(der).ok());
        let names = names.filter_map(|f| inner(&f.subject_der).map(DistinguishedName::in_sequence));
        let names = names.collect();
        Self(Bench::new(settings, id), names)
    }
}

/// The contents of a DER SEQUENCE.
fn inner(der: &[u8]) -> Option<&[u8]> {
    let (_, rest) = der.split_first()?;
    let (len, rest) = rest.split_first()?;
    if *len < 0x80 { Some(rest) } else { rest.get(usize::from(len & 0x7F)..) }
}

impl ClientCertVerifier for ClientJudge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.1
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.judge(end_entity, intermediates, &[]).map(|()| ClientCertVerified::assertion())
    }

    handshake!();
}
