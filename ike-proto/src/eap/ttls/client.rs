//! TTLS as client: nothing is said inside before the server's certificate is judged.

use super::super::client::{Client, ClientVerdict};
use super::super::method::{Progress, Turn};
use super::super::mschapv2::{formulas, hex};
use super::super::tls::engine::Engine;
use super::super::tls::framing::{self, Came, Framing};
use super::super::tls::{Settings, msk};
use super::avp;
use super::server::inner_method;
use super::{CHALLENGE, LABEL, NUMBER};
use crate::registry::{EapCode, EapType};
use crate::wire::payload::Eap;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ravelin_crypto::Secret;
use ravelin_sa_db::pad::{EapMethod, TtlsInner};
use subtle::ConstantTimeEq;

/// Client.
#[derive(Debug)]
pub(in crate::eap) struct ClientSide {
    inner: TtlsInner,
    methods: Vec<EapMethod>,
    running: Option<Engine>,
    framing: Framing,
    inside: Inside,
}

#[derive(Debug)]
enum Inside {
    /// Nothing was said yet.
    Start,
    /// MSCHAPv2: the server's proof is awaited.
    Proof(String),
    /// EAP runs.
    Eap(Box<Client>),
    /// Nothing more is to be said by us.
    Said,
    /// Over.
    Failed,
}

impl ClientSide {
    pub(in crate::eap) fn new(inner: TtlsInner, methods: &[EapMethod]) -> Self {
        let methods = methods.iter().copied().filter(|m| inner_method(*m)).collect();
        Self { inner, methods, running: None, framing: Framing::default(), inside: Inside::Start }
    }

    pub(in crate::eap) fn take(&mut self, turn: Turn<'_>) -> Progress {
        match self.step(turn) {
            Ok(next) => Progress::Next(next),
            Err(why) => {
                self.inside = Inside::Failed;
                Progress::Failed(why)
            }
        }
    }

    fn step(&mut self, turn: Turn<'_>) -> Result<Vec<u8>, String> {
        if self.running.is_none() {
            framing::expect_start(turn.data)?;
            let settings = turn.tls.ok_or("no CA certificates are configured for TLS")?;
            let mut engine = Engine::client(&Settings { credential: None, ..settings.clone() })?;
            self.framing.put(engine.flush());
            self.running = Some(engine);
            return Ok(self.framing.next());
        }
        match self.framing.take(turn.data)? {
            Came::Piece | Came::Nothing => {}
            Came::Whole(octets) => {
                let engine = self.running.as_mut().ok_or("TTLS has not begun")?;
                engine.feed(&octets)?;
                let said = engine.read();
                if !said.is_empty() && !engine.is_done() {
                    return Err("data before the TLS handshake is done".to_string());
                }
                if engine.is_done() {
                    let answer = self.inner(&said, turn)?;
                    let engine = self.running.as_mut().ok_or("TTLS has not begun")?;
                    engine.write(&answer)?;
                }
                let flight = self.running.as_mut().map(Engine::flush).unwrap_or_default();
                self.framing.put(flight);
            }
        }
        Ok(self.framing.next())
    }

    /// What is said inside next; `said` is the server's part, empty at the start.
    fn inner(&mut self, said: &[u8], turn: Turn<'_>) -> Result<Vec<u8>, String> {
        let engine = self.running.as_ref().ok_or("TTLS has not begun")?;
        let all = avp::parse(said)?;
        avp::understood(&all)?;
        let password = turn.password.ok_or("no password")?;
        let mut out = Vec::new();
        match (core::mem::replace(&mut self.inside, Inside::Failed), self.inner) {
            (Inside::Start, TtlsInner::Pap) => {
                avp::put(&mut out, avp::USER_NAME, turn.user);
                let mut padded = password.expose().to_vec();
                padded.resize(padded.len().max(1).next_multiple_of(16), 0);
                let padded = Secret::new(padded);
                avp::put(&mut out, avp::USER_PASSWORD, padded.expose());
                self.inside = Inside::Said;
            }
            (Inside::Start, TtlsInner::MsChapV2) => {
                let material = engine.export(CHALLENGE, None, 17)?;
                let Some((challenge, [ident])) = material.expose().split_at_checked(16) else { return Ok(out) };
                let hash = formulas::password_hash(password).ok_or("our password is no UTF-8")?;
                let mut peer = [0; 16];
                turn.rng.fill_bytes(&mut peer);
                let nt = formulas::nt_response(challenge, &peer, turn.user, &hash);
                let proof = formulas::authenticator_response(&hash, &nt, &peer, challenge, turn.user);
                avp::put(&mut out, avp::USER_NAME, turn.user);
                avp::put(&mut out, avp::MS_CHAP_CHALLENGE, challenge);
                let response = [&[*ident, 0], &peer[..], &[0; 8], &nt].concat();
                avp::put(&mut out, avp::MS_CHAP2_RESPONSE, &response);
                self.inside = Inside::Proof(hex(&proof));
            }
            (Inside::Start, TtlsInner::Eap) => {
                let mut client = Client::new(&self.methods, turn.user.to_vec(), Arc::new(password.clone()), false);
                // By its certificate.
                client.server_is_proved();
                let identity = Eap::method(EapCode::RESPONSE, 0, EapType::IDENTITY, turn.user);
                avp::put(&mut out, avp::EAP_MESSAGE, identity.map_err(|e| e.to_string())?.packet());
                self.inside = Inside::Eap(Box::new(client));
            }
            (Inside::Proof(proof), _) => {
                let Some(success) = avp::one(&all, avp::MS_CHAP2_SUCCESS)? else {
                    return Err("the server refuses the password inside TTLS".to_string());
                };
                let said = success.get(1..).and_then(|s| s.strip_prefix(b"S=")).and_then(|s| s.get(..40));
                if !bool::from(said.unwrap_or_default().to_ascii_uppercase().ct_eq(proof.as_bytes())) {
                    return Err("the server does not know the password: its proof is wrong".to_string());
                }
                self.inside = Inside::Said;
            }
            (Inside::Eap(mut client), _) => {
                let Some(packet) = avp::one(&all, avp::EAP_MESSAGE)? else {
                    self.inside = Inside::Eap(client);
                    return Ok(out);
                };
                let packet = Eap::parse(packet).map_err(|e| alloc::format!("TTLS: {e}"))?;
                match client.take(&packet, turn.rng) {
                    ClientVerdict::Reply(packet) => {
                        avp::put(&mut out, avp::EAP_MESSAGE, packet.packet());
                        self.inside = Inside::Eap(client);
                    }
                    ClientVerdict::Success(_) => self.inside = Inside::Said,
                    ClientVerdict::Failure(why) => return Err(alloc::format!("inside TTLS: {why}")),
                }
            }
            (Inside::Said, _) if all.is_empty() => self.inside = Inside::Said,
            (Inside::Said | Inside::Failed, _) => return Err("the server goes on after the end of TTLS".to_string()),
        }
        Ok(out)
    }

    /// The server is proved by its certificate and, by MSCHAPv2, by the password. The outer Success stands for that of
    /// inner EAP when the inner method may end.
    pub(in crate::eap) fn outcome(&self) -> Option<Option<Secret>> {
        let engine = self.running.as_ref().filter(|e| e.is_done() && !self.framing.is_pending())?;
        let inner = match &self.inside {
            Inside::Said => true,
            Inside::Eap(client) => client.may_end(),
            _ => false,
        };
        inner.then(|| msk(engine, LABEL, NUMBER).ok().map(Some)).flatten()
    }
}
