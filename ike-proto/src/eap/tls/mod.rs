//! EAP-TLS (RFC 5216; with TLS 1.3 RFC 9190): both sides prove themselves by certificates, TLS makes the key. The TLS is
//! rustls (`engine.rs`); certificates are judged as in IKE (`verify.rs`), keys are those of the PAD (`signer.rs`);
//! `framing.rs` cuts flights into EAP packets. TLS draws its randomness from rustls's provider (aws-lc-rs), which is the
//! one exception to "randomness is an argument".

pub(super) mod engine;
pub(super) mod framing;
mod signer;
mod verify;

use super::method::{Progress, Turn};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use engine::Engine;
use framing::{Came, Framing, START};
use ravelin_crypto::{Provider, Secret};
use ravelin_sa_db::UnixTime;
use ravelin_sa_db::pad::{Credential, Identity, Revocation};

/// What TLS works with: taken from the PAD when a conversation begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our certificate and key; a client of TTLS needs none.
    pub credential: Option<Arc<Credential>>,
    /// Trusted CA certificates (DER).
    pub anchors: Vec<Vec<u8>>,
    /// Revocation lists (DER).
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses (DER) about the other side's certificate; a server's own comes in the handshake.
    pub ocsp: Vec<Vec<u8>>,
    /// What they are for.
    pub revocation: Revocation,
    /// Verifies the signatures of certificates.
    pub crypto: Provider,
    /// Wall time.
    pub now: UnixTime,
    /// As client: who the server's certificate must be about.
    pub server: Option<Identity>,
}

/// Label of the key (RFC 5216 §2.3), and with TLS 1.3 (RFC 9190 §2.3), where the method's number is the context.
const LABEL: &[u8] = b"client EAP encryption";
const LABEL_13: &[u8] = b"EXPORTER_EAP_TLS_Key_Material";
const NUMBER: u8 = 13;
/// "No more handshake messages" (RFC 9190 §2.1.1).
const COMMITMENT: &[u8] = &[0];

/// The MSK of a method over TLS.
pub(super) fn msk(engine: &Engine, label: &[u8], number: u8) -> Result<Secret, String> {
    match engine.is_13() {
        // MSK and EMSK are exported in one: TLS 1.3 makes other octets for another length.
        true => {
            let both = engine.export(LABEL_13, Some(&[number]), 128)?;
            Ok(Secret::from(both.expose().get(..64).unwrap_or_default()))
        }
        false => engine.export(label, None, 64),
    }
}

/// Server.
#[derive(Debug)]
pub(super) struct ServerSide {
    engine: Engine,
    framing: Framing,
    committed: bool,
}

impl ServerSide {
    /// `user` as in EAP-Identity: the client's certificate must be about it.
    pub(super) fn start(settings: &Settings, user: &[u8]) -> Result<(Self, Vec<u8>), String> {
        let engine = Engine::server(settings, Some(&who(user)?))?;
        Ok((Self { engine, framing: Framing::default(), committed: false }, alloc::vec![START]))
    }

    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        self.step(turn.data).unwrap_or_else(Progress::Failed)
    }

    fn step(&mut self, data: &[u8]) -> Result<Progress, String> {
        match self.framing.take(data)? {
            Came::Piece => Ok(Progress::Next(self.framing.next())),
            Came::Nothing if self.framing.is_pending() => Ok(Progress::Next(self.framing.next())),
            // The client confirms our last flight.
            Came::Nothing if self.engine.is_done() => Ok(Progress::Done(Some(msk(&self.engine, LABEL, NUMBER)?))),
            Came::Nothing => Err("the client goes silent in the TLS handshake".to_string()),
            Came::Whole(octets) => {
                if self.committed {
                    return Err("the client goes on after the end of TLS (RFC 9190 section 2.1.1)".to_string());
                }
                self.engine.feed(&octets)?;
                if !self.engine.read().is_empty() {
                    return Err("the client sends data in EAP-TLS".to_string());
                }
                if self.engine.is_done() {
                    self.committed = true;
                    if self.engine.is_13() {
                        self.engine.write(COMMITMENT)?;
                    }
                }
                let flight = self.engine.flush();
                if flight.is_empty() {
                    return Err("the client's part of the TLS handshake is not whole".to_string());
                }
                self.framing.put(flight);
                Ok(Progress::Next(self.framing.next()))
            }
        }
    }
}

/// Client.
#[derive(Debug, Default)]
pub(super) struct ClientSide {
    running: Option<Engine>,
    framing: Framing,
    committed: bool,
    failed: bool,
}

impl ClientSide {
    pub(super) fn take(&mut self, turn: &Turn<'_>) -> Progress {
        match self.step(turn.data, turn.tls) {
            Ok(next) => Progress::Next(next),
            Err(why) => {
                self.failed = true;
                Progress::Failed(why)
            }
        }
    }

    fn step(&mut self, data: &[u8], settings: Option<&Settings>) -> Result<Vec<u8>, String> {
        let Some(engine) = &mut self.running else {
            framing::expect_start(data)?;
            let settings = settings.ok_or("no certificates are configured for TLS")?;
            let mut engine = Engine::client(settings)?;
            self.framing.put(engine.flush());
            self.running = Some(engine);
            return Ok(self.framing.next());
        };
        match self.framing.take(data)? {
            Came::Nothing if !self.framing.is_pending() => return Err("the server goes silent in TLS".to_string()),
            Came::Piece | Came::Nothing => {}
            Came::Whole(octets) => {
                engine.feed(&octets)?;
                let said = engine.read();
                match (said.as_slice(), self.committed) {
                    ([], _) => {}
                    (COMMITMENT, false) if engine.is_13() => self.committed = true,
                    _ => return Err("the server sends data in EAP-TLS".to_string()),
                }
                self.framing.put(engine.flush());
            }
        }
        Ok(self.framing.next())
    }

    /// TLS is done, and with TLS 1.3 the server has said that nothing else comes.
    pub(super) fn outcome(&self) -> Option<Option<Secret>> {
        let engine = self.running.as_ref().filter(|e| e.is_done() && !self.failed && !self.framing.is_pending())?;
        (self.committed || !engine.is_13()).then(|| msk(engine, LABEL, NUMBER).ok().map(Some)).flatten()
    }
}

/// The user's name as an identity that a certificate can be about.
fn who(user: &[u8]) -> Result<Identity, String> {
    let text = core::str::from_utf8(user).map_err(|_| "the user's name is no UTF-8".to_string())?;
    text.parse().map_err(|_| alloc::format!("no certificate can be about the user \"{}\"", text.escape_debug()))
}
