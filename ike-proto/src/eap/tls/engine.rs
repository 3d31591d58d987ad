//! rustls as one connection without I/O: octets in, octets out, keys exported. One configuration per conversation, so that
//! nothing is resumed.

use super::Settings;
use super::signer::certified;
use super::verify::{ClientJudge, ServerJudge};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::Identity;
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, Connection, ProtocolVersion, ServerConfig, ServerConnection};
use std::io::{Read, Write};

/// Octets of plaintext that are taken of one flight.
const MAX_PLAIN: usize = 16_384;

/// The time when the conversation began.
#[derive(Debug)]
struct Fixed(u64);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// One TLS connection.
pub(in crate::eap) struct Engine(Box<Connection>);

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Engine({:?})", self.0.protocol_version())
    }
}

fn failed(e: rustls::Error) -> String {
    match e {
        // The judge's own words.
        rustls::Error::General(why) => format!("TLS: {why}"),
        rustls::Error::AlertReceived(alert) => format!("TLS: the other side says {alert:?}"),
        other => format!("TLS: {other}"),
    }
}

impl Engine {
    /// A server; with `client` its certificate is demanded, and must be about this identity.
    pub(in crate::eap) fn server(settings: &Settings, client: Option<&Identity>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let credential = settings.credential.as_ref().ok_or("no certificate of ours is configured for TLS")?;
        let key = certified(credential, provider.secure_random)?;
        let builder = ServerConfig::builder_with_details(provider, Arc::new(Fixed(settings.now.0)))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let builder = match client {
            Some(id) => builder.with_client_cert_verifier(Arc::new(ClientJudge::new(settings, id.clone()))),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let connection = ServerConnection::new(Arc::new(config)).map_err(failed)?;
        Ok(Self(Box::new(connection.into())))
    }

    /// A client, with its certificate where there is one.
    pub(in crate::eap) fn client(settings: &Settings) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = settings.server.clone().ok_or("the TLS server's identity is not configured")?;
        let random = provider.secure_random;
        let builder = ClientConfig::builder_with_details(provider, Arc::new(Fixed(settings.now.0)))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ServerJudge::new(settings, server)));
        let mut config = match &settings.credential {
            Some(credential) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(credential, random)?)))
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = false;
        config.resumption = rustls::client::Resumption::disabled();
        // The name is not looked at: the judge knows whom it wants.
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])));
        let connection = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
        Ok(Self(Box::new(connection.into())))
    }

    /// Takes octets of the other side.
    pub(in crate::eap) fn feed(&mut self, mut octets: &[u8]) -> Result<(), String> {
        while !octets.is_empty() {
            let taken = self.0.read_tls(&mut octets).map_err(|e| format!("TLS: {e}"))?;
            self.0.process_new_packets().map_err(failed)?;
            if taken == 0 {
                return Err("TLS: octets after the end".to_string());
            }
        }
        Ok(())
    }

    /// What is to be sent.
    pub(in crate::eap) fn flush(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.0.wants_write() {
            match self.0.write_tls(&mut out) {
                Ok(n) if n > 0 => {}
                _ => break,
            }
        }
        out
    }

    /// Data that came.
    pub(in crate::eap) fn read(&mut self) -> Vec<u8> {
        let mut out = alloc::vec![0; MAX_PLAIN];
        let len = self.0.reader().read(&mut out).unwrap_or(0);
        out.truncate(len);
        out
    }

    /// Data to be sent.
    pub(in crate::eap) fn write(&mut self, data: &[u8]) -> Result<(), String> {
        self.0.writer().write_all(data).map_err(|e| format!("TLS: {e}"))
    }

    /// The handshake is done: whoever had to prove itself has.
    pub(in crate::eap) fn is_done(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// TLS 1.3.
    pub(in crate::eap) fn is_13(&self) -> bool {
        self.0.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Key material (RFC 5705, RFC 8446 §7.5).
    pub(in crate::eap) fn export(&self, label: &[u8], context: Option<&[u8]>, len: usize) -> Result<Secret, String> {
        let mut out = Secret::zeroed(len);
        self.0.export_keying_material(out.expose_mut(), label, context).map_err(failed)?;
        Ok(out)
    }
}
